"""A year of daily runs on a small pipeline: does a day cost more when the past is longer?

    python -P -m benchmarks.daily --days 365 --folder year

Each day 200 orders and 200 visits come, 30 days of history are averaged, and the results of the day
before become known. All days run in one Spark session: `ingest` and `check` of three sources, what
is due, `features`. Prints medians of thirty days at a time. The lake is copied as it was on day 30;
at the end both lakes take further days in turn, so that a noisy machine is as noisy to either.
Stopped, and begun again with the same folder, it goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from headrace import plan
from headrace.intervals import features_due
from headrace.lake import Lake
from headrace.settings import Settings, engine_environment
from headrace.spec import load
from headrace.stage import Outcome
from spark_jobs import check, features, ingest
from spark_jobs.session import open_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPEC = """
name: daily
timezone: UTC
sources:
  orders: {path: landing/orders/*, schema: {id: int, customer: int, placed: timestamp},
           key: [id, placed], event_time: placed}
  visits: {path: landing/visits/*,
           schema: {v: int, customer: int, seen: timestamp, pages: double},
           key: [v, seen], known_at: seen}
  results: {path: landing/results/*,
            schema: {id: int, placed: timestamp, known: timestamp, y: boolean},
            key: [id, placed], event_time: placed, known_at: known, references: orders}
features:
  rows: orders
  at: 05:00 of the interval
  latest: {visits: {on: [customer], within: 7 days, columns: [pages]}}
  history: {pages_30d: {of: visits, value: avg(pages), by: [customer], over: 30 days}}
target: {name: y, of: results, value: y}
split: {kind: time, validation: 1 days, test: 1 days}
training: {algorithms: [logistic_regression], first: 2029-12-01, every: 31 days}
"""
FIRST = datetime(2024, 1, 1, 8, tzinfo=UTC)
ROWS = 200
SPAN = 30  # days whose median is printed, and the past of the lake that is kept aside
PAIRS = 15  # further days of either lake, in turn
WARM = 2  # days that compile what is new to the session
COLUMNS = ("ingest and check", "plan", "features", "processors")


@dataclass(frozen=True)
class Site:
    """A folder with a pipeline, its landing files and its lake."""

    folder: Path

    @property
    def days(self) -> int:
        """How many were delivered."""
        return len(list((self.folder / "landing" / "orders").glob("*.csv")))

    def pass_day(self, spark: SparkSession, day: int) -> dict[str, float]:
        """Delivers a day and works it up; seconds by column."""
        deliver(self.folder, day)
        pipeline, lake = load(self.folder / "pipeline.yaml"), Lake(self.folder / "lake")
        busy = _processors()
        marks = [time.monotonic()]
        now = datetime.now(UTC)
        for source, declared in pipeline.sources.items():
            landing = plan.look_at(pipeline, lake, source)
            ingest.ingest(spark, lake, source, source=declared, landing=landing, now=now)
            check.check(spark, lake, source, pipeline=pipeline, landing=landing, run="r", now=now)
        marks.append(time.monotonic())
        due = features_due(pipeline, lake)
        marks.append(time.monotonic())
        built = features.build(spark, lake, pipeline=pipeline, due=due)
        marks.append(time.monotonic())
        if (built.outcome, built.rows["built"]) != (Outcome.DONE, ROWS):
            sys.exit(f"day {day}: {built.outcome}, {built.rows}")
        took = [end - start for start, end in pairwise(marks)]
        return dict(zip(COLUMNS, [*took, _processors() - busy], strict=True))


def deliver(folder: Path, day: int) -> None:
    """The landing files of a day."""
    morning = FIRST + timedelta(days=day)
    numbers = range(day * ROWS, (day + 1) * ROWS)
    moments = {n: morning + timedelta(minutes=n % ROWS) for n in numbers}
    before = {n - ROWS: moment - timedelta(days=1) for n, moment in moments.items()} if day else {}
    lines = {
        "orders": ["id,customer,placed", *(f"{n},{n % 97},{t:%FT%TZ}" for n, t in moments.items())],
        "visits": [
            "v,customer,seen,pages",
            *(f"{n},{n % 89},{t:%FT%TZ},{n % 7}.5" for n, t in moments.items()),
        ],
        "results": [
            "id,placed,known,y",
            *(
                f"{n},{t:%FT%TZ},{t + timedelta(hours=12):%FT%TZ},{n % 3 == 0}"
                for n, t in before.items()
            ),
        ],
    }
    for source, content in lines.items():
        path = folder / "landing" / source / f"{day:04}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(content) + "\n")
        os.utime(path, (time.time() - 60,) * 2)


def main() -> None:
    """Prints a line for each thirty days, and how both lakes compare at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--folder", type=Path, help="keeps both lakes; a temporary one otherwise")
    given = parser.parse_args()
    engine_environment()
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        long, short = Site(folder / "long"), Site(folder / "short")
        long.folder.mkdir(parents=True, exist_ok=True)
        (long.folder / "pipeline.yaml").write_text(SPEC)
        with open_session(Settings(lake=long.folder / "lake")) as spark:
            days: list[dict[str, float]] = []
            for day in range(long.days, given.days):
                days.append(long.pass_day(spark, day))
                if day + 1 == SPAN:
                    shutil.copytree(long.folder, short.folder)
                if (day + 1) % SPAN == 0 or day == given.days - 1:
                    print(f"day {day + 1:>4}: {_told(days[-SPAN:])}", flush=True)
            if given.days <= SPAN:
                return
            early, late = short.days, long.days
            pairs = [
                (short.pass_day(spark, early + each), long.pass_day(spark, late + each))
                for each in range(PAIRS + WARM)
            ][WARM:]
    print(f"after {early} days: {_told([pair[0] for pair in pairs])}")
    print(f"after {late} days: {_told([pair[1] for pair in pairs])}")
    for column in COLUMNS:
        ratios = sorted(long_past[column] / short_past[column] for short_past, long_past in pairs)
        low, middle, high = (ratios[round(at * (PAIRS - 1))] for at in (0.25, 0.5, 0.75))
        print(f"{column}: {middle:.2f} times (quartiles {low:.2f} to {high:.2f}, {PAIRS} pairs)")


def _told(days: Sequence[Mapping[str, float]]) -> str:
    medians = {column: statistics.median(day[column] for day in days) for column in COLUMNS}
    return ", ".join(f"{column} {seconds:.2f} s" for column, seconds in medians.items())


def _processors() -> float:
    """Seconds that this process, the JVM and its Python workers have used."""
    me = psutil.Process()
    times = [process.cpu_times() for process in [me, *me.children(recursive=True)]]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


if __name__ == "__main__":
    main()

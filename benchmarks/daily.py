"""A year of daily runs on a small pipeline: does a day cost more when the past is longer?

    python -P -m benchmarks.daily --days 365

Each day 200 orders and 200 visits come, 30 days of history are averaged, and the results of the day
before become known. All days run in one Spark session: `ingest` and `check` of three sources, what
is due, `features`. Prints medians of thirty days at a time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from headrace import plan
from headrace.intervals import features_due
from headrace.lake import Lake
from headrace.settings import Settings, engine_environment
from headrace.spec import load
from headrace.stage import Outcome
from spark_jobs import check, features, ingest
from spark_jobs.session import open_session

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
SPAN = 30  # days whose median is printed


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
    """Prints a line for each thirty days."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    given = parser.parse_args()
    engine_environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pipeline.yaml").write_text(SPEC)
        pipeline, lake = load(folder / "pipeline.yaml"), Lake(folder / "lake")
        took: dict[str, list[float]] = {"ingest and check": [], "plan": [], "features": []}
        busy: list[float] = []
        with open_session(Settings(lake=lake.root)) as spark:
            for day in range(given.days):
                deliver(folder, day)
                before = _processors()
                marks = [time.monotonic()]
                now = datetime.now(UTC)
                for source, declared in pipeline.sources.items():
                    landing = plan.look_at(pipeline, lake, source)
                    ingest.ingest(spark, lake, source, source=declared, landing=landing, now=now)
                    check.check(
                        spark, lake, source, pipeline=pipeline, landing=landing, run="r", now=now
                    )
                marks.append(time.monotonic())
                due = features_due(pipeline, lake)
                marks.append(time.monotonic())
                built = features.build(spark, lake, pipeline=pipeline, due=due)
                marks.append(time.monotonic())
                if (built.outcome, built.rows["built"]) != (Outcome.DONE, ROWS):
                    sys.exit(f"day {day}: {built.outcome}, {built.rows}")
                for column, start, end in zip(took, marks, marks[1:], strict=False):
                    took[column].append(end - start)
                busy.append(_processors() - before)
                if (day + 1) % SPAN == 0 or day == given.days - 1:
                    shown = {k: statistics.median(v[-SPAN:]) for k, v in took.items()}
                    told = ", ".join(f"{k} {seconds:.2f} s" for k, seconds in shown.items())
                    used = statistics.median(busy[-SPAN:])
                    print(f"day {day + 1:>4}: {told}; processors {used:.2f} s", flush=True)


def _processors() -> float:
    """Seconds that this process, the JVM and its Python workers have used."""
    me = psutil.Process()
    times = [process.cpu_times() for process in [me, *me.children(recursive=True)]]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


if __name__ == "__main__":
    main()

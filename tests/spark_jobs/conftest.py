"""A small pipeline on landing files that a test writes, its stages called as a run does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from headrace import plan
from headrace.intervals import features_due
from headrace.lake import Lake, Table
from headrace.spec import load

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from headrace.stage import StageResult

NOW = datetime(2014, 1, 1, tzinfo=UTC)

PIPELINE = """
name: trips
timezone: America/New_York
sources:
  trips:
    path: landing/trips/*
    null_value: NA
    schema: {id: int, line: string, leaves: timestamp, km: double}
    key: [id]
    event_time: leaves
  arrivals:
    path: landing/arrivals/*
    schema: {id: int, leaves: timestamp, delay: int, arrived: timestamp}
    key: [id]
    event_time: leaves
    known_at: arrived
    references: trips
  weather:
    path: landing/weather/*
    schema: {line: string, temp: double, seen: timestamp}
    key: [line, seen]
    known_at: seen
  lines:
    path: landing/lines/*
    schema: {line: string, seats: int}
    key: [line]
    timeless: true
checks:
  trips:
    - expect_column_values_to_be_between: {column: km, min_value: 0}
    - expect_table_row_count_to_be_between: {min_value: 1}
features:
  rows: trips
  at: 05:00 of the interval
  columns: {line: line, km: km}
  lookups: {lines: {on: [line], columns: [seats]}}
  latest: {weather: {on: [line], within: 6 hours, columns: [temp]}}
  history: {delay_2d: {of: arrivals, value: avg(delay), by: [line], over: 2 days}}
target: {name: late, of: arrivals, value: delay > 15}
split: {kind: time, validation: 1 days, test: 1 days}
training: {algorithms: [logistic_regression], first: 2013-12-01, every: 31 days}
"""
HEADERS = {
    "trips": "id,line,leaves,km",
    "arrivals": "id,leaves,delay,arrived",
    "weather": "line,temp,seen",
    "lines": "line,seats",
}


class Trips:
    """The pipeline `trips` in a folder of its own."""

    def __init__(self, folder: Path, lake: Lake, spark: SparkSession) -> None:
        self.folder, self.lake, self.spark = folder, lake, spark
        self.declare()
        self.deliver("lines", "a.csv", "A,50", "B,60")

    def declare(self, *changes: tuple[str, str]) -> None:
        """Writes pipeline.yaml, with some of its text replaced."""
        text = PIPELINE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (self.folder / "pipeline.yaml").write_text(text)
        self.pipeline = load(self.folder / "pipeline.yaml")

    def deliver(
        self, source: str, name: str, *lines: str | bytes, header: str | None = None
    ) -> Path:
        """Puts a file with these lines into the landing folder, a minute old."""
        path = self.folder / "landing" / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        first = HEADERS[source] if header is None else header
        parts = [line if isinstance(line, bytes) else line.encode() for line in (first, *lines)]
        path.write_bytes(b"\n".join(parts) + b"\n")
        os.utime(path, (time.time() - 60,) * 2)
        return path

    def publish(self, source: str, *, now: datetime = NOW) -> tuple[StageResult, StageResult]:
        """The stages ingest and check of a source."""
        from spark_jobs import check, ingest

        landing = plan.look_at(self.pipeline, self.lake, source)
        declared = self.pipeline.sources[source]
        read = ingest.ingest(
            self.spark, self.lake, source, source=declared, landing=landing, now=now
        )
        checked = check.check(
            self.spark, self.lake, source, pipeline=self.pipeline, landing=landing, run="r", now=now
        )
        return read, checked

    def build(self, *, stale: bool = False) -> StageResult:
        """The stage features."""
        from spark_jobs import features

        due = features_due(self.pipeline, self.lake)
        return features.build(self.spark, self.lake, pipeline=self.pipeline, due=due, stale=stale)

    def silver(self, source: str) -> list[dict[str, object]]:
        """The rows of silver, by key."""
        columns = list(self.pipeline.sources[source].columns)
        return _sorted(Table(self.lake.silver(source)).arrow(columns))

    def quarantine(self, source: str) -> list[tuple[object, ...]]:
        """File, line number, text, rules and reason of each row in quarantine."""
        columns = ["_file", "_row", "_raw", "_failed_rules", "_reason"]
        rows = Table(self.lake.quarantine(source)).arrow(columns).to_pylist()
        return sorted(tuple(row.values()) for row in rows)

    def gold(self) -> list[dict[str, object]]:
        """The rows of gold, by key."""
        return _sorted(Table(self.lake.gold("trips")).arrow())


def _sorted(table: pa.Table) -> list[dict[str, object]]:
    return sorted(table.to_pylist(), key=lambda row: str(row[table.column_names[0]]))


@pytest.fixture(scope="session")
def trips_in(spark: SparkSession) -> Callable[[Path], Trips]:
    """Makes the pipeline `trips` in a folder, over the lake that stands there, if one does."""
    return lambda folder: Trips(folder, Lake(folder / "lake"), spark)


@pytest.fixture
def trips(tmp_path: Path, trips_in: Callable[[Path], Trips]) -> Trips:
    """The pipeline `trips`, with nothing delivered but its lines."""
    return trips_in(tmp_path)

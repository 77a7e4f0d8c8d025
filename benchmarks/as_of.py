"""The newest row known of three sources, for each of many rows: ours against DuckDB's ASOF JOIN.

    python -P -m benchmarks.as_of --rows 1000000 10000000 --rounds 3

Both read the same Parquet files, with two threads, and give the sums of what they found, which must
agree. Rows and facts are drawn uniformly over 10,000 keys and 365 days; in the skewed data one key
has a fifth of them. Each round runs DuckDB, then ours. The driver has 2 GiB.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from headrace.intervals import features_due
from headrace.lake import Lake, append
from headrace.settings import Settings, engine_environment
from headrace.spec import load
from headrace.spec.model import Pipeline
from spark_jobs.gold import gold_rows
from spark_jobs.session import open_session

SOURCES = ("one", "two", "three")
KEYS, DAYS, PORTION = 10_000, 365, 1_000_000
HOT = 0.2  # of the rows, in the skewed data
START = datetime(2020, 1, 1, tzinfo=UTC)
FACTS = """
  {name}: {{path: landing/{name}/*, schema: {{id: bigint, k: int, t: timestamp, v: double}},
         key: [id], known_at: t}}"""
LATEST = "    {name}: {{on: [k], within: 400 days, columns: {{v_{name}: v}}}}"
SPEC = """
name: as_of
timezone: UTC
sources:
  rows: {{path: landing/rows/*, schema: {{id: bigint, k: int, t: timestamp}}, key: [id],
         event_time: t}}
  outcomes: {{path: landing/o/*, schema: {{id: bigint, t: timestamp, known: timestamp, y: boolean}},
             key: [id], event_time: t, known_at: known, references: rows}}{facts}
features:
  rows: rows
  at: 05:00 of the interval
  latest:
{latest}
target: {{name: y, of: outcomes, value: y}}
split: {{kind: time, validation: 1 days, test: 1 days}}
training: {{algorithms: [logistic_regression], first: 2020-12-01, every: 31 days}}
"""


def prepared(folder: Path, *, rows: int, skewed: bool) -> tuple[Pipeline, Lake]:
    """Silver with so many rows, and facts in each source."""
    folder.mkdir()
    facts = "".join(FACTS.format(name=name) for name in SOURCES)
    latest = "\n".join(LATEST.format(name=name) for name in SOURCES)
    (folder / "pipeline.yaml").write_text(SPEC.format(facts=facts, latest=latest))
    pipeline, lake = load(folder / "pipeline.yaml"), Lake(folder / "lake")
    random = np.random.default_rng(7)
    for name in ("rows", *SOURCES, "outcomes"):
        for first in range(0, rows if name != "outcomes" else 1, PORTION):
            size = min(PORTION, rows - first) if name != "outcomes" else 1
            keys = random.integers(1, KEYS, size)
            if skewed:
                keys[random.random(size) < HOT] = 0
            moments = START.timestamp() * 1e6 + random.integers(0, DAYS * 86_400_000_000, size)
            at = (
                pa.array(moments.astype(np.int64))
                .cast(pa.timestamp("us"))
                .cast(pa.timestamp("us", "UTC"))
            )
            data = {"id": pa.array(np.arange(first, first + size)), "t": at}
            if name == "outcomes":
                data |= {"known": at, "y": pa.array([True])}
            else:
                data["k"] = pa.array(keys.astype(np.int32))
            if name in SOURCES:
                data["v"] = pa.array(random.random(size))
            for column in ("_file", "_file_sha256", "_batch"):
                data[column] = pa.array([str(first)] * size)
            data |= {"_row": data["id"], "_ingested_at": at}
            append(lake.silver(name), pa.table(data), unit=f"{name}/check/{first}")
    return pipeline, lake


def by_duckdb(lake: Lake) -> tuple[list[float], float]:
    """Sums of the three columns, and seconds."""
    database = duckdb.connect()
    database.execute("set threads = 2; set timezone = 'UTC'")
    started = time.monotonic()
    sums = ", ".join(f"sum({name}.v)" for name in SOURCES)
    joins = " ".join(
        f"asof left join '{lake.silver(name)}/*.parquet' {name} "
        f"on r.k = {name}.k and r.at >= {name}.t"
        for name in SOURCES
    )
    at = "date_trunc('day', t) + interval 5 hour as at"
    rows = f"select k, {at} from '{lake.silver('rows')}/*.parquet'"  # noqa: S608 - our own names
    found = database.execute(f"select {sums} from ({rows}) r {joins}").fetchall()[0]  # noqa: S608
    return list(found), time.monotonic() - started


def by_us(spark: SparkSession, pipeline: Pipeline, lake: Lake) -> tuple[list[float], float]:
    """The same from rows of gold, target and all, that are made and counted and not written."""
    due = features_due(pipeline, lake)
    started = time.monotonic()
    with gold_rows(
        spark, lake, pipeline=pipeline, intervals=due.intervals, versions=due.versions
    ) as gold:
        found = gold.agg(*(F.sum(f"v_{name}") for name in SOURCES)).collect()[0]
    return list(found), time.monotonic() - started


def main() -> None:
    """Prints one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    engine_environment()
    os.environ["HEADRACE_SPARK_MEMORY_GIB"] = "2"
    with tempfile.TemporaryDirectory() as folder:
        for rows in given.rows:
            for skewed in (False, True):
                pipeline, lake = prepared(Path(folder, f"{rows}{skewed}"), rows=rows, skewed=skewed)
                with open_session(Settings(lake=lake.root)) as spark:
                    for number in range(given.rounds):
                        ours, seconds = by_us(spark, pipeline, lake)
                        theirs, base = by_duckdb(lake)
                        if not np.allclose(ours, theirs, rtol=1e-9):
                            sys.exit(f"{ours} is not {theirs}")
                        kind = "skewed " if skewed else "uniform"
                        print(
                            f"{rows:>11,} rows, {kind} round {number}: {seconds:6.1f} s, "
                            f"DuckDB {base:6.1f} s, ratio {seconds / base:5.1f}, "
                            f"{1e6 * seconds / rows:5.2f} us per row; {_held():.2f} GiB",
                            flush=True,
                        )


def _held() -> float:
    """Memory of the JVM and its Python workers, in GiB; pages they share count in each."""
    children = psutil.Process().children(recursive=True)
    return sum(child.memory_info().rss for child in children) / 2**30


if __name__ == "__main__":
    main()

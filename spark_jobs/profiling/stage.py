"""The stage `profile`: what the columns of a table look like at one version, in three passes.

1. `overview`: one aggregation by Spark's own functions, of counts, bounds, moments and quantiles.
2. `sums`: tasks look at each row once, in numpy: values, bins, sums of pairs and of periods.
3. `cells`: the same for pairs of categories, where the second pass found any.

Each reads the columns once. What comes back to the driver is bounded by limits, whatever the rows;
values of which there are many are counted by a shuffle, which spills.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from headrace import faults, profiles
from headrace.lake import Lake
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, StageResult
from spark_jobs import delta
from spark_jobs.profiling import rows as rows_for
from spark_jobs.profiling.columns import (
    MOST_NAMED,
    MOST_PAIRED,
    Overview,
    Periods,
    categories,
    edges,
)
from spark_jobs.profiling.passes import crossed, overview, placed, summed
from spark_jobs.profiling.sums import Wanted


def profile(
    spark: SparkSession, lake: Lake, table: str, *, version: int, pipeline: Pipeline, now: datetime
) -> StageResult:
    """Profiles a version of a source's silver or of the features, and keeps it as rows.

    Running again for the same version changes nothing.

    Args:
        spark: The session.
        lake: Where the table stands.
        table: `silver/<source>` or `gold/<pipeline>`.
        version: The one to read.
        pipeline: What is declared; tells the column of time, and its zone.
        now: The moment that the rows carry.
    """
    started = time.monotonic()
    faults.point("profile", "before_read")
    layer, _, name = table.partition("/")
    read = delta.read(spark, lake.root / table, version=version)
    time_column = "_interval"
    if layer == "silver":
        source = pipeline.sources[name]
        time_column = source.event_time or source.known_at or ""
    kept = [column for column in read.columns if not column.startswith("_")]
    rows, seconds = described(read, columns=kept, time_column=time_column, zone=pipeline.timezone)
    faults.point("profile", "after_read")
    made = profiles.keep(lake, rows, table=table, version=version, profiled_at=now)
    return StageResult(
        name="profile",
        subject=name,
        units=(f"{layer}-v{version}",),
        outcome=Outcome.DONE if made.made else Outcome.ALREADY_DONE,
        rows={"read": int(rows[0]["value"]), "columns": len(kept), "kept": len(rows)},
        seconds=time.monotonic() - started,
        tables={"profiles": made.version},
        detail={"seconds": seconds},
    )


def described(
    rows: DataFrame, *, columns: Sequence[str], time_column: str = "", zone: str = "UTC"
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The rows of a profile, without what is the same in all, and the seconds of each pass.

    Args:
        rows: A table; it is read three times.
        columns: Those to profile, by any name.
        time_column: A date or timestamp that places a row in a period; none if empty.
        zone: Whose calendar the periods are of.
    """
    types = [rows.schema[name].dataType for name in columns]
    frame = placed(rows, columns, time_column=time_column, zone=zone)
    clock = [time.monotonic()]
    count, told, span = overview(frame, columns, types)
    clock.append(time.monotonic())
    wanted = _wanted(told, span, has_rows=count > 0)
    sums = summed(frame, wanted)
    clock.append(time.monotonic())
    values = rows_for.values_of(sums)
    compared, notes = categories(told, values)
    named = {
        place: pa.array([value for value, _ in values[place][:MOST_NAMED]]) for place in compared
    }
    cells = crossed(frame, named, wanted.periods)
    clock.append(time.monotonic())

    found: list[dict[str, Any]] = [{"statistic": "rows", "value": count}]
    found += map(rows_for.note, _left_out(told, span, time_column=time_column))
    for column in told:
        found += rows_for.column_rows(column, rows=count, values=values)
        if column.place in wanted.edges:
            found += rows_for.bin_rows(column, wanted.edges[column.place], sums)
        if column.place in notes:
            found.append(rows_for.note(notes[column.place], column))
    found += rows_for.pair_rows(told, sums)
    found += rows_for.category_rows(told, values, cells)
    if span is not None:
        found += rows_for.period_rows(told, values, span, sums=sums, cells=cells, rows=count)
    passes = zip(("overview", "sums", "cells"), np.diff(clock).tolist(), strict=True)
    return found, dict(passes)


def _wanted(told: Sequence[Overview], span: Periods | None, *, has_rows: bool) -> Wanted:
    return Wanted(
        columns=[column.place for column in told] if has_rows else [],
        edges={column.place: edges(column) for column in told if column.is_number},
        scales={
            column.place: (column.numbers["mean"], column.numbers["std"])
            for column in [column for column in told if column.varies][:MOST_PAIRED]
        },
        counted=[column.place for column in told if column.is_counted],
        periods=span.starts if span else np.empty(0, np.int64),
    )


def _left_out(told: Sequence[Overview], span: Periods | None, *, time_column: str) -> list[str]:
    varying = sum(column.varies for column in told)
    notes = []
    if varying > MOST_PAIRED:
        notes.append(f"the first {MOST_PAIRED} of {varying} numbers that vary are correlated")
    if time_column and span is None:
        notes.append(f"nothing over time: {time_column} has no day, or spans too many years")
    return notes

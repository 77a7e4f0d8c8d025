"""The stage `features`: silver becomes gold, interval by interval, and targets are filled in.

How a row of gold is made stands in `spark_jobs/gold/`.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import pyarrow as pa
from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from headrace import command, faults
from headrace.errors import BalanceError, UsageError
from headrace.intervals import FeaturesDue, Interval, features_due, gold_unit
from headrace.lake import Committed, Lake, Table
from headrace.ongoing import Rows
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, StageResult
from spark_jobs import delta
from spark_jobs.gold import Silver, gold_rows, stamps, with_target
from spark_jobs.session import open_session

_MOST_ROWS = 10_000_000  # built at once: bounds the memory of tasks, whatever the first run builds


def build(
    spark: SparkSession, lake: Lake, *, pipeline: Pipeline, due: FeaturesDue, stale: bool = False
) -> StageResult:
    """Builds the intervals that gold lacks, and fills in targets that became known.

    Args:
        spark: The session.
        lake: Where silver stands and gold will.
        pipeline: What is declared.
        due: From `headrace.intervals.features_due`, on the same lake.
        stale: Also build the stale intervals again, replacing their rows.

    Raises:
        BalanceError: Gold has not one row per row of `features.rows`.
    """
    started = time.monotonic()
    faults.point("features", "before_read")
    again = due.stale if stale else ()
    rebuilt = {interval.day for interval in again}
    labels_only = tuple(interval for interval in due.unlabelled if interval.day not in rebuilt)
    gold = lake.gold(pipeline.name)
    recorded = due.recorded
    present: Counter[str] = Counter()
    progress = Rows("features", sum(each.rows for each in (*due.missing, *again)))
    for intervals, replaces in (
        *((portion, False) for portion in portions(due.missing)),
        *((portion, True) for portion in portions(again)),
    ):
        with gold_rows(
            spark, lake, pipeline=pipeline, intervals=intervals, versions=due.versions
        ) as rows:
            faults.point("features", "after_read")
            counts = _counted(rows, lake, pipeline, intervals, replaces=replaces, recorded=recorded)
            present.update(counts)
        recorded += 1
        progress.advance(sum(each.rows for each in intervals))
    notes = empty_features(pipeline, present)
    if due.stale and not stale:
        notes.append(f"{len(due.stale)} stale intervals left as delivered")
    if labels_only:
        rows = relabelled(
            spark, lake, pipeline=pipeline, intervals=labels_only, versions=due.versions
        )
        standing = _rows_of(Table.at(gold))  # a late row of the day waits until it is built again
        _commit(
            rows,
            lake,
            pipeline,
            [replace(each, rows=standing[each.day.isoformat()]) for each in labels_only],
            replaces=True,
            recorded=recorded,
        )
        recorded += 1
    done = sorted({interval.day for interval in (*due.missing, *again, *labels_only)})
    return StageResult(
        name="features",
        subject=pipeline.name,
        units=tuple(day.isoformat() for day in done),
        outcome=Outcome.DONE if recorded > due.recorded else Outcome.ALREADY_DONE,
        rows={
            "built": sum(interval.rows for interval in (*due.missing, *again)),
            "labelled": sum(interval.rows for interval in labels_only),
        },
        seconds=time.monotonic() - started,
        tables={"gold": made.version} if (made := Table.if_exists(gold)) else {},
        notes=tuple(notes),
    )


def portions(intervals: Sequence[Interval]) -> Iterator[Sequence[Interval]]:
    """Intervals that are built and committed together: of not too many rows, or a single one."""
    held: list[Interval] = []
    for interval in intervals:
        if held and sum(each.rows for each in held) + interval.rows > _MOST_ROWS:
            yield held
            held = []
        held.append(interval)
    if held:
        yield held


def sampled(spark: SparkSession, lake: Lake, *, pipeline: Pipeline, rows: int) -> pa.Table:
    """Features of some rows of the newest intervals; nothing is written.

    Args:
        spark: The session.
        lake: Where silver stands.
        pipeline: What is declared.
        rows: How many, at most; chosen by a hash of their key among the newest intervals that have
            as many, so that the same rows come again.

    Raises:
        UsageError: Silver has no rows yet.
        FeatureError: A feature cannot be computed as it is declared.
    """
    due = features_due(pipeline, lake)
    newest: list[Interval] = []
    for interval in reversed(due.intervals):
        if sum(each.rows for each in newest) >= rows:
            break
        newest.append(interval)
    if not newest:
        message = f"{pipeline.features.rows} has no rows in silver yet"
        raise UsageError(message, pipeline=pipeline.name, hint="`headrace run --only check` first")
    with gold_rows(
        spark, lake, pipeline=pipeline, intervals=newest, versions=due.versions, sample=rows
    ) as made:
        found: pa.Table = made.drop("_fingerprint", "_labels").toArrow()
    return found


def empty_features(pipeline: Pipeline, counts: Mapping[str, int]) -> list[str]:
    """A line for each feature that is null in every row, and where it is declared.

    Args:
        pipeline: What is declared.
        counts: Feature -> rows in which it is not null; `_rows` -> all rows.
    """
    told = []
    for name, (path, of) in pipeline.features.made_by.items():
        if counts["_rows"] and not counts[name]:
            source = pipeline.sources[of] if of else None
            late = ""
            if source and not source.timeless and source.known_at is None:
                late = f"; {of} has no `known_at`, so its rows are known from their ingestion on"
            told.append(
                f"{name} is null in all {counts['_rows']:,} rows ({pipeline.place(path)}){late}"
            )
    return told


def main() -> None:
    """Runs the stage from the command line."""
    parser = command.arguments("spark_jobs.features", "Builds the intervals that gold lacks.")
    parser.add_argument("--interval", type=date.fromisoformat, nargs="+", metavar="YYYY-MM-DD")
    parser.add_argument("--stale", action="store_true", help="also build stale intervals again")

    def stage(
        pipeline: Pipeline, lake: Lake, settings: Settings, given: argparse.Namespace
    ) -> StageResult:
        due = features_due(pipeline, lake)
        if given.interval:
            due = due.among(given.interval)
        with open_session(settings) as spark:
            return build(spark, lake, pipeline=pipeline, due=due, stale=given.stale)

    command.run(parser, stage)


def relabelled(
    spark: SparkSession,
    lake: Lake,
    *,
    pipeline: Pipeline,
    intervals: Sequence[Interval],
    versions: Mapping[str, int],
) -> DataFrame:
    """The rows of gold as they stand, with the targets that are known now."""
    days = [each.day for each in intervals]
    bounds = {"_interval": (min(days), max(days))}
    gold = delta.read(spark, lake.gold(pipeline.name), bounds=bounds)
    kept = gold.drop(pipeline.target.name, "_target_known_at", "_labels")
    labels = stamps(spark, intervals).select("_interval", "_labels")
    kept = kept.join(F.broadcast(labels), "_interval")
    silver = Silver(spark, lake, pipeline, versions)
    labelled = with_target(kept, silver, keys=kept)
    return labelled.select(*gold.columns)


def _counted(
    rows: DataFrame,
    lake: Lake,
    pipeline: Pipeline,
    intervals: Sequence[Interval],
    *,
    replaces: bool,
    recorded: int,
) -> Mapping[str, int]:
    """Commits rows, and counts on the way: as for `empty_features`; nothing if they stood there."""
    seen = Observation()
    counts = [F.count(name).alias(name) for name in pipeline.features.names]
    observed = rows.observe(seen, F.count(F.lit(1)).alias("_rows"), *counts)
    try:
        committed = _commit(
            observed, lake, pipeline, intervals, replaces=replaces, recorded=recorded
        )
    except BalanceError as error:
        if pipeline.features.steps:
            names = ", ".join(step.function for step in pipeline.features.steps)
            error.hint = f"nothing was committed; a step may not add or lose rows: {names}"
        raise
    return seen.get if committed.made else {}  # what was not computed would never be seen


def _commit(
    rows: DataFrame,
    lake: Lake,
    pipeline: Pipeline,
    intervals: Sequence[Interval],
    *,
    replaces: bool,
    recorded: int,
) -> Committed:
    gold = lake.gold(pipeline.name)
    placed = rows.repartition("_interval").sortWithinPartitions(
        "_interval", *pipeline.sources[pipeline.features.rows].key
    )
    return delta.write(
        placed,
        gold,
        unit=gold_unit(pipeline),
        partition_by="_interval",
        statistics_of=["_fingerprint", "_labels"],
        replace=[interval.day for interval in intervals] if replaces else None,
        recorded=recorded,
        repeatable=True,
        expected={interval.day.isoformat(): interval.rows for interval in intervals},
        metadata={
            "intervals": len(intervals),
            "rows": sum(interval.rows for interval in intervals),
        },
    )


def _rows_of(gold: Table) -> Mapping[str, int]:
    counted: Counter[str] = Counter()
    for file in gold.files:
        counted[file.partition["_interval"].isoformat()] += file.rows or 0
    return counted


if __name__ == "__main__":
    main()

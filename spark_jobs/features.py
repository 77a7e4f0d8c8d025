"""The stage `features`: silver becomes gold, with nothing known after `at`.

Each step is DataFrame in, DataFrame out, and joins on a key that is unique on the right: rows are
never added or lost. All rows of an interval ask at the same moment, so facts are looked up once per
key and interval, not once per row.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from headrace import command, faults
from headrace.intervals import FeaturesDue, Interval, features_due, gold_unit
from headrace.lake import Lake, Table
from headrace.settings import Settings
from headrace.spec.expressions import columns_of
from headrace.spec.model import ColumnType, History, Latest, Lookup, Pipeline
from headrace.stage import Outcome, StageResult
from spark_jobs import delta
from spark_jobs.session import open_session

_DAY = timedelta(days=1)


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
    for intervals, replaces in ((due.missing, False), (again, True)):
        if intervals:
            with gold_rows(
                spark, lake, pipeline=pipeline, intervals=intervals, versions=due.versions
            ) as rows:
                faults.point("features", "after_read")
                _commit(rows, lake, pipeline, intervals, replaces=replaces, recorded=recorded)
            recorded += 1
    if labels_only:
        rows = relabelled(
            spark, lake, pipeline=pipeline, intervals=labels_only, versions=due.versions
        )
        standing = _rows_of(Table(gold))  # a late row of the day waits until it is built again
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
        tables={"gold": Table(gold).version} if Table.exists(gold) else {},
        notes=()
        if stale or not due.stale
        else (f"{len(due.stale)} stale intervals left as delivered",),
    )


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


@contextmanager
def gold_rows(
    spark: SparkSession,
    lake: Lake,
    *,
    pipeline: Pipeline,
    intervals: Sequence[Interval],
    versions: Mapping[str, int],
) -> Iterator[DataFrame]:
    """Features and target of the given intervals; what was kept to compute them is freed after.

    Args:
        spark: The session.
        lake: Where silver stands.
        pipeline: What is declared.
        intervals: Those to build, with their fingerprints.
        versions: Source -> the version of its silver table that the fingerprints tell of.
    """
    silver = partial(_silver, spark, lake, versions)
    features = pipeline.features
    source = pipeline.sources[features.rows]
    stamps = _stamps(spark, pipeline, intervals)
    # In UTC, since a span is so many hours, also where the clock is changed in it.
    moments = [pipeline.at(interval.day).astimezone(UTC) for interval in intervals]
    span = min(moments), max(moments)
    rows = with_interval(silver(features.rows), pipeline, event_time=str(source.event_time)).join(
        F.broadcast(stamps), "_interval"
    )
    keys = {name: F.col(name) for name in source.key}
    named = {name: F.expr(expression).alias(name) for name, expression in features.columns.items()}
    carried = {name for lookup in features.lookups.values() for name in lookup.on}
    carried |= {name for latest in features.latest.values() for name in latest.on}
    carried |= {name for history in features.history.values() for name in history.by}
    made = rows.select(
        *(column for name, column in keys.items() if name not in named),
        *named.values(),
        *(F.col(name).alias(_carried(name)) for name in sorted(carried)),
        *_STAMPS,
    )
    for name, lookup in features.lookups.items():
        made = with_lookup(made, silver(name), key=pipeline.sources[name].key, lookup=lookup)
    with ExitStack() as kept:
        for name, latest in features.latest.items():
            known_at = str(pipeline.sources[name].known_at)
            in_reach = F.col(known_at).between(F.lit(span[0] - latest.within), F.lit(span[1]))
            facts = silver(name).where(in_reach)
            newest = latest_known(made, facts, latest=latest, known_at=known_at)
            made = _answered(made, newest, on=latest.on, kept=kept)
        for name, history in features.history.items():
            told = aggregated(
                _facts(silver, pipeline, history=history, span=span),
                name=name,
                history=history,
                moments=stamps.select("_interval", "_at"),
                zone=pipeline.timezone,
            )
            made = _answered(made, told, on=history.by, kept=kept)
        labelled = with_target(made, silver(pipeline.target.of), pipeline=pipeline)
        columns = dict.fromkeys([*source.key, *features.names, pipeline.target.name])
        yield labelled.select(*columns, "_target_known_at", "_fingerprint", "_labels", "_interval")


def relabelled(
    spark: SparkSession,
    lake: Lake,
    *,
    pipeline: Pipeline,
    intervals: Sequence[Interval],
    versions: Mapping[str, int],
) -> DataFrame:
    """The rows of gold as they stand, with the targets that are known now."""
    gold = delta.read(spark, lake.gold(pipeline.name))
    kept = gold.drop(pipeline.target.name, "_target_known_at", "_labels")
    stamps = _stamps(spark, pipeline, intervals).select("_interval", "_labels")
    labelled = with_target(
        kept.join(F.broadcast(stamps), "_interval"),
        _silver(spark, lake, versions, pipeline.target.of),
        pipeline=pipeline,
    )
    return labelled.select(*gold.columns)


def with_interval(rows: DataFrame, pipeline: Pipeline, *, event_time: str) -> DataFrame:
    """Adds `_interval`: the calendar day of the event in the pipeline's zone."""
    return rows.withColumn(
        "_interval", F.to_date(F.from_utc_timestamp(event_time, pipeline.timezone))
    )


def with_lookup(
    rows: DataFrame, facts: DataFrame, *, key: Sequence[str], lookup: Lookup
) -> DataFrame:
    """Adds columns of the timeless row with the same key; null where there is none."""
    right = facts.select(
        *(F.col(theirs).alias(_carried(ours)) for theirs, ours in zip(key, lookup.on, strict=True)),
        *(F.col(column).alias(name) for name, column in lookup.columns.items()),
    )
    return rows.join(right, [_carried(name) for name in lookup.on], "left")


def latest_known(rows: DataFrame, facts: DataFrame, *, latest: Latest, known_at: str) -> DataFrame:
    """Columns of the newest fact with `at - within <= known_at <= at`, per key and interval.

    Sorts the facts and the distinct questions once per key (union, then the last fact so far), so
    that the cost grows as n log n. Of facts known at the same moment the one with the greatest
    values is taken, whatever their order.
    """
    on = [_carried(name) for name in latest.on]
    fact = F.struct(
        F.col(known_at).alias("_known"), *(F.col(c).alias(n) for n, c in latest.columns.items())
    )
    known = facts.select(
        *(F.col(n).alias(_carried(n)) for n in latest.on),
        F.col(known_at).alias("_time"),
        fact.alias("_fact"),
    )
    asked = rows.select(*on, "_interval", F.col("_at").alias("_time")).distinct()
    timeline = known.unionByName(asked, allowMissingColumns=True)
    order = [F.col("_time"), F.col("_interval").asc_nulls_first(), F.col("_fact")]
    so_far = Window.partitionBy(*on).orderBy(*order).rowsBetween(Window.unboundedPreceding, 0)
    newest = timeline.withColumn("_fact", F.last("_fact", ignorenulls=True).over(so_far)).where(
        "_interval is not null"
    )
    fresh = F.col("_fact._known") >= F.col("_time") - _interval_of(latest.within)
    return newest.select(
        *on, "_interval", *(F.when(fresh, F.col(f"_fact.{n}")).alias(n) for n in latest.columns)
    )


def aggregated(
    facts: DataFrame, *, name: str, history: History, moments: DataFrame, zone: str
) -> DataFrame:
    """An aggregate over the facts with `at - over < known_at <= at`, per key and interval.

    Each fact is counted into the few intervals that it can reach, then grouped. Facts with an
    `_order` are put in it first, so that sums of floats do not depend on the partitions.
    """
    days = math.ceil(history.over / _DAY)
    known_day = F.to_date(F.from_utc_timestamp("_known", zone))
    reached = facts.withColumn(
        "_interval", F.explode(F.sequence(known_day, F.date_add(known_day, days + 1)))
    )
    in_reach = (F.col("_known") <= F.col("_at")) & (
        F.col("_known") > F.col("_at") - _interval_of(history.over)
    )
    counted = reached.join(F.broadcast(moments), "_interval").where(in_reach)
    if "_order" in facts.columns:
        counted = counted.repartition(*history.by, "_interval").sortWithinPartitions(
            *history.by, "_interval", "_known", "_order"
        )
    return counted.groupBy(*(F.col(c).alias(_carried(c)) for c in history.by), "_interval").agg(
        F.expr(history.value).alias(name)
    )


def with_target(rows: DataFrame, outcomes: DataFrame, *, pipeline: Pipeline) -> DataFrame:
    """Adds the target and `_target_known_at`; both null where the outcome is not in the lake."""
    target, source = pipeline.target, pipeline.sources[pipeline.target.of]
    key = list(source.key)
    known = outcomes.select(
        *key,
        F.expr(target.value).alias(target.name),
        F.col(str(source.known_at)).alias("_target_known_at"),
    )
    return rows.join(known, key, "left")


def _answered(
    rows: DataFrame, answers: DataFrame, *, on: Sequence[str], kept: ExitStack
) -> DataFrame:
    """Each row with the answer for its key and interval; nulls where there is none.

    The answers are computed and kept, so that Spark knows their size before it plans the join:
    mostly they are few, then they go to the rows, and the rows need no shuffle.
    """
    small = answers.persist()
    kept.callback(small.unpersist)
    small.count()
    return rows.join(small, [*(_carried(name) for name in on), "_interval"], "left")


_Span = tuple[datetime, datetime]  # first and last moment of prediction
_STAMPS = ("_interval", "_at", "_fingerprint", "_labels")


def _stamps(spark: SparkSession, pipeline: Pipeline, intervals: Sequence[Interval]) -> DataFrame:
    """One row per interval: its moment of prediction and its fingerprints."""
    rows = [(i.day, pipeline.at(i.day), i.fingerprint, i.labels) for i in intervals]
    return spark.createDataFrame(
        rows, "_interval date, _at timestamp, _fingerprint string, _labels string"
    )


def _silver(spark: SparkSession, lake: Lake, versions: Mapping[str, int], name: str) -> DataFrame:
    """A source's published rows, at the version that the fingerprints tell of."""
    return delta.read(spark, lake.silver(name), version=versions.get(name))


def _facts(
    silver: Callable[[str], DataFrame], pipeline: Pipeline, *, history: History, span: _Span
) -> DataFrame:
    """A history's facts in reach of the intervals: what `by` and `value` use, and `_known`.

    With a total `_order` where a float is aggregated, whose sum depends on it.
    """
    source = pipeline.sources[history.of]
    types = dict(source.columns)
    known = F.col(str(source.known_at))
    facts = silver(history.of).where(known.between(F.lit(span[0] - history.over), F.lit(span[1])))
    if source.references is not None:
        about = pipeline.sources[source.references]
        extra = {name: kind for name, kind in about.columns.items() if name not in types}
        referenced = silver(source.references).select(*source.key, *extra)
        facts = facts.join(referenced, list(source.key))
        types |= extra
    used = dict.fromkeys([*history.by, *columns_of(history.value)])
    ordered = any(types[name] is ColumnType.DOUBLE for name in columns_of(history.value))
    order = [F.struct(*source.key).alias("_order")] if ordered else []
    return facts.select(*used, known.alias("_known"), *order)


def _carried(name: str) -> str:
    return f"_on_{name}"


def _interval_of(span: timedelta) -> Column:
    return F.expr(f"interval '{int(span.total_seconds())}' second")


def _commit(
    rows: DataFrame,
    lake: Lake,
    pipeline: Pipeline,
    intervals: Sequence[Interval],
    *,
    replaces: bool,
    recorded: int,
) -> None:
    gold = lake.gold(pipeline.name)
    placed = rows.repartition("_interval").sortWithinPartitions(
        "_interval", *pipeline.sources[pipeline.features.rows].key
    )
    delta.write(
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

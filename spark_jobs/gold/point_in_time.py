"""The forms of features: what was known at `at`, DataFrame in, DataFrame out; nothing is read here.

All rows of an interval ask at the same moment, so facts are looked up once per key and interval,
not once per row. Every join is on a key that is unique on the right: rows are never added or lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from headrace.spec.expressions import only_where
from headrace.spec.forms import Encoding
from headrace.spec.model import Pipeline

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Aggregate:
    """One column made of the facts in a span.

    Attributes:
        name: Of the column.
        sql: A Spark SQL aggregate over columns of the facts.
        over: The span: facts first known in `at - over < moment <= at`.
        last: Only the newest so many of them; all if None.
    """

    name: str
    sql: str
    over: timedelta
    last: int | None = None


@dataclass(frozen=True)
class Moments:
    """The intervals that are built, and when each asks.

    Attributes:
        frame: `_interval` and `_at`, one row each.
        first: The first interval.
        last: The last interval.
        zone: Of the pipeline.
    """

    frame: DataFrame
    first: date
    last: date
    zone: str

    @classmethod
    def of(cls, spark: SparkSession, pipeline: Pipeline, days: Sequence[date]) -> Moments:
        """Those of a pipeline on some days, one at least."""
        due = sorted(days)
        at = {day: pipeline.at(day) for day in due}
        return cls(
            spark.createDataFrame(list(at.items()), "_interval date, _at timestamp"),
            due[0],
            due[-1],
            pipeline.timezone,
        )


def carried(name: str) -> str:
    """The column under which a column of `rows` is kept for joins."""
    return f"_on_{name}"


def keyed(facts: DataFrame, on: Mapping[str, str], *columns: Column) -> DataFrame:
    """Facts with the columns they are matched by under the names that rows carry."""
    return facts.select(
        *(F.col(theirs).alias(carried(ours)) for ours, theirs in on.items()), *columns
    )


def with_interval(rows: DataFrame, pipeline: Pipeline, *, event_time: str) -> DataFrame:
    """Adds `_interval`: the calendar day of the event in the pipeline's zone."""
    return rows.withColumn(
        "_interval", F.to_date(F.from_utc_timestamp(event_time, pipeline.timezone))
    )


def versions(facts: DataFrame, *, key: Sequence[str], known: str) -> DataFrame:
    """Adds `_until`, when a row was corrected, and `_first`, when its key was first known."""
    of_key = Window.partitionBy(*key)
    return facts.withColumns(
        {
            "_until": F.lead(known).over(of_key.orderBy(known)),
            "_first": F.min(known).over(of_key),
        }
    )


def reaching(facts: DataFrame, moments: Moments, *, span: timedelta) -> DataFrame:
    """Each fact once for every due interval in whose span it is, as it was known then.

    Args:
        facts: With `_known`, `_first` and `_until`.
        moments: Of the intervals that are built.
        span: Kept are `_first` in `(at - span, at]`, `_known <= at`, and `_until` null or later.
    """
    days = math.ceil(span / _DAY) + 1
    since = F.to_date(F.from_utc_timestamp("_known", moments.zone))
    gone = F.date_add(F.to_date(F.from_utc_timestamp("_first", moments.zone)), days)
    until = F.to_date(F.from_utc_timestamp("_until", moments.zone))
    start = F.greatest(since, F.lit(moments.first))
    end = F.least(gone, F.lit(moments.last), until)  # nulls are passed over
    each = facts.where(start <= end).withColumn("_interval", F.explode(F.sequence(start, end)))
    known = (F.col("_known") <= F.col("_at")) & (F.col("_first") > F.col("_at") - seconds(span))
    standing = F.col("_until").isNull() | (F.col("_until") > F.col("_at"))
    return each.join(F.broadcast(moments.frame), "_interval").where(known & standing)


def nth_newest(
    reached: DataFrame, *, on: Sequence[str], order: Sequence[str], nth: int
) -> DataFrame:
    """The nth newest of the facts of each interval, from 0: `on`, `_interval`, `_at`, `_fact`."""
    rank = [F.desc(f"_fact.{name}") for name in order]
    nths = Window.partitionBy(*on, "_interval").orderBy(*rank, F.desc("_fact"))
    return (
        reached.withColumn("_nth", F.row_number().over(nths))
        .where(F.col("_nth") == nth + 1)
        .select(*on, "_interval", "_at", "_fact")
    )


def aggregated(
    facts: DataFrame,
    aggregates: Sequence[Aggregate],
    moments: Moments,
    *,
    on: Sequence[str],
) -> DataFrame:
    """Aggregates over spans before each interval, all of one source and key in one pass.

    Facts with an `_order` are put in it first, so that sums of floats do not depend on partitions.

    Args:
        facts: With `on`, `_known`, `_first`, `_until` and what the aggregates use.
        aggregates: What to make.
        moments: Of the intervals that are built.
        on: The columns that facts are grouped by.
    """
    span = max(each.over for each in aggregates)
    if "_order" in facts.columns:
        facts = facts.repartition(*on).sortWithinPartitions(*on, "_first", "_order")
    reached = reaching(facts, moments, span=span)
    if any(each.last for each in aggregates):
        newest_first = Window.partitionBy(*on, "_interval").orderBy(
            F.desc("_first"), F.desc("_order")
        )
        reached = reached.withColumn("_nth", F.row_number().over(newest_first))
    made = [F.expr(_narrowed(each, span)).alias(each.name) for each in aggregates]
    return reached.groupBy(*on, "_interval").agg(*made)


def encoded(
    rows: DataFrame, answers: DataFrame, encodings: Mapping[str, Encoding], *, on: Sequence[str]
) -> DataFrame:
    """Each category's share or mean, from `_n_<name>` and `_s_<name>` of every key and interval.

    Args:
        rows: One per row of features, with `on`, `_interval`.
        answers: From `aggregated`: counts and sums, unique by `on` and `_interval`.
        encodings: Feature -> what is declared; all of one source and key.
        on: The columns of the category.
    """
    parts = [column for column in answers.columns if column.startswith(("_n_", "_s_"))]
    totals = (
        answers.repartition("_interval")
        .sortWithinPartitions("_interval", *on)  # so that a sum of floats is always the same
        .groupBy("_interval")
        .agg(*(F.sum(part).alias(f"_all{part}") for part in parts))
    )
    joined = rows.join(F.broadcast(totals), "_interval", "left")
    made = {name: _encoding(name, each) for name, each in encodings.items()}
    return joined.withColumns(made).drop(*parts, *(f"_all{part}" for part in parts))


def _encoding(name: str, encoding: Encoding) -> Column:
    count, everything = F.coalesce(f"_n_{name}", F.lit(0)), F.col(f"_all_n_{name}")
    if encoding.kind == "frequency":
        return F.try_divide(count, everything)
    mean = F.try_divide(f"_all_s_{name}", everything)
    drawn = F.coalesce(f"_s_{name}", F.lit(0.0)) + F.lit(encoding.smoothing) * mean
    return F.coalesce(F.try_divide(drawn, count + F.lit(encoding.smoothing)), mean)


def seconds(span: timedelta) -> Column:
    """A span as an interval of so many seconds: an hour is an hour where the clock is changed."""
    return F.expr(f"interval '{int(span.total_seconds())}' second")


def _narrowed(aggregate: Aggregate, span: timedelta) -> str:
    """The aggregate's SQL over its own facts among those of the widest span."""
    told = []
    if aggregate.over < span:
        told.append(f"_first > _at - interval '{int(aggregate.over.total_seconds())}' second")
    if aggregate.last:
        told.append(f"_nth <= {aggregate.last}")
    return only_where(aggregate.sql, " and ".join(told)) if told else aggregate.sql

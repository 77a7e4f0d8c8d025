"""Rows of gold: the rows of each interval, and form by form what a pipeline declares of them.

Only what the intervals can reach is read: silver's files are passed over by the bounds that the log
keeps of their times and keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, time, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace.holidays import holiday_value
from headrace.intervals import Interval
from headrace.lake import Lake
from headrace.spec.model import Pipeline
from spark_jobs.gold import point_in_time as pit
from spark_jobs.gold.build import Build
from spark_jobs.gold.histories import with_histories
from spark_jobs.gold.latest import with_latest
from spark_jobs.gold.lookups import with_timeless
from spark_jobs.gold.point_in_time import carried
from spark_jobs.gold.refused import selected
from spark_jobs.gold.silver import Silver
from spark_jobs.gold.steps import with_steps
from spark_jobs.gold.target import with_target

_DAY = timedelta(days=1)


@contextmanager
def gold_rows(
    spark: SparkSession,
    lake: Lake,
    *,
    pipeline: Pipeline,
    intervals: Sequence[Interval],
    versions: Mapping[str, int],
    sample: int | None = None,
) -> Iterator[DataFrame]:
    """Features and target of the given intervals; what was kept to compute them is freed after.

    Args:
        spark: The session.
        lake: Where silver stands.
        pipeline: What is declared.
        intervals: Those to build, with their fingerprints.
        versions: Source -> the version of its silver table that the fingerprints tell of.
        sample: Only so many rows, chosen by a hash of their key; all if None.

    Raises:
        FeatureError: A feature cannot be computed as it is declared.
    """
    with ExitStack() as kept:
        silver = Silver(spark, lake, pipeline, versions)
        yield _rows(Build(silver, intervals, kept), sample)


def stamps(spark: SparkSession, intervals: Sequence[Interval]) -> DataFrame:
    """One row per interval: its fingerprints."""
    rows = [(each.day, each.fingerprint, each.labels) for each in intervals]
    return spark.createDataFrame(rows, "_interval date, _fingerprint string, _labels string")


def _rows(build: Build, sample: int | None) -> DataFrame:
    pipeline, spark = build.pipeline, build.silver.spark
    features, sources = pipeline.features, pipeline.sources
    made = own = _own(build, sample)
    for name, lookup in features.lookups.items():
        if sources[lookup.source(name)].valid_from is None:
            made = with_timeless(made, build, name, lookup=lookup)
    made = with_latest(made, build)
    made = with_histories(made, build)
    if features.holidays:
        made = made.join(F.broadcast(_holidays(build)), "_interval", "left")
    made = with_steps(made, pipeline)
    made = with_target(made, build.silver, keys=own)
    made = made.join(F.broadcast(stamps(spark, build.intervals)), "_interval")
    key = sources[features.rows].key
    columns = dict.fromkeys([*key, *features.names, pipeline.target.name])
    return made.select(*columns, "_target_known_at", "_fingerprint", "_labels", "_interval")


def _own(build: Build, sample: int | None) -> DataFrame:
    """The rows of the intervals, with the features that are made of their own columns."""
    pipeline, moments = build.pipeline, build.moments
    features = pipeline.features
    source = pipeline.sources[features.rows]
    event_time = str(source.event_time)
    begin = datetime.combine(moments.first, time(), tzinfo=pipeline.zone)
    end = datetime.combine(moments.last + _DAY, time(), tzinfo=pipeline.zone)
    # A clock that is changed at midnight makes the local day a little longer than that.
    bounds = (begin - timedelta(hours=2), end + timedelta(hours=2))
    rows = pit.with_interval(
        build.silver.rows(features.rows, **{event_time: bounds}), pipeline, event_time=event_time
    ).join(F.broadcast(moments.frame), "_interval")
    if sample is not None:
        rows = rows.orderBy(F.xxhash64(*source.key), *source.key).limit(sample)
    named = {n: F.expr(sql).alias(n) for n, sql in features.columns.items()}
    return selected(
        rows,
        {f"features.columns.{name}": column for name, column in named.items()},
        pipeline,
        [
            *(F.col(name) for name in source.key if name not in named),
            *named.values(),
            *(F.col(name).alias(carried(name)) for name in features.carried),
            F.col("_interval"),
            F.col("_at"),
        ],
    )


def _holidays(build: Build) -> DataFrame:
    declared = build.pipeline.features.holidays
    rows = [
        (each.day, *(holiday_value(holiday, each.day) for holiday in declared.values()))
        for each in build.intervals
    ]
    kinds = {"is_holiday": "boolean", "days_until": "int", "days_since": "int"}
    schema = ", ".join(f"{name} {kinds[holiday.value]}" for name, holiday in declared.items())
    return build.silver.spark.createDataFrame(rows, f"_interval date, {schema}")

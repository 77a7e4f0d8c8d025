"""Features computed again from silver as it stands; nothing is written."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
from pyspark.sql import SparkSession

from headrace.errors import UsageError
from headrace.intervals import features_due
from headrace.lake import Lake
from headrace.spec.model import Pipeline
from spark_jobs.gold import gold_rows


def features_again(
    spark: SparkSession, lake: Lake, *, pipeline: Pipeline, day: date, fingerprint: str
) -> pa.Table:
    """The rows of gold of an interval, as they come out now.

    Args:
        spark: The session.
        lake: Where silver stands.
        pipeline: What is declared.
        day: The interval.
        fingerprint: Of the rows that stand in gold.

    Raises:
        UsageError: What the features are made of, or their declaration, has changed since.
    """
    due = features_due(pipeline, lake)
    now = [interval for interval in due.intervals if interval.day == day]
    if not now or now[0].fingerprint != fingerprint:
        message = f"what the features of {day} are made of has changed since they were built"
        raise UsageError(
            message,
            pipeline=pipeline.name,
            hint="without `--features` the score is rebuilt from the features as they were",
        )
    with gold_rows(spark, lake, pipeline=pipeline, intervals=now, versions=due.versions) as rows:
        made: pa.Table = rows.toArrow()
    return made

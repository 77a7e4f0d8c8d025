"""What the forms of features share while rows of gold are made: silver, and when rows ask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from pyspark.sql import DataFrame

from headrace.intervals import Interval
from headrace.spec.model import Pipeline
from spark_jobs.gold.point_in_time import Moments, carried
from spark_jobs.gold.silver import Silver


@dataclass(frozen=True)
class Build:
    """The making of some intervals' rows.

    Attributes:
        silver: Where the rows of each source stand.
        intervals: Those that are built.
        kept: Frees in the end what was kept to compute them.
    """

    silver: Silver
    intervals: Sequence[Interval]
    kept: ExitStack

    @property
    def pipeline(self) -> Pipeline:
        """What is declared."""
        return self.silver.pipeline

    @cached_property
    def moments(self) -> Moments:
        """When each interval asks."""
        days = [each.day for each in self.intervals]
        return Moments.of(self.silver.spark, self.pipeline, days)

    @cached_property
    def asked(self) -> tuple[datetime, datetime]:
        """The first and the last of these moments."""
        # In UTC, since a span is so many hours, also where the clock is changed in it.
        at = [self.pipeline.at(interval.day).astimezone(UTC) for interval in self.intervals]
        return min(at), max(at)

    def answered(self, rows: DataFrame, answers: DataFrame, on: Iterable[str]) -> DataFrame:
        """Each row with the answer for its key and interval; nulls where there is none.

        The answers are computed and kept, so that Spark knows their size before it plans the join:
        mostly they are few, then they go to the rows, and the rows need no shuffle.
        """
        small = answers.persist()
        self.kept.callback(small.unpersist)
        small.count()
        return rows.join(small, [*map(carried, on), "_interval"], "left")

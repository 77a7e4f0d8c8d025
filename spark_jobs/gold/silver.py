"""The rows of silver that gold is made of: read at one version, corrections told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace.lake import Lake, Table
from headrace.spec.model import Pipeline, Source
from spark_jobs import delta
from spark_jobs.gold import point_in_time as pit


@dataclass(frozen=True)
class Silver:
    """The published rows of each source, at the versions that fingerprints tell of."""

    spark: SparkSession
    lake: Lake
    pipeline: Pipeline
    versions: Mapping[str, int]

    def rows(self, name: str, **bounds: tuple[object, object]) -> DataFrame:
        """A source's rows; with bounds, both included, those within them alone."""
        return delta.read(
            self.spark, self.lake.silver(name), version=self.versions.get(name), bounds=bounds
        )

    def size(self, name: str) -> int:
        """How many rows a source has, as its log tells."""
        files = Table.at(self.lake.silver(name), self.versions.get(name)).files
        return sum(file.rows or 0 for file in files)

    def near(self, name: str, others: DataFrame) -> DataFrame:
        """A source's rows that may have the key of one of the others."""
        return delta.read_near(
            self.spark,
            self.lake.silver(name),
            others,
            key=self.pipeline.sources[name].key,
            version=self.versions.get(name),
        )

    def all_versions(self, of: str, facts: DataFrame, *, until: datetime) -> DataFrame:
        """The rows of the same keys too that are out of reach: what they were, or have become."""
        source = self.pipeline.sources[of]
        key = list(source.key)
        whole = self.near(of, facts).where(F.col(source.clock) <= F.lit(until))
        return whole.join(facts.select(*key).distinct(), key, "left_semi")


def standing(facts: DataFrame, source: Source) -> DataFrame:
    """With `_first` and `_until`; where nothing is corrected each row stands for good."""
    if source.on_conflict != "latest":
        never = F.lit(None).cast("timestamp")
        return facts.withColumns({"_first": F.col(source.clock), "_until": never})
    return pit.versions(facts, key=source.key, known=source.clock)

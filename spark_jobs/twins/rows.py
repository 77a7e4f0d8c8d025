"""What a fit by Spark learns from: rows, their encoding, and the target as a number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.models.algorithms.algorithm import Task
from headrace.models.encoding import Encoding
from headrace.models.target import Classes


@dataclass(frozen=True)
class Rows:
    """What a fit learns from.

    Attributes:
        rows: From `usable`.
        count: How many there are.
        target: The column of the target.
        classes: What is predicted.
        encoding: Fitted on these rows, of the form that the entry needs.
        seed: Of what is drawn.
    """

    rows: DataFrame
    count: int
    target: str
    classes: Classes
    encoding: Encoding
    seed: int

    @property
    def label(self) -> Column:
        """The target as `Samples.y` has it: 1 or 0, the code of the class, or the value."""
        if self.classes.task is Task.BINARY:
            return F.col(self.target).cast("int").cast("double")
        if self.classes.task is Task.REGRESSION:
            return F.col(self.target).cast("double")
        every = F.array(*(F.lit(each) for each in self.classes.labels))
        return (F.array_position(every, F.col(self.target)) - 1).cast("double")

    @cached_property
    def counts(self) -> dict[int, int]:
        """Rows of each class, by its code, of those that there are; none of a regression."""
        if self.classes.task is Task.REGRESSION:
            return {}
        found = self.rows.groupBy(self.label.alias("code")).count().collect()
        return {int(row["code"]): row["count"] for row in sorted(found)}

    def described(self) -> dict[str, Any]:
        """What each estimator tells of its target, as `estimators.described` does."""
        told = {"task": str(self.classes.task), "classes": self.classes.count}
        return {**told, "present": list(self.counts)}

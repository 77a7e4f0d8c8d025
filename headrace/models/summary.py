"""What an encoding needs to know of rows, batch by batch: two summaries add up to one of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.models.algorithms.algorithm import Task
from headrace.models.encoding import Column, Encoding, Form, Kind, kind_of, numbers_of
from headrace.models.target import Classes


@dataclass(frozen=True)
class Seen:
    """What rows had in one feature.

    Attributes:
        name: The feature.
        type: Its Arrow type.
        kind: How it enters the matrix.
        categories: Its texts.
        known: How many of its numbers are neither null nor NaN.
        mean: Of those.
        squares: Sum of their squared distances from the mean.
        missing: Whether one is null or NaN.
    """

    name: str
    type: str
    kind: Kind
    categories: frozenset[str] = frozenset()
    known: int = 0
    mean: float = 0.0
    squares: float = 0.0
    missing: bool = False

    def __add__(self, other: Seen) -> Seen:
        known = self.known + other.known
        away = other.mean - self.mean
        share = other.known / known if known else 0.0
        return Seen(
            self.name,
            self.type,
            self.kind,
            self.categories | other.categories,
            known,
            self.mean + away * share,
            self.squares + other.squares + away * away * self.known * share,
            self.missing or other.missing,
        )

    @property
    def column(self) -> Column:
        """The feature as an encoding has it."""
        return Column(
            name=self.name,
            type=self.type,
            kind=self.kind,
            categories=tuple(sorted(self.categories)),
            mean=self.mean,
            scale=(sqrt(self.squares / self.known) if self.known else 0.0) or 1.0,
            missing=self.missing,
        )


@dataclass(frozen=True)
class Summary:
    """What rows had in their features and their target.

    Means and deviations are those of all rows but for rounding: batches are joined as Chan, Golub
    and LeVeque (1979, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances)
    join samples.

    Attributes:
        rows: How many rows there were.
        seen: The features, in order.
        targets: The distinct targets; of a regression the least and the greatest alone.
    """

    rows: int
    seen: tuple[Seen, ...]
    targets: frozenset[Any] = frozenset()  # texts, numbers, or true and false

    @classmethod
    def of(cls, rows: pa.Table, features: Sequence[str], *, target: str, task: Task) -> Self:
        """The summary of a batch.

        Args:
            rows: Every number finite or missing (see `refusals`), every target known.
            features: The features, in order.
            target: The column of the target.
            task: Its kind.

        Raises:
            FeatureError: A feature is of a type that has no place in a matrix.
        """
        column = rows.column(target)
        if task is Task.REGRESSION:
            found = {*pc.min_max(column).as_py().values()} if rows.num_rows else set()
        else:
            found = {*pc.unique(column).to_pylist()}
        seen = tuple(_seen(name, rows.column(name)) for name in features)
        return cls(rows.num_rows, seen, frozenset(found))

    def __add__(self, other: Summary) -> Summary:
        seen = tuple(mine + its for mine, its in zip(self.seen, other.seen, strict=True))
        targets = self.targets | other.targets
        if self.targets and not isinstance(next(iter(self.targets)), str | bool | int):
            targets = frozenset({min(targets), max(targets)})
        return Summary(self.rows + other.rows, seen, targets)

    def encoding(self, form: Form) -> Encoding:
        """The encoding that these rows fit, as `Encoding.fit` would."""
        return Encoding(form, tuple(each.column for each in self.seen))

    def classes(self, task: Task) -> Classes:
        """What can be learned of these targets.

        Raises:
            TrainingError: There is nothing to tell apart, or there are too many classes.
        """
        return Classes.fit(task, pa.chunked_array([pa.array(sorted(self.targets))]))


def _seen(name: str, column: pa.ChunkedArray) -> Seen:
    kind = kind_of(name, column.type)
    if kind is Kind.CATEGORY:
        texts = pc.unique(column.cast(pa.string())).drop_null().to_pylist()
        missing = column.null_count > 0
        return Seen(name, str(column.type), kind, frozenset(texts), missing=missing)
    values = numbers_of(column)
    known = values[~np.isnan(values)]
    mean = float(known.mean()) if len(known) else 0.0
    squares = float(((known - mean) ** 2).sum())
    missing = len(known) < len(values)
    return Seen(name, str(column.type), kind, frozenset(), len(known), mean, squares, missing)

"""What is inspected: a model, what it is held against, and the rows of each part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headrace.evaluation.metric import Metric
from headrace.evaluation.metrics import Floats, Integers
from headrace.models.algorithms.algorithm import Task
from headrace.models.model import Model
from headrace.models.target import Label


@dataclass(frozen=True)
class Rows:
    """Rows of one part.

    Attributes:
        table: Their features and key columns.
        y: As `Samples` has it, known for every row.
        days: The interval of each, as a number: the blocks of a bootstrap.
    """

    table: pa.Table
    y: Floats
    days: Integers

    def __len__(self) -> int:
        return len(self.y)

    def taken(self, places: Integers) -> Rows:
        """Some of the rows."""
        return Rows(self.table.take(pa.array(places)), self.y[places], self.days[places])

    def sample(self, most: int, *, key: tuple[str, ...]) -> Rows:
        """All rows, or the `most` whose keys hash lowest: the same ones in any order of files.

        Args:
            most: How many at most.
            key: Columns that name a row.
        """
        if len(self) <= most:
            return self
        from pandas.util import hash_pandas_object

        hashed = hash_pandas_object(self.table.select(list(key)).to_pandas(), index=False)
        return self.taken(np.sort(np.argsort(hashed.to_numpy(), kind="stable")[:most]))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model that is shipped, as the training left it.

    Attributes:
        model: The model.
        name: What it is called among the candidates.
        baseline: The baseline it was held against; None where the model is one itself.
        features: Feature columns, in order.
        key: Columns that name a row.
        metric: What it is judged by.
        seed: Of what is shuffled and resampled.
        labels: Classes in the order of their codes; empty unless there are classes.
        train: Rows of training.
        validation: Rows of validation, by which parameters were chosen.
        test: Rows of the test part, which the gate has used.
        hidden: Features and columns of the key whose values are not told.
    """

    model: Model
    name: str
    baseline: Model | None
    features: tuple[str, ...]
    key: tuple[str, ...]
    metric: Metric
    seed: int
    labels: tuple[Label, ...]
    train: Rows
    validation: Rows
    test: Rows
    hidden: frozenset[str] = frozenset()

    @property
    def task(self) -> Task:
        """The kind of target."""
        return self.model.classes.task

    def predicted(self, rows: pa.Table, *, by: Model | None = None) -> Floats:
        """What the model, or another one, makes of rows; classes in the order of `labels`."""
        model = by or self.model
        score = model.predict(rows)
        if self.task is not Task.MULTICLASS:
            return score
        return model.classes.placed(score, self.labels)

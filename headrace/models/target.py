"""The target as numbers and back: codes of classes, learned from training rows, kept as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import TrainingError, UsageError
from headrace.models.algorithms.algorithm import Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

MOST_CLASSES = 1_000  # a column of more is a key or a number

Label = str | int


@dataclass(frozen=True)
class Classes:
    """What a model predicts, and the classes that its training rows had.

    Attributes:
        task: The kind of target.
        labels: Classes in the order of their codes, which is that of texts or numbers; empty unless
            there are classes.

    Example:
        >>> classes = Classes.fit(Task.MULTICLASS, pa.chunked_array([["b", "a", "b"]]))
        >>> classes.codes(pa.chunked_array([["a", "b", "c"]])).tolist()
        [0.0, 1.0, 2.0]
    """

    task: Task = Task.BINARY
    labels: tuple[Label, ...] = ()

    @classmethod
    def fit(cls, task: Task, known: pa.ChunkedArray) -> Self:
        """Learns the classes.

        Args:
            task: The kind of target.
            known: The target of the training rows, without null.

        Raises:
            TrainingError: There is nothing to tell apart, or more classes than a model can have.
        """
        if task is Task.BINARY:
            return cls(task)  # one that is always true still has a class prior
        found = pc.unique(known)
        if len(found) < 2:  # noqa: PLR2004  # to tell apart
            message = "the target of the training part is the same in all rows"
            raise TrainingError(message, hint="train at a later moment, or shorten `split`")
        if task is Task.REGRESSION:
            return cls(task)
        return cls(task, _few(sorted(found.to_pylist())))

    def check(self, task: Task, *, model: str) -> None:
        """Holds the kind of target against the one that is wanted.

        Raises:
            UsageError: It is another one.
        """
        if task is not self.task:
            message = f"the model learned a {self.task} target, and the pipeline's is {task}"
            hint = "train a new model for the target as it is now"
            raise UsageError(message, model=model, hint=hint)

    @property
    def count(self) -> int:
        """How many there are, as `Samples` tells it: two of true and false, none of a value."""
        return {Task.BINARY: 2, Task.REGRESSION: 0}.get(self.task, len(self.labels))

    def codes(self, target: pa.ChunkedArray) -> Floats:
        """One number per row: true as 1.0, the value, or the code of the class; NaN where null.

        A class that training did not have gets a code beyond those of its classes.

        Args:
            target: Any rows of it.

        Raises:
            TrainingError: There are more classes than a model can be judged by.
        """
        if self.task is Task.MULTICLASS:
            every = pa.array(self.with_strangers(target), target.type)
            target = pc.index_in(target, value_set=every, skip_nulls=True)
        elif self.task is Task.BINARY:
            target = pc.cast(target, pa.int8())
        numbers: Floats = pc.fill_null(pc.cast(target, pa.float64(), safe=False), np.nan).to_numpy()
        return numbers

    def with_strangers(self, target: pa.ChunkedArray) -> tuple[Label, ...]:
        """The labels, and then those of these rows that training did not have, in order."""
        strangers = {*pc.unique(target.drop_null()).to_pylist()} - {*self.labels}
        return _few([*self.labels, *sorted(strangers)])

    def placed(self, score: Floats, labels: Sequence[Label]) -> Floats:
        """A prediction of these classes as one of others, to be judged beside theirs.

        Args:
            score: Rows by classes.
            labels: What the first columns shall stand for, 0 for classes that are not of these;
                then come those of these classes that are not among them.
        """
        every = [*labels, *(label for label in self.labels if label not in set(labels))]
        placed = np.zeros((len(score), len(every)))
        placed[:, [every.index(label) for label in self.labels]] = score
        return placed

    def to_json(self) -> dict[str, Any]:
        """The classes as JSON values."""
        return {"task": str(self.task), "labels": list(self.labels)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The classes that `to_json` wrote.

        Raises:
            ValueError: It did not.
        """
        task, labels = Task(value["task"]), value["labels"]
        kinds = {type(label) for label in labels}
        if kinds not in ([set()] if task is not Task.MULTICLASS else [{str}, {int}]):
            message = "the classes are neither all texts nor all whole numbers"
            raise ValueError(message)
        if sorted(set(labels)) != labels:
            message = "the classes are not in order"
            raise ValueError(message)
        return cls(task, tuple(labels))


def _few(labels: Sequence[Label]) -> tuple[Label, ...]:
    if len(labels) > MOST_CLASSES:
        message = f"the target has {len(labels):,} classes, and a model at most {MOST_CLASSES:,}"
        hint = "declare `task: regression` for a number, or put rare classes into one"
        raise TrainingError(message, hint=hint)
    return tuple(labels)

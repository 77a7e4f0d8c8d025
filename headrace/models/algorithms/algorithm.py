"""What an entry of the catalogue says of an algorithm; no library is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from headrace.models.algorithms.space import Dimension, Scalar

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

Matrix = Any  # a numpy array, or a scipy.sparse.csr_matrix, which ships no types

Parameters = Mapping[str, Scalar | list[int]]  # JSON values under the library's own names


class Task(StrEnum):
    """Kinds of target."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


@dataclass(frozen=True)
class Needs:
    """What an algorithm asks of its matrix.

    Attributes:
        categories: `codes`: a dense matrix, a category as its number, missing as NaN.
            `one_hot`: a sparse matrix, a category as a column of its own, numbers standardised,
            missing as a column of its own.
    """

    categories: Literal["codes", "one_hot"]


@dataclass(frozen=True)
class Samples:
    """Rows to fit on, or to judge on.

    Attributes:
        X: Rows by columns, as `Needs` asks.
        y: One number per row. Binary: 1.0 where the target is true, else 0.0. Multiclass: the code
            of the class, from 0.0. Regression: the value.
        categorical: Columns of `X` that hold codes of categories; empty for `one_hot`.
        task: The kind of target.
        classes: How many classes there are, also where some are in no row here; 0 in a regression.
        weight: How much each row counts, not negative; None where all count the same.
    """

    X: Matrix
    y: Floats
    categorical: tuple[int, ...] = ()
    task: Task = Task.BINARY
    classes: int = 2
    weight: Floats | None = None


@dataclass(frozen=True)
class Fitted:
    """A fitted estimator, and what was found on validation.

    Attributes:
        estimator: The library's own object, or JSON values; never a class of ours: it is saved.
        found: Parameters chosen on validation, such as the number of rounds, for the final fit.
    """

    estimator: Any  # the library's own class
    found: Parameters = field(default_factory=dict)


class Fit(Protocol):
    """Fits an estimator; equal arguments give equal predictions."""

    def __call__(
        self,
        train: Samples,
        parameters: Parameters,
        *,
        seed: int,
        validation: Samples | None,
        metric: Metric,
    ) -> Fitted:
        """Fits on `train` alone.

        `validation` serves to stop early or to choose; it is None in the final fit.
        """


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """One entry of the catalogue.

    Attributes:
        name: As written in a pipeline file.
        title: As written in a report.
        tasks: The kinds of target it can learn.
        needs: The matrix it asks for.
        fit: Loads its library when called.
        predict: Estimator and matrix to one number per row, each row by itself: the probability of
            true, or the value of a regression. Multiclass: rows by classes, in the order of their
            codes, a probability each, also for a class that training had no row of.
        save_as: A format of `headrace.models.formats`.
        defaults: Parameters of its first trial.
        space: Parameters that are searched; none for a baseline.
        baseline: Always run, to be beaten.
        source: Where the method is described.
    """

    name: str
    title: str
    tasks: frozenset[Task]
    needs: Needs
    fit: Fit
    predict: Callable[[Any, Matrix], Floats]
    save_as: str
    defaults: Parameters = field(default_factory=dict)
    space: Mapping[str, Dimension] = field(default_factory=dict)
    baseline: bool = False
    source: str = ""

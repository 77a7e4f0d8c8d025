"""What an entry of the catalogue says of an algorithm; no library is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from headrace.errors import TrainingError, UsageError
from headrace.models.algorithms.space import Dimension, Scalar
from headrace.models.algorithms.threads import one_thread

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers, Metric
    from headrace.models.encoding import Column

_TOLD = 5  # columns that a message names

Matrix = Any  # a numpy array, or a scipy.sparse.csr_matrix, which ships no types

Parameters = Mapping[
    str, Scalar | list[int] | list[str]
]  # JSON values under the library's own names


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
        blocks: A number per row, in the order of time: rows of one number stay together where an
            algorithm deals folds of its own. None: rows know nothing of each other.
        columns: The features that `X` was made of, in order; empty where none is asked for by name.
    """

    X: Matrix
    y: Floats
    categorical: tuple[int, ...] = ()
    task: Task = Task.BINARY
    classes: int = 2
    weight: Floats | None = None
    blocks: Integers | None = None
    columns: tuple[Column, ...] = ()

    def take(self, rows: Any) -> Self:  # noqa: ANN401  # places, or a mask
        """Some of the rows."""
        return replace(
            self,
            X=self.X[rows],
            y=self.y[rows],
            weight=None if self.weight is None else self.weight[rows],
            blocks=None if self.blocks is None else self.blocks[rows],
        )


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


@dataclass(frozen=True)
class Budget:
    """The most that one fit takes; more is refused, never sampled in silence.

    Attributes:
        rows: Rows with a weight above zero.
        columns: Columns of the matrix: of a category, as many as `Needs` makes of it.
        cells: Rows times columns, for those that need a dense matrix.
    """

    rows: int = 100_000_000
    columns: int = 1_000_000
    cells: int = 2_000_000_000


@dataclass(frozen=True)
class Resource:
    """What a search gives a trial bit by bit, to end the poor ones early.

    Attributes:
        kind: `rounds` and `trees` are continued: `fit` takes `before`. Of `rows`, a share is drawn.
        parameter: The parameter that counts rounds or trees; it is not searched. Empty for `rows`.
    """

    kind: Literal["rounds", "trees", "rows"] = "rows"
    parameter: str = ""


class Family(StrEnum):
    """Families of the catalogue; each has a page of its own in the docs."""

    BASELINES = "baselines"
    LINEAR = "linear"
    TREES = "trees"
    BOOSTING = "boosting"
    NEIGHBORS = "neighbors"
    KERNELS = "kernels"
    BAYES = "bayes"
    RULES = "rules"
    NEURAL = "neural"
    ENSEMBLES = "ensembles"


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """One entry of the catalogue.

    Attributes:
        name: As written in a pipeline file.
        title: As written in a report.
        tasks: The kinds of target it can learn.
        needs: The matrix it asks for.
        fit: Loads its library when called; first refuses what it cannot learn (see `Guarded`).
        predict: Estimator and matrix to one number per row, each row by itself: the probability of
            true, or the value of a regression. Multiclass: rows by classes, in the order of their
            codes, a probability each, also for a class that training had no row of.
        save_as: A format of `headrace.models.formats`.
        defaults: Parameters of its first trial.
        optional: Further parameters, each with what is taken where nothing is said of it.
        space: Parameters that are searched; none for a baseline.
        resource: What its trials are given bit by bit, where a search has rungs.
        portfolio: Strong configurations of published studies, tried right after the defaults; each
            changes some of them.
        baseline: Always run, to be beaten.
        source: Where the method is described.
        family: The page it is described on.
        when_not: When something else serves better, in one sentence.
        caveats: What to know before its predictions are used.
        budget: The most that one fit takes.
        instead: Entries to take over budget.
        weights: Whether it heeds weights of rows; weights of zero are heeded by all.
        exports: Forms other than its own that it can be written in, each held by a test.
        extra: The extra of this package that brings its library; empty where none is needed.
        licence: Of its library; ours where the method is our own code.
        aliases: Other names that people ask for it by; a pipeline file uses `name` alone.
        engines: What fits it on more rows than one node has, as `training.engines` names it.
    """

    name: str
    title: str
    tasks: frozenset[Task]
    needs: Needs
    fit: Fit
    predict: Callable[[Any, Matrix], Floats]
    save_as: str
    defaults: Parameters = field(default_factory=dict)
    optional: Parameters = field(default_factory=dict)
    space: Mapping[str, Dimension] = field(default_factory=dict)
    resource: Resource = field(default_factory=Resource)
    portfolio: tuple[Parameters, ...] = ()
    baseline: bool = False
    source: str = ""
    family: Family = Family.BASELINES
    when_not: str = ""
    caveats: tuple[str, ...] = ()
    budget: Budget = field(default_factory=Budget)
    instead: tuple[str, ...] = ()
    weights: bool = True
    exports: tuple[str, ...] = ()
    extra: str = ""
    licence: str = "Apache-2.0"
    aliases: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        bare = self.fit.fit if isinstance(self.fit, Guarded) else self.fit
        guarded = Guarded(bare, self.name, self.tasks, self.budget, self.choices, self.weights)
        object.__setattr__(self, "fit", guarded)

    @property
    def parameters(self) -> Parameters:
        """All that it takes, each with its default."""
        return {**self.defaults, **self.optional}

    @property
    def choices(self) -> tuple[str, ...]:
        """What to take over budget: itself on an engine, as `training` declares it, or another."""
        twins = (f"engines: {{{self.name}: {engine}}}" for engine in self.engines)
        return (*twins, *self.instead)

    def check_budget(self, rows: int, columns: int) -> None:
        """As `fit` does first, for callers that want to know before anything is started.

        Args:
            rows: Rows with a weight above zero.
            columns: Of the matrix.

        Raises:
            UsageError: It is over the budget; the hint offers the choices.
        """
        check_budget(self.name, self.budget, self.choices, rows=rows, columns=columns)


@dataclass(frozen=True)
class Guarded:
    """A fit that refuses what its algorithm cannot learn, and runs on one thread.

    Attributes:
        fit: What fits.
        name: Of the algorithm.
        tasks: The kinds of target it can learn.
        budget: The most that one fit takes.
        instead: What to take over budget: a twin on an engine, or another entry.
        weights: Whether it heeds weights.
    """

    fit: Fit
    name: str
    tasks: frozenset[Task]
    budget: Budget
    instead: tuple[str, ...]
    weights: bool

    def __call__(
        self,
        train: Samples,
        parameters: Parameters,
        *,
        seed: int,
        validation: Samples | None,
        metric: Metric,
        before: Any = None,  # noqa: ANN401  # an estimator, as in `Fitted`
    ) -> Fitted:
        """Fits on the rows with a weight above zero.

        Args:
            train: Rows.
            parameters: Under the library's own names.
            seed: Of what is drawn.
            validation: Rows to stop early by, or None.
            metric: To stop early by.
            before: What to go on from: an estimator of the same rows and parameters with fewer
                rounds or trees. Only for entries whose `resource` is one of them.

        Raises:
            UsageError: It does not learn such a target, heeds no weights, or is over budget.
            TrainingError: No row, or a target or a feature that is not finite, is left to learn
                from; or the library refuses the rows or the parameters.
        """
        if train.task not in self.tasks:
            message = f"{self.name} learns no {train.task} target"
            raise UsageError(message, hint=f"it learns {', '.join(sorted(self.tasks))}")
        kept = self._weighted(train)
        rows, columns = kept.X.shape
        check_budget(self.name, self.budget, self.instead, rows=rows, columns=columns)
        more = {} if before is None else {"before": before}
        try:
            with one_thread():
                return self.fit(
                    kept, parameters, seed=seed, validation=validation, metric=metric, **more
                )
        except ValueError as error:  # how numeric libraries refuse rows or parameters
            message = f"{self.name} could not be fitted: {error}"
            hint = "look at the rows, the target and the parameters, or take another algorithm"
            raise TrainingError(message, hint=hint) from error

    def _weighted(self, train: Samples) -> Samples:
        """The rows that count; `weight` is None where they all count the same."""
        import numpy as np

        weight = train.weight
        if weight is not None:
            if not (np.isfinite(weight).all() and (weight >= 0).all()):
                message = "a weight is negative or not finite"
                raise TrainingError(message, hint="weights are 0 or more")
            some = weight > 0
            if not some.all():
                train, weight = train.take(some), weight[some]
            if len(weight) and (weight == weight[0]).all():
                train = replace(train, weight=None)
            elif not self.weights:
                message = f"{self.name} heeds no weights"
                raise UsageError(message, hint="leave the weights out, or take another algorithm")
        if train.X.shape[0] == 0 or not np.isfinite(train.y).all():
            message = "no row to learn from" if train.X.shape[0] == 0 else "a target is not finite"
            raise TrainingError(message, hint="look at the target, the split and the weights")
        check_finite(self.name, train)
        return train


def check_finite(name: str, train: Samples) -> None:
    """Refuses infinite cells, which some libraries learn from and then predict NaN.

    NaN is a missing cell among codes. Of `one_hot`, which has none, it is what an infinite one has
    left.

    Raises:
        TrainingError: There is one; the message names its columns.
    """
    import numpy as np

    if isinstance(train.X, np.ndarray):  # `fmax` and `fmin` pass NaN over, and make no copy
        ends = (np.fmax.reduce(train.X, axis=0), np.fmin.reduce(train.X, axis=0))
        places = np.flatnonzero(np.isinf(ends).any(axis=0))
    else:
        places = np.unique(train.X.indices[~np.isfinite(train.X.data)])
    if not len(places):
        return
    told = [str(place) for place in places[:_TOLD]]
    if len(train.columns) == train.X.shape[1]:
        told = [train.columns[place].name for place in places[:_TOLD]]
    more = f" and {len(places) - _TOLD:,} more" if len(places) > _TOLD else ""
    message = f"{name} was given infinite cells in column {', '.join(told)}{more}"
    hint = "make them null, or send such rows to quarantine by a check"
    raise TrainingError(message, hint=hint)


def check_budget(
    name: str, budget: Budget, instead: tuple[str, ...], *, rows: int, columns: int
) -> None:
    """Refuses a fit that is over its budget, and offers the choices."""
    found = {"rows": rows, "columns": columns, "cells": rows * columns}
    over = [each for each, value in found.items() if value > getattr(budget, each)]
    if over:
        told = ", ".join(f"{found[each]:,} {each} of {getattr(budget, each):,}" for each in over)
        message = f"{name} fits on one machine and is over its budget: {told}"
        twins = f"`{'`, `'.join(instead)}`" if instead else "another algorithm"
        raise UsageError(
            message,
            hint=f"take {twins}, fit a model per key, sample the rows in the spec, "
            f"or raise `training.budgets: {{{name}: ...}}`; nothing is sampled unasked",
        )

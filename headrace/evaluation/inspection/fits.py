"""The model fitted again, on fewer rows or from another seed, within a bound of time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headrace.evaluation.inspection.subject import Subject
from headrace.evaluation.metrics import Integers
from headrace.models.algorithms.algorithm import Algorithm, Samples
from headrace.models.model import Model

SHARES = (1 / 8, 1 / 4, 1 / 2)  # of the training rows; the whole is there already


@dataclass(frozen=True)
class Again:
    """What the shipped model was fitted from.

    Attributes:
        algorithm: Its entry, with the budget that the pipeline gives it.
        train: The matrix of the training rows, in the form that the model needs.
        days: The interval of each.
        budget: Seconds that all fits together may take.
    """

    algorithm: Algorithm
    train: Samples
    days: Integers
    budget: float


@dataclass(frozen=True)
class Refit:
    """A model on some of the rows.

    Attributes:
        model: The model.
        rows: How many it was fitted on.
        days: Of how many days.
        seconds: What that took.
    """

    model: Model
    rows: int
    days: int
    seconds: float


def newest(days: Integers, share: float) -> Integers:
    """Places of the rows of the newest days, whole ones, until they are this share of all rows.

    Args:
        days: The interval of each row.
        share: Of the rows.
    """
    found, count = np.unique(days, return_counts=True)
    held = np.cumsum(count[::-1])
    enough = int(np.searchsorted(held, share * len(days)))
    first = found[::-1][min(enough, len(found) - 1)]
    return np.flatnonzero(days >= first)


def refitted(subject: Subject, again: Again, *, places: Integers | None = None, seed: int) -> Refit:
    """The same algorithm and parameters on some training rows, or on all from another seed.

    The encoding is that of the model: what it learned of categories and means, it learned from all.
    Probabilities are not calibrated, since that would take validation rows.
    """
    train = again.train
    days = again.days
    if places is not None:
        weight = None if train.weight is None else train.weight[places]
        train = replace(train, X=train.X[places], y=train.y[places], weight=weight)
        days = days[places]
    began = time.perf_counter()
    estimator = _fit(again.algorithm, train, subject.model.recipe.parameters, seed=seed, of=subject)
    seconds = time.perf_counter() - began
    model = replace(subject.model, estimator=estimator, record={}, calibration=None)
    return Refit(model, len(train.y), len(np.unique(days)), seconds)


def refusal(subject: Subject) -> str | None:
    """Why a model is not fitted again, where it is not."""
    if subject.model.recipe.algorithm == "preset":
        return "a preset takes its time limit for each fit"
    if subject.model.algorithm.baseline:
        return "a baseline is shipped"
    return None


def _fit(
    algorithm: Algorithm,
    train: Samples,
    parameters: Mapping[str, Any],
    *,
    seed: int,
    of: Subject,
) -> Any:  # noqa: ANN401  # the library's own class
    fitted = algorithm.fit(train, parameters, seed=seed, validation=None, metric=of.metric)
    return fitted.estimator

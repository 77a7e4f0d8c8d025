"""One fit of a member on a fold: the unit of work of a preset."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.algorithms.threads import one_thread
from headrace.models.formats import FORMATS
from headrace.models.presets.bag import Member, columns_of, estimated
from headrace.models.presets.problem import Problem

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

ALL_ROWS = -1  # in place of a fold
_OF_FITTING = 0.7  # of the time of a job; the rest is for writing, reading and predicting


@dataclass(frozen=True)
class Job:
    """One fit.

    Attributes:
        member: What is fitted.
        round: Which partition of the rows into folds.
        fold: The fold that is held out, or `ALL_ROWS`.
        seconds: What it may take.
    """

    member: Member
    round: int
    fold: int
    seconds: float

    @property
    def name(self) -> str:
        """Of its own within a fit of a preset."""
        fold = "all" if self.fold == ALL_ROWS else str(self.fold)
        return f"{self.member.name}-{self.round}-{fold}"


@dataclass(frozen=True)
class Done:
    """What became of a job.

    Attributes:
        seconds: That it took.
        held: Predictions of the rows held out: values, or probabilities (rows, classes).
        file: The estimator in its native format; empty where it is not needed.
        factor: See `Part`.
        error: Why there is nothing, or empty.
    """

    seconds: float
    held: Floats | None = None
    file: bytes = b""
    factor: float = 1.0
    error: str = ""


def done(problem: Problem, job: Job) -> Done:
    """Does a job; whatever goes wrong is told, not raised."""
    began = time.monotonic()
    try:
        found = _fitted(problem, job)
    except Exception as error:  # whatever a library raises: one member less
        return Done(time.monotonic() - began, error=f"{type(error).__name__}: {error}"[:500])
    return replace(found, seconds=time.monotonic() - began)


def _fitted(problem: Problem, job: Job) -> Done:
    member, entry = job.member, named(job.member.algorithm)
    form = entry.needs.categories
    fold = problem.folds[job.round]
    whole = job.fold == ALL_ROWS
    train = problem.samples(form, np.flatnonzero(whole | (fold != job.fold)))
    held = None if whole else problem.samples(form, np.flatnonzero(fold == job.fold))
    bounds = problem.limits if member.clip else None
    train = _as_learned(member, train, bounds)
    validation = None if held is None else _as_learned(member, held, bounds)
    given = {**entry.defaults, **member.parameters}
    if "time_limit" in given:
        given["time_limit"] = job.seconds * _OF_FITTING
    with one_thread():
        fit = entry.fit(
            train,
            given,
            seed=problem.seed + 1000 * job.round + job.fold + 1,
            validation=validation,
            metric=Metric.RMSE if problem.task is Task.REGRESSION else Metric.LOG_LOSS,
        )
        needed = not member.refit or job.fold == ALL_ROWS
        form_of = FORMATS[entry.save_as]
        file = form_of.dump(fit.estimator) if needed else b""
        # One of each member is read back: what cannot be read must not be shipped.
        estimator = form_of.load(file) if file and job.fold <= 0 else fit.estimator
        factor, found = 1.0, None
        if held is not None:
            found = estimated(member, estimator, held.X, limits=bounds)
            if not np.isfinite(found).all():
                message = "its predictions are not finite"
                raise ValueError(message)
            if member.log:
                mean = float(np.average(found, weights=held.weight))
                factor = float(np.average(held.y, weights=held.weight) / max(mean, 1e-300))
                found = found * factor
            if problem.task is Task.REGRESSION:
                found = np.clip(found, *problem.range)
            else:
                found = columns_of(found)
    return Done(0.0, found, file, factor)


def _as_learned(member: Member, samples: Samples, limits: Floats | None) -> Samples:
    """Rows as a member learns from them: clipped, or with the logarithm of the target."""
    if limits is not None:
        samples = replace(samples, X=np.clip(samples.X, *limits))
    return replace(samples, y=np.log(samples.y)) if member.log else samples

"""Intervals of metrics and of gains, by a paired bootstrap in blocks, honest for few of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit  # type: ignore[import-untyped]  # scipy ships no types

from headrace.errors import TrainingError
from headrace.evaluation.metrics import Floats, Integers, Metric, measured, weighed
from headrace.models.algorithms.algorithm import Task

RESAMPLES = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A value and where it would lie for other days like these."""

    value: float
    low: float
    high: float

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low > 0


@dataclass(frozen=True)
class Judged:
    """Metrics of several candidates on the same rows, under the same resamples.

    Attributes:
        metrics: Candidate to metric to value and interval.
        blocks: How many blocks there were.
        effective: How many of equal size they are worth; see `judged`.
        resamples: How many resamples define every metric, by holding two classes or two values.
        draws: Candidate to metric to its value in each of them.
    """

    metrics: Mapping[str, Mapping[Metric, Interval]]
    blocks: int
    effective: float
    resamples: int
    draws: Mapping[str, Mapping[Metric, Floats]]

    def gain(self, candidate: str, *, over: str, metric: Metric) -> Interval:
        """How much better `candidate` is than `over`, resample by resample; positive is better."""
        value = metric.gain(self.metrics[candidate][metric].value, self.metrics[over][metric].value)
        again = self._gains(candidate, over=over, metric=metric)
        return stretched(float(value), again, effective=self.effective)

    def spread(self, candidate: str, *, over: str, metric: Metric) -> float:
        """Standard deviation of the gain by block, blocks being as many as `effective`.

        A mean of n such blocks has a standard error of this over the root of n.
        """
        again = self._gains(candidate, over=over, metric=metric)
        return standard_error(again, effective=self.effective) * math.sqrt(self.effective)

    def _gains(self, candidate: str, *, over: str, metric: Metric) -> Floats:
        return metric.gain(self.draws[candidate][metric], self.draws[over][metric])


def judged(
    y: Floats,
    scores: Mapping[str, Floats],
    *,
    blocks: Integers,
    seed: int,
    task: Task = Task.BINARY,
    resamples: int = RESAMPLES,
) -> Judged:
    """Judges candidates on the same rows, with intervals from resampled blocks.

    Rows of one day share their weather and their luck: resampled row by row, an interval is too
    narrow to be true. Whole blocks are drawn with replacement, the same for every candidate, and
    percentiles taken (Efron 1979; of clusters: Field and Welsh 2007). Those are still too narrow
    where blocks are few: their distance from the value is stretched by sqrt(n / (n - 1)), which
    the bootstrap leaves out, and by Student's t over the normal quantile, as a t interval has it
    (Hesterberg 2015, What Teachers Should Know About the Bootstrap, 3.2 and 5.3). Blocks of
    unequal size count as fewer: n is the square of the sum of their rows over the sum of squares
    (Kish 1965). Each candidate's rows are sorted once; a resample only weighs them anew.

    Args:
        y: As in `headrace.models.algorithms.algorithm.Samples`.
        scores: Candidate to what it predicts: probability of true, rows by classes, or values.
        blocks: Block of each row, any numbers.
        seed: Of the resamples.
        task: What is predicted.
        resamples: How many to draw.

    Raises:
        TrainingError: The target is the same in all rows, so that nothing can be told apart.
    """
    if len(np.unique(y)) < 2:  # noqa: PLR2004  # true and false
        message = "the target of the test part is the same in all rows"
        raise TrainingError(
            message,
            hint="a longer `split.test` would hold both"
            if task is Task.BINARY
            else "a longer `split.test` would hold others",
        )
    found, block, rows = np.unique(blocks, return_inverse=True, return_counts=True)
    effective = effective_blocks(rows)
    weights = drawn(len(found), seed=seed, resamples=resamples)
    raw = {
        name: weighed(y, score, blocks=block, task=task).reweighted(weights)
        for name, score in scores.items()
    }
    first = next(iter(raw.values()))
    usable = np.isfinite(list(first.values())).all(axis=0)
    draws = {
        name: {metric: values[usable] for metric, values in again.items()}
        for name, again in raw.items()
    }
    values = {name: measured(y, score, task) for name, score in scores.items()}
    metrics = {
        name: {
            metric: stretched(value, draws[name][metric], effective=effective, bounds=metric.bounds)
            for metric, value in of_one.items()
        }
        for name, of_one in values.items()
    }
    return Judged(metrics, len(found), effective, int(usable.sum()), draws)


def drawn(blocks: int, *, seed: int, resamples: int) -> Floats:
    """How often each of so many blocks is drawn: resamples by blocks, each as many as there are."""
    even = np.full(blocks, 1 / blocks)
    found = np.random.default_rng(seed).multinomial(blocks, even, size=resamples)
    return found.astype(np.float64)


def effective_blocks(rows: Integers) -> float:
    """How many blocks of equal size tell as much as blocks of so many rows (Kish 1965)."""
    return float(rows.sum() ** 2 / (rows.astype(np.float64) ** 2).sum())


def interval_of(
    draws: Floats, *, effective: float, bounds: tuple[float, float] = (-math.inf, math.inf)
) -> Interval:
    """The first of the draws, and its interval from the others; see `judged`.

    Undefined resamples are left out; without any other, the interval is NaN.

    Args:
        draws: The value, then that of each resample.
        effective: How many blocks of equal size it is of.
        bounds: Where a value can be.
    """
    value, others = float(draws[0]), draws[1:][np.isfinite(draws[1:])]
    if not len(others):
        return Interval(value, math.nan, math.nan)
    return stretched(value, others, effective=effective, bounds=bounds)


def standard_error(draws: Floats, *, effective: float) -> float:
    """The spread of resamples, with what a bootstrap of few blocks leaves out of it."""
    return float(draws.std()) * _few(effective)


def stretched(
    value: float,
    draws: Floats,
    *,
    effective: float,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """The percentile interval, stretched about the value as so few blocks ask."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    stretch = _few(effective)
    if effective > 1:  # one block tells no spread, and the gate promotes nobody on it
        stretch *= stdtrit(effective - 1, 1 - tail) / ndtri(1 - tail)
    least, most = bounds
    return Interval(
        value,
        float(max(least, value + stretch * (low - value))),
        float(min(most, value + stretch * (high - value))),
    )


def _few(effective: float) -> float:
    """What a bootstrap of so many blocks leaves out of a standard error."""
    return math.sqrt(effective / (effective - 1)) if effective > 1 else 1.0

"""Metrics of the same rows under the same resamples of days: a value and its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.evaluation.intervals import LEVEL, Interval
from headrace.evaluation.metric import Metric
from headrace.evaluation.metrics import Booleans, Floats, Integers, weighed
from headrace.models.algorithms.algorithm import Task

_ROUNDING = 1e-12
RESAMPLES = 300  # fewer than of the gate: a look, not a decision


@dataclass(frozen=True)
class Resamples:
    """Days drawn with replacement, the same for everything that is judged under them.

    Attributes:
        block: The day of each row, counted from 0.
        weights: How often each day counts; the first weighting is each day once.
    """

    block: Integers
    weights: Floats

    @classmethod
    def of(cls, days: Integers, *, seed: int) -> Resamples:
        """Draws them.

        Args:
            days: The interval of each row.
            seed: Of the draws.
        """
        found, block = np.unique(days, return_inverse=True)
        even = np.full(len(found), 1 / len(found))
        drawn = np.random.default_rng(seed).multinomial(len(found), even, size=RESAMPLES)
        weights = np.vstack([np.ones(len(found)), drawn]).astype(np.float64)
        return cls(block.astype(np.int64), weights)

    @property
    def blocks(self) -> int:
        """How many days there are."""
        return int(self.weights.shape[1])

    def draws(
        self, y: Floats, score: Floats, *, task: Task, metric: Metric, rows: Booleans | None = None
    ) -> Floats:
        """The metric of all rows, or of some, and then that of each resample.

        NaN where it is not defined, as a ROC AUC of one class is not.
        """
        block = self.block
        if rows is not None:
            y, score, block = y[rows], score[rows], block[rows]
        held, own = np.unique(block, return_inverse=True)
        found = weighed(y, score, blocks=own.astype(np.int64), task=task)
        with np.errstate(divide="ignore", invalid="ignore"):
            return found.reweighted(self.weights[:, held])[metric]

    def means(self, values: Floats, *, rows: Booleans | None = None) -> Floats:
        """The mean of a value per row, and then that of each resample."""
        block = self.block
        if rows is not None:
            values, block = values[rows], block[rows]
        total = np.bincount(block, values, self.blocks)
        count = np.bincount(block, minlength=self.blocks)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = (self.weights @ total) / (self.weights @ count)
        return found


def interval_of(draws: Floats) -> Interval:
    """The first of the draws, and the percentile interval of the others (Efron 1979).

    Undefined resamples are left out; without any other, the interval is NaN.
    """
    others = draws[1:][np.isfinite(draws[1:])]
    if not len(others):
        return Interval(float(draws[0]), float("nan"), float("nan"))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(others, [tail, 1 - tail])
    return Interval(float(draws[0]), float(low), float(high))


def as_json(interval: Interval) -> dict[str, Any]:
    """An interval as JSON values of seven digits; null where it is not defined."""
    return {name: plain(value) for name, value in vars(interval).items()}


def plain(value: float) -> float | None:
    """A number of seven digits, what rounding leaves of zero as zero; None where not finite."""
    if not np.isfinite(value):
        return None
    return float(f"{value:.7g}") if abs(value) > _ROUNDING else 0.0


def told(interval: Interval, metric: Metric) -> str:
    """A gain and its interval, as a sentence has them.

    Example:
        >>> told(Interval(0.01, -0.005, 0.02), Metric.ROC_AUC)
        '+0.0100, 95% interval -0.0050 to +0.0200'
    """
    form = "+.4g" if metric.has_unit else "+.4f"
    value, low, high = (f"{each:{form}}" for each in vars(interval).values())
    return f"{value}, {LEVEL:.0%} interval {low} to {high}"

"""Whole blocks of rows, which share their luck: resamples and their intervals, folds, noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from headrace.evaluation.intervals import (
    RESAMPLES,
    Interval,
    drawn,
    effective_blocks,
    interval_of,
)
from headrace.evaluation.metric import Metric
from headrace.evaluation.metrics import Booleans, Floats, Integers, weighed
from headrace.models.algorithms.algorithm import Task
from headrace.models.folds import runs

LOOKS = 300  # resamples of a look that decides nothing
_FOLDS = 5
_ANYWHERE = (-math.inf, math.inf)


@dataclass(frozen=True)
class Resamples:
    """Blocks drawn again, the same for everything that is judged under them.

    What is computed under them is first that of the rows as they are, then that of each resample.

    Attributes:
        place: Number of each row's block, from 0.
        weights: How often each block counts; the first weighting is each block once.
    """

    place: Integers
    weights: Floats

    @classmethod
    def of(cls, blocks: Integers, *, seed: int, resamples: int = RESAMPLES) -> Self:
        """Draws.

        Args:
            blocks: Block of each row, any numbers.
            seed: Of the resamples.
            resamples: How many.
        """
        found, place = np.unique(blocks, return_inverse=True)
        again = drawn(len(found), seed=seed, resamples=resamples)
        return cls(place.astype(np.int64), np.vstack([np.ones(len(found)), again]))

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return int(self.weights.shape[1])

    def effective(self, rows: Booleans | None = None) -> float:
        """How many blocks of equal size all rows, or some, are worth."""
        place = self.place if rows is None else self.place[rows]
        return effective_blocks(np.bincount(place))

    def interval(
        self,
        draws: Floats,
        *,
        rows: Booleans | None = None,
        bounds: tuple[float, float] = _ANYWHERE,
    ) -> Interval:
        """The value and interval of what `draws` or `means` gave; see `interval_of`.

        Args:
            draws: Of all rows, or of some; or made of several such.
            rows: Which rows; they decide how many blocks there are.
            bounds: Where a value can be.
        """
        return interval_of(draws, effective=self.effective(rows), bounds=bounds)

    def draws(
        self, y: Floats, score: Floats, *, task: Task, metric: Metric, rows: Booleans | None = None
    ) -> Floats:
        """The metric of all rows, or of some; NaN where it is not defined, as of one class."""
        place = self.place
        if rows is not None:
            y, score, place = y[rows], score[rows], place[rows]
        held, own = np.unique(place, return_inverse=True)
        found = weighed(y, score, blocks=own.astype(np.int64), task=task)
        with np.errstate(divide="ignore", invalid="ignore"):
            return found.reweighted(self.weights[:, held])[metric]

    def means(self, values: Floats) -> Floats:
        """The mean of a value per row."""
        return _divided(self.summed(values), self.summed(np.ones(len(values))))

    def summed(self, values: Floats | Booleans) -> Floats:
        """The sum of a value per row."""
        found: Floats = self.weights @ np.bincount(self.place, values, self.blocks)
        return found

    def ratio(self, above: Floats | Booleans, below: Floats | Booleans) -> Interval:
        """The sum of `above` by that of `below`, of rows, with its interval."""
        return self.divided(self.summed(above), self.summed(below))

    def divided(self, above: Floats, below: Floats) -> Interval:
        """What `summed` gave, one by another, with its interval; resamples by 0 are left out."""
        return self.interval(_divided(above, below))


def folds(blocks: Integers) -> list[Booleans] | None:
    """Which rows are in which of five runs of neighbouring blocks; None for a single block.

    Args:
        blocks: Block of each row, any numbers.
    """
    run = runs(blocks, _FOLDS)
    found = [run == number for number in np.unique(run)]
    return found if len(found) > 1 else None


def beyond_noise(over: Floats, values: Floats, *, blocks: Integers) -> bool:
    """Whether the mean of `values` is less than that of `over` by more than one standard error.

    The error is that of sums over blocks, so rows that share their luck count as one (Breiman et
    al. 1984 chose trees by one standard error).

    Args:
        over: A loss of each row.
        values: Another loss of the same rows.
        blocks: Block of each row, any numbers.
    """
    _, place = np.unique(blocks, return_inverse=True)
    gains = np.bincount(place, over - values)
    if len(gains) < 2:  # noqa: PLR2004  # an error takes two
        return False
    return bool(gains.sum() > np.sqrt(len(gains)) * gains.std(ddof=1))


def _divided(above: Floats, below: Floats) -> Floats:
    """One by another, NaN where that is 0."""
    found: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return found

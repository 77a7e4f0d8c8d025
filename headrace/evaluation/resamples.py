"""Whole blocks of rows, which share their luck: folds, sums, resamples, gains against noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from headrace.evaluation.intervals import RESAMPLES, Interval, effective_blocks, stretched
from headrace.evaluation.metrics import Booleans, Floats, Integers

_FOLDS = 5


@dataclass(frozen=True)
class Resamples:
    """Blocks drawn again, as `headrace.evaluation.intervals` draws them.

    Attributes:
        place: Number of each row's block, from 0.
        weights: How often each block counts: resamples by blocks.
    """

    place: Integers
    weights: Floats

    @classmethod
    def of(cls, blocks: Integers, *, seed: int) -> Self:
        """Draws.

        Args:
            blocks: Block of each row, any numbers.
            seed: Of the resamples.
        """
        found, place = np.unique(blocks, return_inverse=True)
        rng = np.random.default_rng(seed)
        even = np.full(len(found), 1 / len(found))
        weights = rng.multinomial(len(found), even, size=RESAMPLES).astype(np.float64)
        return cls(place, weights)

    def summed(self, values: Floats | Booleans) -> Floats:
        """Sums of values of rows, by block."""
        return np.bincount(self.place, values, self.weights.shape[1]).astype(np.float64)

    def ratio(self, above: Floats | Booleans, below: Floats | Booleans) -> Interval:
        """The sum of `above` by that of `below`, of rows, with its interval."""
        sums = self.summed(above), self.summed(below)
        value = float(sums[0].sum() / sums[1].sum())
        return self.within(value, *(self.weights @ each for each in sums))

    def within(self, value: float, above: Floats, below: Floats) -> Interval:
        """A ratio with its interval of resamples; those with nothing below are left out."""
        draws = above[below > 0] / below[below > 0]
        return stretched(value, draws, effective=effective_blocks(np.bincount(self.place)))


def folds(blocks: Integers) -> list[Booleans] | None:
    """Which rows are in which of five runs of neighbouring blocks; None for a single block.

    Args:
        blocks: Block of each row, any numbers.
    """
    found, place = np.unique(blocks, return_inverse=True)
    if len(found) < 2:  # noqa: PLR2004  # to fit on one and judge on the other
        return None
    runs = np.array_split(np.arange(len(found)), min(_FOLDS, len(found)))
    return [np.isin(place, run) for run in runs]


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

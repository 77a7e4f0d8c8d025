"""Blocks of rows that share their luck: folds of them, sums, resamples, gains against noise."""

from __future__ import annotations

import numpy as np

from headrace.evaluation.intervals import LEVEL, RESAMPLES, Interval
from headrace.evaluation.metrics import Booleans, Floats, Integers

_FOLDS = 5


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


def summed(values: Floats, blocks: Integers) -> Floats:
    """Sums of values by block, in the order of blocks."""
    _, place = np.unique(blocks, return_inverse=True)
    return np.bincount(place, values).astype(np.float64)


def beyond_noise(over: Floats, values: Floats, *, blocks: Integers) -> bool:
    """Whether the mean of `values` is less than that of `over` by more than one standard error.

    The error is that of sums over blocks, so rows that share their luck count as one (Breiman et
    al. 1984 chose trees by one standard error).

    Args:
        over: A loss of each row.
        values: Another loss of the same rows.
        blocks: Block of each row, any numbers.
    """
    gains = summed(over - values, blocks)
    if len(gains) < 2:  # noqa: PLR2004  # an error takes two
        return False
    return bool(gains.sum() > np.sqrt(len(gains)) * gains.std(ddof=1))


def drawn(blocks: Integers, *, seed: int) -> Floats:
    """How often each block counts in each resample, as `headrace.evaluation.intervals` draws.

    Args:
        blocks: Block of each row, any numbers.
        seed: Of the resamples.

    Returns:
        Resamples by blocks, these in order.
    """
    count = len(np.unique(blocks))
    rng = np.random.default_rng(seed)
    return rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES).astype(np.float64)


def ratio(above: Floats, below: Floats, weights: Floats) -> Interval:
    """A ratio of sums with its interval.

    Args:
        above: By block.
        below: By block.
        weights: What `drawn` gave.
    """
    return within(above.sum() / below.sum(), weights @ above, weights @ below)


def within(value: float, above: Floats, below: Floats) -> Interval:
    """A ratio with its interval of resamples; those with nothing below are left out."""
    draws = above[below > 0] / below[below > 0]
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Interval(float(value), float(low), float(high))

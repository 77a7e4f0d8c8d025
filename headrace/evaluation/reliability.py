"""Whether probabilities are true on the test part: expected error, curve, and a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.evaluation.metrics import Floats, Integers
from headrace.evaluation.resamples import Resamples

_BINS = 10
_FEWEST = 20  # rows of a bin, on the mean


@dataclass(frozen=True)
class Spiegelhalter:
    """Whether the Brier score is what true probabilities would give.

    Source: Spiegelhalter 1986, Probabilistic prediction in patient management and clinical trials.

    Attributes:
        z: Standard normal if probabilities are true and rows independent; above zero, they are too
            certain.
        p_value: Two-sided.
        z_blocks: The same with an error from sums over blocks, whose rows share their luck.
        p_value_blocks: Two-sided; this one is held against a level.
    """

    z: float
    p_value: float
    z_blocks: float
    p_value_blocks: float


def outcomes(y: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """What is held against what: whether true came, or the class that is likeliest, and its chance.

    Args:
        y: 1.0 where true, or codes of classes.
        predicted: Probability of true (rows,), or of each class (rows, classes).
    """
    if predicted.ndim == 1:
        return y, predicted
    likeliest = predicted.argmax(axis=1)
    return (likeliest == y).astype(np.float64), predicted.max(axis=1)


def reliability(y: Floats, chance: Floats, *, blocks: Integers, seed: int) -> dict[str, Any]:
    """Expected calibration error, bins of equal counts with intervals, and a test; as JSON values.

    Rows of one score are in one bin, so there are fewer bins where scores tie. The error is the
    mean over rows of the distance between mean score and share in their bin (Naeini et al. 2015);
    it is above zero by noise alone, the more so the fewer rows there are.

    Args:
        y: 1.0 where it came, else 0.0.
        chance: How probable it was said to be.
        blocks: Block of each row.
        seed: Of the resamples.
    """
    place = _binned(chance)
    resamples = Resamples.of(blocks, seed=seed)
    bins, off = [], 0.0
    for number in np.unique(place):
        inside = place == number
        rows = int(inside.sum())
        share = resamples.ratio(y * inside, inside)
        told = float(chance[inside].mean())
        off += rows * abs(share.value - told)
        bins.append({"rows": rows, "score": told, **vars(share)})
    return {
        "error": off / len(y),
        "bins": bins,
        "spiegelhalter": vars(spiegelhalter(y, chance, blocks=blocks)),
    }


def spiegelhalter(y: Floats, chance: Floats, *, blocks: Integers) -> Spiegelhalter:
    """Spiegelhalter's test; z is 0 where every probability is 0, 1 or one half."""
    terms = (y - chance) * (1 - 2 * chance)
    variance = float(((1 - 2 * chance) ** 2 * chance * (1 - chance)).sum())
    z = float(terms.sum()) / np.sqrt(variance) if variance > 0 else 0.0
    _, place = np.unique(blocks, return_inverse=True)
    sums = np.bincount(place, terms)
    spread = float((sums**2).sum())
    z_blocks = float(sums.sum()) / np.sqrt(spread) if spread > 0 and variance > 0 else 0.0
    return Spiegelhalter(float(z), _two_sided(z), float(z_blocks), _two_sided(z_blocks))


def _binned(chance: Floats) -> Integers:
    """The bin of each row: equal counts, equal scores together."""
    bins = int(np.clip(len(chance) // _FEWEST, 1, _BINS))
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    return np.searchsorted(edges, chance, side="left")


def _two_sided(z: float) -> float:
    from scipy.special import ndtr  # type: ignore[import-untyped]  # it ships no types

    return float(2 * ndtr(-abs(z)))

"""An estimate of the whole search: what its winners are worth on outer folds they never saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit  # type: ignore[import-untyped]  # scipy ships no types

from headrace.evaluation.intervals import LEVEL, Interval
from headrace.evaluation.metric import Metric


@dataclass(frozen=True)
class OuterFold:
    """One outer fold.

    Attributes:
        candidate: The algorithm that won the search on its other rows.
        value: The winner's metric on the fold.
        baseline: The baseline's.
        rows: Of the fold.
        learned: Rows that the winner was fitted on.
    """

    candidate: str
    value: float
    baseline: float
    rows: int
    learned: int


def estimate(folds: Sequence[OuterFold], *, metric: Metric) -> dict[str, Any]:
    """What the search as a whole is worth, as JSON values.

    The mean over the folds; its interval is of Student's t, with the variance that folds have in
    common since they learn from the same rows (Nadeau and Bengio 2003, Inference for the
    generalization error): 1 / k + rows judged / rows learned from, in place of 1 / k.

    Args:
        folds: Two at least.
        metric: Of their values.
    """
    ratio = sum(each.rows for each in folds) / sum(each.learned for each in folds)
    value = _mean([each.value for each in folds], ratio=ratio, bounds=metric.bounds)
    gains = [metric.gain(each.value, each.baseline) for each in folds]
    gain = _mean(gains, ratio=ratio, bounds=(-math.inf, math.inf))
    form = ".4g" if metric.has_unit else ".4f"
    told = (
        f"The whole search, repeated on {len(folds)} outer folds, gives {metric} "
        f"{value.value:{form}} ({LEVEL:.0%} interval {value.low:{form}} to {value.high:{form}}) on "
        f"rows that it did not see, {gain.value:+{form}} over the baseline "
        f"({gain.low:+{form}} to {gain.high:+{form}})."
    )
    return {
        "metric": str(metric),
        "folds": [dict(vars(each)) for each in folds],
        **vars(value),
        "gain": dict(vars(gain)),
        "level": LEVEL,
        "sentence": told,
    }


def _mean(values: Sequence[float], *, ratio: float, bounds: tuple[float, float]) -> Interval:
    count, mean = len(values), float(np.mean(values))
    error = float(np.std(values, ddof=1)) * math.sqrt(1 / count + ratio)
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * error
    return Interval(mean, max(bounds[0], mean - half), min(bounds[1], mean + half))

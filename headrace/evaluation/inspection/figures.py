"""How an inspection writes numbers and intervals down."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.evaluation.intervals import LEVEL, Interval
from headrace.evaluation.metric import Metric

_ROUNDING = 1e-12


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

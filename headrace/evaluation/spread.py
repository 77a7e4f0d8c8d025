"""How predictions are spread, as percentiles: small enough to keep, enough to draw."""

from __future__ import annotations

import numpy as np

from headrace.evaluation.metrics import Floats

_STEPS = 101


def percentiles(values: Floats) -> list[float]:
    """The least value, every per cent, and the greatest; empty without a finite value.

    Example:
        >>> percentiles(np.arange(201.0))[:3]
        [0.0, 2.0, 4.0]
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return []
    return [float(f"{each:.7g}") for each in np.quantile(finite, np.linspace(0, 1, _STEPS))]

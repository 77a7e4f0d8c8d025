"""What metrics are computed from and by: arrays of numbers, and rows made ready to be weighed."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from headrace.evaluation.metric import Metric

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]

CELLS = 30_000_000  # numbers of a product held at a time: bounds memory to some hundred megabytes


class Weighed(Protocol):
    """Rows made ready, so that every weighting of their blocks is cheap."""

    def reweighted(self, weights: Floats) -> dict[Metric, Floats]:
        """All metrics of the task under each weighting of the blocks.

        Args:
            weights: Weightings by blocks: how often each block counts, a whole number.

        Returns:
            Metric to one value per weighting; NaN where it is not defined.
        """

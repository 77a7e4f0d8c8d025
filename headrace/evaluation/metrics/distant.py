"""Metrics of predicted values under many weightings of the rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.evaluation.metric import Metric
from headrace.evaluation.metrics.weighed import CELLS, Floats, Integers


@dataclass(frozen=True)
class Distant:
    """Distances of predictions from what came, summed per block; sorted, for their median.

    Attributes:
        rows: Rows per block.
        value: Sum of the targets per block, counted from the mean of all.
        square: The same of their squares.
        squared_error: Sum of squared errors per block.
        absolute_error: Sum of absolute errors per block.
        distance: Absolute error of each row, rising.
        block: The block of each of those rows.
    """

    rows: Floats
    value: Floats
    square: Floats
    squared_error: Floats
    absolute_error: Floats
    distance: Floats
    block: Integers

    @classmethod
    def of(cls, y: Floats, score: Floats, *, blocks: Integers) -> Distant:
        """Sums and sorts the rows.

        Args:
            y: Values, finite.
            score: Predicted values, finite.
            blocks: Number of each row's block, from 0.
        """
        count = int(blocks.max(initial=-1)) + 1
        distance = np.abs(y - score)
        centred = y - y.mean()  # squares of large values would leave no digits for the spread
        order = np.argsort(distance, kind="stable")

        def total(values: Floats) -> Floats:
            return np.bincount(blocks, values, count).astype(np.float64)

        return cls(
            rows=total(np.ones(len(y))),
            value=total(centred),
            square=total(centred**2),
            squared_error=total(distance**2),
            absolute_error=total(distance),
            distance=distance[order],
            block=blocks[order],
        )

    def reweighted(self, weights: Floats) -> dict[Metric, Floats]:
        """All metrics under each weighting of the blocks; see `Weighed`.

        `r2` is NaN where the target is the same in all rows.
        """
        rows, squared = weights @ self.rows, weights @ self.squared_error
        spread = weights @ self.square - (weights @ self.value) ** 2 / rows
        # What rounding leaves of a constant target is no spread.
        varies = spread > np.finfo(np.float64).eps * (weights @ self.square)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                Metric.RMSE: np.sqrt(squared / rows),
                Metric.MAE: weights @ self.absolute_error / rows,
                Metric.MEDIAN_AE: self._median(weights),
                Metric.R2: np.where(varies, 1 - squared / spread, np.nan),
            }

    def _median(self, weights: Floats) -> Floats:
        """The middle of the distances, or between the middle two, each as often as it counts."""
        found = np.empty(len(weights))
        size = max(1, CELLS // max(1, len(self.distance)))
        for start in range(0, len(weights), size):
            seen = weights[start : start + size, self.block].cumsum(axis=1)
            total = seen[:, -1:]
            low = (seen > np.floor((total - 1) / 2)).argmax(axis=1)
            high = (seen > np.floor(total / 2)).argmax(axis=1)
            found[start : start + size] = (self.distance[low] + self.distance[high]) / 2
        return found

"""The names of metrics, the tasks they judge, and which way is better; none is computed here."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol, TypeVar

import numpy as np

from headrace.models.algorithms.algorithm import Task

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]
Booleans = np.ndarray[Any, np.dtype[np.bool_]]
_Number = TypeVar("_Number", float, Floats)

CELLS = 30_000_000  # numbers of a product held at a time: bounds memory to some hundred megabytes


class Metric(StrEnum):
    """Metrics under the names a pipeline file uses."""

    ROC_AUC = "roc_auc"
    PR_AUC = "pr_auc"
    LOG_LOSS = "log_loss"
    BRIER = "brier"
    ACCURACY = "accuracy"
    F1_MACRO = "f1_macro"
    RMSE = "rmse"
    MAE = "mae"
    MEDIAN_AE = "median_ae"
    R2 = "r2"

    @property
    def greater_is_better(self) -> bool:
        """Whether a greater value is a better one."""
        return self in _GREATER_IS_BETTER

    @property
    def has_unit(self) -> bool:
        """Whether it is told in the target's unit, and so may be of any size."""
        return self in {Metric.RMSE, Metric.MAE, Metric.MEDIAN_AE}

    def gain(self, value: _Number, over: _Number) -> _Number:
        """How much better `value` is than `over`; positive is better."""
        return value - over if self.greater_is_better else over - value


_GREATER_IS_BETTER = {
    Metric.ROC_AUC,
    Metric.PR_AUC,
    Metric.ACCURACY,
    Metric.F1_MACRO,
    Metric.R2,
}

# What a task is judged by; the first is what judges where a pipeline file names none.
METRICS: dict[Task, tuple[Metric, ...]] = {
    Task.BINARY: (Metric.ROC_AUC, Metric.PR_AUC, Metric.LOG_LOSS, Metric.BRIER),
    Task.MULTICLASS: (
        Metric.LOG_LOSS,
        Metric.ROC_AUC,
        Metric.ACCURACY,
        Metric.F1_MACRO,
        Metric.BRIER,
    ),
    Task.REGRESSION: (Metric.RMSE, Metric.MAE, Metric.MEDIAN_AE, Metric.R2),
}


class Weighed(Protocol):
    """Rows made ready, so that every weighting of their blocks is cheap."""

    def reweighted(self, weights: Floats) -> dict[Metric, Floats]:
        """All metrics of the task under each weighting of the blocks.

        Args:
            weights: Weightings by blocks: how often each block counts, a whole number.

        Returns:
            Metric to one value per weighting; NaN where it is not defined.
        """

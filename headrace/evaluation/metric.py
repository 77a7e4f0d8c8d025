"""The names of metrics, the tasks they judge, and which way is better; none is computed here."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from headrace.models.algorithms.algorithm import Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

_Number = TypeVar("_Number", float, "Floats")


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

    def worth(self, value: float) -> float:
        """The least gain over `value` that a test part should show, where nobody says another.

        A hundredth where the best is 1, such as one point of AUC; of a loss or an error a hundredth
        of `value`.
        """
        return _WORTH if self.greater_is_better else _WORTH * value

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest value that it can have."""
        if not self.greater_is_better:
            return 0.0, float("inf")
        return (float("-inf") if self is Metric.R2 else 0.0), 1.0


_WORTH = 0.01
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

"""Metrics of predictions, equal to scikit-learn's: plain, or under many weightings at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headrace.evaluation.metric import METRICS, Metric
from headrace.evaluation.metrics.classified import Classified
from headrace.evaluation.metrics.distant import Distant
from headrace.evaluation.metrics.ranked import Ranked
from headrace.evaluation.metrics.weighed import Booleans, Floats, Integers, Weighed
from headrace.models.algorithms.algorithm import Task

__all__ = [
    "METRICS",
    "Booleans",
    "Classified",
    "Distant",
    "Floats",
    "Integers",
    "Metric",
    "Ranked",
    "Weighed",
    "measured",
    "weighed",
]

_WEIGHED: dict[Task, Callable[..., Weighed]] = {
    Task.BINARY: Ranked.of,
    Task.MULTICLASS: Classified.of,
    Task.REGRESSION: Distant.of,
}


def measured(y: Floats, score: Floats, task: Task = Task.BINARY) -> dict[Metric, float]:
    """All metrics of one set of rows; equal to scikit-learn's, ties included.

    Args:
        y: As in `headrace.models.algorithms.algorithm.Samples`.
        score: As an algorithm predicts: probability of true, rows by classes, or values.
        task: What is predicted.

    Returns:
        Metric to value; NaN for those that one class only, or a constant target, leaves undefined.

    Example:
        >>> measured(np.array([0.0, 1.0]), np.array([0.2, 0.7]))[Metric.ROC_AUC]
        1.0
        >>> measured(np.array([1.0, 3.0]), np.array([1.0, 2.0]), Task.REGRESSION)[Metric.MAE]
        0.5
    """
    rows = weighed(y, score, blocks=np.zeros(len(y), dtype=np.int64), task=task)
    return {metric: float(found[0]) for metric, found in rows.reweighted(np.ones((1, 1))).items()}


def weighed(y: Floats, score: Floats, *, blocks: Integers, task: Task) -> Weighed:
    """Rows made ready for many weightings of their blocks.

    Args:
        y: As in `headrace.models.algorithms.algorithm.Samples`.
        score: As an algorithm predicts: probability of true, rows by classes, or values.
        blocks: Number of each row's block, from 0.
        task: What is predicted.
    """
    return _WEIGHED[task](y, score, blocks=blocks)

"""What a row of scores tells of a prediction, for each kind of target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.evaluation.metrics import Floats
from headrace.models.algorithms.algorithm import Task
from headrace.models.model import Model
from headrace.models.target import Label


def score_fields(task: Task, target: pa.Field) -> list[pa.Field]:
    """The columns of a prediction.

    `score` is the probability of true, or of the class that is predicted; a value has none. Where
    the pipeline declares costs, `prediction` is the decision that they make cheapest.

    Args:
        task: The kind of target.
        target: Its column in gold.
    """
    if task is Task.REGRESSION:
        return [pa.field("prediction", pa.float64())]
    score = pa.field("score", pa.float64())
    if task is Task.BINARY:
        return [score, pa.field("prediction", pa.bool_())]
    probabilities = pa.map_(pa.string(), pa.float64())
    return [
        score,
        pa.field("prediction", target.type),
        pa.field("probabilities", probabilities),
    ]


def score_columns(predicted: Floats, model: Model, target: pa.Field) -> list[pa.Array]:
    """The cells of `score_fields`, exactly as predicted; `prediction` is what the model decides.

    Args:
        predicted: What the model predicts.
        model: That model.
        target: The target's column in gold.
    """
    classes, decision = model.classes, model.decide(predicted)
    if classes.task is Task.REGRESSION:
        return [pa.array(decision, pa.float64())]
    if classes.task is Task.BINARY:
        return [pa.array(predicted, pa.float64()), pa.array(decision)]
    return [
        pa.array(predicted[np.arange(len(predicted)), decision], pa.float64()),
        pa.array(classes.labels, target.type).take(pa.array(decision)),
        _as_map(predicted, classes.labels),
    ]


def _as_map(predicted: Floats, labels: Sequence[Label]) -> pa.MapArray:
    """One map per row: label to its probability; a whole number as the text of it."""
    rows, width = predicted.shape
    names = pa.array([str(label) for label in labels], pa.string())
    return pa.MapArray.from_arrays(
        pa.array(np.arange(rows + 1) * width, pa.int32()),
        names.take(pa.array(np.tile(np.arange(width), rows))),
        pa.array(predicted.reshape(-1), pa.float64()),
    )

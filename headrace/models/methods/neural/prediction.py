"""Predictions of a trained network: the same for a row whatever rows stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Matrix, Task
from headrace.models.methods.neural.inputs import inputs
from headrace.models.methods.neural.network import Shape, forward

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

_BLOCK = 256  # rows of a prediction that are worked on together, padded with zeros


def predict(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Rows in blocks of one size, padded: a row's sums do not depend on the rows beside it.

    In double precision: BLAS rounds a row of single ones by its place in the block on some CPUs.
    """
    told = estimator["settings"]
    shape = Shape(**{name: told[name] for name in Shape.__dataclass_fields__})
    held = {
        name[4:]: value.astype(np.float64)
        for name, value in estimator.items()
        if name.startswith("net_")
    }
    numbers, ones = inputs(estimator, X)
    rows = len(numbers)
    found = np.empty((rows, shape.outputs), dtype=np.float64)
    for at in range(0, rows, _BLOCK):
        size = min(_BLOCK, rows - at)
        block = np.zeros((_BLOCK, numbers.shape[1]))
        places = np.full((_BLOCK, ones.shape[1]), -1, dtype=np.int64)
        block[:size], places[:size] = numbers[at : at + size], ones[at : at + size]
        found[at : at + size] = forward(shape, held, block, places)[:size]
    if told["task"] == Task.REGRESSION:
        values: Floats = np.clip(found[:, 0] * told["spread"] + told["mean"], *told["range"])
        return values
    chance: Floats = np.exp(found - found.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    return chance[:, 1].copy() if told["task"] == Task.BINARY else chance

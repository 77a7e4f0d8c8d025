"""What the network takes of a matrix: numbers, scaled and clipped, and the places of ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Matrix, Samples

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers
    from headrace.models.methods.neural.network import Singles

_MOST_CATEGORIES = 100  # of a column that get an input of their own: the most frequent


def learned(train: Samples) -> dict[str, Any]:
    """Medians and spreads of the numbers, and which categories get an input of their own."""
    X = np.asarray(train.X)
    numbers = [i for i in range(X.shape[1]) if i not in set(train.categorical)]
    values = X[:, numbers]
    center = np.zeros(len(numbers))
    factor = np.zeros(len(numbers))
    for i in range(len(numbers)):
        known = values[~np.isnan(values[:, i]), i]
        if len(known):
            low, center[i], high = np.quantile(known, (0.25, 0.5, 0.75))
            spread = high - low or (known.max() - known.min()) / 2
            factor[i] = 1 / spread if spread > 0 else 0.0
    pairs = [pair for column in train.categorical for pair in _frequent(X[:, column], column)]
    return {
        "numbers": np.array(numbers, dtype=np.int64),
        "center": center,
        "factor": factor,
        "missing": np.flatnonzero(np.isnan(values).any(axis=0)).astype(np.int64),
        "categories": np.array(pairs, dtype=np.int64).reshape(-1, 2),
    }


def inputs(held: Mapping[str, Any], X: Matrix) -> tuple[Singles, Integers]:
    """Numbers, robustly scaled and smoothly clipped to (-3, 3); the place of each row's ones.

    A missing number is the median, and sets a one; a missing or unknown category sets none (-1).
    """
    X = np.asarray(X)
    values = (X[:, held["numbers"]] - held["center"]) * held["factor"]
    absent = np.isnan(values)
    clipped = np.where(absent, 0.0, values / np.sqrt(1 + (values / 3) ** 2))
    offset = len(held["missing"])
    ones = [np.where(absent[:, held["missing"]], np.arange(offset), -1)]
    columns, codes = held["categories"].T
    for column in np.unique(columns):
        known = codes[columns == column]
        cells = X[:, column]
        place = np.minimum(np.searchsorted(known, cells), len(known) - 1)
        ones.append(np.where(known[place] == cells, offset + place, -1)[:, None])
        offset += len(known)
    return clipped.astype(np.float32), np.hstack(ones).astype(np.int64)


def _frequent(codes: Floats, column: int) -> list[tuple[int, int]]:
    """Column and code of the most frequent categories, in the order of their codes."""
    found, rows = np.unique(codes[~np.isnan(codes)], return_counts=True)
    kept = np.sort(np.argsort(-rows, kind="stable")[:_MOST_CATEGORIES])
    return [(column, int(code)) for code in found[kept]]

"""What expansions share of a matrix of codes: its numbers, its categories, and ones for these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Samples

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

_MOST_CATEGORIES = 100  # of a column, the most frequent


def numbers_of(train: Samples) -> list[int]:
    """The columns that hold no categories."""
    held = set(train.categorical)
    return [i for i in range(train.X.shape[1]) if i not in held]


def categories_of(train: Samples) -> Any:  # noqa: ANN401  # an array of pairs
    """Column and code of the most frequent categories."""
    pairs: list[tuple[int, int]] = []
    for column in train.categorical:
        codes = train.X[:, column]
        found, rows = np.unique(codes[~np.isnan(codes)], return_counts=True)
        kept = np.sort(np.argsort(-rows, kind="stable")[:_MOST_CATEGORIES])
        pairs += [(column, int(code)) for code in found[kept]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def ones(held: Mapping[str, Any], X: Floats) -> list[Any]:
    """A column per missing number and per category, as sparse matrices."""
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # it ships no types

    parts = [csr_matrix(np.isnan(X[:, held["missing"]]).astype(np.float64))]
    columns, codes = held["categories"].T
    parts += [
        csr_matrix((X[:, [column]] == codes[columns == column]).astype(np.float64))
        for column in np.unique(columns)
    ]
    return parts

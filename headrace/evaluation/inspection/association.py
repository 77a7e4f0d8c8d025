"""Which features go together so closely that one can stand in for another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headrace.evaluation.metrics import Booleans, Floats, Integers
from headrace.models.encoding import Column, Encoding, Form, Kind

TOGETHER = 0.9  # correlation of ranks, ratio of correlation, or Cramér's V
_FORM: Form = "codes"


def groups(rows: pa.Table, features: Sequence[str]) -> list[tuple[str, ...]]:
    """Groups of at least two features, linked pair by pair, in the order of the features.

    Numbers are linked by the correlation of their ranks, a number and a category by the ratio of
    correlation of its ranks, categories by Cramér's V with the correction of Bergsma (2013).
    Missing is a middle rank, and a category of its own.

    Args:
        rows: Rows that hold the features.
        features: Which to look at.
    """
    from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]  # no types

    encoding = Encoding.fit(rows, features, form=_FORM)
    matrix = encoding.matrix(rows)
    linked = np.eye(len(features), dtype=bool)
    numbers = [i for i, column in enumerate(encoding.columns) if column.kind is Kind.NUMBER]
    ranks = {i: _ranks(matrix[:, i]) for i in numbers}
    if len(numbers) > 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.abs(np.corrcoef(np.column_stack([ranks[i] for i in numbers]), rowvar=False))
        linked[np.ix_(numbers, numbers)] |= np.nan_to_num(found) >= TOGETHER
    for i, column in enumerate(encoding.columns):
        if column.kind is Kind.CATEGORY:
            linked[i] |= _linked(matrix, i, encoding.columns, ranks)
    _, label = connected_components(linked | linked.T, directed=False)
    found_groups = [np.flatnonzero(label == each).tolist() for each in np.unique(label)]
    return [tuple(features[i] for i in each) for each in found_groups if len(each) > 1]


def _ranks(values: Floats) -> Floats:
    from scipy.stats import rankdata  # type: ignore[import-untyped]  # it ships no types

    known = ~np.isnan(values)
    ranks = np.full(len(values), (known.sum() + 1) / 2)
    ranks[known] = rankdata(values[known])
    return ranks


def _linked(
    matrix: Floats, i: int, columns: Sequence[Column], ranks: dict[int, Floats]
) -> Booleans:
    """Which columns go with a category."""
    codes = np.nan_to_num(matrix[:, i], nan=len(columns[i].categories)).astype(np.int64)
    found = np.zeros(len(columns), dtype=bool)
    for j, column in enumerate(columns):
        if j == i:
            continue
        if column.kind is Kind.NUMBER:
            found[j] = _ratio(codes, ranks[j]) >= TOGETHER
        elif j > i:
            other = np.nan_to_num(matrix[:, j], nan=len(column.categories)).astype(np.int64)
            found[j] = _cramer(codes, other) >= TOGETHER
    return found


def _ratio(codes: Integers, ranks: Floats) -> float:
    """How much of the spread is between categories, less what as many would explain by chance."""
    rows, total = len(codes), float(((ranks - ranks.mean()) ** 2).sum())
    count = np.bincount(codes)
    held = count > 0
    free = rows - int(held.sum())
    if total == 0 or free < 1:
        return 0.0
    means = np.bincount(codes, ranks)[held] / count[held]
    between = float((count[held] * (means - ranks.mean()) ** 2).sum())
    adjusted = 1 - (1 - between / total) * (rows - 1) / free
    return float(np.sqrt(max(adjusted, 0.0)))


def _cramer(codes: Integers, other: Integers) -> float:
    """Cramér's V of two columns of categories, corrected for chance."""
    from scipy.sparse import coo_matrix  # type: ignore[import-untyped]  # it ships no types

    _, codes = np.unique(codes, return_inverse=True)
    _, other = np.unique(other, return_inverse=True)
    shape = (int(codes.max()) + 1, int(other.max()) + 1)
    rows = len(codes)
    if min(shape) < 2 or rows < 3:  # noqa: PLR2004  # nothing to tell apart
        return 0.0
    table = coo_matrix((np.ones(rows), (codes, other)), shape=shape).tocsr().tocoo()
    expected = np.bincount(codes)[table.row] * np.bincount(other)[table.col] / rows
    phi = float((table.data**2 / expected).sum()) / rows - 1
    spare = (shape[0] - 1) * (shape[1] - 1) / (rows - 1)
    corrected = [each - (each - 1) ** 2 / (rows - 1) for each in shape]
    least = min(corrected) - 1
    return float(np.sqrt(max(phi - spare, 0.0) / least)) if least > 0 else 0.0

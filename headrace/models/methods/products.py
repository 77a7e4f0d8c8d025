"""Linear models on products of pairs of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Fitted, Matrix, Parameters, Samples, Task
from headrace.models.methods.columns import categories_of, numbers_of, ones
from headrace.models.methods.strengths import fitted, predicted

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_MOST_PAIRED = 40  # columns that are multiplied with each other
_BLOCK = 256  # rows of a dense prediction, padded


def fit(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,
    metric: Metric,  # noqa: ARG001  # log loss or squared error
) -> Fitted:
    """A line, or logistic regression, on products of pairs of columns; validation chooses `C`."""
    given = {"C": None, "time_limit": None, **parameters}
    grid = (0.001, 0.01, 0.1, 1.0)
    return fitted(train, validation, given, _learn_products(train), _products, grid=grid)


def predict(estimator: dict[str, Any], X: Matrix) -> Floats:
    """In blocks of one size, padded: a row's sums do not depend on the rows beside it."""
    X = np.asarray(X)
    out = np.empty((len(X), len(estimator["intercept"])))
    for at in range(0, len(X), _BLOCK):
        size = min(_BLOCK, len(X) - at)
        block = np.zeros((_BLOCK, X.shape[1]))
        block[:size] = X[at : at + size]
        made = _products(estimator, block) @ estimator["coef"] + estimator["intercept"]
        out[at : at + size] = made[:size]
    return predicted(estimator, out)


def _learn_products(train: Samples) -> dict[str, Any]:
    X, numbers = np.asarray(train.X), numbers_of(train)
    values = X[:, numbers]
    center = np.zeros(len(numbers))
    factor = np.zeros(len(numbers))
    for i in range(len(numbers)):
        known = values[~np.isnan(values[:, i]), i]
        if len(known):
            center[i], spread = known.mean(), known.std()
            factor[i] = 1 / spread if spread > 0 else 0.0
    held: dict[str, Any] = {
        "numbers": np.array(numbers, dtype=np.int64),
        "center": center,
        "factor": factor,
        "missing": np.array([i for i in numbers if np.isnan(X[:, i]).any()], dtype=np.int64),
        "categories": categories_of(train),
        "settings": {},
    }
    plain = _plain(held, X)
    held["paired"] = np.sort(np.argsort(-_signal(plain, train), kind="stable")[:_MOST_PAIRED])
    made = _paired(held, plain)
    held["mean"] = made.mean(axis=0)
    spread = made.std(axis=0)
    held["spread"] = np.where(spread > 1e-9, spread, 1.0)  # noqa: PLR2004  # rounding
    return held


def _signal(plain: Floats, train: Samples) -> Floats:
    """Share of each column's spread that lies between classes, or its squared correlation."""
    z = plain - plain.mean(axis=0)
    total = (z * z).sum(axis=0)
    if train.task is Task.REGRESSION:
        y = train.y - train.y.mean()
        between = (z.T @ y) ** 2 / max(float(y @ y), 1e-300)
    else:
        codes = train.y.astype(np.int64)
        rows = np.maximum(np.bincount(codes, minlength=2), 1)
        sums = np.zeros((len(rows), z.shape[1]))
        np.add.at(sums, codes, z)
        between = (sums**2 / rows[:, None]).sum(axis=0)
    share: Floats = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    return share


def _plain(held: Mapping[str, Any], X: Matrix) -> Floats:
    X = np.asarray(X)
    z = (X[:, held["numbers"]] - held["center"]) * held["factor"]
    clipped = np.where(np.isnan(z), 0.0, z / np.sqrt(1 + (z / 3) ** 2))
    found: Floats = np.hstack([clipped, *(part.toarray() for part in ones(held, X))])
    return found


def _paired(held: Mapping[str, Any], plain: Floats) -> Floats:
    chosen = plain[:, held["paired"]]
    left, right = np.triu_indices(chosen.shape[1])
    return np.hstack([plain, chosen[:, left] * chosen[:, right]])


def _products(held: Mapping[str, Any], X: Matrix) -> Floats:
    found: Floats = (_paired(held, _plain(held, X)) - held["mean"]) / held["spread"]
    return found

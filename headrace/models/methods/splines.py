"""Linear models on cubic B-splines of each number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Fitted, Matrix, Parameters, Samples
from headrace.models.methods.columns import categories_of, numbers_of, ones
from headrace.models.methods.strengths import fitted, predicted

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_DEGREE = 3
_KNOTS = 6  # at quantiles of the training rows
_MOST_SPLINES = 250  # numbers; beyond, they enter as they are


def fit(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,
    metric: Metric,  # noqa: ARG001  # log loss or squared error
) -> Fitted:
    """A line, or logistic regression, on cubic B-splines; validation chooses `C`."""
    given = {"C": None, "time_limit": None, **parameters}
    grid = (0.01, 0.1, 1.0, 10.0, 100.0)
    return fitted(train, validation, given, _learn_splines(train), _splines, grid=grid)


def predict(estimator: dict[str, Any], X: Matrix) -> Floats:
    """Values, or probabilities; a row by itself, for the matrix is sparse."""
    return predicted(estimator, _splines(estimator, X) @ estimator["coef"] + estimator["intercept"])


def _learn_splines(train: Samples) -> dict[str, Any]:
    X, numbers = np.asarray(train.X), numbers_of(train)
    center, scale = np.zeros(len(numbers)), np.ones(len(numbers))
    knots = np.full((len(numbers), _KNOTS), np.nan)
    for i, column in enumerate(numbers):
        known = X[~np.isnan(X[:, column]), column]
        if len(known) == 0:
            continue
        center[i], scale[i] = known.mean(), known.std() or 1.0
        places = np.unique(np.quantile(known, np.linspace(0, 1, _KNOTS)))
        if len(places) > 2 and len(numbers) <= _MOST_SPLINES:  # noqa: PLR2004  # a bend needs three
            knots[i, : len(places)] = places
    return {
        "numbers": np.array(numbers, dtype=np.int64),
        "center": center,
        "scale": scale,
        "knots": knots,
        "missing": np.array([i for i in numbers if np.isnan(X[:, i]).any()], dtype=np.int64),
        "categories": categories_of(train),
    }


def _splines(held: Mapping[str, Any], X: Matrix) -> Matrix:
    """Cubic B-splines of each number, constant beyond the outer knots; a missing one is 0."""
    from scipy.interpolate import BSpline  # type: ignore[import-untyped]  # it ships no types
    from scipy.sparse import csr_matrix, hstack  # type: ignore[import-untyped]

    X = np.asarray(X)
    parts = []
    for i, column in enumerate(held["numbers"]):
        cells, absent = X[:, column], np.isnan(X[:, column])
        places = held["knots"][i][~np.isnan(held["knots"][i])]
        if len(places) == 0:
            z = np.where(absent, 0.0, (cells - held["center"][i]) / held["scale"][i])
            parts.append(csr_matrix(np.clip(z, -10, 10)[:, None]))
            continue
        inside = np.clip(np.where(absent, places[0], cells), places[0], places[-1])
        t = np.concatenate([[places[0]] * _DEGREE, places, [places[-1]] * _DEGREE])
        basis = BSpline.design_matrix(inside, t, _DEGREE).tocsr()
        parts.append(basis.multiply(~absent[:, None]).tocsr() if absent.any() else basis)
    return hstack([*parts, *ones(held, X)], format="csr")

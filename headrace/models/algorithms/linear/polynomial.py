"""Polynomial regression: ridge regression on all products of columns up to a degree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import comb
from typing import TYPE_CHECKING, Any

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Matrix,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import completed, dense, in_blocks
from headrace.models.algorithms.linear.coefficients import ONE_HOT, margins
from headrace.models.algorithms.linear.regression import fit_regression
from headrace.models.algorithms.space import integer, log_uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_MOST_TERMS = 5_000  # columns that a polynomial may make


def _fit_polynomial(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """Ridge regression on all products of columns up to a degree."""
    given: dict[str, Any] = {**parameters}
    degree, columns = given.pop("degree"), train.X.shape[1]
    terms = comb(columns + degree, degree) - 1
    if terms > _MOST_TERMS:
        message = f"{columns:,} columns make {terms:,} terms of degree {degree}"
        hint = f"at most {_MOST_TERMS:,}: lower the degree, take fewer columns, or `lightgbm`"
        raise UsageError(message, hint=hint)
    wide = replace(train, X=_terms(dense(train.X), degree))
    fitted = fit_regression(wide, given, seed=seed, validation=validation, metric=metric)
    return Fitted({**fitted.estimator, "degree": degree})


def _terms(X: Floats, degree: int) -> Floats:
    from sklearn.preprocessing import PolynomialFeatures

    found: Floats = PolynomialFeatures(degree, include_bias=False).fit_transform(X)
    return found


def _predict_polynomial(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    def predict(block: Floats) -> Floats:
        return margins(estimator, _terms(block, estimator["degree"]))

    return completed(estimator, in_blocks(predict, X))


POLYNOMIAL = Algorithm(
    name="polynomial",
    title="Polynomial regression",
    tasks=frozenset({Task.REGRESSION}),
    needs=ONE_HOT,
    fit=_fit_polynomial,
    predict=_predict_polynomial,
    save_as="skops",
    defaults={"degree": 2, "alpha": 1.0},
    space={"degree": integer(1, 3), "alpha": log_uniform(1e-4, 1e4)},
    family=Family.LINEAR,
    when_not="more than some dozen columns: the terms are their number to the power of the degree",
    caveats=("extrapolates wildly: a little beyond the data it may be off by any factor",),
    budget=Budget(rows=1_000_000, columns=_MOST_TERMS),
    instead=("ridge", "gaussian_process", "lightgbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    aliases=("polynomial_regression",),
    source="ridge regression on scikit-learn's PolynomialFeatures",
)

"""Values of kernels, weighted sums of them, and lines that are fitted on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import (
    Fitted,
    Matrix,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import (
    BLOCK,
    calibrated,
    completed,
    converging,
    dense,
    described,
    in_blocks,
    one_class,
    weighted,
)
from headrace.models.algorithms.linear.coefficients import coefficients, linked
from headrace.models.algorithms.space import Dimension, choice, log_uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

STRENGTHS: dict[str, Dimension] = {
    "C": log_uniform(1e-2, 1e3),
    "gamma": choice("scale", 1e-4, 1e-3, 1e-2, 0.1, 1.0),
}
TO_MEAN = "far from the rows it saw, a prediction returns to the mean"


def kernel(points: Floats, X: Floats, *, kernel: str, gamma: float, degree: int = 3) -> Floats:
    """Rows of `X` by `points`: `rbf`, `poly`, `linear`, or `matern` with smoothness 5/2."""
    import numpy as np
    from scipy.spatial.distance import cdist  # type: ignore[import-untyped]  # it ships no types

    found: Floats
    if kernel == "rbf":
        found = np.exp(cdist(X, points, "sqeuclidean") * -gamma)
    elif kernel == "matern":
        away = cdist(X, points) * np.sqrt(10 * gamma)
        found = (1 + away + away**2 / 3) * np.exp(-away)
    else:
        found = X @ points.T
        if kernel == "poly":
            found = (gamma * found + 1) ** degree
    return found


def expansion(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Weighted sums of kernel values: rows by outputs, the same for a row in any batch."""
    told = {name: estimator[name] for name in ("kernel", "gamma", "degree") if name in estimator}

    def outputs(block: Floats) -> Floats:
        near = kernel(estimator["points"], block, **told)
        found: Floats = near @ estimator["coef"] + estimator["intercept"]
        return found

    return in_blocks(outputs, X)


def predict_expansion(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Predictions of an estimator of kernel values."""
    import numpy as np

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))
    found = expansion(estimator, X)
    if "calibration" in estimator:
        return completed(estimator, calibrated(estimator, found))
    return completed(estimator, linked(estimator, found))


def fit_on_points(
    train: Samples, points: Floats, whitening: Floats, *, gamma: float, strength: float
) -> Fitted:
    """A line, or logistic regression, on whitened Gaussian kernel values to some points."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression, Ridge

    features = np.concatenate(
        [
            kernel(points, dense(train.X[i : i + BLOCK]), kernel="rbf", gamma=gamma) @ whitening
            for i in range(0, train.X.shape[0], BLOCK)
        ]
    )
    with converging():
        if train.task is Task.REGRESSION:
            link, model = "identity", Ridge(alpha=1 / (2 * strength))
        else:
            link, model = "softmax", LogisticRegression(C=strength, max_iter=300)
        model.fit(features, train.y, **weighted(train))
    found = coefficients(described(train), model, link=link)
    found["coef"] = whitening @ found["coef"]
    return Fitted({**found, "points": points, "kernel": "rbf", "gamma": gamma})


def variance(X: Matrix) -> float:
    """Of all cells of a matrix together; 1 where they are the same."""
    squares = X.multiply(X) if hasattr(X, "multiply") else X**2
    return float(squares.mean() - X.mean() ** 2) or 1.0

"""A Gaussian process whose length scales, one per column, and noise are learned from the rows."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import (
    Fitted,
    Matrix,
    Parameters,
    Samples,
)
from headrace.models.algorithms.estimators import dense, in_blocks

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_JITTER = 1e-6


def marginal(logs: Floats, X: Floats, y: Floats, weight: Floats) -> tuple[float, Floats]:
    """The negative log marginal likelihood per row, and its derivative.

    The kernel is v (1 + r) exp(-r), Matern with smoothness 3/2, r = sqrt(3) the distance in units
    of the length scales; noise is added to the diagonal, less where a row counts more.

    Args:
        logs: Logarithms of the inverse length scales, of v, and of the noise's variance.
        X: Rows by columns.
        y: Values of mean 0.
        weight: Of each row, of mean 1.

    Source: Rasmussen and Williams 2006, equations 5.8 and 5.9.
    """
    from scipy.linalg import cho_solve, cholesky  # type: ignore[import-untyped]  # it ships no types
    from scipy.linalg.lapack import dpotri  # type: ignore[import-untyped]  # it ships no types

    rows = len(y)
    scales, height, noise = np.exp(logs[:-2]), np.exp(logs[-2]), np.exp(logs[-1])
    points = X * scales * np.sqrt(3)
    r = _distances(points, points)
    shrunk = height * np.exp(-r)
    covariance = shrunk * (1 + r)
    covariance[np.diag_indices(rows)] += noise / weight + _JITTER * height
    try:
        factor = cholesky(covariance, lower=True)
    except np.linalg.LinAlgError:
        return 1e10, np.zeros_like(logs)
    alpha = cho_solve((factor, True), y)
    value = 0.5 * y @ alpha + np.log(np.diag(factor)).sum()
    inverse, _ = dpotri(factor, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    pull = inverse - np.outer(alpha, alpha)  # twice the derivative by the covariance
    pull_shrunk = pull * shrunk
    slope = np.empty_like(logs)
    # d k / d log scale_j = -v exp(-r) (z_ij - z_kj)^2, and (a - b)^2 = a^2 + b^2 - 2 a b.
    by_row = pull_shrunk.sum(axis=1)
    squares = 2 * (by_row @ (points * points)) - 2 * np.einsum(
        "ij,ij->j", points, pull_shrunk @ points
    )
    slope[:-2] = -0.5 * squares
    diagonal = np.diag(pull)
    slope[-2] = 0.5 * ((pull_shrunk * (1 + r)).sum() + _JITTER * height * diagonal.sum())
    slope[-1] = 0.5 * noise * (diagonal / weight).sum()
    return float(value / rows), slope / rows


def _distances(rows: Floats, points: Floats) -> Floats:
    squares = (rows * rows).sum(axis=1)[:, None] + (points * points).sum(axis=1)
    squares -= 2 * rows @ points.T
    found: Floats = np.sqrt(np.maximum(squares, 0))
    return found


def fit(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # the likelihood chooses
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Length scales, height and noise of most likelihood, by at most `steps` steps of L-BFGS."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize  # type: ignore[import-untyped]  # it ships no types

    given: dict[str, Any] = {"steps": 50, "time_limit": None, **parameters}
    X = np.array(dense(train.X), dtype=np.float64)
    center, spread = X.mean(axis=0), X.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    X = (X - center) / spread
    weight = np.ones(len(X)) if train.weight is None else train.weight / train.weight.mean()
    mean, scale = float(np.average(train.y, weights=weight)), float(train.y.std()) or 1.0
    y = (train.y - mean) / scale
    end = time.monotonic() + given["time_limit"] if given["time_limit"] else np.inf
    start = np.concatenate([np.full(X.shape[1], -0.5 * np.log(X.shape[1]) - 0.7), [0.0, -2.5]])
    best: list[Any] = [np.inf, start]

    def loss(logs: Floats) -> tuple[float, Floats]:
        value, slope = marginal(logs, X, y, weight)
        if value < best[0]:
            best[:] = [value, logs.copy()]
        if time.monotonic() > end:
            raise TimeoutError
        return value, slope

    bounds = [(-9.0, 4.0)] * X.shape[1] + [(-4.0, 6.0), (-12.0, 2.0)]
    with suppress(TimeoutError):  # the best so far stands
        minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": given["steps"]},
        )
    logs = best[1]
    factors = np.exp(logs[:-2]) * np.sqrt(3)
    points, height = X * factors, float(np.exp(logs[-2]))
    r = _distances(points, points)
    covariance = height * (1 + r) * np.exp(-r)
    covariance[np.diag_indices(len(X))] += np.exp(logs[-1]) / weight + _JITTER * height
    alpha = cho_solve(cho_factor(covariance, lower=True), y)
    return Fitted(
        {
            "center": center,
            "factors": factors / spread,
            "points": points,
            "alpha": alpha * height * scale,
            "settings": {
                "mean": mean,
                "range": [float(train.y.min()), float(train.y.max())],
            },
        }
    )


def predict(estimator: dict[str, Any], X: Matrix) -> Floats:
    """The posterior mean, within the range of the training rows' values."""
    points, told = estimator["points"], estimator["settings"]

    def values(block: Floats) -> Floats:
        r = _distances((block - estimator["center"]) * estimator["factors"], points)
        found: Floats = ((1 + r) * np.exp(-r)) @ estimator["alpha"]
        return found

    found: Floats = np.clip(in_blocks(values, X) + told["mean"], *told["range"])
    return found

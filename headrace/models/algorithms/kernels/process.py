"""Gaussian processes with one length scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import (
    calibration,
    dense,
    described,
    one_class,
)
from headrace.models.algorithms.kernels.values import TO_MEAN, kernel, predict_expansion
from headrace.models.algorithms.linear.coefficients import ONE_HOT
from headrace.models.algorithms.space import choice, log_uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Metric

_TWO = 2


def _fit_process(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """The posterior mean. Classes are regressed as 1 and -1, and scaled to probabilities.

    The scaling uses each row's prediction by all others, which is at hand in closed form.
    Source: Rasmussen and Williams 2006, equation 5.12 and section 6.5.
    """
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve  # type: ignore[import-untyped]  # it ships no types

    estimator = described(train)
    if one_class(estimator):
        return Fitted(estimator)
    given: dict[str, Any] = {**parameters}
    points = np.array(dense(train.X), dtype=np.float64)
    gamma = float(1 / (2 * given["length_scale"] ** 2 * points.shape[1]))
    weight = np.ones(len(points)) if train.weight is None else train.weight
    targets = train.y[:, None]
    if train.task is not Task.REGRESSION:
        present = estimator["present"]
        targets = np.where(targets == (present[1:] if len(present) == _TWO else present), 1.0, -1.0)
    middle, scale = targets.mean(axis=0), targets.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    covariance = kernel(points, points, kernel=given["kernel"], gamma=gamma)
    covariance[np.diag_indices_from(covariance)] += given["noise"] * weight.mean() / weight
    factor = cho_factor(covariance, lower=True, overwrite_a=True)
    alpha = cho_solve(factor, (targets - middle) / scale)
    found = {
        **estimator,
        "points": points,
        "kernel": given["kernel"],
        "gamma": gamma,
        "coef": alpha * scale,
        "intercept": middle,
        "link": "identity",
    }
    if train.task is Task.REGRESSION:
        return Fitted(found)
    spread = np.diag(cho_solve(factor, np.eye(len(points))))[:, None]
    others = targets - alpha * scale / spread
    return Fitted({**found, **calibration(others, train)})


GAUSSIAN_PROCESS = Algorithm(
    name="gaussian_process",
    title="Gaussian process",
    tasks=frozenset(Task),
    needs=ONE_HOT,
    fit=_fit_process,
    predict=predict_expansion,
    save_as="skops",
    defaults={"kernel": "rbf", "length_scale": 1.0, "noise": 0.1},
    space={
        "kernel": choice("rbf", "matern"),
        "length_scale": log_uniform(0.1, 10.0),
        "noise": log_uniform(1e-4, 1.0),
    },
    family=Family.KERNELS,
    when_not="more than some thousand rows: time grows with their cube",
    caveats=(
        TO_MEAN,
        "`length_scale` is in units of the square root of the number of columns",
        "gives no interval yet; the model holds its training rows",
    ),
    budget=Budget(rows=5_000, columns=20_000, cells=50_000_000),
    instead=("svm_nystroem", "lightgbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    aliases=("gaussian_process_regression", "gpr"),
    source="Rasmussen and Williams 2006, Gaussian Processes for Machine Learning",
)

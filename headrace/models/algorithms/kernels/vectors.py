"""Support vectors, of classes and of values."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
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
from headrace.models.algorithms.estimators import (
    calibrated,
    classified,
    completed,
    converging,
    dense,
    described,
    made,
    one_class,
    weighted,
)
from headrace.models.algorithms.kernels.values import (
    STRENGTHS,
    TO_MEAN,
    expansion,
    predict_expansion,
    variance,
)
from headrace.models.algorithms.linear.coefficients import ONE_HOT
from headrace.models.algorithms.space import choice, integer, log_uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_TWO = 2
_MOST_CELLS = 50_000_000  # support vectors times pairs of classes
_ITERATIONS = 2_000_000  # of the pairwise solver; a point of the space beyond ends as it is


def _fit_vectors(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """`SVC` or `SVR`; the latter on a target scaled to a deviation of 1."""
    import numpy as np

    given: dict[str, Any] = {"max_iter": _ITERATIONS, "cache_size": 500, "coef0": 1.0, **parameters}
    if given["gamma"] == "scale":
        given["gamma"] = 1 / (train.X.shape[1] * variance(train.X))
    told = {name: given[name] for name in ("kernel", "gamma", "degree")}
    if train.task is not Task.REGRESSION:

        def fit(part: Samples) -> dict[str, Any]:
            with converging():
                model = made("sklearn.svm.SVC", given).fit(part.X, part.y, **weighted(part))
            points = np.array(dense(model.support_vectors_))
            return {**told, "points": points, "coef": _pairs(model), "intercept": model.intercept_}

        return classified(train, fit, _votes, seed=seed)
    middle, scale = float(train.y.mean()), float(train.y.std()) or 1.0
    with converging():
        model = made("sklearn.svm.SVR", given)
        model.fit(train.X, (train.y - middle) / scale, **weighted(train))
    found = {
        "points": np.array(dense(model.support_vectors_)),
        "coef": np.ascontiguousarray(dense(model.dual_coef_).T) * scale,
        "intercept": model.intercept_ * scale + middle,
        "link": "identity",
    }
    return Fitted({**described(train), **told, **found})


def _pairs(model: Any) -> Floats:  # noqa: ANN401  # sklearn's SVC
    """Support vectors by pairs of classes; LIBSVM packs each pair's into a column less a class."""
    import numpy as np

    packed, classes = dense(model.dual_coef_), len(model.n_support_)
    if classes == _TWO:
        return np.ascontiguousarray(packed.T)
    pairs = list(combinations(range(classes), 2))
    if packed.shape[1] * len(pairs) > _MOST_CELLS:
        message = f"{classes} classes are {len(pairs):,} duels of {packed.shape[1]:,} vectors each"
        raise UsageError(message, hint="take `svm_nystroem` or `lightgbm` for so many classes")
    found = np.zeros((packed.shape[1], len(pairs)))
    owner = np.repeat(np.arange(classes), model.n_support_)
    for place, (one, other) in enumerate(pairs):
        found[:, place] = np.where(owner == one, packed[other - 1], 0.0)
        found[:, place] += np.where(owner == other, packed[one], 0.0)
    return found


def _votes(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Two classes: the margin. More: per class the mean margin and the share of duels won."""
    import numpy as np

    margins = expansion(estimator, X)
    if margins.shape[1] == 1:
        return margins
    classes = int((1 + np.sqrt(1 + 8 * margins.shape[1])) / 2)
    found = np.zeros((X.shape[0], 2 * classes))
    for place, (one, other) in enumerate(combinations(range(classes), 2)):
        duel = margins[:, place]
        for column, value in ((0, duel), (classes, np.where(duel > 0, 1.0, -1.0))):
            found[:, column + one] += value
            found[:, column + other] -= value
    return found / (classes - 1)


def _predict_vectors(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    if one_class(estimator) or estimator["task"] == Task.REGRESSION:
        return predict_expansion(estimator, X)
    return completed(estimator, calibrated(estimator, _votes(estimator, X)))


SVM = Algorithm(
    name="svm",
    title="Support vector machine",
    tasks=frozenset({Task.BINARY, Task.MULTICLASS}),
    needs=ONE_HOT,
    fit=_fit_vectors,
    predict=_predict_vectors,
    save_as="skops",
    defaults={"C": 1.0, "kernel": "rbf", "gamma": "scale", "degree": 3},
    space={**STRENGTHS, "kernel": choice("rbf", "linear", "poly"), "degree": integer(2, 4)},
    family=Family.KERNELS,
    when_not="more than some thousand rows, or many columns that say little",
    caveats=(
        "probabilities are margins scaled by three-fold cross-validation",
        "`gamma` and `degree` are used by the kernels that have them",
        "costs grow with the square to the cube of the rows",
    ),
    budget=Budget(rows=20_000, columns=20_000),
    instead=("svm_nystroem", "lightgbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    aliases=("support_vector_machine", "svc"),
    source="Cortes and Vapnik 1995, Support-Vector Networks",
)


SVR = Algorithm(
    name="svr",
    title="Support vector regression",
    tasks=frozenset({Task.REGRESSION}),
    needs=ONE_HOT,
    fit=_fit_vectors,
    predict=_predict_vectors,
    save_as="skops",
    defaults={"C": 1.0, "kernel": "rbf", "gamma": "scale", "degree": 3, "epsilon": 0.1},
    space={
        **STRENGTHS,
        "kernel": choice("rbf", "linear", "poly"),
        "degree": integer(2, 4),
        "epsilon": log_uniform(1e-3, 0.5),
    },
    family=Family.KERNELS,
    when_not="more than some thousand rows, or many columns that say little",
    caveats=(TO_MEAN, "`epsilon` is of a target scaled to a deviation of 1"),
    budget=Budget(rows=20_000, columns=20_000),
    instead=("svm_nystroem", "lightgbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    aliases=("support_vector_regression",),
    source="Drucker et al. 1996, Support Vector Regression Machines",
)

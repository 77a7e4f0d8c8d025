"""Kernel methods: support vectors, their approximation for more rows, Gaussian processes."""

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
    Needs,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import (
    BLOCK,
    calibrated,
    calibration,
    classified,
    completed,
    converging,
    dense,
    described,
    in_blocks,
    made,
    one_class,
    weighted,
)
from headrace.models.algorithms.linear.coefficients import coefficients, linked
from headrace.models.algorithms.space import Dimension, choice, integer, log_int, log_uniform

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
        given["gamma"] = 1 / (train.X.shape[1] * _variance(train.X))
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


def _predict_vectors(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    if one_class(estimator) or estimator["task"] == Task.REGRESSION:
        return predict_expansion(estimator, X)
    return completed(estimator, calibrated(estimator, _votes(estimator, X)))


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


def _fit_nystroem(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Kernel values to some training rows stand for those to all of them."""
    import numpy as np

    if one_class(described(train)):
        return Fitted(described(train))
    given: dict[str, Any] = {**parameters}
    rows = train.X.shape[0]
    chosen = np.random.default_rng(seed).permutation(rows)[: given["n_components"]]
    points = np.array(dense(train.X[np.sort(chosen)]))
    gamma = (
        1 / (train.X.shape[1] * _variance(train.X)) if given["gamma"] == "scale" else given["gamma"]
    )
    values, vectors = np.linalg.eigh(kernel(points, points, kernel="rbf", gamma=gamma))
    whitening = vectors / np.sqrt(np.maximum(values, 1e-12))
    return fit_on_points(train, points, whitening, gamma=float(gamma), strength=given["C"])


def _variance(X: Matrix) -> float:
    squares = X.multiply(X) if hasattr(X, "multiply") else X**2
    return float(squares.mean() - X.mean() ** 2) or 1.0


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


_ALL = frozenset(Task)
_ONE_HOT = Needs(categories="one_hot")
_VECTORS: dict[str, Dimension] = {
    "C": log_uniform(1e-2, 1e3),
    "gamma": choice("scale", 1e-4, 1e-3, 1e-2, 0.1, 1.0),
}
_MEAN = "far from the rows it saw, a prediction returns to the mean"

SVM = Algorithm(
    name="svm",
    title="Support vector machine",
    tasks=frozenset({Task.BINARY, Task.MULTICLASS}),
    needs=_ONE_HOT,
    fit=_fit_vectors,
    predict=_predict_vectors,
    save_as="skops",
    defaults={"C": 1.0, "kernel": "rbf", "gamma": "scale", "degree": 3},
    space={**_VECTORS, "kernel": choice("rbf", "linear", "poly"), "degree": integer(2, 4)},
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
    needs=_ONE_HOT,
    fit=_fit_vectors,
    predict=_predict_vectors,
    save_as="skops",
    defaults={"C": 1.0, "kernel": "rbf", "gamma": "scale", "degree": 3, "epsilon": 0.1},
    space={
        **_VECTORS,
        "kernel": choice("rbf", "linear", "poly"),
        "degree": integer(2, 4),
        "epsilon": log_uniform(1e-3, 0.5),
    },
    family=Family.KERNELS,
    when_not="more than some thousand rows, or many columns that say little",
    caveats=(_MEAN, "`epsilon` is of a target scaled to a deviation of 1"),
    budget=Budget(rows=20_000, columns=20_000),
    instead=("svm_nystroem", "lightgbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    aliases=("support_vector_regression",),
    source="Drucker et al. 1996, Support Vector Regression Machines",
)

SVM_NYSTROEM = Algorithm(
    name="svm_nystroem",
    title="Kernel machine by Nystroem's approximation",
    tasks=_ALL,
    needs=_ONE_HOT,
    fit=_fit_nystroem,
    predict=predict_expansion,
    save_as="skops",
    defaults={"C": 1.0, "gamma": "scale", "n_components": 300},
    space={**_VECTORS, "n_components": log_int(50, 1000)},
    family=Family.KERNELS,
    when_not="few rows: the exact kernel machine fits as fast",
    caveats=(_MEAN, "the kernel is `rbf`; the loss is logistic, or squared in a regression"),
    budget=Budget(rows=1_000_000, columns=2_000, cells=200_000_000),
    instead=("lightgbm",),
    exports=("onnx",),
    licence="BSD-3-Clause",
    source="Williams and Seeger 2001, Using the Nystroem Method to Speed Up Kernel Machines",
)

GAUSSIAN_PROCESS = Algorithm(
    name="gaussian_process",
    title="Gaussian process",
    tasks=_ALL,
    needs=_ONE_HOT,
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
        _MEAN,
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

"""Small neural networks: layers of scikit-learn, and Gaussian units around centres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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
    completed,
    converging,
    dense,
    described,
    in_blocks,
    made,
    one_class,
    softmax,
    weighted,
)
from headrace.models.algorithms.kernels import fit_on_points, predict_expansion
from headrace.models.algorithms.space import choice, integer, log_int, log_uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric


def _fit_layers(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # `max_iter` and `alpha` are searched
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    estimator = described(train)
    if one_class(estimator):
        return Fitted(estimator)
    given: dict[str, Any] = {**parameters, "random_state": seed}
    given["hidden_layer_sizes"] = (given.pop("width"),) * given.pop("layers")
    regression = train.task is Task.REGRESSION
    middle, scale = (float(train.y.mean()), float(train.y.std()) or 1.0) if regression else (0, 1)
    model = made(f"sklearn.neural_network.MLP{'Regressor' if regression else 'Classifier'}", given)
    with converging():
        model.fit(dense(train.X), (train.y - middle) / scale, **weighted(train))
    weights, offsets = list(model.coefs_), list(model.intercepts_)
    weights[-1], offsets[-1] = weights[-1] * scale, offsets[-1] * scale + middle
    return Fitted({**estimator, "weights": weights, "offsets": offsets})


def _predict_layers(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    import numpy as np

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))

    def outputs(block: Floats) -> Floats:
        for weight, offset in zip(
            estimator["weights"][:-1], estimator["offsets"][:-1], strict=True
        ):
            block = np.maximum(block @ weight + offset, 0.0)
        found: Floats = block @ estimator["weights"][-1] + estimator["offsets"][-1]
        return found

    found = in_blocks(outputs, X)
    if estimator["task"] != Task.REGRESSION:
        found = softmax(np.hstack([np.zeros_like(found), found]) if found.shape[1] == 1 else found)
    return completed(estimator, found)


def _fit_rbf(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Centres by k-means, one width from how far rows are from theirs, then a line."""
    import numpy as np
    from sklearn.cluster import KMeans

    if one_class(described(train)):
        return Fitted(described(train))
    given: dict[str, Any] = {**parameters}
    X = dense(train.X)
    size = min(given["n_centers"], len(np.unique(X, axis=0)))
    clusters = KMeans(size, n_init=1, max_iter=50, random_state=seed).fit(X, **weighted(train))
    near = float(np.mean(clusters.transform(X).min(axis=1) ** 2))
    around = float(np.mean(((X - X.mean(axis=0)) ** 2).sum(axis=1))) / size
    gamma = 1 / (2 * given["width"] ** 2 * (max(near, around) or 1.0))
    points = np.array(clusters.cluster_centers_, dtype=np.float64)
    return fit_on_points(train, points, np.eye(size), gamma=gamma, strength=given["C"])


_ALL = frozenset(Task)
_ONE_HOT = Needs(categories="one_hot")

MLP = Algorithm(
    name="mlp",
    title="Multi-layer perceptron",
    tasks=_ALL,
    needs=_ONE_HOT,
    fit=_fit_layers,
    predict=_predict_layers,
    save_as="skops",
    defaults={
        "layers": 2,
        "width": 64,
        "alpha": 1e-3,
        "learning_rate_init": 1e-3,
        "max_iter": 100,
    },
    space={
        "layers": integer(1, 3),
        "width": log_int(16, 256),
        "alpha": log_uniform(1e-5, 1.0),
        "learning_rate_init": log_uniform(1e-4, 1e-2),
        "max_iter": choice(30, 100, 300),
    },
    family=Family.NEURAL,
    when_not="few rows, or tables of mixed columns: boosting is better and faster",
    caveats=("another seed gives another model",),
    budget=Budget(rows=1_000_000, columns=5_000, cells=200_000_000),
    instead=("lightgbm",),
    aliases=("multi_layer_perceptron", "neural_network"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    source="Rumelhart et al. 1986; scikit-learn, sklearn.neural_network",
)

RBF_NETWORK = Algorithm(
    name="rbf_network",
    title="Radial basis function network",
    tasks=_ALL,
    needs=_ONE_HOT,
    fit=_fit_rbf,
    predict=predict_expansion,
    save_as="skops",
    defaults={"n_centers": 100, "width": 1.0, "C": 1.0},
    space={
        "n_centers": log_int(10, 500),
        "width": log_uniform(0.3, 5.0),
        "C": log_uniform(1e-2, 1e3),
    },
    family=Family.NEURAL,
    when_not="many columns that say little: centres are then far from every row",
    caveats=(
        "far from the rows it saw, a prediction is the same everywhere",
        "`width` is in units of how far rows are from their centre",
    ),
    budget=Budget(rows=1_000_000, columns=2_000, cells=100_000_000),
    instead=("svm_nystroem", "lightgbm"),
    aliases=("rbfn", "radial_basis_function_network"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    source="Moody and Darken 1989, Fast Learning in Networks of Locally-Tuned Processing Units",
)

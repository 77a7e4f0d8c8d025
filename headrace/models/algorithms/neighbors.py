"""Nearest neighbours: the model is its training rows."""

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
from headrace.models.algorithms.estimators import completed, dense, described, one_class
from headrace.models.algorithms.space import choice, log_int

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_LEAF = 32  # rows that the search tree does not divide further


def _fit(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    import numpy as np

    estimator = described(train)
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    rows = {"X": _placed(train.X, parameters["metric"]), "y": train.y, "weight": weight}
    return Fitted({**estimator, **parameters, **rows})


def _placed(X: Matrix, metric: Any) -> Floats:  # noqa: ANN401  # a parameter's value
    """Points between which a plain distance is the metric: of unit length for the cosine."""
    import numpy as np

    points = np.array(dense(X), dtype=np.float64, order="C")
    if metric == "cosine":
        length = np.sqrt(np.add.accumulate(points**2, axis=1)[:, -1:])
        points /= np.where(length > 0, length, 1.0)
    return points


def _predict(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Votes, or means, of the neighbours; a neighbour at no distance outvotes the others."""
    import numpy as np
    from scipy.spatial import KDTree  # type: ignore[import-untyped]  # it ships no types

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))
    y, weight = estimator["y"], estimator["weight"]
    tree = KDTree(estimator["X"], leafsize=_LEAF)
    nearest = range(1, min(estimator["n_neighbors"], len(y)) + 1)
    norm = 1 if estimator["metric"] == "manhattan" else 2
    away, which = tree.query(_placed(X, estimator["metric"]), k=list(nearest), p=norm, workers=1)
    votes = weight[which]
    if estimator["weights"] == "distance":
        same = away == 0
        votes = votes * np.where(
            same.any(axis=1, keepdims=True), same, 1 / np.where(same, 1.0, away)
        )
    regression = estimator["task"] == Task.REGRESSION
    totals = np.zeros((X.shape[0], 1 if regression else len(estimator["present"])))
    rows, column = np.arange(X.shape[0]), np.zeros(X.shape[0], dtype=np.int64)
    for place in range(len(nearest)):
        if regression:
            value = votes[:, place] * y[which[:, place]]
        else:
            column = np.searchsorted(estimator["present"], y[which[:, place]])
            value = votes[:, place]
        totals[rows, column] += value
    return completed(estimator, totals / np.add.accumulate(votes, axis=1)[:, -1:])


K_NEAREST_NEIGHBORS = Algorithm(
    name="k_nearest_neighbors",
    title="k nearest neighbours",
    tasks=frozenset(Task),
    needs=Needs(categories="one_hot"),
    fit=_fit,
    predict=_predict,
    save_as="skops",
    defaults={"n_neighbors": 15, "metric": "euclidean", "weights": "uniform"},
    space={
        "n_neighbors": log_int(1, 51),
        "metric": choice("euclidean", "manhattan", "cosine"),
        "weights": choice("uniform", "distance"),
    },
    family=Family.NEIGHBORS,
    when_not="many columns say little: each blurs the distance",
    caveats=(
        "the model holds its training rows: mind its size and who may read it",
        "scoring costs grow with the training rows",
    ),
    budget=Budget(rows=1_000_000, columns=1_000, cells=100_000_000),
    instead=("lightgbm",),
    licence="BSD-3-Clause",
    aliases=("knn", "k_nn", "k_nearest_neighbours"),
    source="Cover and Hart 1967, Nearest Neighbor Pattern Classification",
)

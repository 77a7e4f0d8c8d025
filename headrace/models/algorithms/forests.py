"""Trees of scikit-learn, alone and in forests: categories enter as their codes, in order."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Needs,
    Parameters,
    Resource,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import Scikit, made, predict_scikit, weighted
from headrace.models.algorithms.space import Dimension, choice, integer, log_int

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Metric

_TREES = 20  # that are grown between two looks at the clock
_CORRECTION = 2.0  # rows of the overall shares that each leaf is given


def _fit_tree(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """CART; leaves of few rows are drawn to the overall shares, so that none is certain.

    Source: Provost and Domingos 2003, Tree Induction for Probability-Based Ranking.
    """
    fitted = _CART(train, parameters, seed=seed, validation=validation, metric=metric)
    if train.task is not Task.REGRESSION and "model" in fitted.estimator:
        _draw(fitted.estimator["model"].tree_)
    return fitted


def _draw(tree: Any) -> None:  # noqa: ANN401  # sklearn's Tree
    rows = tree.weighted_n_node_samples[:, None, None]
    tree.value[:] = (tree.value * rows + tree.value[0] * _CORRECTION) / (rows + _CORRECTION)


@dataclass(frozen=True)
class Node:
    """A node of a tree that another library has grown: a row goes left where it has at most.

    Attributes:
        rows: How many it was grown on.
        value: The share of each present class, or the mean of a regression.
        impurity: Gini's, or the variance.
        right: How many places after it its right side comes; its left one is next. 0 of a leaf.
        feature: The column that it asks for.
        threshold: In double precision; the cell is compared in single.
        missing_left: Whether a missing cell goes left.
    """

    rows: int
    value: tuple[float, ...]
    impurity: float
    right: int = 0
    feature: int = -2
    threshold: float = -2.0
    missing_left: bool = False


def grown(
    estimator: dict[str, Any], nodes: Sequence[Node], parameters: Parameters, *, columns: int
) -> dict[str, Any]:
    """An estimator of a tree that another library has grown, as a fit of `decision_tree` leaves it.

    Args:
        estimator: What it tells of its target, see `estimators.described`.
        nodes: The root, all on its left, then all on its right; so in each of the two.
        parameters: Of the entry.
        columns: How many the matrix has.
    """
    import numpy as np
    from sklearn.tree._tree import NODE_DTYPE, Tree

    classes = estimator["present"]
    model = made(_CART.classifier if classes else _CART.regressor, parameters)
    model.n_features_in_, model.n_outputs_, model.max_features_ = columns, 1, columns
    if classes:
        model.classes_ = np.array(classes, dtype=np.float64)
        model.n_classes_ = np.int64(len(classes))
    table = np.zeros(len(nodes), NODE_DTYPE)
    depth = [0] * len(nodes)
    for place, node in enumerate(nodes):
        left, right = (place + 1, place + node.right) if node.right else (-1, -1)
        if node.right:
            depth[left] = depth[right] = depth[place] + 1
        said = {
            "left_child": left,
            "right_child": right,
            "feature": node.feature,
            "threshold": node.threshold,
            "impurity": node.impurity,
            "n_node_samples": node.rows,
            "weighted_n_node_samples": node.rows,
            "missing_go_to_left": node.missing_left,
        }
        for name, value in said.items():
            table[place][name] = value
    state = {
        "max_depth": max(depth),
        "node_count": len(nodes),
        "nodes": table,
        "values": np.array([node.value for node in nodes])[:, None, :],
    }
    model.tree_ = Tree(columns, np.array([len(classes) or 1], dtype=np.intp), 1)
    model.tree_.__setstate__(state)
    if classes:
        _draw(model.tree_)
    return {**estimator, "model": model}


@dataclass(frozen=True)
class _Forest:
    """Fits a forest; `max_features: auto` is the square root for classes, all for a regression.

    With `time_limit`, in seconds, it is grown until then, and need not come again.
    """

    fit: Scikit

    def __call__(
        self,
        train: Samples,
        parameters: Parameters,
        *,
        seed: int,
        validation: Samples | None,
        metric: Metric,
        before: Mapping[str, Any] | None = None,
    ) -> Fitted:
        """As `Scikit`; with a time limit, some trees at a time; with `before`, beside its trees.

        A forest that was grown on is equal to one that was grown at once.
        """
        if before is not None and "model" in before:
            model = before["model"]
            model.set_params(n_estimators=parameters["n_estimators"], warm_start=True)
            model.fit(train.X, train.y, **weighted(train))
            return Fitted(before)
        given: dict[str, Any] = {**parameters}
        if given.get("max_features") == "auto":
            given["max_features"] = 1.0 if train.task is Task.REGRESSION else "sqrt"
        limit = given.pop("time_limit", None)
        wanted = given["n_estimators"]
        if limit and wanted > _TREES:
            given |= {"n_estimators": _TREES, "warm_start": True}
        began = time.monotonic()
        fitted = self.fit(train, given, seed=seed, validation=validation, metric=metric)
        model = fitted.estimator.get("model")
        while limit and model is not None and model.n_estimators < wanted:
            each = (time.monotonic() - began) / model.n_estimators
            if time.monotonic() - began + each * _TREES > limit:
                break
            model.n_estimators = min(model.n_estimators + _TREES, wanted)
            model.fit(train.X, train.y, **weighted(train))
        return fitted


_CART = Scikit("sklearn.tree.DecisionTreeClassifier", "sklearn.tree.DecisionTreeRegressor")
_ALL = frozenset(Task)
_FOREST = {
    "n_estimators": 200,
    "max_depth": None,
    "max_features": "auto",
    "min_samples_leaf": 3,
}
_FOREST_OPTIONAL: Parameters = {"min_samples_split": 2, "ccp_alpha": 0.0}
_FOREST_SPACE: dict[str, Dimension] = {
    "max_features": choice("auto", "sqrt", 0.3, 0.6, 1.0),
    "min_samples_leaf": log_int(1, 20),
    "max_depth": choice(None, 6, 10, 16, 24),
}
# `r...` as in `boosting`; the first of the random forest is Breiman's own.
_RANDOM_PORTFOLIO: tuple[Parameters, ...] = (
    {"max_features": "auto", "min_samples_leaf": 1},
    {"max_features": 1.0, "min_samples_leaf": 1},  # r16
    {"max_features": 1.0, "min_samples_leaf": 5},  # r127
)
_EXTRA_PORTFOLIO: tuple[Parameters, ...] = (
    {"max_features": 1.0, "min_samples_leaf": 4},  # r172
    {"max_features": "sqrt", "min_samples_leaf": 1},  # r49
    {"max_features": 1.0, "min_samples_leaf": 1},  # r197
)
_TREES_GROWN = Resource("trees", "n_estimators")
_CODES = Needs(categories="codes")
_FLAT = "outside of the data it saw, a prediction stays at the nearest leaf's: no extrapolation"
_BUDGET = Budget(rows=5_000_000, columns=5_000, cells=500_000_000)

DECISION_TREE = Algorithm(
    name="decision_tree",
    title="Decision tree (CART), regression tree",
    tasks=_ALL,
    needs=_CODES,
    fit=_fit_tree,
    predict=predict_scikit,
    save_as="skops",
    defaults={"max_depth": 6, "min_samples_split": 20, "min_samples_leaf": 5, "ccp_alpha": 0.0},
    space={
        "max_depth": integer(2, 20),
        "min_samples_split": log_int(2, 100),
        "min_samples_leaf": log_int(1, 50),
        "ccp_alpha": choice(0.0, 1e-4, 1e-3, 1e-2),
    },
    family=Family.TREES,
    when_not="accuracy counts more than reading the tree: take a forest or boosting",
    caveats=(_FLAT, "small changes of the data change the tree"),
    budget=_BUDGET,
    instead=("lightgbm",),
    exports=("onnx", "pmml"),
    engines=("spark",),
    licence="BSD-3-Clause",
    aliases=("cart", "regression_tree"),
    source="Breiman et al. 1984, Classification and Regression Trees",
)

RANDOM_FOREST = Algorithm(
    name="random_forest",
    title="Random forest",
    tasks=_ALL,
    needs=_CODES,
    fit=_Forest(
        Scikit(
            "sklearn.ensemble.RandomForestClassifier",
            "sklearn.ensemble.RandomForestRegressor",
            {"n_jobs": 1},
        )
    ),
    predict=predict_scikit,
    save_as="skops",
    defaults=_FOREST,
    optional=_FOREST_OPTIONAL,
    space=_FOREST_SPACE,
    resource=_TREES_GROWN,
    portfolio=_RANDOM_PORTFOLIO,
    family=Family.TREES,
    when_not="the model must be small or the target lies beyond the data: take boosting or a line",
    caveats=(_FLAT, "files grow with rows times trees"),
    budget=_BUDGET,
    instead=("lightgbm",),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    source="Breiman 2001, Random Forests",
)

EXTRA_TREES = Algorithm(
    name="extra_trees",
    title="Extremely randomized trees",
    tasks=_ALL,
    needs=_CODES,
    fit=_Forest(
        Scikit(
            "sklearn.ensemble.ExtraTreesClassifier",
            "sklearn.ensemble.ExtraTreesRegressor",
            {"n_jobs": 1},
        )
    ),
    predict=predict_scikit,
    save_as="skops",
    defaults=_FOREST,
    optional=_FOREST_OPTIONAL,
    space=_FOREST_SPACE,
    resource=_TREES_GROWN,
    portfolio=_EXTRA_PORTFOLIO,
    family=Family.TREES,
    when_not="few of many columns matter: a random forest finds them better",
    caveats=(_FLAT, "files grow with rows times trees"),
    budget=_BUDGET,
    instead=("lightgbm",),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    source="Geurts et al. 2006, Extremely Randomized Trees",
)

"""Trees as one operator of ONNX, in doubles: a row takes the way it takes in the library."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.export.graph import TREES, Graph, Value
from headrace.models.export.trees import (
    Tree,
    Trees,
    of_forest,
    of_histograms,
    of_lightgbm,
    of_xgboost,
    plain,
)

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

_SUM = 1


def forest(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """A tree of scikit-learn, or the mean of several."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    return g.completed(estimator, _linked(g, X, of_forest(estimator)))


def histograms(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Trees of scikit-learn's histogram gradient boosting."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    return g.completed(estimator, _linked(g, X, of_histograms(estimator)))


def lightgbm(g: Graph, estimator: Any, X: Value) -> Value:  # noqa: ANN401  # lightgbm.Booster
    """LightGBM's trees."""
    return _boosted(g, X, of_lightgbm(estimator))


def xgboost(g: Graph, estimator: Any, X: Value) -> Value:  # noqa: ANN401  # xgboost.Booster
    """XGBoost's trees."""
    return _boosted(g, X, of_xgboost(estimator))


def _boosted(g: Graph, X: Value, given: Trees) -> Value:
    """Rows by classes, or of true, or of a value one number per row."""
    found = _linked(g, X, given)
    if given.link != "softmax":
        return g.flat(found)
    return g.column(found, 1) if len(given.start) == 1 else found


def _linked(g: Graph, X: Value, given: Trees) -> Value:
    X = g.singles(X) if given.singles else X
    sums = total(g, X, given.trees, start=given.start)
    if given.link == "softmax":
        return g.softmax(sums, len(given.start))
    return g.op("Exp", sums) if given.link == "exp" else sums


def adaboost(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Votes of trees by their weights; of a regression their weighted median."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    model, singles = estimator["model"], g.singles(X)
    trees = [each.tree_ for each in model.estimators_]
    weights = np.asarray(model.estimator_weights_[: len(trees)], dtype=np.float64)
    if estimator["task"] == Task.REGRESSION:
        return g.flat(_median(g, singles, trees, weights))
    classes = len(estimator["present"])
    found = []
    for tree, weight in zip(trees, weights, strict=True):
        said = tree.value[:, 0, :].argmax(axis=1)
        votes = np.where(np.arange(classes) == said[:, None], 1.0, -1 / (classes - 1))
        found.append(plain(tree, weight * votes / weights.sum()))
    shares = total(g, singles, found, start=np.zeros(classes))
    return g.completed(estimator, g.softmax(g.op("Div", shares, float(classes - 1)), classes))


def _median(g: Graph, X: Value, trees: Sequence[Any], weights: Floats) -> Value:
    """The first of the sorted outputs up to which trees of half the weight have come."""
    own = [
        plain(tree, tree.value[:, 0, :] * (np.arange(len(trees)) == place))
        for place, tree in enumerate(trees)
    ]
    said = total(g, X, own, start=np.zeros(len(trees)))
    rank = np.array([len(trees)], dtype=np.int64)
    values, places = g.several("TopK", 2, said, rank, axis=1, largest=0, sorted=1)
    seen = g.op("CumSum", g.op("Gather", weights, places, axis=0), np.array(1, dtype=np.int64))
    half = g.doubles(g.op("GreaterOrEqual", seen, float(np.cumsum(weights)[-1]) / 2))
    return g.op("GatherElements", values, g.op("ArgMax", half, axis=1), axis=1)


def total(g: Graph, X: Value, trees: Sequence[Tree], *, start: Floats) -> Value:
    """`start` plus the outputs of all trees, (rows, outputs).

    Args:
        g: The graph.
        X: Rows by columns, doubles.
        trees: In any number; a leaf of the operator has one output, so there is a copy for each.
        start: What is added, one per output.
    """
    start = np.array(start, dtype=np.float64)
    told: dict[str, list[Any]] = defaultdict(list)
    nodes = leaves = 0
    for tree in trees:
        leaf = tree.feature < 0
        if leaf[0]:  # nothing to ask
            start = start + tree.value[0]
            continue
        inner = ~leaf
        place = np.where(leaf, np.cumsum(leaf), np.cumsum(inner)) - 1
        for output in np.flatnonzero(tree.value[leaf].any(axis=0)):
            told["tree_roots"].append([nodes])
            told["nodes_featureids"].append(tree.feature[inner])
            told["nodes_modes"].append(tree.mode[inner])
            told["nodes_splits"].append(tree.threshold[inner])
            told["nodes_missing_value_tracks_true"].append(tree.missing_true[inner])
            for side, child in (("true", tree.true[inner]), ("false", tree.false[inner])):
                ends = leaf[child]
                told[f"nodes_{side}leafs"].append(ends)
                told[f"nodes_{side}nodeids"].append(place[child] + np.where(ends, leaves, nodes))
            told["membership_values"] += [[*tree.members[i], np.nan] for i in sorted(tree.members)]
            told["leaf_targetids"].append(np.full(leaf.sum(), output))
            told["leaf_weights"].append(tree.value[leaf, output])
            nodes += int(inner.sum())
            leaves += int(leaf.sum())
    if not told:
        return g.each_row(X, start)
    whole = {name: np.concatenate(parts) for name, parts in told.items() if parts}
    return g.op("Add", _ensemble(g, X, whole, outputs=len(start)), start)


def _ensemble(g: Graph, X: Value, told: Mapping[str, Any], *, outputs: int) -> Value:
    """The operator; it takes some of what it is told as tensors, and else whole numbers."""
    from onnx.numpy_helper import from_array

    kinds = dict.fromkeys(("nodes_splits", "leaf_weights", "membership_values"), np.float64)
    tensors = {"nodes_modes": np.uint8, **kinds}
    given = {
        name: from_array(values.astype(tensors[name]), name)
        if name in tensors
        else values.astype(int).tolist()
        for name, values in told.items()
    }
    return g.op(
        "TreeEnsemble",
        X,
        domain=TREES,
        aggregate_function=_SUM,
        n_targets=outputs,
        post_transform=0,
        **given,
    )

"""Trees as one operator of ONNX, in doubles: a row takes the way it takes in the library."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.export.graph import TREES, Graph, Value

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Booleans, Floats, Integers

AT_MOST, LESS, MEMBER = 0, 1, 6  # how a node compares; the operator's own numbers
_CATEGORICAL, _DEFAULT_LEFT, _KINDS_OF_MISSING = 1, 2, 3  # bits of LightGBM's decision type
_OF_ZERO, _OF_NAN = 1, 2  # LightGBM's kinds of missing
_SUM = 1


@dataclass(frozen=True)
class Tree:
    """One tree, one element per node; node 0 is the root.

    Attributes:
        feature: Column that a node looks at; -1 of a leaf.
        threshold: What it compares with.
        mode: How: `AT_MOST`, `LESS` or `MEMBER`.
        true: The node to go to if so.
        false: If not.
        missing_true: Whether NaN goes to `true`.
        value: Nodes by outputs; read of leaves.
        members: Node to the categories that go to `true`.
    """

    feature: Integers
    threshold: Floats
    mode: Integers
    true: Integers
    false: Integers
    missing_true: Booleans
    value: Floats
    members: Mapping[int, Sequence[int]]


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


# ------------------------------------------------------------------------------------ scikit-learn


def _plain(tree: Any, value: Floats) -> Tree:  # noqa: ANN401  # sklearn's Tree
    """A tree of scikit-learn; it compares singles with doubles."""
    left = np.asarray(tree.children_left, dtype=np.int64)
    leaf = left < 0
    return Tree(
        feature=np.where(leaf, -1, tree.feature),
        threshold=np.where(leaf, 0.0, tree.threshold),
        mode=np.full(len(left), AT_MOST),
        true=left,
        false=np.asarray(tree.children_right, dtype=np.int64),
        missing_true=np.asarray(tree.missing_go_to_left, dtype=bool),
        value=value,
        members={},
    )


def forest(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """A tree of scikit-learn, or the mean of several."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    model = estimator["model"]
    trees = [each.tree_ for each in getattr(model, "estimators_", [model])]
    outputs = max(1, len(estimator["present"]))
    found = [_plain(tree, tree.value[:, 0, :outputs] / len(trees)) for tree in trees]
    return g.completed(estimator, total(g, g.singles(X), found, start=np.zeros(outputs)))


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
        found.append(_plain(tree, weight * votes / weights.sum()))
    shares = total(g, singles, found, start=np.zeros(classes))
    return g.completed(estimator, g.softmax(g.op("Div", shares, float(classes - 1)), classes))


def _median(g: Graph, X: Value, trees: Sequence[Any], weights: Floats) -> Value:
    """The first of the sorted outputs up to which trees of half the weight have come."""
    own = [
        _plain(tree, tree.value[:, 0, :] * (np.arange(len(trees)) == place))
        for place, tree in enumerate(trees)
    ]
    said = total(g, X, own, start=np.zeros(len(trees)))
    rank = np.array([len(trees)], dtype=np.int64)
    values, places = g.several("TopK", 2, said, rank, axis=1, largest=0, sorted=1)
    seen = g.op("CumSum", g.op("Gather", weights, places, axis=0), np.array(1, dtype=np.int64))
    half = g.doubles(g.op("GreaterOrEqual", seen, float(np.cumsum(weights)[-1]) / 2))
    return g.op("GatherElements", values, g.op("ArgMax", half, axis=1), axis=1)


def histograms(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Trees of scikit-learn's histogram gradient boosting."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    outputs = len(estimator["start"])
    found = []
    for trees in estimator["rounds"]:
        for output, nodes in enumerate(trees):
            leaf = nodes["is_leaf"].astype(bool)
            value = nodes["value"][:, None] * (np.arange(outputs) == output)
            found.append(
                Tree(
                    feature=np.where(leaf, -1, nodes["feature_idx"]),
                    threshold=np.where(leaf, 0.0, nodes["num_threshold"]),
                    mode=np.full(len(nodes), AT_MOST),
                    true=nodes["left"].astype(np.int64),
                    false=nodes["right"].astype(np.int64),
                    missing_true=nodes["missing_go_to_left"].astype(bool),
                    value=value,
                    members={},
                )
            )
    margins = total(g, X, found, start=estimator["start"])
    if estimator["task"] == Task.REGRESSION:
        return g.completed(estimator, margins)
    return g.completed(estimator, g.softmax(margins, outputs))


# ---------------------------------------------------------------------------------------- LightGBM


def lightgbm(g: Graph, estimator: Any, X: Value) -> Value:  # noqa: ANN401  # lightgbm.Booster
    """The sum of LightGBM's trees under the link of its objective.

    Raises:
        UsageError: Its leaves are lines, or its objective has a link that is not written.
    """
    head, *blocks = re.split(r"\nTree=\d+\n", estimator.model_to_string())
    told = dict(re.findall(r"^(\w+)=(.*)$", head, re.MULTILINE))
    objective = told["objective"]
    outputs = int(told["num_tree_per_iteration"])
    found = []
    for number, block in enumerate(blocks):
        tree = dict(re.findall(r"^(\w+)=(.*)$", block.partition("\n\n")[0], re.MULTILINE))
        if tree.get("is_linear") == "1" or objective.endswith("sqrt"):
            what = "a square root of the target" if objective.endswith("sqrt") else "linear leaves"
            message = f"LightGBM with {what} is not written as ONNX"
            raise UsageError(message, hint="fit it without `linear_tree` and `reg_sqrt`")
        found.append(_of_lightgbm(tree, np.arange(outputs) == number % outputs))
    margins = total(g, X, found, start=np.zeros(outputs))
    if objective.startswith("binary"):
        return g.column(g.softmax(margins, 1), 1)
    if outputs > 1:
        return g.softmax(margins, outputs)
    link = objective in {"poisson", "gamma", "tweedie"}
    return g.flat(g.op("Exp", margins) if link else margins)


def _of_lightgbm(tree: Mapping[str, str], outputs: Booleans) -> Tree:
    """Inner nodes first, then leaves; a child below 0 is a leaf."""

    def numbers(name: str, kind: type = np.float64) -> Any:  # noqa: ANN401  # an array
        return np.array(tree.get(name, "").split(), dtype=np.float64).astype(kind)

    value = numbers("leaf_value")
    inner, leaves = len(value) - 1, len(value)
    decision, threshold = numbers("decision_type", int), numbers("threshold")
    categorical = (decision & _CATEGORICAL) > 0
    missing = (decision >> 2) & _KINDS_OF_MISSING
    if (missing[~categorical] == _OF_ZERO).any():
        message = "LightGBM with zeros as missing is not written as ONNX"
        raise UsageError(message, hint="fit it without `zero_as_missing`")
    left_if_nan = np.where(missing == _OF_NAN, (decision & _DEFAULT_LEFT) > 0, threshold >= 0)
    bounds, words = numbers("cat_boundaries", int), numbers("cat_threshold", int)
    members = {}
    for node in np.flatnonzero(categorical):
        first = int(threshold[node])
        bits = words[bounds[first] : bounds[first + 1]]
        members[int(node)] = [
            32 * place + bit
            for place, word in enumerate(bits)
            for bit in range(32)
            if word >> bit & 1
        ]
    true, false = (
        np.where(child < 0, inner + ~child, child)
        for child in (numbers("left_child", int), numbers("right_child", int))
    )
    return Tree(
        feature=np.concatenate([numbers("split_feature", int), np.full(leaves, -1)]),
        threshold=np.concatenate([np.where(categorical, 0.0, threshold), np.zeros(leaves)]),
        mode=np.concatenate([np.where(categorical, MEMBER, AT_MOST), np.zeros(leaves, int)]),
        true=np.concatenate([true, np.zeros(leaves, int)]),
        false=np.concatenate([false, np.zeros(leaves, int)]),
        missing_true=np.concatenate([left_if_nan & ~categorical, np.zeros(leaves, bool)]),
        value=np.concatenate([np.zeros(inner), value])[:, None] * outputs,
        members=members,
    )


# ----------------------------------------------------------------------------------------- XGBoost


def xgboost(g: Graph, estimator: Any, X: Value) -> Value:  # noqa: ANN401  # xgboost.Booster
    """The sum of XGBoost's trees, of cells in single precision, under the link of its objective.

    Raises:
        UsageError: It is a booster or an objective that is not written.
    """
    told = json.loads(estimator.save_raw("json"))["learner"]
    kind, objective = told["gradient_booster"]["name"], told["objective"]["name"]
    if kind != "gbtree" or objective not in _XGBOOST_LINKS:
        message = f"XGBoost's {kind} with {objective} is not written as ONNX"
        raise UsageError(message, hint=f"there are gbtree with {', '.join(_XGBOOST_LINKS)}")
    outputs = max(1, int(told["learner_model_param"]["num_class"]))
    base = np.atleast_1d(json.loads(told["learner_model_param"]["base_score"])).astype(np.float64)
    start = np.log(base / (1 - base)) if objective == "binary:logistic" else base
    model = told["gradient_booster"]["model"]
    found = [
        _of_xgboost(tree, np.arange(outputs) == output)
        for tree, output in zip(model["trees"], model["tree_info"], strict=True)
    ]
    margins = total(g, g.singles(X), found, start=np.broadcast_to(start, outputs))
    if objective == "binary:logistic":
        return g.column(g.softmax(margins, 1), 1)
    return g.softmax(margins, outputs) if outputs > 1 else g.flat(margins)


_XGBOOST_LINKS = ("binary:logistic", "multi:softprob", "reg:squarederror")


def _of_xgboost(tree: Mapping[str, Any], outputs: Booleans) -> Tree:
    """Below the threshold goes left; of categories, those that are listed go right."""
    left, right = (np.array(tree[f"{side}_children"], dtype=np.int64) for side in ("left", "right"))
    leaf = left < 0
    listed = {
        int(node): tree["categories"][start : start + size]
        for node, start, size in zip(
            tree["categories_nodes"],
            tree["categories_segments"],
            tree["categories_sizes"],
            strict=True,
        )
    }
    held = np.isin(np.arange(len(left)), list(listed))
    values = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    to_left = np.array(tree["default_left"]).astype(bool)
    return Tree(
        feature=np.where(leaf, -1, np.array(tree["split_indices"])),
        threshold=np.where(leaf | held, 0.0, values),
        mode=np.where(held, MEMBER, LESS),
        true=np.where(held, right, left),
        false=np.where(held, left, right),
        missing_true=np.where(held, ~to_left, to_left),
        value=np.where(leaf, values, 0.0)[:, None] * outputs,
        members=listed,
    )

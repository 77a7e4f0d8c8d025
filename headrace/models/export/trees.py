"""The trees of each library as one kind of arrays: what they ask, and what they add up to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Booleans, Floats, Integers

AT_MOST, LESS, MEMBER = 0, 1, 6  # how a node compares; the operator's own numbers
_CATEGORICAL, _DEFAULT_LEFT, _KINDS_OF_MISSING = 1, 2, 3  # bits of LightGBM's decision type
_OF_ZERO, _OF_NAN = 1, 2  # LightGBM's kinds of missing


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


@dataclass(frozen=True)
class Trees:
    """Trees whose outputs are added up.

    Attributes:
        trees: Any number of them.
        start: What is added, one per output.
        link: What becomes of the sums: `identity`, `exp`, or `softmax`, by which one output is the
            margin of the second of two classes. `shares` are probabilities already.
        singles: Whether cells are rounded to single precision first.
    """

    trees: Sequence[Tree]
    start: Floats
    link: Literal["identity", "exp", "softmax", "shares"]
    singles: bool = False


# ------------------------------------------------------------------------------------ scikit-learn


def plain(tree: Any, value: Floats) -> Tree:  # noqa: ANN401  # sklearn's Tree
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


def of_forest(estimator: Mapping[str, Any]) -> Trees:
    """A tree of scikit-learn, or the mean of several, of the classes that training had."""
    model = estimator["model"]
    trees = [each.tree_ for each in getattr(model, "estimators_", [model])]
    outputs = max(1, len(estimator["present"]))
    found = [plain(tree, tree.value[:, 0, :outputs] / len(trees)) for tree in trees]
    link: Literal["identity", "shares"] = "identity"
    if estimator["task"] != Task.REGRESSION:
        link = "shares"
    return Trees(found, np.zeros(outputs), link, singles=True)


def of_histograms(estimator: Mapping[str, Any]) -> Trees:
    """Trees of scikit-learn's histogram gradient boosting, of the classes that training had."""
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
    link: Literal["identity", "softmax"] = "softmax"
    if estimator["task"] == Task.REGRESSION:
        link = "identity"
    return Trees(found, np.asarray(estimator["start"], dtype=np.float64), link)


# ---------------------------------------------------------------------------------------- LightGBM


def of_lightgbm(estimator: Any) -> Trees:  # noqa: ANN401  # lightgbm.Booster
    """LightGBM's trees under the link of its objective.

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
            message = f"LightGBM with {what} is not exported"
            raise UsageError(message, hint="fit it without `linear_tree` and `reg_sqrt`")
        found.append(_lightgbm_tree(tree, np.arange(outputs) == number % outputs))
    link: Literal["identity", "exp", "softmax"] = "identity"
    if objective.startswith("binary") or outputs > 1:
        link = "softmax"
    elif objective in {"poisson", "gamma", "tweedie"}:
        link = "exp"
    return Trees(found, np.zeros(outputs), link)


def _lightgbm_tree(tree: Mapping[str, str], outputs: Booleans) -> Tree:
    """Inner nodes first, then leaves; a child below 0 is a leaf."""

    def numbers(name: str, kind: type = np.float64) -> Any:  # noqa: ANN401  # an array
        return np.array(tree.get(name, "").split(), dtype=np.float64).astype(kind)

    value = numbers("leaf_value")
    inner, leaves = len(value) - 1, len(value)
    decision, threshold = numbers("decision_type", int), numbers("threshold")
    categorical = (decision & _CATEGORICAL) > 0
    missing = (decision >> 2) & _KINDS_OF_MISSING
    if (missing[~categorical] == _OF_ZERO).any():
        message = "LightGBM with zeros as missing is not exported"
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


def of_xgboost(estimator: Any) -> Trees:  # noqa: ANN401  # xgboost.Booster
    """XGBoost's trees, of cells in single precision, under the link of its objective.

    Raises:
        UsageError: It is a booster or an objective that is not written.
    """
    told = json.loads(estimator.save_raw("json"))["learner"]
    kind, objective = told["gradient_booster"]["name"], told["objective"]["name"]
    if kind != "gbtree" or objective not in _XGBOOST_LINKS:
        message = f"XGBoost's {kind} with {objective} is not exported"
        raise UsageError(message, hint=f"there are gbtree with {', '.join(_XGBOOST_LINKS)}")
    outputs = max(1, int(told["learner_model_param"]["num_class"]))
    base = np.atleast_1d(json.loads(told["learner_model_param"]["base_score"])).astype(np.float64)
    start = np.log(base / (1 - base)) if objective == "binary:logistic" else base
    model = told["gradient_booster"]["model"]
    found = [
        _xgboost_tree(tree, np.arange(outputs) == output)
        for tree, output in zip(model["trees"], model["tree_info"], strict=True)
    ]
    link = _XGBOOST_LINKS[objective]
    return Trees(found, np.array(np.broadcast_to(start, outputs)), link, singles=True)


_XGBOOST_LINKS: dict[str, Literal["identity", "softmax"]] = {
    "binary:logistic": "softmax",
    "multi:softprob": "softmax",
    "reg:squarederror": "identity",
}


def _xgboost_tree(tree: Mapping[str, Any], outputs: Booleans) -> Tree:
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

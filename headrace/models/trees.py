"""Whether a text is a LightGBM model of sound trees, told before LightGBM's own parser reads it.

That parser trusts its input: a child or a size that is not right makes it read and write outside
of its arrays, and ends the process at best.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import numpy as np

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers

_MOST_LEAVES = 131_072  # of a tree; LightGBM's own limit
_MOST_FEATURES = 1_000_000
_MOST_CLASSES = 1_000
_OBJECTIVES = {"binary sigmoid:1", "regression"}
_HEADER = re.compile(r"tree\n((?:[a-z_]+=.*\n)+)\n+", re.ASCII)
_LINES = re.compile(r"(?:[a-z_]+=[^\n]*\n)*\n*", re.ASCII)
_AFTER = re.compile(
    r"end of trees\n\nfeature_importances:\n(?:[^\n=]+=\d+\n)*"
    r"\nparameters:\n(?:\[\w+: [^\n\]]*\]\n)*\nend of parameters\n"
    r"(?:\npandas_categorical:null\n?)?\s*",
    re.ASCII,
)
_INTEGERS = re.compile(r"-?[0-9]{1,10}(?: -?[0-9]{1,10})*")
_NUMBERS = re.compile(r"[-+.0-9a-z]{1,40}(?: [-+.0-9a-z]{1,40})*")
_CATEGORICAL = 1  # bit of a decision type
_DECISIONS = 16


def check_trees(text: str) -> None:
    """Refuses a text that LightGBM did not write.

    Raises:
        ValueError: It is no model, or one of its trees is not sound.
    """
    header = _HEADER.match(text)
    if header is None or not text.isascii():
        _refuse("it does not begin as a LightGBM model")
    told = _pairs(header[1])
    features = _whole(told, "max_feature_idx", most=_MOST_FEATURES) + 1
    classes = _whole(told, "num_class", least=1, most=_MOST_CLASSES)
    per_round = _whole(told, "num_tree_per_iteration", least=classes, most=classes)
    objectives = {f"multiclass num_class:{classes}"} if classes > 1 else _OBJECTIVES
    if told.get("objective") not in objectives:
        _refuse("its objective is none of ours")
    if len(_integers(told, "tree_sizes")) % per_round:
        _refuse("its last round is not whole")
    at = len(header[0])
    for number, size in enumerate(_integers(told, "tree_sizes").tolist()):
        block = text[at : at + size] if size > 0 else ""
        if not block.startswith(f"Tree={number}\n"):
            _refuse(f"tree {number} is not where its size says")
        if not _LINES.fullmatch(block, len(f"Tree={number}\n")):
            _refuse(f"tree {number} holds more than its lines")
        _check_tree(_pairs(block), number, features=features)
        at += size
    if not _AFTER.fullmatch(text, at):
        _refuse("what follows its trees is not what LightGBM writes")


def _check_tree(tree: Mapping[str, str], number: int, *, features: int) -> None:
    leaves = _whole(tree, "num_leaves", least=1, most=_MOST_LEAVES)
    categories = _whole(tree, "num_cat", most=leaves)
    _whole(tree, "is_linear", most=0)
    inner = leaves - 1
    lengths = {
        "leaf_value": leaves,
        **{name: leaves for name in ("leaf_weight", "leaf_count") if tree.get(name)},
        **dict.fromkeys(("split_gain", "threshold"), inner),
        **{f"internal_{name}": inner for name in ("value", "weight", "count")},
    }
    numbers = {name: _numbers(tree, name) for name in lengths}
    split, decision = _integers(tree, "split_feature"), _integers(tree, "decision_type")
    left, right = _integers(tree, "left_child"), _integers(tree, "right_child")
    sound = (
        all(len(numbers[name]) == length for name, length in lengths.items())
        and all(len(values) == inner for values in (split, decision, left, right))
        and _within(split, features)
        and _within(decision, _DECISIONS)
        and _is_tree(left, right, leaves)
    )
    if sound and categories:
        bounds, chosen = _integers(tree, "cat_boundaries"), _integers(tree, "cat_threshold")
        sound = (
            len(bounds) == categories + 1
            and bounds[0] == 0
            and bool((np.diff(bounds) > 0).all())
            and bounds[-1] == len(chosen)
            and _within(chosen, 2**32)
        )
    which = numbers["threshold"][(decision & _CATEGORICAL) > 0] if sound else np.empty(0)
    if not sound or not _within(which, categories):
        _refuse(f"tree {number} is not sound")


def _is_tree(left: Integers, right: Integers, leaves: int) -> bool:
    """Whether each node but the first, and each leaf, is the child of one node before it."""
    places = np.arange(leaves - 1)
    children = np.sort(np.concatenate([left, right]))
    whole = [child for child in range(-leaves, leaves - 1) if child != 0] if leaves > 1 else []
    later = all(((side < 0) | (side > places)).all() for side in (left, right))
    return later and children.tolist() == whole


def _within(values: Integers | Floats, most: int) -> bool:
    return bool(((values >= 0) & (values < most)).all())


def _pairs(lines: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines.split("\n"):
        name, _, value = line.partition("=")
        if name in found:
            _refuse(f"{name} stands twice")
        if name:
            found[name] = value
    return found


def _whole(told: Mapping[str, str], name: str, *, least: int = 0, most: int) -> int:
    value = told.get(name, "")
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not least <= int(value) <= most:
        _refuse(f"{name} is {value[:20]!r}")
    return int(value)


def _integers(told: Mapping[str, str], name: str) -> Integers:
    return np.array(_words(told, name, _INTEGERS), dtype=np.int64)


def _numbers(told: Mapping[str, str], name: str) -> Floats:
    return np.array(_words(told, name, _NUMBERS), dtype=np.float64)


def _words(told: Mapping[str, str], name: str, form: re.Pattern[str]) -> list[str]:
    # Python reads more as a number than C does, such as 1_000.
    value = told.get(name, "")
    if value and not form.fullmatch(value):
        _refuse(f"{name} is {value[:20]!r}")
    return value.split()


def _refuse(why: str) -> NoReturn:
    message = f"not a LightGBM model: {why}"
    raise ValueError(message)

"""Whether a file holds sound trees, told before the library that wrote them reads or walks them.

Those libraries trust their input: a child or a size that is not right makes them read and write
outside of their arrays, and ends the process at best.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Booleans, Floats, Integers

_MOST_LEAVES = 131_072  # of a tree; LightGBM's own limit
_MOST_FEATURES = 1_000_000
_TOGETHER = 2_000  # trees that are looked at in one go
_MOST_CLASSES = 10_000
_OBJECTIVE = re.compile(
    r"binary sigmoid:1|multiclass num_class:\d{1,5}"
    r"|regression(_l1)?( sqrt)?|huber|fair|poisson|gamma|mape"
    r"|quantile|tweedie",
    re.ASCII,
)
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
_PER_NODE = (  # of an XGBoost tree
    "base_weights",
    "default_left",
    "left_children",
    "loss_changes",
    "parents",
    "right_children",
    "split_conditions",
    "split_indices",
    "split_type",
    "sum_hessian",
)
_OF_LEAVES = ("leaf_features", "leaf_coeff")  # of a linear tree of LightGBM
_CATEGORIES = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
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
    _whole(told, "num_tree_per_iteration", least=classes, most=classes)
    objective = told.get("objective", "")
    many = objective.partition(" num_class:")[2]
    if not _OBJECTIVE.fullmatch(objective) or int(many or 1) != classes:
        _refuse("its objective is none of ours")
    sizes = _integers(told, "tree_sizes").tolist()
    if len(sizes) % classes:
        _refuse("its last round is not whole")
    at, trees = len(header[0]), list[dict[str, str]]()
    for number, size in enumerate(sizes):
        block = text[at : at + size] if size > 0 else ""
        if not block.startswith(f"Tree={number}\n"):
            _refuse(f"tree {number} is not where its size says")
        if not _LINES.fullmatch(block, len(f"Tree={number}\n")):
            _refuse(f"tree {number} holds more than its lines")
        trees.append(_pairs(block))
        at += size
        if len(trees) == _TOGETHER or number == len(sizes) - 1:
            _Several(trees, first=number + 1 - len(trees), features=features).check()
            trees = []
    if not _AFTER.fullmatch(text, at):
        _refuse("what follows its trees is not what LightGBM writes")


class _Several:
    """Trees of one text that are looked at together: there may be hundreds of thousands.

    Args:
        trees: Name of a line to its value, of each tree.
        first: Number of the first.
        features: How many the model has.
    """

    def __init__(self, trees: Sequence[Mapping[str, str]], *, first: int, features: int) -> None:
        self._trees, self._first, self._features = trees, first, features
        whole = [
            (
                _whole(tree, "num_leaves", least=1, most=_MOST_LEAVES),
                _whole(tree, "num_cat", most=_MOST_LEAVES),
                _whole(tree, "is_linear", most=1),
            )
            for tree in trees
        ]
        self._leaves, self._categories, self._linear = np.array(whole, dtype=np.int64).T
        self._inner = self._leaves - 1
        self._sound = self._categories <= self._leaves

    def check(self) -> None:
        """Refuses those that are not sound.

        Raises:
            ValueError: The message names the first.
        """
        for name in ("leaf_value", "leaf_weight", "leaf_count"):
            held = [bool(tree.get(name)) for tree in self._trees]
            optional = np.array(held) | (name == "leaf_value")
            self._flat(name, _NUMBERS, np.where(optional, self._leaves, 0))
        for name in ("split_gain", *(f"internal_{each}" for each in ("value", "weight", "count"))):
            self._flat(name, _NUMBERS, self._inner)
        threshold = self._flat("threshold", _NUMBERS, self._inner)
        split, decision, left, right = (
            self._flat(name, _INTEGERS, self._inner)
            for name in ("split_feature", "decision_type", "left_child", "right_child")
        )
        self._demand_all()  # from here on arrays have the lengths that they are given
        of = np.repeat(np.arange(len(self._trees)), self._inner)
        self._demand(of, (split >= 0) & (split < self._features))
        self._demand(of, (decision >= 0) & (decision < _DECISIONS))
        self._children(of, left, right)
        chosen = (decision & _CATEGORICAL) > 0
        known = (threshold >= 0) & (threshold < self._categories[of])
        self._demand(of, ~chosen | known)
        for place in np.flatnonzero((self._categories > 0) | (self._linear > 0)):
            self._sound[place] &= self._is_whole(int(place))
        self._demand_all()

    def _demand(self, of: Integers, sound: Booleans) -> None:
        self._sound[of[~sound]] = False

    def _demand_all(self) -> None:
        if not self._sound.all():
            _refuse(f"tree {self._first + int(np.argmin(self._sound))} is not sound")

    def _flat(self, name: str, form: re.Pattern[str], lengths: Integers) -> Any:  # noqa: ANN401  # an array
        """The numbers of one line of all trees; a tree that has not so many is not sound."""
        texts = [tree.get(name, "") for tree in self._trees]
        found = np.array([text.count(" ") + 1 if text else 0 for text in texts])
        self._sound &= found == lengths
        joined = " ".join(filter(None, texts))
        if joined and not form.fullmatch(joined):
            _refuse(f"{name} is {_first_wrong(texts, form)!r}")
        try:
            return _parsed(joined, pa.int64() if form is _INTEGERS else pa.float64())
        except pa.ArrowInvalid as error:
            _refuse(f"{name}: {error}")

    def _children(self, of: Integers, left: Integers, right: Integers) -> None:
        """Each node but the first, and each leaf, is the child of one node before it."""
        starts, leaf_starts = (np.cumsum(n) - n for n in (self._inner, self._leaves))
        place = np.arange(len(of)) - starts[of]
        seen, seen_leaves = (
            np.zeros(len(of), dtype=np.int64),
            np.zeros(self._leaves.sum(), np.int64),
        )
        for side in (left, right):
            is_leaf = side < 0
            right_one = np.where(is_leaf, ~side < self._leaves[of], side < self._inner[of])
            self._demand(of, right_one & (is_leaf | (side > place)))
            good = right_one & ~is_leaf
            np.add.at(seen, starts[of[good]] + side[good], 1)
            good = right_one & is_leaf
            np.add.at(seen_leaves, leaf_starts[of[good]] + ~side[good], 1)
        self._demand(of, seen == (place > 0))
        of_leaves = np.repeat(np.arange(len(self._trees)), self._leaves)
        self._demand(of_leaves, seen_leaves == (self._leaves > 1)[of_leaves])

    def _is_whole(self, place: int) -> bool:
        """Whether sets of categories, and lines in leaves, are as long as they say."""
        tree, sound = self._trees[place], True
        if self._categories[place]:
            bounds, chosen = _integers(tree, "cat_boundaries"), _integers(tree, "cat_threshold")
            sound = (
                len(bounds) == self._categories[place] + 1
                and bounds[0] == 0
                and bool((np.diff(bounds) > 0).all())
                and bounds[-1] == len(chosen)
                and _within(chosen, 2**32)
            )
        if sound and self._linear[place]:
            # A leaf without features leaves spaces, which the parser takes as one.
            tight = {n: re.sub(" +", " ", tree.get(n, "")).strip(" ") for n in _OF_LEAVES}
            tree = {**tree, **tight}
            many, used = _integers(tree, "num_features"), _integers(tree, "leaf_features")
            sound = (
                len(_numbers(tree, "leaf_const")) == len(many) == self._leaves[place]
                and _within(many, self._features + 1)
                and len(used) == many.sum() == len(_numbers(tree, "leaf_coeff"))
                and _within(used, self._features)
            )
        return bool(sound)


def _parsed(joined: str, kind: pa.DataType) -> Any:  # noqa: ANN401  # an array
    """Numbers between blanks; LightGBM ends its process where a text is none.

    Raises:
        ValueError: A text is no number.
    """
    words = pc.list_flatten(
        pc.split_pattern(pa.array([joined] if joined else [], pa.string()), " ")
    )
    return words.cast(kind).to_numpy(zero_copy_only=False)


def _first_wrong(texts: Sequence[str], form: re.Pattern[str]) -> str:
    return next((each[:20] for each in texts if each and not form.fullmatch(each)), "")


def _within(values: Integers | Floats, most: int) -> bool:
    return bool(((values >= 0) & (values < most)).all())


def check_booster(model: Any) -> None:  # noqa: ANN401  # a JSON value
    """Refuses what XGBoost did not write.

    Args:
        model: The content of its JSON file.

    Raises:
        ValueError: A tree is not sound.
        KeyError, TypeError: It is no model.
    """
    learner = model["learner"]
    told = learner["learner_model_param"]
    features = _whole(told, "num_feature", least=1, most=_MOST_FEATURES)
    groups = max(1, _whole(told, "num_class", most=_MOST_CLASSES))
    _whole(told, "num_target", least=1, most=1)
    booster = learner["gradient_booster"]
    inner = booster["model"]
    trees = inner["trees"]
    rounds = np.array(inner["iteration_indptr"], dtype=np.int64)
    sound = (
        booster["name"] == "gbtree"
        and _whole(inner["gbtree_model_param"], "num_trees", most=10**7) == len(trees)
        and len(inner["tree_info"]) == len(trees)
        and _within(np.array(inner["tree_info"], dtype=np.int64), groups)
        and not inner["cats"]["enc"]
        and (rounds[:1] == 0).all()
        and rounds[-1] == len(trees)
        and bool((np.diff(rounds) >= 0).all())
    )
    if not sound:
        _refuse("its trees are not those it tells of", of="an XGBoost")
    for number, tree in enumerate(trees):
        if not _is_sound(tree, number, features=features):
            _refuse(f"tree {number} is not sound", of="an XGBoost")


def _is_sound(tree: Mapping[str, Any], number: int, *, features: int) -> bool:
    told = tree["tree_param"]
    nodes = _whole(told, "num_nodes", least=1, most=2 * _MOST_LEAVES)
    if any(len(tree[name]) != nodes for name in _PER_NODE) or tree["id"] != number:
        return False
    whole = {name: np.array(tree[name]) for name in (*_PER_NODE, *_CATEGORIES)}
    if any(values.ndim != 1 or values.dtype.kind not in "if" for values in whole.values()):
        return False
    left, right, split = (
        whole[name] for name in ("left_children", "right_children", "split_indices")
    )
    at, sizes, nodes_of = (whole[f"categories_{name}"] for name in ("segments", "sizes", "nodes"))
    ends = np.cumsum(sizes)
    return (
        _whole(told, "size_leaf_vector", most=1) <= 1
        and _whole(told, "num_deleted", most=0) == 0
        and _are_children(left, right, nodes)
        and _within(split, features)
        and _within(whole["split_type"], 2)
        and len(at) == len(sizes) == len(nodes_of)
        and bool((sizes > 0).all() and (at == ends - sizes).all())
        and len(tree["categories"]) == (ends[-1] if len(ends) else 0)
        and _within(whole["categories"], 2**24)
        and np.flatnonzero(whole["split_type"]).tolist() == nodes_of.tolist()
    )


def _are_children(left: Any, right: Any, nodes: int) -> bool:  # noqa: ANN401  # arrays
    """Whether inner nodes have two children behind them, and each node but the first is one."""
    inner = left >= 0
    places = np.arange(nodes)[inner]
    children = np.sort(np.concatenate([left[inner], right[inner]]))
    return (
        bool((left[~inner] == -1).all() and (right[~inner] == -1).all())
        and bool((left[inner] > places).all() and (right[inner] > places).all())
        and children.tolist() == list(range(1, nodes))
    )


def check_tree(tree: Any, *, features: int) -> None:  # noqa: ANN401  # sklearn's Tree
    """Refuses a tree of scikit-learn that would be walked out of its nodes or columns.

    Args:
        tree: Just loaded, not used yet.
        features: Columns of the matrix that its estimator takes.

    Raises:
        ValueError: It is not sound.
    """
    sound = tree.node_count == tree.capacity > 0
    if sound:
        left, right, inner = tree.children_left, tree.children_right, tree.children_left >= 0
        sound = _are_children(left, right, tree.node_count)
        sound = sound and _within(tree.feature[inner], features)
    if not sound:
        _refuse("its nodes are not sound", of="a scikit-learn tree")


def check_nodes(nodes: Any, *, features: int) -> None:  # noqa: ANN401  # an array of records
    """Refuses nodes of scikit-learn's gradient boosting that would be walked out of.

    Args:
        nodes: An array of records, a tree.
        features: Columns of the matrix that it takes.

    Raises:
        ValueError: They are not sound.
    """
    leaf = nodes["is_leaf"] == 1
    left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    sound = (
        nodes.ndim == 1
        and len(nodes) > 0
        and _are_children(left, right, len(nodes))
        and _within(nodes["feature_idx"][~leaf], features)
        and not nodes["is_categorical"].any()
    )
    if not sound:
        _refuse("its nodes are not sound", of="a scikit-learn tree")


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


def _refuse(why: str, *, of: str = "a LightGBM") -> NoReturn:
    message = f"not {of} model: {why}"
    raise ValueError(message)

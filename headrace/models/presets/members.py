"""Which members a preset has for a table, in the order in which they are fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal, get_args

from headrace.models.algorithms.algorithm import Task
from headrace.models.presets.bag import Member

Preset = Literal["quick", "good", "best"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

_SMALL = 20_000  # rows; up to here order and folds are those of small tables
_FOLDS, _FEWER_FOLDS = 8, 5  # the latter of larger tables, of less time, and of other presets
_SHORT_S = 240.0  # of all cores together; below, of more than `_TINY` rows, fewer folds
_TINY = 1_000
_FEWEST_FOLDS, _SHORTEST_S = 3, 20.0  # of any table, in so little time
_SKEWED = 1.0  # a positive target beyond is learned as its logarithm, too
_PATIENCE = 100  # rounds
_CLASS_ROWS, _FASTEST = 60_000, 4.0  # rows times classes; times the learning rate
_CLASSES = 10  # with more, even few rows make files of many trees
_LEAVES = 31  # LightGBM's own default
_FOREST_BYTES = 6e8
_NEIGHBORS_WIDTH = 60  # columns; beyond, neighbours are slow to find and far away
_KERNEL_ROWS, _KERNEL_WORK = 6_000, 4e9  # the latter: rows squared times columns
_WIDE, _LEAST_SHARE = 300, 0.2  # columns of which boosting sees so many a tree, or such a share
_SHARE_OF_COLUMNS = {
    "lightgbm": "feature_fraction",
    "xgboost": "colsample_bytree",
    "catboost": "rsm",
}
_PROCESS_ROWS, _PROCESS_WIDTH = 2_000, 150


@dataclass(frozen=True)
class Profile:
    """What the choice of members looks at.

    Attributes:
        task: The kind of target.
        rows: Rows to learn from.
        columns: Columns, categories counted once.
        width: Columns with each category counted.
        classes: How many; 0 in a regression.
        skew: Of a target that is positive throughout; 0 for any other.
    """

    task: Task
    rows: int
    columns: int
    width: int
    classes: int
    skew: float


def folds(preset: Preset, rows: int, *, seconds: float) -> int:
    """Into how many folds the rows are dealt, if there are so many.

    Args:
        preset: `best` takes most.
        rows: How many there are.
        seconds: Of all cores together.
    """
    if seconds < _SHORTEST_S:
        return _FEWEST_FOLDS
    few = rows > _SMALL or (seconds < _SHORT_S and rows > _TINY)
    return _FEWER_FOLDS if few or preset != "best" else _FOLDS


def _boosted(**given: Any) -> dict[str, Any]:  # noqa: ANN401  # LightGBM's parameters
    return {
        "n_estimators": 5000,
        "early_stopping_rounds": _PATIENCE,
        "time_limit": None,
        "reg_lambda": 1.0,
        **given,
    }


def _adapted(member: Member, profile: Profile) -> Member:
    """A member as the size of the table asks."""
    return _hastened(_narrowed(member, profile), profile)


def _narrowed(member: Member, profile: Profile) -> Member:
    """Boosting on a share of the columns a tree, where they are many: its time grows with them."""
    name = _SHARE_OF_COLUMNS.get(member.algorithm)
    share = max(_WIDE / max(profile.columns, 1), _LEAST_SHARE)
    if name is None or share >= 1:
        return member
    before = float(str(member.parameters.get(name, 1.0)))
    return replace(member, parameters={**member.parameters, name: round(before * share, 4)})


def _hastened(member: Member, profile: Profile) -> Member:
    """Boosting in fewer, larger steps where each is a tree per class, of many rows or classes.

    Else the time ends it long before validation would, or its files are of hundreds of megabytes.
    """
    if profile.classes <= 2 or "early_stopping_rounds" not in member.parameters:  # noqa: PLR2004
        return member
    work = max(profile.rows * profile.classes / _CLASS_ROWS, profile.classes / _CLASSES)
    faster = min(max(work, 1.0), _FASTEST)
    given = dict(member.parameters)
    given["learning_rate"] = round(float(str(given["learning_rate"])) * faster, 4)
    given["early_stopping_rounds"] = round(_PATIENCE / faster)
    given["n_estimators"] = round(int(str(given["n_estimators"])) / faster**2)
    if "num_leaves" in given:
        given["num_leaves"] = min(int(str(given["num_leaves"])), max(_LEAVES, round(128 / faster)))
    return replace(member, parameters=given)


_ROW_SAMPLES = {"bagging_fraction": 0.8, "bagging_freq": 1}

_LINEAR = Member("linear", "spline_linear", {"C": None, "time_limit": None})
_QUAD = Member("quad", "quadratic", {"C": None, "time_limit": None})
_LGB = Member("lgb", "lightgbm", _boosted(learning_rate=0.05, num_leaves=31), repeats=True)
_LGB_LARGE = Member(
    "lgb_large",
    "lightgbm",
    _boosted(learning_rate=0.03, num_leaves=128, feature_fraction=0.9, min_child_samples=3),
    repeats=True,
)
_LGB_SMALL = Member(
    "lgb_small",
    "lightgbm",
    _boosted(
        learning_rate=0.03,
        num_leaves=6,
        feature_fraction=0.5,
        min_child_samples=10,
        **_ROW_SAMPLES,
    ),
    repeats=True,
)
_LGB_XT = Member(
    "lgb_xt",
    "lightgbm",
    _boosted(learning_rate=0.03, num_leaves=21, feature_fraction=0.8, extra_trees=True),
    repeats=True,
)
_LGB_LIN = Member(
    "lgb_lin",
    "lightgbm",
    _boosted(learning_rate=0.05, num_leaves=31, linear_tree=True, linear_lambda=1.0),
    repeats=True,
    clip=True,
)
_MLP = Member("mlp", "realmlp", {"time_limit": None, "learning_rate": None}, repeats=True)
_MLP_SOFT = Member(
    "mlp_soft",
    "realmlp",
    {"time_limit": None, "learning_rate": 0.01, "dropout": 0.3, "activation": "mish"},
    repeats=True,
)
_XGB = Member(
    "xgb",
    "xgboost",
    {
        "n_estimators": 5000,
        "early_stopping_rounds": _PATIENCE,
        "time_limit": None,
        "learning_rate": 0.08,
        "max_depth": 6,
        "colsample_bytree": 1.0,
        "colsample_bylevel": 0.9,
        "subsample": 0.65,
        "reg_lambda": 1.0,
    },
    repeats=True,
)
_CAT = Member(
    "cat",
    "catboost",
    {
        "n_estimators": 3000,
        "early_stopping_rounds": _PATIENCE,
        "time_limit": None,
        "learning_rate": 0.05,
    },
    repeats=True,
)
_CAT_LARGE = Member(
    "cat",
    "catboost",
    {**_CAT.parameters, "learning_rate": 0.08, "max_depth": 7, "one_hot_max_size": 15},
    repeats=True,
)
_KNN = tuple(
    Member(f"knn{k}", "k_nearest_neighbors", {"n_neighbors": k, "weights": "distance"}, refit=True)
    for k in (5, 30)
)
_SVM = tuple(Member(f"svm{C}", "svm", {"C": float(C)}) for C in (1, 10))
_SVR = Member("svr", "svr", {"C": 10.0})
_GP = Member("gp", "gaussian_process_ard", {"time_limit": None})


def _forest(profile: Profile) -> Member:
    """As many trees as fit into memory: a node holds a share of each class, a leaf about a row."""
    leaf = max(1, profile.rows // 20_000)
    tree_bytes = 1.5 * profile.rows / leaf * (64 + 8 * max(profile.classes, 1))
    trees = min(300, max(50, int(_FOREST_BYTES / tree_bytes)))
    given = {"n_estimators": trees, "min_samples_leaf": leaf, "time_limit": None}
    return Member("et", "extra_trees", given, refit=True)


def members(preset: Preset, profile: Profile) -> tuple[Member, ...]:
    """The preset's members for such a table.

    CatBoost is a member where it is installed.
    """
    catboost = find_spec("catboost") is not None
    if preset == "quick":
        return (_adapted(_LGB, profile), _LINEAR)
    if preset == "good":
        boosted = (_adapted(each, profile) for each in (_LGB, _LGB_LARGE))
        return (next(boosted), _LINEAR, _MLP, *boosted, _forest(profile))
    found = _small(profile) if profile.rows <= _SMALL else _large(profile)
    return tuple(
        _adapted(member, profile) for member in found if catboost or member.algorithm != "catboost"
    )


def _small(profile: Profile) -> Iterator[Member]:
    """Up to 20,000 rows: first what is strong for its time."""
    regression = profile.task is Task.REGRESSION
    rows, width = profile.rows, profile.width
    yield _LGB
    yield _LINEAR
    yield _XGB
    yield _CAT
    yield _MLP
    yield _forest(profile)
    yield _QUAD
    yield _LGB_LARGE
    if regression:
        yield _LGB_LIN
    if rows <= _KERNEL_ROWS and rows**2 * width <= _KERNEL_WORK:
        yield from (_SVR,) if regression else _SVM
    if regression and rows <= _PROCESS_ROWS and width <= _PROCESS_WIDTH:
        yield _GP
    yield _LGB_SMALL
    yield _LGB_XT
    if width <= _NEIGHBORS_WIDTH:
        yield from _KNN
    if not regression:
        yield _MLP_SOFT
    if profile.skew > _SKEWED:
        yield from _of_logarithm()


def _large(profile: Profile) -> Iterator[Member]:
    """More rows: first what is strong alone."""
    regression = profile.task is Task.REGRESSION
    if regression:
        yield _LGB_LIN
    yield _XGB
    yield _LGB_LARGE
    yield _CAT_LARGE
    if profile.skew > _SKEWED:
        yield from _of_logarithm()
    yield _MLP
    yield _forest(profile)
    if profile.width <= _NEIGHBORS_WIDTH:
        yield _KNN[0]
    yield _LGB
    yield _LINEAR


def _of_logarithm() -> Iterator[Member]:
    """Members that learn a skewed positive target's logarithm."""
    for member in (_LGB_LARGE, _MLP):
        yield replace(member, name=f"{member.name}_log", log=True)

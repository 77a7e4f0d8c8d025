"""Which members a preset has for a table, in the order in which they are fitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from headrace.models.algorithms.algorithm import Task
from headrace.models.bag import Member

Preset = Literal["quick", "good", "best"]
PRESETS: tuple[Preset, ...] = get_args(Preset)

_SMALL = 20_000  # rows; up to here order and folds are those of small tables
_FOLDS = {"quick": (5, 5), "good": (5, 5), "best": (8, 5)}  # small, large
_SKEWED = 1.0  # a positive target beyond is learned as its logarithm, too
_PATIENCE = 100  # rounds


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


def folds(preset: Preset, rows: int) -> int:
    """Into how many folds the rows are dealt, if there are so many."""
    return _FOLDS[preset][rows > _SMALL]


def _boosted(**given: Any) -> dict[str, Any]:  # noqa: ANN401  # LightGBM's parameters
    return {
        "n_estimators": 5000,
        "early_stopping_rounds": _PATIENCE,
        "time_limit": None,
        "reg_lambda": 1.0,
        **given,
    }


_ROW_SAMPLES = {"bagging_fraction": 0.8, "bagging_freq": 1}

_LINEAR = Member("linear", "spline_linear", {"C": None, "time_limit": None})
_QUAD = Member("quad", "quadratic", {"C": None, "time_limit": None})
_LGB = Member(
    "lgb", "lightgbm", _boosted(learning_rate=0.05, num_leaves=31), repeats=True
)
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
)
_MLP = Member("mlp", "realmlp", {"time_limit": None, "learning_rate": None}, repeats=True)
_MLP_SOFT = Member(
    "mlp_soft",
    "realmlp",
    {"time_limit": None, "learning_rate": 0.01, "dropout": 0.3, "activation": "mish"},
    repeats=True,
)
_ET = Member("et", "extra_trees", {"n_estimators": 300, "time_limit": None}, refit=True)


def _large_forest(member: Member, rows: int) -> Member:
    """Leaves grow with the rows, or the forest would fill the memory."""
    leaf = max(1, rows // 20_000)
    return Member(
        member.name, member.algorithm, {**member.parameters, "min_samples_leaf": leaf}, refit=True
    )


def members(preset: Preset, profile: Profile) -> tuple[Member, ...]:
    """The preset's members for such a table."""
    if preset == "quick":
        return (_LINEAR, _LGB)
    if preset == "good":
        return (_LINEAR, _LGB, _MLP, _LGB_LARGE, _ET)
    return tuple(_best(profile))


def _best(profile: Profile) -> Iterator[Member]:
    """Small tables first get what is cheap; large ones what is strong alone."""
    regression = profile.task is Task.REGRESSION
    forest = _large_forest(_ET, profile.rows)
    if profile.rows <= _SMALL:
        yield _LINEAR
        yield _QUAD
        yield _LGB
        yield _MLP
        yield _LGB_LARGE
        yield forest
        if regression:
            yield _LGB_LIN
        yield _LGB_SMALL
        yield _LGB_XT
        if not regression:
            yield _MLP_SOFT
        if profile.skew > _SKEWED:
            yield from _of_logarithm()
        return
    yield _LGB
    yield _LGB_LARGE
    if regression:
        yield _LGB_LIN
    if profile.skew > _SKEWED:
        yield from _of_logarithm()
    yield _MLP
    yield forest
    yield _LINEAR
    yield _LGB_XT


def _of_logarithm() -> Iterator[Member]:
    for member in (_LGB_LARGE, _MLP):
        yield Member(
            f"{member.name}_log", member.algorithm, member.parameters, log=True, repeats=True
        )

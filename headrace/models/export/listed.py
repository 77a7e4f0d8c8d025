"""Models that are lists of rules, or can be: what each rule asks, and what it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import UsageError
from headrace.models.algorithms import CATALOGUE
from headrace.models.algorithms.rules.conditions import Condition, values
from headrace.models.encoding import Column, Kind

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats
    from headrace.models.model import Model

LISTED = tuple(entry.name for entry in CATALOGUE if "sql" in entry.exports)
_MOST_RULES = 5_000  # of a look-up


def listed(model: Model) -> tuple[Mapping[str, Any], Floats]:
    """The rules in the order in which they are asked, and what each predicts.

    Returns:
        A mapping with `rules` and `otherwise`, as `decision_list` has it; the predictions of each
        rule, and at last of the rows that meet none, calibration included.

    Raises:
        UsageError: It is no list of rules, or a look-up of too many groups.
    """
    name = model.recipe.algorithm
    if name not in LISTED:
        message = f"{name} has no rules to write"
        raise UsageError(message, hint=f"{', '.join(LISTED)} have; `--to onnx` writes others")
    if name == "best_lookup":
        rules, found = _of_lookup(model)
    else:
        rules, found = model.estimator, values(model.estimator)
    return rules, found if model.calibration is None else model.calibration(found)


def _of_lookup(model: Model) -> tuple[Mapping[str, Any], Floats]:
    """A rule for each group that differs from the prior."""
    told, columns = model.estimator, model.encoding.columns
    prior = np.array(told["prior"], dtype=np.float64)
    means = np.array(told["means"], dtype=np.float64)
    differs = np.abs(means - prior).reshape(len(means), -1).max(axis=1) > 0
    if differs.sum() > _MOST_RULES:
        message = f"a look-up of {int(differs.sum()):,} groups is a table, and no list of rules"
        raise UsageError(message, hint="`--to onnx` writes it")
    asked = [
        [_equal(place, columns[place], value) for value in held]
        for place, held in zip(told["columns"], told["values"], strict=True)
    ]
    groups = (list(when) for when, kept in zip(product(*asked), differs, strict=True) if kept)
    rules = [{"when": when} for when in groups]
    whole = {"task": str(model.classes.task), "rules": rules, "otherwise": {"when": []}}
    return whole, np.concatenate([means[differs], prior[None]])


def _equal(place: int, column: Column, value: float | None) -> Condition:
    """Whether a cell is a value; None is missing."""
    if column.kind is Kind.CATEGORY:
        return [place, "in", [None if value is None else int(value)]]
    if value is None:
        return [place, "missing", None]
    return [place, "within", [float(np.nextafter(value, -np.inf)), value, False, False]]

"""Lists of rules as one SQL CASE, or in words; what calibration and costs make of them included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.rules import as_sql, described_rules
from headrace.models.decision import THRESHOLD, ClassRule
from headrace.models.export.listed import listed

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats
    from headrace.models.model import Model


def to_sql(model: Model) -> bytes:
    """One expression of Spark SQL that gives the `score` of a row, or the `prediction` of a value.

    It reads the features under their own names. A comment before it says from which score on the
    prediction is true.

    Raises:
        UsageError: The algorithm has no rules, or the target has several classes.
    """
    rules, predicted = _ruled(model)
    case = as_sql(rules, model.encoding, predicted=predicted)
    return f"{_told(model, '-- ')}\n{case}\n".encode()


def to_rules(model: Model) -> bytes:
    """The rules in the order in which they are asked, a line each: prediction, support, lift.

    Raises:
        UsageError: The algorithm has no rules.
    """
    rules, predicted = _ruled(model)
    lines = described_rules(rules, model.encoding, predicted=predicted)
    return "\n".join([_told(model, "# "), *lines, ""]).encode()


def _ruled(model: Model) -> tuple[Mapping[str, Any], Floats]:
    """The rules, and what each gives: a score, or what is decided of a value."""
    rules, found = listed(model)
    decided: Floats = model.decide(found) if model.classes.task is Task.REGRESSION else found
    return rules, decided


def _told(model: Model, mark: str) -> str:
    recipe = model.recipe
    lines = [f"{recipe.algorithm} {model.digest} of {recipe.pipeline}: {recipe.target}"]
    if model.classes.task is Task.BINARY:
        given = model.rule.threshold if isinstance(model.rule, ClassRule) else None
        lines.append(f"true from {THRESHOLD if given is None else given!r} on")
    return "\n".join(f"{mark}{line}" for line in lines)

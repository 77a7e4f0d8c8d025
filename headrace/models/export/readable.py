"""Lists of rules as one SQL CASE, or in words; what calibration and costs make of them included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.rules import as_sql, described_rules
from headrace.models.algorithms.rules.conditions import values
from headrace.models.decision import THRESHOLD, ClassRule

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
    predicted = _predicted(model)
    case = as_sql(model.estimator, model.encoding, predicted=predicted)
    return f"{_told(model, '-- ')}\n{case}\n".encode()


def to_rules(model: Model) -> bytes:
    """The rules in the order in which they are asked, a line each: prediction, support, lift.

    Raises:
        UsageError: The algorithm has no rules.
    """
    lines = described_rules(model.estimator, model.encoding, predicted=_predicted(model))
    return "\n".join([_told(model, "# "), *lines, ""]).encode()


def _predicted(model: Model) -> Floats:
    if "sql" not in model.algorithm.exports:
        message = f"{model.recipe.algorithm} has no rules to write"
        raise UsageError(message, hint="decision_list and chaid have; `--to onnx` writes others")
    found = values(model.estimator)
    if model.calibration is not None:
        found = model.calibration(found)
    decided: Floats = model.decide(found) if model.classes.task is Task.REGRESSION else found
    return decided


def _told(model: Model, mark: str) -> str:
    recipe = model.recipe
    lines = [f"{recipe.algorithm} {model.digest} of {recipe.pipeline}: {recipe.target}"]
    if model.classes.task is Task.BINARY:
        given = model.rule.threshold if isinstance(model.rule, ClassRule) else None
        lines.append(f"true from {THRESHOLD if given is None else given!r} on")
    return "\n".join(f"{mark}{line}" for line in lines)

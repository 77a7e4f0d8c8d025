"""What a shipped model is like: why it predicts so, where it fails, whether to trust it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from headrace.errors import HeadraceError
from headrace.evaluation.inspection.attribution import attribution
from headrace.evaluation.inspection.contributions import Contributions, contributions
from headrace.evaluation.inspection.dependence import dependence
from headrace.evaluation.inspection.fits import Again, refusal
from headrace.evaluation.inspection.importance import importances
from headrace.evaluation.inspection.learning import learning_curve
from headrace.evaluation.inspection.overfit import overfit
from headrace.evaluation.inspection.ranges import (
    beyond,
    masked,
    ranges,
    target_beyond,
    warnings,
)
from headrace.evaluation.inspection.slices import slices
from headrace.evaluation.inspection.subject import Rows, Subject
from headrace.models.algorithms.algorithm import Task

_MOST_CUT = 30  # features that slices are cut by, those that count most

__all__ = ["Again", "Contributions", "Rows", "Subject", "contributions", "inspect"]


def inspect(subject: Subject, again: Again | None, *, by: Sequence[str] = ()) -> dict[str, Any]:
    """Looks at a model from all sides.

    Nothing is decided by it: rows of validation tell why the model predicts as it does, and
    whether more rows would help; rows of the test part, which the gate has used, where it fails.

    Args:
        subject: The model.
        again: What it was fitted from; None where its matrix is not at hand.
        by: Features to cut slices by; those that count most if none are named.

    Returns:
        JSON values: `importance`, `dependence`, `attribution`, `slices`, `learning_curve`,
        `overfit`, `ranges`; and under `not_told` what could not be looked at, and why.
    """
    not_told: list[dict[str, str]] = []

    def tried(part: str, look: Callable[[], Any]) -> Any:  # noqa: ANN401  # of each its own
        try:
            return look()
        except (HeadraceError, ValueError, ArithmeticError, MemoryError) as error:
            why = error.message if isinstance(error, HeadraceError) else str(error)
            not_told.append({"part": part, "why": why or type(error).__name__})
            return None

    told: dict[str, Any] = {}
    counted = tried("importance", lambda: importances(subject))
    first = []
    if counted is not None:
        told["importance"] = counted.to_json()
        single = [each for each in counted.found if len(each.features) == 1]
        first = [each.features[0] for each in single if each.loss.value > 0]
        by = by or [each.features[0] for each in single][:_MOST_CUT]
    curves = tried("dependence", lambda: dependence(subject, first))
    told["dependence"] = [each.to_json() for each in curves or []]
    for part, look in (
        ("attribution", lambda: attribution(subject).to_json()),
        ("slices", lambda: slices(subject, by).to_json()),
        ("ranges", lambda: _ranges(subject)),
        ("fits", lambda: _fits(subject, again)),
    ):
        found = tried(part, look)
        told |= found or {} if part == "fits" else {part: found}
    return {**told, "not_told": [*told.pop("not_drawn", []), *not_told]}


def _ranges(subject: Subject) -> dict[str, Any]:
    """Rows of the test part against the ranges of training."""
    algorithm = subject.model.recipe.algorithm
    seen = ranges(subject.train.table, subject.features)
    found = masked(beyond(subject.test.table, seen), subject.hidden)
    lines = list(warnings(found, algorithm=algorithm))
    if subject.task is Task.REGRESSION:
        of_target = target_beyond(subject.test.y, train=subject.train.y, algorithm=algorithm)
        lines += [of_target] if of_target else []
    return {"found": [each.to_json() for each in found], "warnings": lines}


def _fits(subject: Subject, again: Again | None) -> dict[str, Any]:
    """What takes further fits: each is bounded by what is left of the budget."""
    why = refusal(subject) or ("" if again else "its matrix was not at hand")
    began = time.perf_counter()
    curve, seconds = None, 0.0
    if again is not None and not why:
        curve, why_no_curve, seconds = learning_curve(subject, again)
    else:
        why_no_curve = why
    checked = overfit(
        subject,
        None if why else again,
        why_not=why,
        seconds=seconds,
        spent=time.perf_counter() - began,
    )
    return {
        "learning_curve": curve.to_json() if curve else None,
        "overfit": checked.to_json(),
        "not_drawn": [{"part": "learning_curve", "why": why_no_curve}] if curve is None else [],
    }

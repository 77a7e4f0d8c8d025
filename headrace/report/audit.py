"""What the leakage audit before training found: of the training shown, or of the one it stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace.errors import HeadraceError
from headrace.evaluation import history
from headrace.lake import Lake
from headrace.report.records import Records
from headrace.spec.model import Pipeline


@dataclass(frozen=True)
class Found:
    """One finding, in the words of the page."""

    leak: str
    columns: str
    sentence: str
    advice: str
    allowed: str | None
    evidence: list[tuple[str, object]]


@dataclass(frozen=True)
class Audit:
    """The audit of a training.

    Attributes:
        findings: What was found.
        not_judged: (kind, why) of what it could not tell.
        unused: Allowances that match nothing, in a sentence each.
        stopped: Whether it stopped the training.
        problem: Why its rows cannot be read, if they cannot.
    """

    findings: list[Found] = field(default_factory=list)
    not_judged: list[tuple[str, str]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    stopped: bool = False
    problem: str = ""


def audit(pipeline: Pipeline, lake: Lake, records: Records) -> Audit | None:
    """The audit that this run made, else the one of the training it shows; None where none was."""
    if any((one.stage, one.error) == ("train", "LeakFound") for one in records.failures):
        try:
            told = history.audited(lake, pipeline.name, run=records.run)
        except HeadraceError as error:
            return Audit(stopped=True, problem=error.message)
        return Audit([_found(one) for one in told], stopped=True)
    trained = records.find("train", pipeline.name)
    detail = (trained.detail if trained else {}).get("audit")
    if not isinstance(detail, dict):
        return None
    return Audit(
        [_found(one) for one in detail.get("findings") or []],
        [(str(one.get("leak")), str(one.get("why"))) for one in detail.get("not_judged") or []],
        [str(one) for one in detail.get("unused") or []],
    )


def _found(told: Mapping[str, Any]) -> Found:
    allowed = told.get("allowed")
    return Found(
        leak=str(told.get("leak")),
        columns=", ".join(map(str, told.get("columns") or ())) or "rows as a whole",
        sentence=str(told.get("sentence")),
        advice=str(told.get("advice")),
        allowed=None if allowed is None else str(allowed),
        evidence=list((told.get("evidence") or {}).items()),
    )

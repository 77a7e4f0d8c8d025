"""The one Stage record, from which plan, run and backfill derive, and what a stage leaves."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal, Self

StageName = Literal["ingest", "check", "features", "train", "score", "report"]
STAGES: tuple[StageName, ...] = ("ingest", "check", "features", "train", "score", "report")


class Outcome(StrEnum):
    """What is known of a unit of work."""

    MISSING = "missing"  # never done: a run does it
    ALREADY_DONE = "already_done"  # done for this content: a run leaves it
    STALE = "stale"  # done for another content: only `backfill --stale` does it again
    WAITING = "waiting"  # its inputs are themselves missing
    DONE = "done"  # done by the run at hand


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One unit of work of one stage.

    Attributes:
        name: One of `STAGES`.
        subject: The source, or the pipeline, it works on.
        unit: The batch, interval or training moment.
        fingerprint: Of the content it reads and of its part of the spec; 32 hex digits.
        outcome: What is known of it.
        why: The reason of the outcome, for people.
    """

    name: str
    subject: str
    unit: str
    fingerprint: str
    outcome: Outcome
    why: str


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What one call of a stage did; written to `runs/<run>/<name>-<subject>.json`.

    Attributes:
        name: One of `STAGES`.
        subject: The source, or the pipeline.
        units: The batches, intervals or moments it did, in order.
        outcome: DONE, or ALREADY_DONE where there was nothing to do.
        rows: Named row counts, such as read, silver, quarantine, duplicates.
        seconds: Wall time.
        processor_seconds: Of this process and all it started, such as the JVM and Ray's workers; a
            part of them where stages were at work side by side. None where it was not measured: by
            an older version, or since the work was done on a cluster.
        tables: Table -> version it left.
        notes: Lines for people: files set aside, warnings, decisions.
        detail: What only this stage tells, JSON values only.
    """

    name: str
    subject: str
    units: tuple[str, ...]
    outcome: Outcome
    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    processor_seconds: float | None = None
    tables: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The record that `to_json` wrote."""
        fixed = {
            "units": tuple(value["units"]),
            "notes": tuple(value["notes"]),
            "outcome": Outcome(value["outcome"]),
        }
        return cls(**{**value, **fixed})

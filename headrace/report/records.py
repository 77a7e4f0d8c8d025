"""The stage records that tell of a run: its own, and earlier ones where it had nothing to do."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headrace import runs
from headrace.errors import UsageError
from headrace.lake import Lake
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, StageResult

REPORTED = ("ingest", "check", "features", "fit", "train", "score")
_OF_SOURCES = ("ingest", "check")
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True)
class Record:
    """What a stage did, and which run did it.

    Attributes:
        result: The stage's own record.
        run: The run that did the work.
        written: When the record was written, UTC.
        outcome: What the reported run found: DONE, ALREADY_DONE, or MISSING where it has no record.
    """

    result: StageResult
    run: str
    written: datetime
    outcome: Outcome


@dataclass(frozen=True)
class Records:
    """All that is recorded of a run.

    Attributes:
        run: The run.
        of: (stage, subject) -> the record that tells its work, in order of stages.
        own: The records of this run itself, units in order; a stage may have several.
        missing: (stage, subject) of which no run has a record.
        elsewhere: (stage, subject) of which only an earlier run has a record.
        started: When the first stage of the run began, UTC; None where it has no record.
        ended: When its last record was written.
        unreadable: Files of the run that are not records, with the reason.
        failures: Calls of stages that failed in this run.
    """

    run: str
    of: dict[tuple[str, str], Record]
    own: tuple[StageResult, ...]
    missing: tuple[tuple[str, str], ...]
    elsewhere: tuple[tuple[str, str], ...]
    started: datetime | None
    ended: datetime | None
    unreadable: tuple[str, ...]
    failures: tuple[runs.Failure, ...] = ()

    def find(self, stage: str, subject: str) -> StageResult | None:
        """The record of a stage, if there is one."""
        record = self.of.get((stage, subject))
        return record.result if record else None


def read_records(pipeline: Pipeline, lake: Lake, *, run: str) -> Records:
    """Reads what the run recorded.

    What it found already done, or never reached, is told by the newest earlier run that did it.

    Raises:
        UsageError: There is no such run.
    """
    folder = _folder(lake, run)
    own: dict[tuple[str, str], list[tuple[float, StageResult]]] = {}
    unreadable: list[str] = []
    for path in runs.results(folder):
        try:
            result = _read(path)
        except _UNREADABLE as error:
            unreadable.append(f"{path.name}: {type(error).__name__}: {error}")
        else:
            own.setdefault((result.name, result.subject), []).append((_written(path), result))
    every = [dated for found in own.values() for dated in found]
    last = max((at for at, _ in every), default=_written(folder))

    of: dict[tuple[str, str], Record] = {}
    missing, elsewhere = [], []
    for key in _stages(pipeline):
        if key[0] == "fit" and key not in own:
            continue  # a part of a training by Spark: nothing is missing where none was due
        at, mine = max(own.get(key, []), key=lambda dated: dated[1].units, default=(last, None))
        if mine is not None and mine.outcome is Outcome.DONE:
            of[key] = Record(mine, run, _utc(at), Outcome.DONE)
        elif earlier := _earlier(lake, run, *key, before=last):
            result, by, at = earlier
            of[key] = Record(result, by, _utc(at), mine.outcome if mine else Outcome.MISSING)
            if mine is None:
                elsewhere.append(key)
        elif mine is not None:
            of[key] = Record(mine, run, _utc(at), mine.outcome)
        else:
            missing.append(key)
    return Records(
        run=run,
        of=of,
        own=tuple(sorted((result for _, result in every), key=lambda result: result.units)),
        missing=tuple(missing),
        elsewhere=tuple(elsewhere),
        started=_utc(min(at - result.seconds for at, result in every)) if every else None,
        ended=_utc(last) if every else None,
        unreadable=tuple(unreadable),
        failures=tuple(runs.failures(folder)),
    )


def _folder(lake: Lake, run: str) -> Path:
    folders = lake.root / "runs"
    found = folders.iterdir() if folders.is_dir() else ()
    names = sorted(path.name for path in found if path.is_dir())
    if run not in names:
        near = difflib.get_close_matches(run, names) or names[-3:]
        message = f"no run {run!r}"
        raise UsageError(
            message,
            lake=lake.root,
            hint=f"did you mean {', '.join(near)}?" if near else "`headrace run` makes the first",
        )
    return lake.runs(run)


def _stages(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    for stage in REPORTED:
        for subject in pipeline.sources if stage in _OF_SOURCES else (pipeline.name,):
            yield stage, subject


def _earlier(
    lake: Lake, run: str, stage: str, subject: str, *, before: float
) -> tuple[StageResult, str, float] | None:
    """The newest record of another run that did this stage, written no later than `before`."""
    found = (lake.root / "runs").glob(f"*/{stage}-{subject}*.json")
    dated = [(_written(path), path) for path in found if path.parent.name != run]
    for written, path in sorted(dated, reverse=True):
        if written > before:
            continue
        try:
            result = _read(path)
        except _UNREADABLE:
            continue  # a record cut short by a kill tells nothing
        if (result.name, result.subject, result.outcome) == (stage, subject, Outcome.DONE):
            return result, path.parent.name, written
    return None


def _read(path: Path) -> StageResult:
    return StageResult.from_json(json.loads(path.read_text(encoding="utf-8")))


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

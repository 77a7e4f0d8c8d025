"""The list of all runs that have a page, from their records alone; newest first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from headrace import runs
from headrace.lake import Lake
from headrace.report.records import REPORTED
from headrace.stage import Outcome, StageResult

INDEX, MOST_RUNS = "index", 500


@dataclass(frozen=True)
class Listed:
    """One run.

    Attributes:
        run: Its name.
        written: When its page was written, UTC.
        pipeline: Whose; empty where it is not recorded.
        stages: What it did, in order of stages.
        rows: Rows read and rows scored; None where it did neither.
        seconds: Of all its stages together.
        decision: Of the gate, if it trained.
        failures: What failed.
    """

    run: str
    written: datetime
    pipeline: str
    stages: list[str]
    rows: tuple[int | None, int | None]
    seconds: float
    decision: str
    failures: list[str]


def listed_runs(lake: Lake, pages: list[Path]) -> list[Listed]:
    """The runs of these pages, newest first, at most `MOST_RUNS`."""
    newest = sorted(pages, key=lambda page: page.stem, reverse=True)[:MOST_RUNS]
    return [_listed(lake, page) for page in newest]


def _listed(lake: Lake, page: Path) -> Listed:
    folder = lake.runs(page.stem)
    done = [one for one in _results(folder) if one.outcome is Outcome.DONE]
    names = {one.name for one in done}
    trained = [one for one in done if one.name == "train"]
    decision = (trained[-1].detail.get("decision") or {}) if trained else {}
    try:
        pipeline = str((runs.about(folder) or {}).get("pipeline") or "")
    except ValueError:
        pipeline = ""
    return Listed(
        run=page.stem,
        written=datetime.fromtimestamp(page.stat().st_mtime, UTC),
        pipeline=pipeline,
        stages=[stage for stage in REPORTED if stage in names],
        rows=(_sum(done, "ingest", "read"), _sum(done, "score", "scored")),
        seconds=sum(one.seconds for one in done),
        decision=str(decision.get("sentence") or ""),
        failures=[f"{one.stage} of {one.subject}" for one in runs.failures(folder)],
    )


def _results(folder: Path) -> list[StageResult]:
    found = []
    for path in runs.results(folder):
        try:
            found.append(StageResult.from_json(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError, KeyError):
            continue  # the page of the run names it
    return found


def _sum(done: list[StageResult], stage: str, name: str) -> int | None:
    counts = [one.rows.get(name, 0) for one in done if one.name == stage]
    return sum(counts) if counts else None

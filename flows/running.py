"""One run from the command line: what it is to do, how far it is, what came of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table as Grid

from flows import temporary_server
from flows.options import OUT, emit, next_step, settings_of, words_on_stderr
from flows.progress import progress
from headrace import runs
from headrace.settings import Settings
from headrace.stage import STAGES, Outcome, Stage, StageName, StageResult

if TYPE_CHECKING:
    from flows.execution import Request
    from headrace.lake import Lake
    from headrace.spec.model import Pipeline

_DONE_BEFORE = "already done: nothing was run and nothing was written"
_OF_A_RESULT = ("name", "subject", "units", "outcome", "rows", "seconds", "tables", "notes")
_OF_A_DETAIL = ("decision", "model", "held")


@dataclass(frozen=True)
class Ended:
    """What came of a run.

    Attributes:
        run: Its name; None where it found nothing to do.
        outcome: `done`, `already_done` or `already_running`.
        message: The same in a sentence.
        page: Its page, if it wrote one.
        results: What its stages did.
    """

    run: str | None
    outcome: str
    message: str
    page: Path | None = None
    results: tuple[StageResult, ...] = ()

    def to_json(self, pipeline: str, lake: Path) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "pipeline": pipeline,
            "lake": str(lake),
            "run": self.run,
            "outcome": self.outcome,
            "message": self.message,
            "page": self.page.as_posix() if self.page else None,
            "stages": [_told(result) for result in self.results],
        }


def run(
    file: Path,
    lake: Path | None,
    *,
    first: StageName = STAGES[0],
    only: StageName | None = None,
    stale: bool = False,
    days: list[date] | None = None,
    require_promotion: bool = False,
    as_json: bool = False,
) -> None:
    """Runs a pipeline, and prints what came of it for people, or as one JSON document.

    Args:
        file: The pipeline file.
        lake: The lake's folder, if not that of the settings.
        first: The first stage to run.
        only: The one stage to run, if not all.
        stale: Build stale intervals again.
        days: The only intervals to build and score, if not all that lack them.
        require_promotion: A refused promotion is a failure.
        as_json: Nothing but the document on stdout.

    Raises:
        HeadraceError: The first failure.
    """
    from flows.execution import Request
    from flows.promotion import demand_promotion
    from headrace.spec import load

    settings, pipeline = settings_of(lake), load(file)
    wanted = {only} if only else set(STAGES[STAGES.index(first) :])
    with words_on_stderr(as_json):
        stages = planned(pipeline, settings, landing=bool(wanted & {"ingest", "check"}))
        mine = [stage for stage in stages if stage.name in wanted]
        outcomes = {Outcome.MISSING, Outcome.WAITING} | ({Outcome.STALE} if stale else set())
        todo = [stage for stage in mine if stage.outcome in outcomes]
        if not todo and only != "report" and not os.environ.get("PREFECT_API_URL"):
            OUT.print(grid(mine, every=False))
            ended = Ended(None, str(Outcome.ALREADY_DONE), _DONE_BEFORE)
        else:
            name, chosen = runs.new_name(), None if days is None else tuple(days)
            request = Request(pipeline, settings, name, first, only, stale, chosen)
            OUT.print(f"run {name}: {len(todo)} units to do; lake {settings.lake}", soft_wrap=True)
            ended = _begun(file, request, require_promotion=require_promotion)
        _print(ended, file)
        if require_promotion and ended.run is None:
            demand_promotion(pipeline, _lake(settings))
    if as_json:
        emit(ended.to_json(pipeline.name, settings.lake))


def planned(pipeline: Pipeline, settings: Settings, *, landing: bool = True) -> list[Stage]:
    """What a run would do; without `landing`, of what follows bronze alone."""
    from headrace import plan as planning
    from headrace.lake import Lake

    lake = Lake(settings.lake)
    return planning.plan(pipeline, lake, planning.look(pipeline, lake) if landing else {})


def grid(stages: Sequence[Stage], *, every: bool) -> Grid:
    """Units of work as a table; without `every`, those alike in one line."""
    from headrace.lake.fingerprint import DIGEST_LENGTH

    grid = Grid()
    for column in ("stage", "of", "unit", "outcome", "why"):
        grid.add_column(column)
    counted = Counter((s.name, s.subject, s.outcome, s.why) for s in stages)
    shown: set[tuple[str, str, Outcome, str]] = set()
    for stage in stages:
        group = (stage.name, stage.subject, stage.outcome, stage.why)
        if not every and group in shown:
            continue
        shown.add(group)
        units = [s.unit for s in stages if (s.name, s.subject, s.outcome, s.why) == group]
        unit = (
            stage.unit
            if every or counted[group] == 1
            else f"{counted[group]}: {units[0]} to {units[-1]}"
        )
        grid.add_row(
            stage.name,
            stage.subject,
            unit[:12] if len(unit) == DIGEST_LENGTH else unit,
            str(stage.outcome),
            stage.why,
        )
    return grid


def _begun(file: Path, request: Request, *, require_promotion: bool) -> Ended:
    """Calls the flow, or finds that another run is at it."""
    from flows.execution import opened

    # Opened here, so that Spark starts while Prefect does.
    with progress(OUT), opened(request) as (execution, other):
        if other is not None and not require_promotion:
            return Ended(request.run, "already_running", str(other))
        answered = temporary_server.start()
        from prefect import tags

        from flows.pipeline import ALREADY_DONE, ALREADY_RUNNING
        from flows.pipeline import pipeline as flow

        answered()
        with tags("headrace", request.pipeline.name):
            state = flow(
                file=str(file),
                run=request.run,
                lake=str(request.settings.lake),
                first=request.first,
                only=request.only,
                stale=request.stale,
                days=None if request.days is None else list(request.days),
                require_promotion=require_promotion,
                return_state=True,
            )
        told = str(state.result())
    found = {ALREADY_DONE: "already_done", ALREADY_RUNNING: "already_running"}
    outcome = found.get(state.name or "", str(Outcome.DONE))
    page = _lake(request.settings).report(request.run)
    message = told if outcome in found.values() else str(state.message)
    return Ended(
        request.run, outcome, message, page if page.exists() else None, tuple(execution.results)
    )


def _print(ended: Ended, file: Path) -> None:
    told = "done" if ended.outcome == Outcome.DONE else ended.message
    page = f"; the page of this run: {ended.page}" if ended.page else ""
    OUT.print(f"{told}{page}", soft_wrap=True)
    held = sum(result.rows.get("held", 0) for result in ended.results)
    if held or any(result.detail.get("held") for result in ended.results):
        next_step(f"look at what is held, `headrace release {file}`")
    elif ended.page:
        next_step("`headrace report --open` shows the page")
    elif ended.outcome == "already_running":
        next_step(f"`headrace plan {file}` when it has ended")
    else:
        next_step(f"`headrace plan {file}` tells what is left to do")


def _told(result: StageResult) -> dict[str, Any]:
    """The record of a stage, without the figures that only the page shows."""
    record = result.to_json()
    detail = {name: record["detail"][name] for name in _OF_A_DETAIL if name in record["detail"]}
    return {**{name: record[name] for name in _OF_A_RESULT}, **detail}


def _lake(settings: Settings) -> Lake:
    from headrace.lake import Lake

    return Lake(settings.lake)

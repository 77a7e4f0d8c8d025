"""The Prefect flow of a pipeline: order of stages, retries and artifacts; no data work.

Prefect is an at-least-once trigger here. That a unit of work is done once is the lake's business.
"""

# No `from __future__ import annotations` here: Prefect reads the flow's parameters at run time.

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TagsContext
from prefect.futures import PrefectFuture, wait
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import Task

from flows import artifacts, events, mirror, notify
from flows.execution import Execution, Request, opened
from flows.promotion import demand_promotion
from headrace import runs
from headrace.errors import (
    ChecksFailed,
    CommitConflict,
    FeatureError,
    HeadraceError,
    Transient,
    UnreadableInput,
)
from headrace.ongoing import LOG
from headrace.report.summary import outcome
from headrace.settings import Settings, engine_environment
from headrace.spec import load
from headrace.spec.model import ValuesOf
from headrace.stage import STAGES, StageName, StageResult

P = ParamSpec("P")
R = TypeVar("R")

# Names of the states that a run ends well in.
ENDED_WELL = (DONE, ALREADY_DONE, ALREADY_RUNNING) = ("Completed", "AlreadyDone", "AlreadyRunning")
RETRIES = 2
RETRY_DELAY_S = 5


def _is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), Transient)


def _stage(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that is retried for transient errors only, and never taken from a cache."""
    return task(
        name=name,
        task_run_name=name + "-{source}" if name in {"ingest", "check"} else name,
        retries=RETRIES,
        retry_delay_seconds=RETRY_DELAY_S,
        retry_condition_fn=_is_transient,
        cache_policy=NO_CACHE,
        persist_result=False,
    )


@_stage("ingest")
def ingest(execution: Execution, source: str) -> StageResult:
    """Landing files of a source become lines in bronze."""
    return execution.ingest(source)


@_stage("check")
def check(execution: Execution, source: str) -> StageResult:
    """Batches of a source are judged and published to silver, bad rows to quarantine."""
    pipeline = execution.pipeline.name
    try:
        result = execution.check(source)
    except ChecksFailed as error:
        events.unpublished(pipeline, source, error, run=execution.request.run)
        raise
    artifacts.checks(pipeline, result)
    return result


@_stage("features")
def features(execution: Execution) -> StageResult:
    """Silver becomes gold, for the intervals that are missing."""
    return execution.features()


@_stage("train")
def train(execution: Execution) -> list[StageResult]:
    """Models are fitted, judged and, if they win, promoted, for each training that is due."""
    results = execution.train()
    for result in results:
        events.decided(result, run=execution.request.run)
        artifacts.leaderboard(result)
    return results


@_stage("score")
def score(execution: Execution) -> StageResult:
    """Intervals without scores are scored."""
    return execution.score()


@_stage("report")
def report(execution: Execution) -> str:
    """The page of the run."""
    page = execution.report()
    request = execution.request
    artifacts.of_run(
        request.pipeline, execution.lake, run=request.run, page=page, settings=request.settings
    )
    return page.as_posix()


def _name() -> str:
    """The name of the run: as it was given, or when it was due and the end of Prefect's own id.

    So that Prefect, when it tries a run again, goes on in the same folder.
    """
    given: str | None = runtime.flow_run.parameters.get("run")
    if given or not runtime.flow_run.id:
        return given or runs.new_name()
    due = runtime.flow_run.scheduled_start_time.astimezone(UTC)
    return f"{due:%Y-%m-%dT%H-%M-%S}-{runtime.flow_run.id[-8:]}"


@flow(
    name="headrace",
    flow_run_name=_name,
    task_runner=ThreadPoolTaskRunner(max_workers=4),  # type: ignore[arg-type]  # it is invariant
    persist_result=False,
    on_failure=[notify.failed],
    on_crashed=[notify.failed],
)
def pipeline(  # noqa: PLR0917 - Prefect shows them as a form and passes them by name
    file: str,
    run: str | None = None,
    lake: str | None = None,
    first: StageName = STAGES[0],
    only: StageName | None = None,
    stale: bool = False,
    days: list[date] | None = None,
    require_promotion: bool = False,
) -> State[str]:
    """Runs the stages of a pipeline in order; sources side by side.

    A second run of the same work, while the first is at it, does nothing.

    Args:
        file: The pipeline file.
        run: The name of this execution; made of when it was due, if not given.
        lake: The lake's folder, if not that of the settings.
        first: The first stage to run.
        only: The one stage to run, if not all.
        stale: Build stale intervals again.
        days: The only intervals to build and score, if not all that lack them.
        require_promotion: A refused promotion is a failure.

    Returns:
        A completed state, whose message is what came of it in words.

    Raises:
        HeadraceError: The first failure; what does not depend on it was done all the same.
    """
    engine_environment()
    LOG.setLevel(logging.INFO)  # Prefect gives it a handler (flows/deployment.py), but no level
    settings = Settings() if lake is None else Settings(lake=Path(lake))
    request = Request(
        load(file), settings, run or _name(), first, only, stale, tuple(days) if days else None
    )
    # A task with tags asks the server for limits of theirs before it starts, which takes 2 s.
    with TagsContext(current_tags=set()), opened(request) as (execution, other):
        if other is not None:
            if require_promotion:
                raise CommitConflict(str(other), hint="run again when it has ended")
            return _ended(ALREADY_RUNNING, str(other))
        if not execution.has_work:
            mirror.offer(execution.lake, request.pipeline.name)
            _raise_late(execution, require_promotion=require_promotion)
            return _ended(ALREADY_DONE, "already done: nothing was run and nothing was written")
        try:
            _run_stages(execution)
        except Exception as error:  # not one that was asked to stop: it stops without a page
            with suppress(Exception):  # it is the first failure that is told
                _report(execution)
            if isinstance(error, FeatureError):
                _raise_set_aside(execution)  # it is the cause, where a file was set aside
            raise
        _report(execution)
        mirror.offer(execution.lake, request.pipeline.name)
        _raise_late(execution, require_promotion=require_promotion)
        told = outcome(request.pipeline, execution.lake, run=request.run)
        return Completed(name=DONE, message=told, data="done")


def _ended(name: str, message: str) -> State[str]:
    return Completed(name=name, message=message, data=message)


def _report(execution: Execution) -> None:
    asked = execution.request.only == "report"  # of what earlier runs have left
    if execution.wants("report") and (execution.has_records or asked):
        report(execution)


def _run_stages(execution: Execution) -> None:
    sources = _in_order(execution)
    ingested: dict[str, PrefectFuture[StageResult]] = {}
    checked: dict[str, PrefectFuture[StageResult]] = {}
    for source, needs in sources.items():
        if execution.wants("ingest"):
            ingested[source] = ingest.submit(execution, source, return_state=False)
        if execution.wants("check"):
            before = [
                *filter(None, [ingested.get(source)]),
                *(checked[name] for name in needs if name in checked),
            ]
            checked[source] = check.submit(execution, source, wait_for=before, return_state=False)
    _finish([*ingested.values(), *checked.values()])
    for name, stage in (("features", features), ("train", train), ("score", score)):
        if execution.wants(name):
            stage(execution)


def _finish(futures: list[PrefectFuture[StageResult]]) -> None:
    wait(futures)
    # A check whose ingest failed stays pending: to ask for its result would hide the failure.
    ended: list[object] = [
        future.result(raise_on_failure=False) for future in futures if future.state.is_final()
    ]
    failures = [result for result in ended if isinstance(result, Exception)]
    if failures:
        raise next(
            (failure for failure in failures if isinstance(failure, HeadraceError)), failures[0]
        )
    for future in futures:
        future.result()


def _in_order(execution: Execution) -> Mapping[str, set[str]]:
    """Sources with work to do -> the sources whose silver their rules read; those first."""
    needs = {
        name: {
            ValuesOf.model_validate(values).source
            for rule in execution.pipeline.checks.get(name, ())
            if isinstance(values := rule.arguments.get("value_set"), dict)
        }
        for name in execution.sources
    }
    ordered: dict[str, set[str]] = {}
    while len(ordered) < len(needs):
        ready = [
            name
            for name in needs
            if name not in ordered and needs[name] & needs.keys() <= ordered.keys()
        ]
        ordered |= {
            name: needs[name] for name in ready or [name for name in needs if name not in ordered]
        }
    return ordered


def _raise_set_aside(execution: Execution) -> None:
    if execution.set_aside:
        message = (
            f"{len(execution.set_aside)} landing file(s) cannot be read and were set aside; "
            "the rest is done:\n    " + "\n    ".join(execution.set_aside)
        )
        raise UnreadableInput(
            message,
            hint="correct or remove the file; a corrected one is taken by the next run",
        )


def _raise_late(execution: Execution, *, require_promotion: bool) -> None:
    """What does not stop a run, but must not end it with 0."""
    _raise_set_aside(execution)
    if require_promotion:
        demand_promotion(execution.pipeline, execution.lake)

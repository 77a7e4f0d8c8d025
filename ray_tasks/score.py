"""The stage `score`: workers predict and write files, the driver makes one commit per interval."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from headrace import command, faults
from headrace.errors import BalanceError, EngineLost, UsageError
from headrace.evaluation.inspection.ranges import added, masked, warnings
from headrace.evaluation.inspection.stability import HELD
from headrace.intervals import SCORE_VERSION
from headrace.lake import DataFile, Lake, Table, application_id, commit
from headrace.masking import hidden_of
from headrace.models import registry
from headrace.models.algorithms.algorithm import Task
from headrace.models.model import check_features
from headrace.models.target import Classes
from headrace.ongoing import Rows
from headrace.plan import unscored
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, StageResult
from ray_tasks.cluster import connected
from ray_tasks.predict import Predicted, predict, schemas
from ray_tasks.predict import Task as Work

_ROWS_AT_A_TIME = 500_000  # of one task: bounds a worker's memory, down to one data file


@dataclass(frozen=True)
class _Interval:
    """An interval to score: its data files, its model, and how often it was scored before.

    A commit that was decided on another number is refused: two runs cannot replace each other's.
    """

    day: date
    files: tuple[DataFile, ...]
    model: str
    scored: int
    refused: int
    held: int

    @property
    def rows(self) -> int | None:
        counts = [file.rows for file in self.files]
        return None if None in counts else sum(count for count in counts if count is not None)


def score(
    pipeline: Pipeline,
    lake: Lake,
    settings: Settings,
    *,
    intervals: Sequence[date],
    run: str,
    stale: bool = False,
) -> StageResult:
    """Scores intervals, each by the champion as of its moment of prediction.

    An interval that has its scores is left as it is, whatever the champion is today. A row with an
    infinite feature, or of a prediction that cannot be, goes to `refused`, with the reason. One
    that a person should look at first goes to `held`, until it is released (`headrace.held`).

    Args:
        pipeline: Whose features are scored.
        lake: Its tables.
        settings: Where Ray is.
        intervals: The days.
        run: Name of the run.
        stale: Replace the scores of those intervals whose features have changed since.

    Raises:
        UsageError: An interval has no features or no champion, or the model is for other features.
        BalanceError: Rows scored, held and refused are not the rows of an interval; no commit.
        CommitConflict: Another run scored an interval meanwhile; run again.
        EngineLost: Ray went away.
    """
    started = time.monotonic()
    faults.point("score", "before_read")
    scores = Table.if_exists(lake.scores(pipeline.name))
    gold = Table(lake.gold(pipeline.name))
    due = unscored(pipeline, gold, scores, sorted(set(intervals)), stale=stale)
    if not due:
        return StageResult(
            name="score",
            subject=pipeline.name,
            units=(),
            outcome=Outcome.ALREADY_DONE,
            seconds=time.monotonic() - started,
            notes=("every interval has its scores",),
        )
    work = _planned(pipeline, lake, gold, scores, due)
    faults.point("score", "after_read")
    counts = {"read": 0, "scored": 0, "refused": 0, "held": 0}
    held: dict[str, int] = {}
    tables: dict[str, int] = {}
    outside: dict[str, list[Predicted]] = {}
    with connected(settings):
        tasks = _tasks(pipeline, lake, gold, work, run=run, compiled=settings.compiled_lightgbm)
        rows = Rows("score", sum(interval.rows or 0 for interval in work))
        for interval, parts in _by_interval(work, _predicted(tasks)):
            _balanced(interval, parts, gold)
            outside.setdefault(interval.model, []).extend(parts)
            tables |= _commit(pipeline, lake, gold, interval, parts)
            for name in counts:
                counts[name] += sum(getattr(part, name) for part in parts)
            if waiting := sum(part.held for part in parts):
                held[interval.day.isoformat()] = waiting
            rows.advance(sum(part.read for part in parts))
    if not held:
        del counts["held"]
    return StageResult(
        name="score",
        subject=pipeline.name,
        units=tuple(day.isoformat() for day in due),
        outcome=Outcome.DONE,
        rows=counts,
        seconds=round(time.monotonic() - started, 3),
        tables=tables,
        notes=(*_outside(pipeline, lake, outside), *_waiting(held)),
        detail={
            "models": {interval.day.isoformat(): interval.model for interval in work},
            **({"held": held} if held else {}),
        },
    )


def _outside(
    pipeline: Pipeline, lake: Lake, outside: Mapping[str, Sequence[Predicted]]
) -> tuple[str, ...]:
    """Lines on features that leave the range their model has seen."""
    lines: list[str] = []
    hidden = hidden_of(pipeline, f"gold/{pipeline.name}")
    for model, parts in outside.items():
        told = registry.record(lake, pipeline.name, model)
        rows = sum(part.scored + part.held for part in parts)
        found = added([part.beyond for part in parts], rows=rows)
        lines += warnings(masked(found, hidden), algorithm=told["algorithm"])
    return tuple(lines)


def _waiting(held: Mapping[str, int]) -> tuple[str, ...]:
    """A line on predictions that are held."""
    if not held:
        return ()
    days = list(held)
    where = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return (
        f"{sum(held.values()):,} predictions of {where} are held, and not among the scores: they "
        f"are more than {HELD:.0f} times the range of recent targets away from their median; "
        "`headrace release` lists them, and a named person releases them",
    )


def main() -> None:
    """Runs the stage from the command line."""
    parser = command.arguments(
        "ray_tasks.score", "Scores intervals with the champions of their time."
    )
    parser.add_argument(
        "--interval", type=date.fromisoformat, required=True, nargs="+", metavar="YYYY-MM-DD"
    )
    parser.add_argument("--stale", action="store_true", help="replace scores of changed features")

    def stage(
        pipeline: Pipeline, lake: Lake, settings: Settings, given: argparse.Namespace
    ) -> StageResult:
        return score(
            pipeline, lake, settings, intervals=given.interval, run=given.run, stale=given.stale
        )

    command.run(parser, stage)


def unit_of(pipeline: str, day: date) -> str:
    """The application transaction id of the scores of an interval."""
    return application_id(pipeline, "score", day.isoformat())


def _planned(
    pipeline: Pipeline, lake: Lake, gold: Table, scores: Table | None, due: Sequence[date]
) -> list[_Interval]:
    """Files and model of each interval; the models' features are compared with gold's."""
    aliases = registry.aliases(lake, pipeline.name)
    beside = [Table.if_exists(of(pipeline.name)) for of in (lake.refused, lake.held)]
    files: dict[date, list[DataFile]] = {day: [] for day in due}
    for file in gold.files:
        if file.partition["_interval"] in files:
            files[file.partition["_interval"]].append(file)
    planned = []
    for day in due:
        if not any(file.rows != 0 for file in files[day]):
            message = f"there are no features of {day}"
            raise UsageError(message, table=gold.path, hint="`headrace features FILE` builds them")
        alias = aliases.champion(at=pipeline.at(day))
        if alias is None:
            message = f"no model was champion yet on {day}"
            raise UsageError(
                message,
                pipeline=pipeline.name,
                hint="`headrace train FILE` makes one; `training.first` says for which day",
            )
        unit = unit_of(pipeline.name, day)
        before = ((table.recorded(unit) or 0) if table else 0 for table in (scores, *beside))
        planned.append(_Interval(day, tuple(files[day]), alias.model, *before))
    for model in sorted({interval.model for interval in planned}):
        # By the record alone: to load the model takes a second, and is the workers' work.
        told = registry.record(lake, pipeline.name, model)
        check_features(told["features"], gold.schema, model=model)
        learned = Classes(Task(told.get("task", Task.BINARY)))
        learned.check(pipeline.target.task, model=model)
    return planned


def _tasks(
    pipeline: Pipeline,
    lake: Lake,
    gold: Table,
    work: Iterable[_Interval],
    *,
    run: str,
    compiled: bool,
) -> Iterator[Work]:
    for interval in work:
        for files in _chunks(interval.files):
            yield Work(
                root=lake.root,
                pipeline=pipeline.name,
                key=pipeline.sources[pipeline.features.rows].key,
                target=pipeline.target,
                model=interval.model,
                day=interval.day,
                gold_version=gold.version,
                files=files,
                score_version=SCORE_VERSION,
                run=run,
                scoring=interval.scored + 1,
                compiled=compiled,
            )


def _chunks(files: Sequence[DataFile]) -> Iterator[tuple[DataFile, ...]]:
    chunk: list[DataFile] = []
    for file in files:
        held = sum(each.rows or 0 for each in chunk)
        if chunk and held + (file.rows or 0) > _ROWS_AT_A_TIME:
            yield tuple(chunk)
            chunk = []
        chunk.append(file)
    yield tuple(chunk)


def _predicted(tasks: Iterable[Work]) -> Iterator[Predicted]:
    """Runs the tasks side by side, one thread each; results come in the order of the tasks."""
    import ray

    work: Any = ray.remote(num_cpus=1)(predict)  # made at run time: it has no type of its own
    try:
        for waiting in [work.remote(task) for task in tasks]:
            yield ray.get(waiting)
    except ray.exceptions.RayTaskError as error:
        cause: Exception = error.as_instanceof_cause()  # type: ignore[no-untyped-call]  # Ray types it not
        raise cause from error
    except ray.exceptions.RayError as error:
        message = f"a worker went away: {error}"
        raise EngineLost(message, hint="run again; what was committed is kept") from error


def _by_interval(
    work: Sequence[_Interval], predicted: Iterator[Predicted]
) -> Iterator[tuple[_Interval, list[Predicted]]]:
    for interval in work:
        yield interval, [next(predicted) for _ in _chunks(interval.files)]


def _balanced(interval: _Interval, parts: Sequence[Predicted], gold: Table) -> None:
    read = sum(part.read for part in parts)
    out = sum(part.scored + part.refused + part.held for part in parts)
    expected = read if interval.rows is None else interval.rows
    if not expected == read == out:
        message = (
            f"{expected} rows in, {read} read, {out} scored, held or refused on {interval.day}"
        )
        raise BalanceError(
            message,
            table=gold.path,
            hint="nothing of the day was committed; run again, and if it stays, please report it",
        )
    if len({part.fingerprint for part in parts}) != 1:
        message = f"the features of {interval.day} have more than one fingerprint"
        raise BalanceError(
            message, table=gold.path, hint="`headrace backfill FILE --stale` builds them again"
        )


def _commit(
    pipeline: Pipeline, lake: Lake, gold: Table, interval: _Interval, parts: Sequence[Predicted]
) -> dict[str, int]:
    """What is refused or held first: scores without it would stand for the whole interval."""
    key = pipeline.sources[pipeline.features.rows].key
    columns, scores = schemas(gold.schema, key, pipeline.target), lake.scores(pipeline.name)
    refusals = [part.refusals for part in parts if part.refusals is not None]
    holds = [part.holds for part in parts if part.holds is not None]
    beside = (
        (lake.refused(pipeline.name), refusals, columns.refused, interval.refused),
        (lake.held(pipeline.name), holds, columns.held, interval.held),
    )
    work = [
        *(each for each in beside if each[1] or each[3]),
        (scores, [part.scores for part in parts], columns.scores, interval.scored),
    ]
    told = {"gold": gold.version, "model": interval.model, "rows": sum(p.scored for p in parts)}
    tables = {}
    for table, files, schema, before in work:
        committed = commit(
            table,
            files,
            schema=schema,
            unit=unit_of(pipeline.name, interval.day),
            partition_by=("_interval",),
            replace=[("_interval", "=", interval.day.isoformat())] if before else None,
            recorded=before,
            # Scores that another run has made meanwhile stand; what is beside them belongs to them.
            repeatable=bool(before) or table != scores,
            metadata={"headrace": json.dumps(told)},
        )
        tables[f"{table.parent.name}/{table.name}"] = committed.version
    return tables


if __name__ == "__main__":
    main()

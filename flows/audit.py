"""`headrace audit`: what would stop a training, looked for in gold as it stands."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from flows.options import DEFAULT, OUT, AsJson, File, LakeFolder, emit, next_step, settings_of
from headrace.errors import TrainingError

if TYPE_CHECKING:
    from headrace.lake import Lake
    from headrace.spec.model import Pipeline

app = typer.Typer()


@app.command()
def audit(
    file: File = DEFAULT,
    lake: LakeFolder = None,
    moment: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Training day; the next due, or the last."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Looks for leaks in gold as it stands; exit code 1 if one is not allowed. Starts no engine.

    Example: `headrace audit examples/flight_delays/pipeline.yaml`
    """
    from headrace.evaluation.audit.gold import audit_gold
    from headrace.lake import Lake
    from headrace.spec import load
    from ray_tasks.examples import read

    pipeline, place = load(file), Lake(settings_of(lake).lake)
    day = moment.date() if moment else _moment(pipeline, place)
    examples = read(place, pipeline, moment=day)
    judgement = audit_gold(examples.rows, pipeline, parts=examples.parts, lake=place)
    told = {"pipeline": pipeline.name, "moment": day.isoformat(), **judgement.to_json()}
    told["refused"] = len(judgement.refused)
    if as_json:
        emit(told)
    else:
        rows = {part.name: len(part.rows) for part in examples.parts}
        _print(told, rows)
        if judgement.refused:
            from headrace.evaluation.audit.judgement import allowing

            OUT.print("mend them; or, where one is right, put into pipeline.yaml, with the reason:")
            OUT.print(escape(allowing(judgement.refused)), soft_wrap=True)
            next_step(f"mend or allow each, then `headrace audit {file}` again")
        else:
            next_step(f"`headrace train {file}` trains, where a training is due")
    if judgement.refused:
        raise typer.Exit(1)


def _moment(pipeline: Pipeline, lake: Lake) -> date:
    """The first training that is due, or the last that was done."""
    from headrace.intervals import features_due
    from headrace.plan import trainings_due

    days = features_due(pipeline, lake).days
    until = max(days, default=None)
    due = trainings_due(pipeline, lake, until=until)
    if due:
        return due[0]
    if until is None or until < pipeline.training.first:
        message = f"no training is due before {pipeline.training.first}"
        raise TrainingError(
            message,
            pipeline=pipeline.name,
            hint="`headrace run` builds features; `--moment` audits for another day",
        )
    return until - (until - pipeline.training.first) % pipeline.training.every


def _print(told: dict[str, Any], rows: dict[str, int]) -> None:
    parts = ", ".join(f"{count:,} rows of {name}" for name, count in rows.items())
    OUT.print(f"audit of {told['pipeline']} for {told['moment']}: {parts}", soft_wrap=True)
    for finding in told["findings"]:
        allowed = finding["allowed"] is not None
        state = "[yellow]allowed[/]" if allowed else "[red]leak   [/]"
        OUT.print(f"{state} {finding['leak']}: {escape(finding['sentence'])}", soft_wrap=True)
        why = f"allowed: {finding['allowed']}" if allowed else finding["advice"]
        OUT.print(f"        -> {escape(why)}", soft_wrap=True)
    for each in told["not_judged"]:
        OUT.print(f"not judged {each['leak']}: {escape(each['why'])}", soft_wrap=True)
    for each in told["unused"]:
        OUT.print(f"unused {escape(each)}", soft_wrap=True)
    found, refused = len(told["findings"]), told["refused"]
    OUT.print(f"{found} found, {refused} not allowed" if found else "no leak found")

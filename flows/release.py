"""`headrace release`: what the guard of stability holds, and who says that it may be used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid

from flows import mirror
from flows.completion import held_units
from flows.options import DEFAULT, OUT, AsJson, File, LakeFolder, emit, next_step, settings_of
from headrace import runs
from headrace.errors import CommitConflict, UsageError

if TYPE_CHECKING:
    from headrace.held import Held, Release
    from headrace.lake import Lake

app = typer.Typer()


@app.command()
def release(
    file: File = DEFAULT,
    unit: Annotated[
        str | None,
        typer.Argument(
            help="An interval, or how the digest of a model begins; lists what is held if none.",
            autocompletion=held_units,
        ),
    ] = None,
    *,
    by: Annotated[str, typer.Option(help="The name of the person.", show_default=False)] = "",
    reason: Annotated[
        str, typer.Option(help="Why it is right to use it.", show_default=False)
    ] = "",
    lake: LakeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Releases forecasts or a model that were held as not steady, in the name of a person.

    The forecasts of an interval go among its scores, a model becomes champion from its training
    on; who, when and why is kept in the table `releases`. A second time changes nothing. What was
    refused, beyond 100 times the range of recent targets, cannot be released. Starts no engine.

    Example: `headrace release pipeline.yaml 2015-03-01 --by "Ada Byron" --reason "a fair in town"`
    """
    from headrace import held
    from headrace.lake import Lake
    from headrace.spec import load

    pipeline, place = load(file), Lake(settings_of(lake).lake)
    if unit is None:
        if by or reason:
            message = "it takes an interval or a model to release"
            raise UsageError(message, hint=f"`headrace release {file}` lists what is held")
        known = held.everything(place, pipeline.name)
        if as_json:
            emit([each.to_json() for each in known])
        else:
            _list(known, pipeline.name, file)
        return
    what = held.named(place, pipeline.name, unit)
    made, now = _released(place, pipeline.name, what, by=by, reason=reason)
    if what.kind is held.Kind.MODEL:
        mirror.offer(place, pipeline.name)
    if as_json:
        emit({**vars(made), "outcome": "done" if now else "already_done"})
        return
    _tell(made, what, now=now)
    next_step(_next(what, file))


def _released(
    lake: Lake, pipeline: str, what: Held, *, by: str, reason: str
) -> tuple[Release, bool]:
    """Releases it while no run trains or scores, which may be about to replace what is held."""
    from headrace import held
    from headrace.lake import application_id
    from headrace.lake.claims import Disk, claimed
    from headrace.release import release as publish

    units = [application_id(pipeline, stage, "all") for stage in ("train", "score")]
    with claimed(Disk(lake.claims), units, owner=runs.new_name()) as other:
        if other is not None:
            raise CommitConflict(str(other), hint="release it when that run has ended")
        again = held.named(lake, pipeline, what.unit)  # a run may have ended since it was read
        return publish(lake, pipeline, again, by=by, reason=reason, now=datetime.now(UTC))


def _list(known: Sequence[Held], pipeline: str, file: Path) -> None:
    if not known:
        OUT.print(f"nothing of {pipeline} is held")
        next_step(f"`headrace plan {file}` tells what is left to do")
        return
    grid = Grid(title=f"held of {pipeline}")
    for column in ("what", "unit", "why", "released by"):
        grid.add_column(column, overflow="fold")
    for each in known:
        what = f"{each.rows:,} forecasts" if each.rows else "model"
        by = f"{each.release.by}: {each.release.reason}" if each.release else ""
        grid.add_row(what, each.unit, escape(each.why), escape(by))
    OUT.print(grid)
    waiting = [each for each in known if not each.published]
    if waiting:
        unit = waiting[0].unit
        next_step(f"look, then `headrace release {file} {unit} --by NAME --reason TEXT`")
    else:
        next_step(f"all of it was released; `headrace run {file}`")


def _tell(made: Release, what: Held, *, now: bool) -> None:
    from headrace.held import Kind

    forecasts = what.kind is Kind.FORECASTS
    named = f"{made.rows:,} forecasts of {made.unit}" if forecasts else f"model {made.unit}"
    became = "they are among the scores" if forecasts else "it is champion from its training on"
    who = f"by {made.by} on {made.released_at:%Y-%m-%d %H:%M} UTC: {made.reason}"
    if now and what.release is None:
        told = f"released: {named}, {who}; {became}"
    elif now:
        told = f"released already: {named}, {who}; only now {became}"
    else:
        told = f"released already: {named}, {who}; nothing was changed"
    OUT.print(escape(told), soft_wrap=True, highlight=False)


def _next(what: Held, file: Path) -> str:
    from headrace.held import Kind

    if what.kind is Kind.FORECASTS:
        return f"`headrace run {file} --only report` tells of it on a page"
    return f"`headrace score {file}` scores with it what has no scores yet"

"""`headrace verify`, `history` and `maintain`: what a lake holds, how it came, what can go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid

from flows.options import COLOURS, OUT, AsJson, LakeFolder, emit, next_step, settings_of
from headrace import runs
from headrace.errors import UsageError

app = typer.Typer()


@app.command()
def verify(lake: LakeFolder = None, as_json: AsJson = False) -> None:
    """Reads the whole lake back and holds it against itself; exit code 1 if a promise is broken.

    Every data file by its checksums, the balance of each source line by line, each model by its
    digests, scores against features. Writes nothing, starts no engine.

    Example: `headrace verify --lake lake`
    """
    from headrace.verify import verify as findings_of

    failed = 0
    found = findings_of(settings_of(lake).lake)
    if as_json:
        findings = list(found)
        emit([vars(finding) for finding in findings])
        if any(finding.state == "fail" for finding in findings):
            raise typer.Exit(1)
        return
    for finding in found:
        failed += finding.state == "fail"
        state = f"[{COLOURS[finding.state]}]{finding.state:4}[/]"
        OUT.print(f"{state} {escape(finding.name)}: {escape(finding.found)}", soft_wrap=True)
        if finding.advice:
            OUT.print(f"     -> {escape(finding.advice)}", soft_wrap=True)
    OUT.print(f"{failed} promises broken" if failed else "every promise holds")
    if failed:
        next_step("what the lines marked `fail` say, then `headrace verify` again")
        raise typer.Exit(1)
    next_step("nothing to do; `headrace maintain` tells what can be merged or go")


@app.command()
def history(
    subject: Annotated[str, typer.Argument(help="A source or a pipeline.", show_default=False)],
    unit: Annotated[str, typer.Argument(help="A batch or a day; all if not given.")] = "",
    lake: LakeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Tells what happened to a source or a pipeline, from the logs of its tables alone.

    Example: `headrace history flight_delays 2013-12-01`
    """
    from headrace.browse import OpenLake
    from headrace.lake.history import history as events_of

    root = settings_of(lake).lake
    tables = OpenLake(root).tables()
    events = events_of(root, tables, subject=subject, unit=unit)
    if not events:
        names = sorted({name.partition("/")[2] for name in tables if "/" in name})
        message = f"nothing happened to {subject!r}" + (f" {unit!r}" if unit else "")
        raise UsageError(message, lake=root, hint=f"there are {', '.join(names)}")
    if as_json:
        emit([vars(event) for event in events])
        return
    grid = Grid("when, UTC", "what", "unit", "table", "version", "told")
    for event in events:
        _, stage, name = event.unit.split("/", 2)
        grid.add_row(
            f"{event.at:%Y-%m-%d %H:%M:%S}",
            stage,
            name[:12] if unit == "" else name,
            event.table,
            str(event.version),
            escape(
                ", ".join(
                    f"{key} {value if isinstance(value, int) else json.dumps(value)}"
                    for key, value in event.told.items()
                    if key != "batch"
                )
            ),
        )
    OUT.print(grid)
    next_step("`headrace explain FILE COLUMN=VALUE` tells what one score was made of")


@app.command()
def maintain(
    lake: LakeFolder = None,
    apply: Annotated[bool, typer.Option("--apply", help="Merge and remove.")] = False,
    keep_days: Annotated[int, typer.Option(min=1, help="Keep every file that is younger.")] = 7,
    as_json: AsJson = False,
) -> None:
    """Lists small files to merge, and files that no kept version needs; does both with `--apply`.

    The latter are left by runs that ended early and by replaced versions. Every version that a
    model was trained on, or that scores were made of, is kept.

    Example: `headrace maintain --keep-days 30 --apply`
    """
    from headrace.lake import Lake, application_id
    from headrace.lake.claims import Disk, claimed
    from headrace.maintain import busy

    root = settings_of(lake).lake
    if not apply:
        _maintain(root, keep_days=keep_days, apply=False, as_json=as_json)
        return
    if owner := busy(root):
        _busy(f"already running: run {owner} is at work in this lake", as_json=as_json)
        return
    store, unit = Disk(Lake(root).claims), application_id("lake", "maintain", "all")
    with claimed(store, [unit], owner=runs.new_name()) as other:
        if other is not None:
            _busy(str(other), as_json=as_json)
            return
        _maintain(root, keep_days=keep_days, apply=True, as_json=as_json)


def _busy(message: str, *, as_json: bool) -> None:
    if as_json:
        emit({"outcome": "already_running", "message": message, "tables": []})
        return
    OUT.print(message)
    next_step("`headrace maintain --apply` when it has ended")


def _maintain(root: Path, *, keep_days: int, apply: bool, as_json: bool) -> None:
    from headrace.maintain import maintain as surplus_of

    every = []
    for found in surplus_of(root, keep_days=keep_days, apply=apply):
        every.append(found)
        if found.small and not as_json:
            OUT.print(f"{found.table}: {found.small:,} small files become {found.merged:,}")
        if found.files and not as_json:
            kept = f", kept for models and scores: {found.pinned}" if found.pinned else ""
            OUT.print(f"{found.table}: {found.files:,} files can go, {found.bytes:,} bytes{kept}")
    small, files, size = (
        sum(getattr(found, name) for found in every) for name in ("small", "files", "bytes")
    )
    done = apply or not (small or files)
    if as_json:
        emit({"outcome": "done" if done else "missing", "tables": [vars(found) for found in every]})
    elif not small and not files:
        OUT.print(
            f"nothing to do: few small files, and no surplus file is older than {keep_days} days"
        )
        next_step("`headrace verify` holds the lake against its promises")
    elif apply:
        OUT.print(f"merged {small:,} files, removed {files:,}, {size:,} bytes")
        next_step("`headrace verify` holds the lake against its promises")
    else:
        OUT.print(f"{small:,} files to merge, {files:,} to remove, {size:,} bytes")
        next_step("`headrace maintain --apply`")

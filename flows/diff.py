"""`headrace diff`: what differs between two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid

from flows.completion import runs as run_names
from flows.options import OUT, AsJson, LakeFolder, emit, next_step, settings_of

if TYPE_CHECKING:
    from headrace.run_diff import Difference

app = typer.Typer()
_NOTICED = 0.5  # seconds that a stage may differ by and not be coloured


@app.command()
def diff(
    first: Annotated[
        str, typer.Argument(metavar="RUN", help="A run.", autocompletion=run_names)
    ] = "previous",
    second: Annotated[
        str, typer.Argument(metavar="RUN", help="Another run.", autocompletion=run_names)
    ] = "last",
    lake: LakeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Tells what differs between two runs: inputs, spec, rows, checks, training, models, times.

    A run is named by its name, or how that begins; `last` and `previous` are the newest two.

    Example: `headrace diff previous last`
    """
    from headrace.lake import Lake
    from headrace.run_diff import difference, named

    place = Lake(settings_of(lake).lake)
    found = difference(place, named(place, first), named(place, second))
    if as_json:
        emit(found.to_json())
    else:
        _print(found)


def _print(found: Difference) -> None:
    OUT.print(f"{found.first} and {found.second}", highlight=False)
    if found.changes:
        grid = Grid()
        for name in ("", "what", "before", "after"):
            grid.add_column(name, overflow="fold")
        section = ""
        for change in found.changes:
            title = change.section if change.section != section else ""
            section = change.section
            cells = (_shown(change.before), _shown(change.after))
            grid.add_row(title, escape(change.what), *map(escape, cells))
        OUT.print(grid)
    grid = Grid("stage", "before, s", "after, s", title="times")
    for stage, (before, after) in found.seconds.items():
        longer = before is not None and after is not None and after - before > _NOTICED
        colour = "[yellow]" if longer else ""
        grid.add_row(stage, _shown(before), f"{colour}{_shown(after)}")
    OUT.print(grid)
    for note in found.notes:
        OUT.print(f"note: {escape(note)}", soft_wrap=True, highlight=False)
    if found.changes:
        OUT.print(f"{len(found.changes)} facts differ")
        next_step("`headrace report --index --open` leads to the pages of both")
    else:
        OUT.print("nothing differs but the times")
        next_step("nothing to do; `headrace diff RUN RUN` compares others")


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.6g}"
        case list():
            return ", ".join(map(_shown, value)) or "none"
        case _:
            return str(value)

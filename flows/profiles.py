"""`headrace profile`: what the columns of a source, or of the features, look like."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from flows.completion import subjects
from flows.options import (
    DEFAULT,
    ERR,
    OUT,
    AsJson,
    File,
    LakeFolder,
    emit,
    next_step,
    settings_of,
)
from flows.progress import progress
from headrace import runs
from headrace.errors import UsageError
from headrace.spec.problems import unknown

if TYPE_CHECKING:
    import pyarrow as pa

    from headrace.lake import Lake
    from headrace.profiles import Profile
    from headrace.settings import Settings
    from headrace.spec.model import Pipeline

app = typer.Typer()
GOLD = "gold"
_TOP, _PAIRS, _LONGEST = 3, 8, 18


@app.command()
def profile(
    subject: Annotated[
        str,
        typer.Argument(
            help="A source, or `gold` for the features.",
            metavar="SOURCE|gold",
            show_default=False,
            autocompletion=subjects,
        ),
    ],
    file: File = DEFAULT,
    lake: LakeFolder = None,
    as_json: AsJson = False,
    show: Annotated[bool, typer.Option("--open", help="Open its page in the browser.")] = False,
) -> None:
    """Looks at each column of a table, at its newest version, once: what it holds, and how much.

    Types, missing, distinct, quantiles, histograms, top values, pairs, change over time; kept in
    the table `profiles` and drawn as a page. A second time tells what is kept.

    Example: `headrace profile weather examples/flight_delays/pipeline.yaml`
    """
    from headrace import profiles
    from headrace.lake import Lake, Table
    from headrace.masking import hidden_of
    from headrace.report import write_profile
    from headrace.report.profiles import page_of
    from headrace.spec import load

    settings, declared = settings_of(lake), load(file)
    place = Lake(settings.lake)
    table = _table_of(subject, declared, file)
    standing = Table.if_exists(place.root / table)
    if standing is None:
        message = f"nothing of {table} is there yet"
        raise UsageError(message, lake=place.root, hint=f"`headrace run {file}` makes it")
    rows = profiles.recall(place, table, standing.version)
    done = rows is not None
    if rows is None:
        console = ERR if as_json else OUT
        rows = _made(declared, settings, place, table, standing.version, console=console)
    if rows is None:
        return
    hidden = hidden_of(declared, table)
    rows = profiles.without_values(rows, hidden)
    found = profiles.arranged(rows)
    page = page_of(place, found)
    if not done or hidden or not page.exists():  # an older page may show what is hidden now
        page = write_profile(place, found)
    if as_json:
        emit(rows.to_pylist())
    else:
        _print(found)
        if done:
            OUT.print(f"already done: version {found.version} of {table} was profiled before")
        name = table.partition("/")[2]
        OUT.print(f"the page: {page}", soft_wrap=True)
        next_step(f"`--open` shows it; in Python: `lake.profile({name!r}).to_pandas()`")
    if show:
        webbrowser.open(page.as_uri())


def _table_of(subject: str, declared: Pipeline, file: Path) -> str:
    if subject == GOLD:
        return f"gold/{declared.name}"
    if subject not in declared.sources:
        names = [*declared.sources, GOLD]
        message = unknown("source", subject, names)
        raise UsageError(message, file=file, hint=f"there are {', '.join(names)}")
    return f"silver/{subject}"


def _made(
    declared: Pipeline,
    settings: Settings,
    lake: Lake,
    table: str,
    version: int,
    *,
    console: Console,
) -> pa.Table | None:
    """The rows of a profile that is made now; None where another run is at it."""
    from flows.execution import Execution, Request
    from headrace import profiles
    from headrace.lake.claims import Disk, claimed

    run = runs.new_name()
    unit = profiles.unit_of(table, version)
    with (
        progress(console),
        claimed(Disk(lake.claims), [unit], owner=run) as other,
        Execution(Request(declared, settings, run)) as execution,
    ):
        if other is not None:
            console.print(str(other))
            return None
        execution.profile(table, version=version)
    return profiles.recall(lake, table, version)


def _print(found: Profile) -> None:
    from headrace.report.profiles import sparkline, summary, tops
    from headrace.report.wording import figure, percent, shown

    OUT.print(f"{found.table}, version {found.version}: {found.rows:,} rows")
    grid = Grid()
    for name in ("column", "type", "missing", "distinct", "least · median · greatest"):
        right = name in {"missing", "distinct"}
        grid.add_column(name, justify="right" if right else "left", overflow="fold")
    grid.add_column("histogram or top values", overflow="fold", min_width=12)
    for column in found.columns:
        distinct = column.of.get("distinct", ())
        about = "" if not distinct or distinct[0]["text"] == "exact" else "≈"
        values = ", ".join(
            f"{shown(text, _LONGEST)} {100 * share:.0f} %" for text, share in tops(column, _TOP)
        )
        grid.add_row(
            escape(shown(column.name, 40)),
            column.type,
            percent(column.missing),
            about + figure(column["distinct"]),
            ("length " if "length_min" in column.of else "") + " · ".join(summary(column)),
            escape(values) if column.type in {"string", "boolean"} else sparkline(column),
        )
    OUT.print(grid)
    if found.pairs:
        OUT.print("strongest pairs:")
    for statistic, row in found.pairs[:_PAIRS]:
        measure = "r" if statistic == "correlation" else "V"
        pair = f"{shown(row['column'], 40)} and {shown(row['key'], 40)}"
        OUT.print(f"  {measure} = {row['value']:+.2f}  {escape(pair)}", highlight=False)
    for note in found.notes:
        OUT.print(f"note: {escape(shown(note, 200))}", highlight=False)
    periods = found.of.get("period", ())
    if periods:
        span = f"{periods[0]['key']} to {periods[-1]['key']}"
        OUT.print(f"over time: {len(periods)} {periods[0]['text']}s, {span}, on the page")

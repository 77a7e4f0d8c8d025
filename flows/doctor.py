"""`headrace doctor`: what is wrong with this machine, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid

from flows.options import COLOURS, ERR, OUT, AsJson, LakeFolder, emit, next_step, settings_of

app = typer.Typer()


@app.command()
def doctor(
    lake: LakeFolder = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch missing or damaged jars, rebuild the archive.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Looks at Java, jars, versions, disk and memory, and says what to do about each finding.

    Example: `headrace doctor --repair`
    """
    from spark_jobs.doctor import diagnose

    settings = settings_of(lake)
    if repair:
        from spark_jobs.prepare import prepare

        with ERR.status("fetching jars and building the class-data archive, up to a minute"):
            prepare(settings)
    findings = diagnose(settings)
    grid = Grid()
    for column in ("", "what", "found", "what to do"):
        grid.add_column(column, overflow="fold")
    for finding in findings:
        state = f"[{COLOURS[finding.state]}]{finding.state}[/]"
        grid.add_row(state, finding.name, escape(finding.found), escape(finding.advice))
    failed = sum(finding.state == "fail" for finding in findings)
    if as_json:
        emit([vars(finding) for finding in findings])
    else:
        OUT.print(grid)
        if failed:
            OUT.print(f"{failed} finding(s) must be mended first")
            next_step("do what the last column says, then `headrace doctor` again")
        else:
            next_step("`headrace validate FILE`")
    if failed:
        raise typer.Exit(1)

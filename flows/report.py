"""`headrace report`: where the page of the last run is, and the list of all runs."""

from __future__ import annotations

import webbrowser
from typing import Annotated

import typer

from flows.options import OUT, AsJson, LakeFolder, emit, next_step, settings_of
from headrace.errors import UsageError

app = typer.Typer()


@app.command()
def report(
    lake: LakeFolder = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    index: Annotated[bool, typer.Option("--index", help="The list of all runs instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Says where the page of the last run is; each page leads to the list of all runs.

    Example: `headrace report --open`
    """
    from headrace.lake import Lake
    from headrace.report import latest, write_index

    place = Lake(settings_of(lake).lake)
    page = latest(place)
    if page is None:
        message = "there is no report yet"
        raise UsageError(message, hint="`headrace run FILE` writes one")
    if index:
        page = write_index(place)
    if as_json:
        emit({"run": page.stem, "page": page.as_posix()})
    else:
        OUT.print(page.as_posix(), soft_wrap=True)
        if not show:
            next_step("`--open` shows it in the browser")
    if show:
        webbrowser.open(page.as_uri())

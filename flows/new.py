"""`headrace new`: a pipeline file from a look at the user's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from flows.options import DEFAULT, ERR, OUT, AsJson, emit, next_step
from headrace.errors import UsageError
from headrace.spec.fields import NAME

if TYPE_CHECKING:
    from headrace.guess import Roles

app = typer.Typer()
_LANDING = Path("landing")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The name of the pipeline.", show_default=False)],
    places: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILES]...", help="Landing files and folders; `landing` if none."),
    ] = None,
    *,
    to: Annotated[Path, typer.Option(help="The file to write.")] = DEFAULT,
    force: Annotated[bool, typer.Option("--force", help="Write over a file there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Writes a pipeline file from a look at landing files; what it guesses is marked as a guess.

    CSV, JSON lines and Parquet: some rows of each feed tell types, keys, times, what is known later
    and what could be predicted. Large files are sampled. Starts no engine.

    Example: `headrace new parcels landing`
    """
    if not NAME.fullmatch(name):
        message = f"{name!r} is not a name: a lower-case letter, then letters, digits and _"
        raise UsageError(message, hint="such as `headrace new parcels`")
    if to.exists() and not force:
        message = "there is a file already, and it is left as it is"
        raise UsageError(message, file=to, hint="`--to other.yaml`, or `--force` to write over it")
    from headrace.guess import draft, feeds, roles
    from headrace.spec import validate

    with ERR.status("looking at the files"):
        found = roles(feeds(places or [_LANDING]))
        text = draft(name, found, folder=to.absolute().parent)
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_text(text, encoding="utf-8")
    problems = validate(to)
    if as_json:
        emit(_document(found, to, text, [problem.at(str(to)) for problem in problems]))
        return
    _print(found, to, text)
    for problem in problems:
        OUT.print(f"[yellow]to mend[/] {escape(problem.at(str(to)))}", soft_wrap=True)
    next_step(f"look at each guess, then `headrace validate {to}` and `headrace run {to}`")


def _guesses(text: str) -> int:
    return text.count("# guess: ")


def _document(found: Roles, to: Path, text: str, problems: list[str]) -> dict[str, Any]:
    return {
        "file": str(to),
        "valid": not problems,
        "problems": problems,
        "guesses": _guesses(text),
        "rows": found.rows.name,
        "outcomes": found.outcomes.name,
        "target": found.target,
        "sources": {
            source.name: {
                "key": list(source.key),
                "event_time": source.event_time,
                "known_at": source.known_at,
                "schema": {column.name: column.type for column in source.columns.values()},
            }
            for source in found.sources
        },
    }


def _print(found: Roles, to: Path, text: str) -> None:
    first, last = found.days
    told = [
        f"{to}: {len(found.sources)} sources, {_guesses(text)} guesses",
        f"  a prediction per row of {found.rows.name}, each day at {found.at:02}:00, {found.zone}",
        f"  of {found.target}, which {found.outcomes.name} tells later",
        f"  from {first} to {last}, as far as was looked",
    ]
    for line in (*told, *(f"  mind: {note}" for note in found.notes)):
        OUT.print(escape(line), soft_wrap=True, highlight=False)

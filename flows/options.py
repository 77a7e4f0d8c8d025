"""What the commands of `headrace` share: their consoles, and the options that several take."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flows import completion
from headrace.settings import Settings

OUT, ERR = Console(), Console(stderr=True)
DEFAULT = Path("pipeline.yaml")
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}  # of findings, by their state
EXIT_CODES = {
    0: "done (or already done)",
    1: "failed",
    2: "bad usage, pipeline file or input",
    3: "promotion refused under `--require-promotion`",
    4: "a score that was rebuilt is another one",
    130: "stopped by Ctrl-C",
    143: "asked to stop",
}

File = Annotated[
    Path,
    typer.Argument(help="The pipeline file.", show_default=True, autocompletion=completion.files),
]
LakeFolder = Annotated[
    Path | None,
    typer.Option(
        "--lake",
        help="The lake's folder; $HEADRACE_LAKE or ./lake if not given.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document, for scripts; messages go to stderr.")
]

ShowPii = Annotated[
    bool, typer.Option("--show-pii", help="Show what is marked `pii`, and what is made of it.")
]


def emit(document: Any) -> None:  # noqa: ANN401  # any JSON value
    """Writes one JSON document to stdout: dates as texts, and no number that JSON has not."""
    typer.echo(json.dumps(document, default=str, ensure_ascii=False, allow_nan=False))


@contextmanager
def words_on_stderr(as_json: bool) -> Iterator[None]:
    """Leaves stdout to the one JSON document: what is told to people meanwhile goes to stderr."""
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield


def next_step(text: str) -> None:
    """The last line of a command: what to do next."""
    OUT.print(f"next: {text}", soft_wrap=True, highlight=False, markup=False)


def settings_of(lake: Path | None) -> Settings:
    """The settings, with the lake of the command line before that of the environment."""
    return Settings() if lake is None else Settings(lake=lake)

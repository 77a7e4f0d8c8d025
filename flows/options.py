"""What the commands of `headrace` share: their consoles, and the options that several take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headrace.settings import Settings

OUT, ERR = Console(), Console(stderr=True)
DEFAULT = Path("pipeline.yaml")

File = Annotated[Path, typer.Argument(help="The pipeline file.", show_default=True)]
LakeFolder = Annotated[
    Path | None,
    typer.Option(
        "--lake",
        help="The lake's folder; $HEADRACE_LAKE or ./lake if not given.",
        show_default=False,
    ),
]


def settings_of(lake: Path | None) -> Settings:
    """The settings, with the lake of the command line before that of the environment."""
    return Settings() if lake is None else Settings(lake=lake)

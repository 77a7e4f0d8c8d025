"""A row by its key on the command line: `FILE carrier=UA flight=1712`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from flows.options import DEFAULT
from headrace.errors import UsageError

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILE] [COLUMN=VALUE]...",
        help="The pipeline file, and columns of the key with their values.",
        show_default=False,
    ),
]
Interval = Annotated[
    datetime | None,
    typer.Option("--interval", formats=["%Y-%m-%d"], help="The day; found if not given."),
]


@dataclass(frozen=True)
class Asked:
    """What the words of a command ask for.

    Attributes:
        file: The pipeline file.
        key: Column of the key -> value as text.
        interval: The day, if one is given.
    """

    file: Path
    key: dict[str, str]
    interval: date | None


def asked(words: Sequence[str] | None, interval: datetime | None) -> Asked:
    """Takes the words of a command apart.

    Raises:
        UsageError: There are two files, or a column stands twice.
    """
    files = [word for word in words or () if "=" not in word]
    pairs = [word.split("=", 1) for word in words or () if "=" in word]
    key = {name.strip(): value for name, value in pairs}
    if len(files) > 1:
        message = f"{files[1]!r} is neither a column with a value, nor the one pipeline file"
        raise UsageError(message, hint="write columns as `carrier=UA`")
    if len(key) < len(pairs):
        message = "a column of the key stands twice"
        raise UsageError(message, hint="give each column once")
    return Asked(
        Path(files[0]) if files else DEFAULT, key, None if interval is None else interval.date()
    )

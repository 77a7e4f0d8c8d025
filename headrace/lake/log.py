"""What stands in a Delta log: its files, their actions, and the units that have committed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError, TableNotFoundError

from headrace.errors import CorruptArtifact

RESTORE = "restore its folder _delta_log from a backup"
_FILE = re.compile(r"(\d{20})\.(json|checkpoint(?:\.[0-9a-f-]{36})?\.parquet)$")


def files(table: Path, version: int | None = None) -> list[Path]:
    """What a version is read from, in order: the parts of the newest checkpoint, later commits."""
    try:
        names = sorted(os.listdir(table / "_delta_log"))  # noqa: PTH208 - a path of each costs more
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = [(name, int(match[1]), match[2]) for name in names if (match := _FILE.match(name))]
    found = [each for each in found if version is None or each[1] <= version]
    start = max((number for _, number, kind in found if kind != "json"), default=-1)
    return [
        table / "_delta_log" / name
        for name, number, kind in found
        if (number > start if kind == "json" else number == start)
    ]


def actions_of(commit: Path, *, having: str = "") -> list[dict[str, Any]]:
    """What one commit of a log holds, line by line.

    Args:
        commit: A file of the log.
        having: Only lines with this text.

    Raises:
        CorruptArtifact: It is not there, or a line is no JSON.
    """
    try:
        return [json.loads(line) for line in commit.read_text().splitlines() if having in line]
    except (OSError, ValueError) as error:
        message = f"a commit of the log cannot be read: {error}"
        raise CorruptArtifact(
            message,
            table=commit.parent.parent,
            file=commit.name,
            hint="restore it from a backup",
        ) from error


def transactions(table: Path, version: int) -> dict[str, int]:
    """Application transaction id -> the version recorded for it, up to a version of the table.

    Raises:
        CorruptArtifact: A commit is gone from the middle, or cannot be read.
    """
    found: dict[str, int] = {}
    read_from = files(table, version)
    commits = [int(file.stem) for file in read_from if file.suffix == ".json"]
    if commits and commits != list(range(commits[0], version + 1)):
        message = "its log lacks a commit between two others"
        raise CorruptArtifact(message, table=table, hint=RESTORE)
    for file in read_from:
        found |= _transactions_of(file, table)
    return found


def _transactions_of(file: Path, table: Path) -> dict[str, int]:
    try:
        if file.suffix == ".json":
            lines = actions_of(file, having='"txn"')
            told = [line["txn"] for line in lines if "txn" in line]
        else:
            told = pq.read_table(file, columns=["txn"])["txn"].drop_null().to_pylist()
        return {str(each["appId"]): int(each["version"]) for each in told}
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError) as error:
        message = f"the table's log cannot be read: {error!r}"
        raise CorruptArtifact(message, table=table, file=file.name, hint=RESTORE) from error


@contextmanager
def read(table: Path) -> Iterator[None]:
    """Names what delta-rs says of a log that it cannot read."""
    try:
        yield
    except TableNotFoundError:
        raise
    except BaseException as error:
        # Its parser panics on some garbled checkpoints, and a panic is not an `Exception`.
        if not isinstance(error, DeltaError) and type(error).__name__ != "PanicException":
            raise
        message = f"the table's log cannot be read: {error}"
        raise CorruptArtifact(message, table=table, hint=RESTORE) from error

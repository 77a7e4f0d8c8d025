"""What happened to a source or a pipeline, from the logs of the tables alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.errors import CorruptArtifact


@dataclass(frozen=True)
class Event:
    """One commit of a unit of work.

    Attributes:
        at: When, UTC.
        table: Such as `silver/weather`.
        version: The version that it made.
        unit: The application transaction id.
        told: What the commit says for people, such as the balance of a batch.
    """

    at: datetime
    table: str
    version: int
    unit: str
    told: Mapping[str, Any] = field(default_factory=dict)


def history(root: Path, tables: tuple[str, ...], *, subject: str, unit: str = "") -> list[Event]:
    """The commits of a subject's units, oldest first; those whose log has been cleaned up are gone.

    Args:
        root: The lake's folder.
        tables: Names of its tables.
        subject: A source or a pipeline.
        unit: Only units whose last part begins with this: a batch, or a day.

    Raises:
        CorruptArtifact: A log cannot be read.
    """
    found = [event for table in tables for event in _events(root, table)]
    mine = []
    for event in found:
        name, _, rest = event.unit.partition("/")
        if name == subject and rest.partition("/")[2].startswith(unit):
            mine.append(event)
    return sorted(mine, key=lambda event: (event.at, event.table, event.version))


def _events(root: Path, table: str) -> Iterator[Event]:
    for path in sorted((root / table / "_delta_log").glob("*.json")):
        if not path.stem.isdecimal():
            continue
        try:
            actions = [json.loads(line) for line in path.read_text().splitlines() if line]
        except ValueError as error:
            message = f"a commit of the log cannot be read: {error}"
            raise CorruptArtifact(
                message, table=table, file=path.name, hint="restore it from a backup"
            ) from error
        info: dict[str, Any] = next(
            (each["commitInfo"] for each in actions if "commitInfo" in each), {}
        )
        for transaction in (each["txn"] for each in actions if "txn" in each):
            yield Event(
                at=datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC),
                table=table,
                version=int(path.stem),
                unit=transaction["appId"],
                told=json.loads(info.get("headrace", "{}")),
            )

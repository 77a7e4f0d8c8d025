"""What happened to a source or a pipeline, from the logs of the tables alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from headrace.errors import CorruptArtifact
from headrace.lake.commit import SEAL, StagedFile, seal


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


def broken_seals(table: Path) -> list[int]:
    """Versions whose commit in the log is not as it was written: a line is lost, or another.

    Commits that were cleaned up behind a checkpoint, or that move no data, are not looked at.

    Raises:
        CorruptArtifact: A commit cannot be read.
    """
    return [version for version, actions in _commits(table) if not _is_sealed(actions)]


def _is_sealed(actions: list[dict[str, Any]]) -> bool:
    told = {
        kind: [action[kind] for action in actions if kind in action]
        for kind in ("commitInfo", "txn", "add", "remove")
    }
    if not (told["txn"] or told["add"] or told["remove"]):
        return not any(SEAL in info for info in told["commitInfo"])
    if len(told["txn"]) != 1:
        return False
    added = [
        StagedFile(
            path=unquote(each["path"]),
            size=each["size"],
            rows=json.loads(each["stats"])["numRecords"],
            partition={},
            statistics="",
        )
        for each in told["add"]
    ]
    removed = [unquote(each["path"]) for each in told["remove"]]
    due = seal(told["txn"][0]["appId"], told["txn"][0]["version"], added, removed)
    return [info.get(SEAL) for info in told["commitInfo"]] == [due[SEAL]]


def _commits(table: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The commits that the log still holds: version, actions."""
    for path in sorted((table / "_delta_log").glob("*.json")):
        if not path.stem.isdecimal():
            continue
        try:
            yield int(path.stem), [json.loads(line) for line in path.read_text().splitlines()]
        except ValueError as error:
            message = f"a commit of the log cannot be read: {error}"
            raise CorruptArtifact(
                message, table=table, file=path.name, hint="restore it from a backup"
            ) from error


def _events(root: Path, table: str) -> Iterator[Event]:
    for version, actions in _commits(root / table):
        info: dict[str, Any] = next(
            (each["commitInfo"] for each in actions if "commitInfo" in each), {}
        )
        for transaction in (each["txn"] for each in actions if "txn" in each):
            yield Event(
                at=datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC),
                table=table,
                version=version,
                unit=transaction["appId"],
                told=json.loads(info.get("headrace", "{}")),
            )

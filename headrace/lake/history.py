"""What happened to a source or a pipeline, from the logs of the tables alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from headrace.lake.commit import SEAL, sealed
from headrace.lake.log import actions_of


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

    Raises:
        CorruptArtifact: A commit cannot be read.
    """
    broken, schema = [], ""
    for version, actions in _commits(table):
        try:
            changes = [action["metaData"] for action in actions if "metaData" in action]
            schema = changes[-1]["schemaString"] if changes else schema
            if not _is_sealed(actions, schema):
                broken.append(version)
        except (KeyError, TypeError, ValueError):  # what stands there is no action of Delta's
            broken.append(version)
    return broken


def _is_sealed(actions: list[dict[str, Any]], schema: str) -> bool:
    infos, units, added, removed = (
        [action[kind] for action in actions if kind in action]
        for kind in ("commitInfo", "txn", "add", "remove")
    )
    if len(infos) != 1:
        return False
    if not (units or added or removed):  # new columns, which the next commit answers for
        return SEAL not in infos[0]
    if len(units) != 1:
        return False
    due = sealed(
        {name: infos[0][name] for name in ("headrace",) if name in infos[0]},
        unit=(units[0]["appId"], units[0]["version"]),
        schema=schema,
        added=[
            (unquote(each["path"]), each["size"], each["partitionValues"], each["stats"])
            for each in added
        ],
        removed=[unquote(each["path"]) for each in removed],
    )
    return bool(infos[0].get(SEAL) == due[SEAL])


def _commits(table: Path) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The commits that the log still holds: version, actions."""
    for path in sorted((table / "_delta_log").glob("*.json")):
        if path.stem.isdecimal():
            yield int(path.stem), actions_of(path)


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

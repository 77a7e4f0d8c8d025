"""Files that no kept version of a table needs: found, and removed on request.

They are left by runs that ended early, and by versions that were replaced. Every version that a
model names is kept, and so is each file that is younger than the retention.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace import faults
from headrace.browse import OpenLake
from headrace.lake import Lake, Table, exclusive
from headrace.lake.claims import Disk
from headrace.models import registry

KEEP_DAYS = 7
_HOURS = 24


@dataclass(frozen=True)
class Surplus:
    """Files of a table that can go: how many, their bytes, and the versions that are pinned."""

    table: str
    files: int
    bytes: int
    pinned: tuple[int, ...]


def maintain(root: Path, *, keep_days: int = KEEP_DAYS, apply: bool = False) -> Iterator[Surplus]:
    """Finds the surplus files of each table; removes them if asked to. A second time finds none.

    Args:
        root: The lake's folder.
        keep_days: At least 1: a file that a run at work has not committed yet is younger.
        apply: Remove them, each table under its lock.

    Raises:
        UsageError: There is no lake there.
        CorruptArtifact: A model's record, or a table's log, cannot be read.
    """
    lake = Lake(root)
    pins = _pins(lake)
    for name in OpenLake(root).tables():
        path = lake.root / name
        with exclusive(path):
            table = Table(path)
            pinned = tuple(sorted(pins.get(name, set()) & _versions(path)))
            files = _vacuum(table, pinned, keep_days=keep_days, dry_run=True)
            size = sum((path / file).stat().st_size for file in files)
            if files and apply:
                faults.point("maintain", "before_commit")
                _vacuum(table, pinned, keep_days=keep_days, dry_run=False)
                faults.point("maintain", "after_commit")
        yield Surplus(name, len(files), size, pinned)


def busy(root: Path) -> str:
    """The run that holds a claim in this lake, or nothing."""
    store = Disk(Lake(root).claims)
    return next((claim.owner for claim in store.held()), "")


def _vacuum(table: Table, pinned: tuple[int, ...], *, keep_days: int, dry_run: bool) -> list[str]:
    files = table.delta.vacuum(
        retention_hours=keep_days * _HOURS,
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,
        keep_versions=[*pinned, table.version],
    )
    # It tells of a replaced file as long as the log does, also when the file is long gone.
    return [file for file in files if (table.path / file).exists()] if dry_run else files


def _pins(lake: Lake) -> dict[str, set[int]]:
    """Table -> the versions that a model was trained on."""
    pins: dict[str, set[int]] = {}
    for folder in (lake.root / "models").glob("*/*/"):
        data = registry.record(lake, folder.parent.name, folder.name).get("data") or {}
        if data:
            pins.setdefault(data["table"], set()).add(data["version"])
    return pins


def _versions(table: Path) -> set[int]:
    """The versions whose commit is still in the log: others cannot be read any more."""
    return {
        int(path.stem) for path in (table / "_delta_log").glob("*.json") if path.stem.isdecimal()
    }

"""Small files that can be merged, and files that no kept version needs: found, done on request.

The latter are left by runs that ended early, and by versions that were replaced. Every version that
a model or a score names is kept, and so is each file that is younger than the retention.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from headrace import faults
from headrace.browse import OpenLake
from headrace.lake import Lake, Table, exclusive
from headrace.lake.claims import Disk
from headrace.lake.compact import compact, small_files
from headrace.lake.history import history
from headrace.models import registry

KEEP_DAYS = 7
_HOURS = 24


@dataclass(frozen=True)
class Surplus:
    """What can be done for a table.

    Attributes:
        table: Such as `silver/weather`.
        small: Number of small files that can be merged.
        merged: Number of files that they become.
        files: Number of files that can go.
        bytes: Of those.
        pinned: Versions that are kept for models and scores.
    """

    table: str
    small: int
    merged: int
    files: int
    bytes: int
    pinned: tuple[int, ...]


def maintain(root: Path, *, keep_days: int = KEEP_DAYS, apply: bool = False) -> Iterator[Surplus]:
    """Finds small and surplus files of each table; merges and removes them if asked to.

    A second time finds none. Merged files stay for the versions before, until they are old enough.

    Args:
        root: The lake's folder.
        keep_days: At least 1: a file that a run at work has not committed yet is younger.
        apply: Merge and remove, each table under its lock.

    Raises:
        UsageError: There is no lake there.
        CommitConflict: Another run changed a table in between.
        CorruptArtifact: A model's record, or a table's log, cannot be read.
    """
    lake = Lake(root)
    kept = pins(lake)
    for name in OpenLake(root).tables():
        path = lake.root / name
        small = small_files(Table(path))
        if small and apply:
            compact(path, small)
            faults.point("maintain", "after_return")
        with exclusive(path) if apply else nullcontext():
            table = Table(path)
            pinned = tuple(sorted(kept.get(name, set()) & _versions(path)))
            files = _vacuum(table, pinned, keep_days=keep_days, dry_run=True)
            size = sum((path / file).stat().st_size for file in files)
            if files and apply:
                faults.point("maintain", "before_commit")
                _vacuum(table, pinned, keep_days=keep_days, dry_run=False)
                faults.point("maintain", "after_commit")
        yield Surplus(name, sum(map(len, small)), len(small), len(files), size, pinned)


def busy(root: Path) -> str:
    """The run that holds a claim in this lake, or nothing."""
    store = Disk(Lake(root).claims)
    return next((claim.owner for claim in store.held()), "")


def _vacuum(table: Table, pinned: tuple[int, ...], *, keep_days: int, dry_run: bool) -> list[str]:
    found = table.delta.vacuum(
        retention_hours=keep_days * _HOURS,
        dry_run=dry_run,
        enforce_retention_duration=False,
        full=True,
        keep_versions=[*pinned, table.version],
    )
    # It names those that went before as well, as long as the log tells of their removal.
    return [file for file in found if (table.path / file).exists()]


def pins(lake: Lake) -> dict[str, set[int]]:
    """Table -> the versions that a model was trained on, or that standing scores were made of.

    Raises:
        CorruptArtifact: A model's record, or the log of scores, cannot be read.
    """
    found: dict[str, set[int]] = {}
    for name in [name for name in OpenLake(lake.root).tables() if name.startswith("scores/")]:
        pipeline = name.partition("/")[2]
        commits = history(lake.root, (name,), subject=pipeline)
        standing = {event.unit: event.told["gold"] for event in commits if "gold" in event.told}
        found[f"gold/{pipeline}"] = set(standing.values())
    for folder in (lake.root / "models").glob("*/*/"):
        data = registry.record(lake, folder.parent.name, folder.name).get("data") or {}
        if data:
            found.setdefault(data["table"], set()).add(data["version"])
    return found


def _versions(table: Path) -> set[int]:
    """The versions whose commit is still in the log: others cannot be read any more."""
    return {
        int(path.stem) for path in (table / "_delta_log").glob("*.json") if path.stem.isdecimal()
    }

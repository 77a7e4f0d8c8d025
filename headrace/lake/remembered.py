"""What was worked out of a table's data files, file by file, kept in the lake's cache.

A data file never changes, so what it holds is worked out once: the cost of a day does not grow with
the length of the past. The cache may be deleted at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from headrace.lake.data_files import DataFile

Rows = list[list[Any]]  # of JSON values


def of_each(
    files: Sequence[DataFile],
    place: Path,
    *,
    fields: int,
    work: Callable[[Sequence[DataFile]], Mapping[str, Rows]],
) -> Mapping[str, Rows]:
    """Path of each file -> the rows that `work` told of it, now or once before.

    Args:
        files: Of one version of a table.
        place: The file that remembers; where it cannot be written, it is worked out each time.
        fields: Number of values of a row, by which a file of another program is told.
        work: Path -> rows, of files that were not seen before; not called for none.
    """
    known = _recalled(place, fields)
    new = [file for file in files if file.path not in known]
    if not new:
        return known
    worked = work(new)
    held = {file.path: worked.get(file.path) or known.get(file.path, []) for file in files}
    _remember(place, held)
    return held


def _recalled(place: Path, fields: int) -> dict[str, Rows]:
    try:
        found = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return {}
    sound = isinstance(found, dict) and all(
        isinstance(rows, list) and all(isinstance(row, list) and len(row) == fields for row in rows)
        for rows in found.values()
    )
    return found if sound else {}


def _remember(place: Path, held: Mapping[str, Rows]) -> None:
    part = place.with_name(f".{uuid4().hex}")
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(json.dumps(held, separators=(",", ":")))
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)

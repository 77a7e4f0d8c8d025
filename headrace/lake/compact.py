"""Many small data files become few: the same rows, in one commit that says that no data changed.

delta-rs merges files without page checksums and has no call that removes some files and adds
others, so this one commit is written here, as Delta's protocol has it, under the table's lock.
Source: github.com/delta-io/delta/blob/master/PROTOCOL.md, "Actions".
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from headrace import faults
from headrace.errors import CommitConflict
from headrace.lake.commit import (
    Committed,
    application_id,
    exclusive,
    next_version,
    sealed,
)
from headrace.lake.data_files import DataFile, partition_texts
from headrace.lake.fingerprint import digest
from headrace.lake.staged import StagedFile, stage_file
from headrace.lake.table import Table

SMALL_BYTES = 16 << 20  # a bigger file is left as it is
FEWEST = 8  # so many small files of a partition are worth a rewrite
_MERGED_BYTES = 32 << 20  # about as much is read at once, ten times that in memory


def small_files(table: Table) -> list[tuple[DataFile, ...]]:
    """Groups of small files of the same partition, each of which would become one file."""
    partitions: dict[tuple[object, ...], list[DataFile]] = {}
    for file in table.files:
        if file.size <= SMALL_BYTES and file.rows is not None:
            partitions.setdefault(tuple(file.partition.values()), []).append(file)
    return [
        group
        for files in partitions.values()
        if len(files) >= FEWEST
        for group in _groups(files)
        if len(group) > 1
    ]


def compact(path: Path, groups: Sequence[tuple[DataFile, ...]]) -> Committed:
    """Merges each group of a table's files into one file. The old ones stay for older versions.

    Args:
        path: The table's folder.
        groups: From `small_files`.

    Raises:
        CommitConflict: One of the files is no longer part of the table.
        CorruptArtifact: One of them cannot be read, or its checksums do not hold.
    """
    faults.point("maintain", "before_read")
    old = [file for group in groups for file in group]
    unit = application_id(path.name, "maintain", digest(sorted(file.path for file in old)))
    table = Table(path)
    if table.recorded(unit):
        return Committed(table.version, made=False)
    new = [_merged(table, group) for group in groups]
    faults.point("maintain", "after_staged_write", [path / file.path for file in new])
    with exclusive(path):
        table = Table(path)
        if next_version(path, unit, recorded=None, repeatable=False) is None:
            return Committed(table.version, made=False)
        gone = {file.path for file in old} - {file.path for file in table.files}
        if gone:
            message = "the table changed since its small files were read"
            raise CommitConflict(message, table=path, hint="run again")
        faults.point("maintain", "before_commit")
        _write(table, unit, old=old, new=new)
        faults.point("maintain", "after_commit")
        return Committed(table.version + 1, made=True)


def _groups(files: Sequence[DataFile]) -> Iterator[tuple[DataFile, ...]]:
    held: list[DataFile] = []
    for file in files:
        if sum(each.size for each in held) + file.size > _MERGED_BYTES:
            yield tuple(held)
            held = []
        held.append(file)
    yield tuple(held)


def _merged(table: Table, group: Sequence[DataFile]) -> StagedFile:
    faults.point("maintain", "after_read")
    names = [name for name in table.schema.names if name not in table.partition_by]
    return stage_file(
        table.path,
        table.arrow(names, files=group),
        partition=group[0].partition,
        statistics_of={column for file in group for column in file.least},
    )


def _write(table: Table, unit: str, *, old: Sequence[DataFile], new: Sequence[StagedFile]) -> None:
    now = int(time.time() * 1000)
    actions: list[dict[str, Any]] = [
        {"txn": {"appId": unit, "version": 1, "lastUpdated": now}},
        *(
            {
                "add": {
                    "path": quote(file.path, safe="/="),
                    "partitionValues": dict(file.partition),
                    "size": file.size,
                    "modificationTime": now,
                    "dataChange": False,
                    "stats": file.statistics,
                }
            }
            for file in new
        ),
        *(
            {
                "remove": {
                    "path": quote(file.path, safe="/="),
                    "deletionTimestamp": now,
                    "dataChange": False,
                    "extendedFileMetadata": True,
                    "partitionValues": partition_texts(file.partition),
                    "size": file.size,
                }
            }
            for file in old
        ),
    ]
    info = {
        "timestamp": now,
        "operation": "OPTIMIZE",
        "operationParameters": {},
        "engineInfo": "headrace",
        **sealed(
            {"headrace": json.dumps({"merged": len(old), "into": len(new)})},
            unit=(unit, 1),
            schema=table.delta.schema(),
            added=[(file.path, file.size, file.partition, file.statistics) for file in new],
            removed=[file.path for file in old],
        ),
    }
    _put(table, [{"commitInfo": info}, *actions])


def _put(table: Table, actions: Sequence[Mapping[str, Any]]) -> None:
    """Adds a commit to the log, whole or not at all."""
    log = table.path / "_delta_log"
    draft = log / f".{uuid.uuid4()}.tmp"
    with draft.open("w") as file:
        file.write("".join(json.dumps(action) + "\n" for action in actions))
        file.flush()
        os.fsync(file.fileno())
    try:
        (log / f"{table.version + 1:020}.json").hardlink_to(draft)  # fails where one stands
    except FileExistsError as error:
        message = "another commit came in between"
        raise CommitConflict(message, table=table.path, hint="run again") from error
    finally:
        draft.unlink()

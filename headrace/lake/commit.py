"""The commit protocol: data files first, then one commit that carries its unit.

Spark's and Ray's workers write the files, the driver commits them, always through here: so one
engine, delta-rs, writes every log. Between processes on one disk a commit holds the table's lock.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, create_table_with_add_actions
from filelock import FileLock, Timeout

from headrace import faults
from headrace.errors import CommitConflict, HeadraceError, SchemaChanged
from headrace.lake.fingerprint import digest
from headrace.lake.log import actions_of
from headrace.lake.staged import StagedFile, stage_file
from headrace.lake.table import Table

_LOCK_TIMEOUT_S = 600.0
_AGAIN = "run again: what the other run has done is left alone"
NO_TABLE = -1
SEAL = "headrace_seal"
_WITHOUT_ROWS = {"OPTIMIZE", "VACUUM START", "VACUUM END"}
PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    # Delta forgets versions after 30 days otherwise, and with them those that models name.
    "delta.enableExpiredLogCleanup": "false",
    # Readers take the bounds of the first 32 columns only otherwise; ours come last.
    "delta.dataSkippingNumIndexedCols": "-1",
}


@dataclass(frozen=True)
class Committed:
    """What a commit left: the table's version, and whether this call made it."""

    version: int
    made: bool


def application_id(subject: str, stage: str, unit: str) -> str:
    """The application transaction id of a unit of work, such as `weather/check/<batch>`."""
    return f"{subject}/{stage}/{unit}"


def stage_of(unit: str) -> str:
    """The stage of a unit of work."""
    return unit.partition("/")[2].partition("/")[0] or unit


@contextmanager
def exclusive(table: Path, *, timeout_s: float = _LOCK_TIMEOUT_S) -> Iterator[None]:
    """Holds the lock of a table against every other committer on this disk.

    Raises:
        CommitConflict: Another process held it for `timeout_s` seconds.
    """
    table.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(table.parent / f".{table.name}.lock", timeout=timeout_s)
    try:
        with lock:
            yield
    except Timeout as error:
        message = f"another process has held the table's lock for {timeout_s:.0f} s"
        raise CommitConflict(
            message,
            table=table,
            hint="wait for the other run, then run again",
        ) from error


def commit(
    table: Path,
    files: Sequence[StagedFile],
    *,
    schema: pa.Schema,
    unit: str,
    partition_by: Sequence[str] = (),
    replace: Sequence[tuple[str, str, Any]] | None = None,
    recorded: int | None = None,
    repeatable: bool = False,
    seen: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Committed:
    """Makes staged files part of a table, in one commit that carries the unit's application id.

    Running it again for a unit that has committed changes nothing and says so.

    Args:
        table: The table's folder; made on the first commit.
        files: What `stage_file` returned.
        schema: All columns, partition columns included. Columns that the table lacks are added to
            it, null in the rows that stand; those that the rows lack are null in them.
        unit: From `application_id`.
        partition_by: The partition columns.
        replace: Partition filters, such as `[("_interval", "=", "2013-12-01")]` (or `in` and a
            list): what they match is replaced.
        recorded: With `repeatable`: the version the caller saw for `unit` when it decided; 0 for
            none.
        repeatable: The unit may commit again, if `recorded` is still what stands there.
        seen: The table's version that the files were decided on; `NO_TABLE` for none.
        metadata: Repeated in the commit for people; nothing depends on it.

    Raises:
        CommitConflict: Someone committed the unit in between (`repeatable`), or the table changed
            under us.
        SchemaChanged: A column has another type in the table.
        OSError: The disk is full.
    """
    stage = stage_of(unit)
    faults.point(stage, "after_staged_write", [table / file.path for file in files])
    with exclusive(table):
        version = next_version(table, unit, recorded=recorded, repeatable=repeatable)
        if version is None:
            return Committed(version_of(table), made=False)
        if seen is not None and not _same_rows(table, seen):
            message = "the table changed since these rows were decided on"
            raise CommitConflict(message, table=table, hint=_AGAIN)
        gone = [file.path for file in files if not (table / file.path).exists()]
        if gone:  # this run slept for days, and maintenance took them for a dead run's
            message = f"data files that were written are gone: {gone[0]}"
            raise CommitConflict(message, table=table, hint="run again: they are written anew")
        current = Table(table) if Table.exists(table) else None  # no shared one: it will change
        if current is not None:
            current = _with_columns(current, schema)
        properties = CommitProperties(
            app_transactions=[Transaction(unit, version, int(time.time() * 1000))],
            custom_metadata=sealed(
                metadata or {},
                unit=(unit, version),
                schema=Schema.from_arrow(schema) if current is None else current.delta.schema(),
                added=[(file.path, file.size, file.partition, file.statistics) for file in files],
                removed=_replaced(current, replace),
            ),
            # The lock is held: whoever still conflicts does not keep the protocol.
            max_commit_retries=0,
        )
        faults.point(stage, "before_commit")
        _write(
            table,
            current,
            files,
            schema=schema,
            partition_by=partition_by,
            replace=replace,
            properties=properties,
        )
        faults.point(stage, "after_commit")
        return Committed(version_of(table), made=True)


def _write(
    table: Path,
    current: Table | None,
    files: Sequence[StagedFile],
    *,
    schema: pa.Schema,
    partition_by: Sequence[str],
    replace: Sequence[tuple[str, str, Any]] | None,
    properties: CommitProperties,
) -> None:
    """Has delta-rs write the commit, and names what it says where it refuses."""
    actions = [_add_action(file) for file in files]
    try:
        if current is None:
            create_table_with_add_actions(
                table.as_posix(),
                Schema.from_arrow(schema),
                actions,
                mode="error",
                partition_by=list(partition_by),
                configuration=PROPERTIES,
                commit_properties=properties,
            )
        else:
            current.delta.create_write_transaction(
                [*actions],
                mode="append" if replace is None else "overwrite",
                schema=Schema.from_arrow(schema),
                partition_by=list(partition_by),
                partition_filters=list(replace) if replace else None,
                commit_properties=properties,
            )
    except CommitFailedError as error:
        message = f"the commit was refused: {error}"
        raise CommitConflict(message, table=table, hint=_AGAIN) from error
    except DeltaError as error:
        if os.strerror(errno.ENOSPC) in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(table)) from error
        message = f"the commit failed: {error}"
        hint = "look at the disk and the rights of its folder, then run again; it is as it was"
        raise HeadraceError(message, table=table, hint=hint) from error


def sealed(
    metadata: Mapping[str, str],
    *,
    unit: tuple[str, int],
    schema: Schema | str,
    added: Collection[tuple[str, int, Mapping[str, str | None], str]],
    removed: Collection[str],
) -> dict[str, str]:
    """What a commit says beside its actions, with a digest of all: a changed line can be seen.

    Args:
        metadata: For people.
        unit: The application transaction id and its number.
        schema: The table's, or that as JSON.
        added: Path, size, partition and statistics of files that become part of the table.
        removed: Paths of the files that leave it.
    """
    columns = json.loads(schema if isinstance(schema, str) else schema.to_json())
    files = sorted(json.dumps(file, sort_keys=True) for file in added)
    return {**metadata, SEAL: digest(metadata, unit, columns, files, sorted(removed))}


def _replaced(table: Table | None, filters: Sequence[tuple[str, str, Any]] | None) -> list[str]:
    """Paths of the files that an overwrite of some partitions removes."""
    if table is None or filters is None:
        return []
    wanted = {
        column: {str(each) for each in (value if operator == "in" else [value])}
        for column, operator, value in filters
    }
    return [
        file.path
        for file in table.files
        if all(str(file.partition[column]) in values for column, values in wanted.items())
    ]


def _with_columns(table: Table, schema: pa.Schema) -> Table:
    """The table with all columns of a schema, and our properties; the lock is held."""
    standing, given = Schema.from_arrow(table.schema).fields, Schema.from_arrow(schema).fields
    types = {field.name: field.type for field in standing}
    changed = [
        f"{field.name}: {_named(types[field.name])} in the table, {_named(field.type)} in the rows"
        for field in given
        if field.name in types and types[field.name] != field.type
    ]
    if changed:
        message = f"columns have another type: {'; '.join(changed)}"
        raise SchemaChanged(
            message, table=table.path, hint="give the column another name, or keep its type"
        )
    new = [field for field in given if field.name not in types]
    if new:
        table.delta.alter.add_columns(new)
    stated = table.delta.metadata().configuration
    lacking = {name: value for name, value in PROPERTIES.items() if stated.get(name) != value}
    if lacking:  # made by an earlier version
        table.delta.alter.set_table_properties(lacking)
    return Table(table.path) if new or lacking else table


def _named(kind: Any) -> str:  # noqa: ANN401 - delta-rs has no common base of its types
    return str(getattr(kind, "type", kind))


def _same_rows(table: Path, seen: int) -> bool:
    """Whether the table holds the rows of a version still: maintenance changes files alone."""
    newest = version_of(table)
    return seen <= newest and all(
        _operation(table, version) in _WITHOUT_ROWS for version in range(seen + 1, newest + 1)
    )


def _operation(table: Path, version: int) -> str:
    actions = actions_of(table / "_delta_log" / f"{version:020}.json")
    return "".join(action.get("commitInfo", {}).get("operation", "") for action in actions)


def version_of(table: Path) -> int:
    """The newest version of a table, or `NO_TABLE`."""
    current = Table.if_exists(table)
    return NO_TABLE if current is None else current.version


def next_version(table: Path, unit: str, *, recorded: int | None, repeatable: bool) -> int | None:
    """The transaction version of a unit's next commit, or None where it has committed for good.

    The table's lock must be held until that commit: neither engine checks the version by itself.

    Raises:
        CommitConflict: `repeatable`, and not `recorded` but another version stands there.
    """
    current = Table.if_exists(table)
    seen = (current.recorded(unit) if current else None) or 0
    if repeatable and seen != (recorded or 0):
        message = f"{unit} was committed by another run in between"
        raise CommitConflict(message, table=table, hint=_AGAIN)
    return None if seen and not repeatable else seen + 1


def append(
    table: Path, rows: pa.Table, *, unit: str, metadata: Mapping[str, str] | None = None
) -> Committed:
    """Appends a few rows to an unpartitioned table as one unit; a second time does nothing."""
    current = Table.if_exists(table)
    if current is not None and current.recorded(unit):
        return Committed(current.version, made=False)
    return commit(
        table, [stage_file(table, rows)], schema=rows.schema, unit=unit, metadata=metadata
    )


def _add_action(file: StagedFile) -> AddAction:
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values=dict(file.partition),
        modification_time=int(time.time() * 1000),
        data_change=True,
        stats=file.statistics,
    )

"""A data file that is written, with what the log will tell of it, and not yet part of its table."""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.errors import UsageError
from headrace.lake.data_files import footer_digest, partition_folder, partition_texts

# Delta cuts longer strings; cut ones would need care, so they get no statistics.
_STATISTICS_PREFIX = 32
_LAST_TOLD = datetime.max - timedelta(milliseconds=1)  # noqa: DTZ901 - no zone has a later moment


@dataclass(frozen=True)
class StagedFile:
    """A data file that stands in a table's folder and is not yet part of the table."""

    path: str
    size: int
    rows: int
    partition: Mapping[str, str | None]
    statistics: str


def stage_file(
    table: Path,
    rows: pa.Table,
    *,
    partition: Mapping[str, date | str | None] | None = None,
    statistics_of: Collection[str] | None = None,
) -> StagedFile:
    """Writes rows as one Parquet file with page checksums into the table's folder, and syncs it.

    The file's name carries the digest of its footer: its columns, and the places of its pages.

    Args:
        table: The table's folder.
        rows: The rows, without the partition columns.
        partition: Partition column -> its value for all of the rows.
        statistics_of: Columns whose bounds the log keeps; all if None.

    Raises:
        UsageError: A partition's value is an empty text, which Delta cannot tell from null.
    """
    texts = partition_texts(partition or {})
    empty = [column for column, text in texts.items() if text == ""]
    if empty:
        message = f"a value of the partition column {empty[0]} is an empty text"
        raise UsageError(message, table=table, hint="Delta reads it as null: partition by another")
    folder = table / partition_folder(texts)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"part-{uuid.uuid4()}"
    unnamed = folder / f"{name}.zstd.parquet"
    with unnamed.open("wb") as file:
        pq.write_table(rows, file, compression="zstd", write_page_checksum=True)
        file.flush()
        os.fsync(file.fileno())
    path = unnamed.rename(folder / f"{name}-{footer_digest(unnamed)}.zstd.parquet")
    return StagedFile(
        path=path.relative_to(table).as_posix(),
        size=path.stat().st_size,
        rows=rows.num_rows,
        partition=texts,
        statistics=json.dumps(_statistics(rows, statistics_of)),
    )


def _statistics(rows: pa.Table, names: Collection[str] | None) -> dict[str, Any]:
    """Delta's file statistics; none for bounds that could mislead (NaN, infinity, long text)."""
    if names is not None:
        told = _statistics(rows.select([n for n in rows.column_names if n in names]), None)
        return {**told, "numRecords": rows.num_rows}
    least: dict[str, Any] = {}
    greatest: dict[str, Any] = {}
    for name, column in zip(rows.column_names, rows.columns, strict=True):
        kind = column.type
        if rows.num_rows == 0 or not (
            pa.types.is_string(kind)
            or pa.types.is_integer(kind)
            or pa.types.is_date(kind)
            or pa.types.is_floating(kind)
            or pa.types.is_timestamp(kind)
        ):
            continue
        bounds = pc.min_max(column).as_py()
        low, high = bounds["min"], bounds["max"]
        if low is None or not (_plain(low) and _plain(high)):
            continue
        if isinstance(low, float) and pc.any(pc.is_nan(column)).as_py():
            continue
        least[name], greatest[name] = _told(low), _told(high, up=True)
    nulls = {
        name: column.null_count
        for name, column in zip(rows.column_names, rows.columns, strict=True)
    }
    return {
        "numRecords": rows.num_rows,
        "minValues": least,
        "maxValues": greatest,
        "nullCount": nulls,
    }


def _told(bound: Any, *, up: bool = False) -> Any:  # noqa: ANN401 - any scalar of a column
    """A bound as Delta's JSON has it: moments in whole milliseconds, the upper one rounded up.

    Zero is -0.0 below and 0.0 above, as in Parquet: some readers hold the two apart.
    """
    if isinstance(bound, float) and bound == 0:
        return 0.0 if up else -0.0
    if isinstance(bound, datetime):
        whole = bound.replace(microsecond=bound.microsecond // 1000 * 1000)
        if up and whole < bound:
            whole += timedelta(milliseconds=1)
        return whole.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return str(bound) if isinstance(bound, date) else bound


def _plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None) < _LAST_TOLD
    return not isinstance(value, str) or len(value) <= _STATISTICS_PREFIX

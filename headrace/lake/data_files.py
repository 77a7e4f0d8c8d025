"""Data files of a table as the Delta log tells of them: bounds, partitions, digests of footers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa


@dataclass(frozen=True)
class DataFile:
    """One data file of a table version, as the Delta log tells it.

    Attributes:
        path: Relative to the table's folder.
        size: In bytes.
        rows: Number of rows, or None where the writer kept no statistics.
        partition: Partition column -> value (a date, string or number; None is null).
        least: Column -> smallest value, where the log has it.
        greatest: Column -> largest value, where the log has it.
    """

    path: str
    size: int
    rows: int | None
    partition: Mapping[str, Any]  # any scalar that Delta can partition by
    least: Mapping[str, Any]
    greatest: Mapping[str, Any]

    @property
    def batch(self) -> str | None:
        """The batch that all of its rows belong to; None where the log tells of none, or of two."""
        found = self.partition.get("_batch") or self.least.get("_batch")
        last = self.partition.get("_batch") or self.greatest.get("_batch")
        return str(found) if found is not None and found == last else None


def data_files(told: pa.Table) -> Iterator[DataFile]:
    """The data files of a log, column by column as delta-rs tells of them."""

    def under(prefix: str) -> list[dict[str, Any]]:
        columns = {
            name.removeprefix(prefix): column.to_pylist()
            for name, column in zip(told.column_names, told.columns, strict=True)
            if name.startswith(prefix)
            and (prefix == "partition." or column.null_count < told.num_rows)
        }
        if not columns:
            return [{}] * told.num_rows
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    counts = told["num_records"].to_pylist() if "num_records" in told.column_names else None
    partitions, least, greatest = under("partition."), under("min."), under("max.")
    for i, (path, size) in enumerate(
        zip(told["path"].to_pylist(), told["size_bytes"].to_pylist(), strict=True)
    ):
        yield DataFile(
            path=unquote(path),
            size=size,
            rows=counts[i] if counts else None,
            partition=partitions[i],
            least={name: value for name, value in least[i].items() if value is not None},
            greatest={name: value for name, value in greatest[i].items() if value is not None},
        )


def partition_folder(partition: Mapping[str, object]) -> Path:
    """The folder of a partition's files, named as Hive does: polars reads values from it."""
    return Path(*(f"{_hive(column)}={_hive(value)}" for column, value in partition.items()))


def partition_texts(partition: Mapping[str, object]) -> dict[str, str | None]:
    """The values of a partition as the log has them."""
    return {name: None if value is None else str(value) for name, value in partition.items()}


def stands_in_its_folder(file: DataFile) -> bool:
    """Whether it lies where its partition, as the log tells of it, would have it."""
    values = file.partition.values()
    if not all(value is None or type(value) in {str, int, date} for value in values):
        return True  # of other types the log's text differs from Python's
    return Path(file.path).parent == partition_folder(file.partition)


def footer_digest(path: Path) -> str:
    """Tells a Parquet file's footer from any other; page checksums do not cover it.

    Raises:
        OSError: The file is too short to hold the footer that it tells of.
    """
    return hashlib.sha256(_footer(path)).hexdigest()[:16]


def _hive(value: object) -> str:
    return "__HIVE_DEFAULT_PARTITION__" if value is None else quote(str(value), safe="")


def _footer(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, os.SEEK_END)
        return file.read()

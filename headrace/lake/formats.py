"""The formats of landing files, under Spark's names: how a file is looked at, cut and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa

from headrace.lake import json_lines, lines, parquet_rows
from headrace.lake.lines import Inspected, Split


@dataclass(frozen=True)
class Format:
    """How the files of a format are read.

    Attributes:
        splits: Cuts a file into parts that are read side by side.
        read: The rows of a part, as `headrace.lake.lines.LINES`.
    """

    splits: Callable[[Path], list[Split]]
    read: Callable[[Split], Iterator[pa.RecordBatch]]


FORMATS = MappingProxyType(
    {
        "csv": Format(lines.splits, lines.read),
        "json": Format(lines.splits, json_lines.read),
        "parquet": Format(parquet_rows.splits, parquet_rows.read),
    }
)


def inspector(name: str, *, delimiter: str, quote: str) -> Callable[[Path], Inspected]:
    """Reads a file of a format once: its digest, its columns, why it cannot be read."""
    if name == "csv":
        return partial(lines.inspect, delimiter=delimiter, quote=quote)
    return {"json": json_lines.inspect, "parquet": parquet_rows.inspect}[name]

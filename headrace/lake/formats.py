"""The formats of landing files, under Spark's names: how a file is looked at, cut and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import pyarrow as pa

from headrace.lake import json_lines, lines, parquet_rows
from headrace.lake.lines import Inspected, Split
from headrace.lake.stores import Place


@dataclass(frozen=True)
class Format:
    """How the files of a format are read.

    Attributes:
        inspect: Reads a file once: its digest, its columns, why it cannot be read.
        splits: Cuts a file into parts that are read side by side.
        read: The rows of a part, as `headrace.lake.lines.LINES`.
    """

    inspect: Callable[..., Inspected]
    splits: Callable[[Place], list[Split]]
    read: Callable[[Split], Iterator[pa.RecordBatch]]


FORMATS = MappingProxyType(
    {
        "csv": Format(lines.inspect, lines.splits, lines.read),
        "json": Format(json_lines.inspect, lines.splits, json_lines.read),
        "parquet": Format(parquet_rows.inspect, parquet_rows.splits, parquet_rows.read),
    }
)


def inspector(name: str, *, delimiter: str, quote: str) -> Callable[[Place], Inspected]:
    """Reads a file of a format once: its digest, its columns, why it cannot be read."""
    inspect = FORMATS[name].inspect
    return partial(inspect, delimiter=delimiter, quote=quote) if name == "csv" else inspect

"""Parquet landing files: looked at whole, and read as numbered rows, each as one JSON object.

A row's text is what bronze and quarantine keep of it. Numbers, days and moments are written so that
reading them gives the same value; moments in UTC, to the microsecond.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.lake.lines import LINES, Inspected, Split
from headrace.lake.stores import Place, place

_SPLIT_ROWS = 1_000_000
_BATCH_ROWS = 32_768
_ESCAPED: Mapping[str, str] = {
    "\\": "\\\\",
    '"': '\\"',
    **{chr(code): f"\\u{code:04x}" for code in range(32)},
}
_CONTROL = r"[\x00-\x1f]"
_HOLDS_NUL = r"(^|[^\\])(\\\\)*\\u0000"  # not a backslash of the text before the same letters
_NUL = "holds a NUL byte"


def inspect(path: Place) -> Inspected:
    """Reads a file once for its digest and once to see that every page of it can be read."""
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Inspected("", (), error.strerror or str(error))
    try:
        with _opened(path) as parquet:
            schema = parquet.schema_arrow
            odd = [f"{field.name} ({field.type})" for field in schema if not _has_text(field.type)]
            if odd:
                return Inspected(
                    sha256, (), f"columns of a type that no cell has: {', '.join(odd)}"
                )
            for batch in parquet.iter_batches(_BATCH_ROWS):
                batch.validate(full=True)
                _texts(batch)
    except (OSError, pa.ArrowException) as error:
        told = str(error).splitlines()[0]
        return Inspected(sha256, (), f"it is not a Parquet file that can be read: {told}")
    return Inspected(sha256, tuple(schema.names), None)


def splits(path: Place) -> list[Split]:
    """Row groups, about a million rows together; `start` and `end` are numbers of row groups."""
    with _opened(path) as parquet:
        sizes = [
            parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)
        ]
    parts: list[Split] = []
    start, first_row, held = 0, 1, 0
    for group, rows in enumerate(sizes, start=1):
        held += rows
        if held >= _SPLIT_ROWS or group == len(sizes):
            parts.append(Split(path.as_posix(), start, group, first_row))
            start, first_row, held = group, first_row + held, 0
    return parts


def read(split: Split) -> Iterator[pa.RecordBatch]:
    """The rows of a split as `headrace.lake.lines.LINES`, numbered from 1."""
    row = split.first_row
    with _opened(place(split.path)) as parquet:
        groups = list(range(split.start, split.end or 0))
        for batch in parquet.iter_batches(_BATCH_ROWS, row_groups=groups):
            raw = _texts(batch)
            problem = pc.if_else(
                pc.match_substring_regex(raw, _HOLDS_NUL), _NUL, pa.scalar(None, pa.string())
            )
            numbers = pa.array(range(row, row + batch.num_rows), pa.int64())
            row += batch.num_rows
            yield pa.RecordBatch.from_arrays([numbers, raw, problem], schema=LINES)


@contextmanager
def _opened(path: Place) -> Iterator[pq.ParquetFile]:
    with (
        nullcontext(path) if isinstance(path, Path) else path.open_raw() as source,
        pq.ParquetFile(source, page_checksum_verification=True) as parquet,
    ):
        yield parquet


def _has_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _has_text(kind.value_type)
    return (pa.types.is_primitive(kind) and not pa.types.is_duration(kind)) or any(
        test(kind)
        for test in (
            *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
            *(pa.types.is_decimal, pa.types.is_null),
        )
    )


def _texts(batch: pa.RecordBatch) -> pa.StringArray:
    """Each row as a JSON object."""
    if not batch.num_columns:
        return pa.repeat("{}", batch.num_rows)
    parts: list[pa.Array | pa.Scalar] = []
    for number, (name, column) in enumerate(zip(batch.schema.names, batch.columns, strict=True)):
        parts += [pa.scalar(("," if number else "{") + orjson.dumps(name).decode() + ":")]
        parts += [_values(column)]
    end = pa.repeat("}", batch.num_rows)  # an array, where there is no column at all
    return (
        pc.binary_join_element_wise(*parts, end, "") if parts else pa.repeat("{}", batch.num_rows)
    )


def _values(column: pa.Array) -> pa.StringArray:
    """Each cell as a JSON value."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if pa.types.is_floating(kind):
        column = column.cast(pa.float64())
        text = column.cast(pa.string())
        text = pc.if_else(pc.is_finite(column), text, _quoted(text))
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        text = column.cast(pa.string())
    elif pa.types.is_timestamp(kind):
        unit = pa.timestamp("us", None if kind.tz is None else "UTC")
        text = _quoted(column.cast(unit, safe=kind.unit != "ns").cast(pa.string()))
    else:
        text = _quoted(_escaped(column.cast(pa.string())))
    return pc.fill_null(text, "null")


def _quoted(text: pa.StringArray) -> pa.StringArray:
    return pc.binary_join_element_wise('"', text, '"', "")


def _escaped(text: pa.StringArray) -> pa.StringArray:
    has_control = pc.any(pc.match_substring_regex(text, _CONTROL)).as_py()
    for character, escape in _ESCAPED.items():
        if has_control or character in '\\"':
            text = pc.replace_substring(text, character, escape)
    return text

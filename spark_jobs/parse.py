"""Lines to typed rows. A cell that does not parse is a reason, never an error or a null.

Added columns: `_reason` (why the row cannot be used, or null) beside the declared ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.spec.model import ColumnType, Source
from spark_jobs.ingest import header_columns

POSITION = ("_file", "_file_sha256", "_row", "_batch", "_ingested_at")
_SPARE = "_spare"  # where `from_csv` says that a line is malformed
_ZONED = r"(Z|UTC|[T ].*[+-]\d\d(:?\d\d)?|[A-Za-z]+/[A-Za-z_]+)$"


def typed(bronze: DataFrame, source: Source, *, headers: Sequence[str]) -> DataFrame:
    """The rows of bronze lines: declared columns, `_reason`, and where each came from.

    Args:
        bronze: Lines of one batch.
        source: What is declared.
        headers: The distinct `_columns` among the lines; each is parsed in its own order.
    """
    parts = [
        _typed(
            bronze.where(F.col("_columns") == header) if len(headers) > 1 else bronze,
            source,
            header,
        )
        for header in headers
    ]
    return reduce(DataFrame.unionByName, parts)


@dataclass(frozen=True)
class _Cells:
    """How a line comes to cells.

    Attributes:
        parsed: The struct `_cells`.
        text: Declared column -> its text in `_cells`.
        malformed: Why a line has no cells, or null.
    """

    parsed: Column
    text: Mapping[str, Column]
    malformed: Column


def _typed(lines: DataFrame, source: Source, header: str) -> DataFrame:
    cells = _of_csv(source, header) if source.format == "csv" else _of_json(source)
    value = {
        name: _cast(cells.text[name], kind, source.time_zone)
        for name, kind in source.columns.items()
    }
    problem = F.concat(F.lit("the line "), F.col("_problem"))
    return lines.withColumn("_cells", cells.parsed).select(
        *(value[name].alias(name) for name in source.columns),
        F.coalesce(problem, cells.malformed, _unreadable(source, cells.text, value)).alias(
            "_reason"
        ),
        *POSITION,
    )


def _of_csv(source: Source, header: str) -> _Cells:
    names = header_columns(header, source.delimiter)
    options = {
        "sep": source.delimiter,
        "quote": source.quote,
        "escape": source.quote,
        "nullValue": source.null_value,
        "columnNameOfCorruptRecord": _SPARE,
        "mode": "PERMISSIVE",
    }
    ragged = F.col(f"_cells.{_SPARE}").isNotNull() | _has_open_quote(F.col("_raw"), source.quote)
    return _Cells(
        F.from_csv("_raw", _texts([f"c{i}" for i in range(len(names))]), options),
        {
            name: F.col(f"_cells.c{names.index(name)}")
            if name in names
            else F.lit(None).cast("string")
            for name in source.columns
        },
        F.when(ragged, _ragged_reason(F.col("_raw"), source, len(names))),
    )


def _of_json(source: Source) -> _Cells:
    """A key that is not there is null."""
    options = {"columnNameOfCorruptRecord": _SPARE, "mode": "PERMISSIVE"}
    malformed = F.when(
        F.col(f"_cells.{_SPARE}").isNotNull(), F.lit("the line is not a JSON object")
    )
    if source.format == "json":  # the objects of Parquet rows are ours
        keys = F.json_object_keys("_raw")
        malformed = malformed.when(
            F.size(keys) > F.size(F.array_distinct(keys)), "a key stands twice in the line"
        )
        if source.on_changed_columns == "fail":
            unknown = F.array_except(keys, F.array(*map(F.lit, source.columns)))
            told = F.concat(F.lit("keys that are not declared: "), F.array_join(unknown, ", "))
            malformed = malformed.when(F.size(unknown) > 0, told)
    text = {name: F.col(f"_cells.{name}") for name in source.columns}
    if source.null_value:
        text = {name: F.nullif(cell, F.lit(source.null_value)) for name, cell in text.items()}
    return _Cells(F.from_json("_raw", _texts(source.columns), options), text, malformed)


def _texts(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}` string" for name in (*names, _SPARE))


def _unreadable(source: Source, text: Mapping[str, Column], value: Mapping[str, Column]) -> Column:
    """Which cells cannot be read as their type, or are null where none may be; else null."""
    required = dict.fromkeys([*source.key, *filter(None, [source.event_time, source.known_at])])
    unparsed = {
        name: text[name].isNotNull() & value[name].isNull()
        for name, kind in source.columns.items()
        if kind != "string"
    }
    absent = {name: text[name].isNull() for name in required}
    reasons = F.concat_ws(
        "; ",
        *(
            F.when(
                bad,
                F.concat(
                    F.lit(f"{name}: cannot read '"),
                    text[name],
                    F.lit(f"' as {source.columns[name]}"),
                ),
            )
            for name, bad in unparsed.items()
        ),
        *(
            F.when(bad, F.lit(f"{name}: is null, and the row cannot be placed without it"))
            for name, bad in absent.items()
        ),
    )
    return F.when(reduce(or_, [*unparsed.values(), *absent.values()]), reasons)


def _cast(text: Column, kind: ColumnType, zone: str) -> Column:
    """A text as a type, or null where it cannot be read: no infinity, no made-up date."""
    if kind is ColumnType.STRING:
        return text
    if kind is ColumnType.DOUBLE:
        number = text.try_cast("double")
        finite = ~F.isnan(number) & (F.abs(number) != float("inf")) & ~text.rlike("[dDfFxX]")
        return F.when(finite, number)
    if kind is ColumnType.TIMESTAMP:
        moment = text.try_cast("timestamp")
        local = (
            moment
            if zone == "UTC"
            else F.when(text.rlike(_ZONED), moment).otherwise(F.to_utc_timestamp(moment, zone))
        )
        return F.when(text.rlike(r"^\d{4}-\d\d-\d\d[T ]\d"), local)
    if kind is ColumnType.DATE:
        return F.when(text.rlike(r"^\d{4}-\d\d-\d\d$"), text.try_cast("date"))
    return text.try_cast(str(kind))


def _has_open_quote(raw: Column, quote: str) -> Column:
    return (F.length(raw) - F.length(F.replace(raw, F.lit(quote), F.lit("")))) % 2 == 1


def _ragged_reason(raw: Column, source: Source, width: int) -> Column:
    return F.when(
        _has_open_quote(raw, source.quote), F.lit("a quote is not closed on its line")
    ).otherwise(F.lit(f"the line has not the {width} cells of its header"))

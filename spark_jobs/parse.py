"""Lines to typed rows. A cell that does not parse is a reason, never an error or a null.

Added columns: `_reason` (why the row cannot be used, or null) beside the declared ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

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


def _typed(lines: DataFrame, source: Source, header: str) -> DataFrame:
    names = header_columns(header, source.delimiter)
    texts = StructType(
        [StructField(f"c{i}", StringType()) for i in range(len(names))]
        + [StructField(_SPARE, StringType())]
    )
    options = {
        "sep": source.delimiter,
        "quote": source.quote,
        "escape": source.quote,
        "nullValue": source.null_value,
        "columnNameOfCorruptRecord": _SPARE,
        "mode": "PERMISSIVE",
    }
    cells = lines.withColumn(
        "_cells",
        F.from_csv(
            "_raw",
            texts.simpleString().removeprefix("struct<").removesuffix(">").replace(":", " "),
            options,
        ),
    )
    text = {
        name: F.col(f"_cells.c{names.index(name)}") if name in names else F.lit(None).cast("string")
        for name in source.columns
    }
    value = {
        name: _cast(text[name], kind, source.time_zone) for name, kind in source.columns.items()
    }
    required = dict.fromkeys([*source.key, *filter(None, [source.event_time, source.known_at])])
    unparsed = {
        name: text[name].isNotNull() & value[name].isNull()
        for name, kind in source.columns.items()
        if kind != "string"
    }
    absent = {name: text[name].isNull() for name in required}
    ragged = F.col(f"_cells.{_SPARE}").isNotNull() | _has_open_quote(F.col("_raw"), source.quote)
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
    broken = reduce(or_, [*unparsed.values(), *absent.values()])
    reason = (
        F.when(F.col("_problem").isNotNull(), F.concat(F.lit("the line "), F.col("_problem")))
        .when(ragged, _ragged_reason(F.col("_raw"), source, len(names)))
        .when(broken, reasons)
    )
    return cells.select(
        *(value[name].alias(name) for name in source.columns), reason.alias("_reason"), *POSITION
    )


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

"""The passes of a profile over a table, as Spark runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from spark_jobs.profiling.columns import (
    DAY_S,
    LISTED,
    PROBABILITIES,
    Overview,
    Periods,
    periods,
)
from spark_jobs.profiling.sums import CELLS, DAY, SUMS, Ints, Wanted, cells, sums

ACCURACY = 1_000  # of `approx_percentile`: a rank is off by a thousandth of the rows at most
SKETCH = 12  # log2 of the buckets of a HyperLogLog sketch: its relative standard error is 1.6 %
_LONGEST = 200  # characters of a text that is counted; those cut are told apart by a hash
_OUTER = (0, -1)  # of the probabilities: the span of time where single rows stand far outside


def placed(rows: DataFrame, columns: Sequence[str], *, time_column: str, zone: str) -> DataFrame:
    """The columns as `c<place>`, whatever their names, their numbers as `x<place>`, the `day`."""
    day = F.lit(None).cast("date")
    if time_column:
        moment = _column(time_column)
        day = moment
        if not isinstance(rows.schema[time_column].dataType, T.DateType):
            day = F.to_date(F.from_utc_timestamp(moment, zone))
    placed = []
    for place, name in enumerate(columns):
        column, kind = _column(name), _kind(rows.schema[name].dataType)
        placed.append(column.alias(f"c{place}"))
        if kind != "other":
            placed.append(_number(column, kind).alias(f"x{place}"))
    return rows.select(*placed, day.alias(DAY))


def overview(
    frame: DataFrame, names: Sequence[str], types: Sequence[T.DataType]
) -> tuple[int, list[Overview], Periods | None]:
    """The first pass: the number of rows, each column by itself, the periods of the table's time.

    Args:
        frame: Columns `c<place>` and `day`.
        names: Of the columns.
        types: Of the columns.
    """
    asked = {"rows": F.count(F.lit(1)), "days": _numbers_of(F.unix_date(DAY).cast("double"))}
    for place, kind in enumerate(map(_kind, types)):
        column = F.col(f"c{place}")
        asked[f"present{place}"] = F.count(column)
        if kind == "real":
            asked[f"nan{place}"] = F.count_if(F.isnan(column))
            asked[f"infinite{place}"] = F.count_if(_is_infinite(column))
        if kind != "other":
            # `approx_count_distinct` is five times as slow at this error.
            value = F.when(column.isNotNull(), F.xxhash64(column))
            distinct = F.hll_sketch_estimate(F.hll_sketch_agg(value, F.lit(SKETCH)))
            asked[f"distinct{place}"] = distinct
            asked[f"numbers{place}"] = _numbers_of(F.col(f"x{place}"))
    row = frame.agg(*(column.alias(name) for name, column in asked.items())).collect()[0].asDict()
    told = [
        Overview(
            place=place,
            name=name,
            type=kind.simpleString(),
            kind=_kind(kind),
            present=row[f"present{place}"],
            nan=row.get(f"nan{place}", 0),
            infinite=row.get(f"infinite{place}", 0),
            distinct=row.get(f"distinct{place}"),
            numbers=_finite(row.get(f"numbers{place}")),
            quantiles=(row.get(f"numbers{place}") or {"quantiles": None})["quantiles"] or (),
        )
        for place, (name, kind) in enumerate(zip(names, types, strict=True))
    ]
    days = row["days"]
    if days["min"] is None:
        return row["rows"], told, None
    outer = [days["quantiles"][end] for end in _OUTER]
    whole = periods(int(days["min"]), int(days["max"]))
    return row["rows"], told, whole or periods(int(outer[0]), int(outer[1]))


def _numbers_of(number: Column) -> Column:
    quantiles = F.percentile_approx(number, list(PROBABILITIES), ACCURACY)
    return F.struct(
        F.min(number).alias("min"),
        F.max(number).alias("max"),
        F.avg(number).alias("mean"),
        F.stddev_samp(number).alias("std"),
        quantiles.alias("quantiles"),
    )


def _finite(numbers: Row | None) -> dict[str, float]:
    """Those that are there: one row has no deviation, and that of huge numbers is infinite."""
    told = {} if numbers is None else numbers.asDict()
    found = {name: told.get(name) for name in ("min", "max", "mean", "std")}
    return {name: value for name, value in found.items() if value is not None and isfinite(value)}


def summed(frame: DataFrame, wanted: Wanted) -> pa.Table:
    """The second pass: rows of `SUMS`, no more than `LISTED` of a kind and column."""
    asked = [F.col(f"c{place}").isNotNull().alias(f"p{place}") for place in wanted.columns]
    asked += [F.col(f"x{place}") for place in wanted.edges]
    asked += [_label(place) for place in wanted.counted]
    parts = frame.select(*asked, DAY).mapInArrow(partial(sums, wanted=wanted), SUMS)
    added = parts.groupBy("kind", "a", "b", "label").agg(
        *(F.sum(name).alias(name) for name in ("n", "x", "y", "xx", "yy", "xy"))
    )
    first = Window.partitionBy("kind", "a").orderBy(F.desc("n"), "label", "b")
    ranked = added.withColumn("rank", F.row_number().over(first))
    return ranked.where(F.col("rank") <= LISTED).drop("rank").toArrow()


def crossed(frame: DataFrame, named: Mapping[int, pa.Array], starts: Ints) -> pa.Table:
    """The third pass: rows of `CELLS`; none where there is no category."""
    work = partial(cells, values=named, periods=starts)
    asked = frame.select(*(_label(place) for place in named), DAY)
    if not named:
        asked = asked.limit(0)
    return (
        asked.mapInArrow(work, CELLS).groupBy("a", "b", "cell").agg(F.sum("n").alias("n")).toArrow()
    )


def _column(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def _kind(kind: T.DataType) -> str:
    known: tuple[tuple[str, tuple[type[T.DataType], ...]], ...] = (
        ("flag", (T.BooleanType,)),
        ("whole", (T.IntegralType,)),
        ("real", (T.FractionalType,)),
        ("date", (T.DateType,)),
        ("moment", (T.TimestampType, T.TimestampNTZType)),
        ("text", (T.StringType,)),
    )
    return next((name for name, types in known if isinstance(kind, types)), "other")


def _number(column: Column, kind: str) -> Column:
    """A finite number of each value, or null; of a text its length."""
    if kind == "text":
        return F.length(column).cast("double")
    if kind == "date":
        return (F.unix_date(column) * F.lit(DAY_S).cast("bigint")).cast("double")
    if kind == "moment":
        return column.cast("timestamp").cast("double")
    if kind == "flag":
        return column.cast("int").cast("double")
    number = column.cast("double")
    return F.when(~F.isnan(number) & ~_is_infinite(number), number)


def _is_infinite(number: Column) -> Column:
    return F.abs(number) == F.lit(float("inf"))


def _label(place: int) -> Column:
    """The value as text; a long one is cut, and keeps a hash of the whole."""
    text = F.col(f"c{place}").cast("string")
    cut = F.concat(F.substring(text, 1, _LONGEST), F.lit("… #"), F.hex(F.xxhash64(text)))
    return F.when(F.length(text) <= _LONGEST, text).otherwise(cut).alias(f"v{place}")

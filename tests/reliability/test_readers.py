"""Every kind of value that we write, read back equal by readers that are not ours."""

from __future__ import annotations

import math
import operator
import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, QueryBuilder

from headrace.errors import HeadraceError
from headrace.lake import Table, commit, stage_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA = pa.schema(
    {
        "k": pa.int64(),
        "text": pa.string(),
        "long": pa.int64(),
        "small": pa.int32(),
        "real": pa.float64(),
        "moment": pa.timestamp("us", "UTC"),
        "day": pa.date32(),
        "flag": pa.bool_(),
        "words": pa.list_(pa.string()),
    }
)
EDGES = {
    "text": ["", " ", "a\0b", "näme", "x" * 33, "\U0001f600", "null", "'; --", None],
    "long": [-(2**63), 2**63 - 1, 2**53 + 1, -1, 0, None],
    "small": [-(2**31), 2**31 - 1, 0, None],
    "real": [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, -1.7976931348623157e308, 0.1, None],
    "moment": [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2013, 12, 1, 5, 0, 0, 1, tzinfo=UTC),
        datetime(2013, 12, 1, 5, 0, 0, 999_999, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        None,
    ],
    "day": [date(1, 1, 1), date(1582, 10, 10), date(2013, 12, 1), date(9999, 12, 31), None],
    "flag": [True, False, None],
    "words": [[], [""], [None], ["a", None, "ü"], None],
}
ROWS = [
    {"k": k, **{name: values[k % len(values)] for name, values in EDGES.items()}}
    for k in range(max(map(len, EDGES.values())))
]
ROWS = pa.Table.from_pylist(ROWS, schema=SCHEMA).to_pylist()  # moments of one class of zone
TEXTS = ["a b", "ü", "50%", "x/y", "..", "../../out", "a=b", "'q'", "%2E", "z" * 200, None]


def by_delta_rs(table, condition=None):
    assert condition is None  # it loses infinite rows where it filters: see `Table`
    return DeltaTable(table.as_posix()).to_pyarrow_table()


def by_its_sql(table, condition="true"):
    query = QueryBuilder().register("t", DeltaTable(table.as_posix()))
    return pa.table(query.execute(f"select * from t where {condition}").read_all())


def by_polars(table, condition="true"):
    """Its SQL has no literal of a moment with a zone."""
    condition = re.sub(r"timestamp ('[^']*')", r"cast(\1 as timestamp with time zone)", condition)
    return pl.scan_delta(table.as_posix()).filter(pl.sql_expr(condition)).collect().to_arrow()


def by_duckdb(table, condition="true"):
    t = DeltaTable(table.as_posix()).to_pyarrow_dataset()
    with duckdb.connect() as database:
        database.execute("set timezone = 'UTC'")
        database.register("t", t)
        return database.sql(f"select * from t where {condition}").to_arrow_table()


READERS = [by_delta_rs, by_its_sql, by_polars, by_duckdb]
LOSES = "delta-rs's Arrow dataset hides rows of files that lack bounds, as for infinity: no filters"
PRUNING = [
    by_its_sql,
    by_polars,
    pytest.param(by_duckdb, marks=pytest.mark.xfail(reason=LOSES)),
]


def told(rows):
    """Rows as text, which holds NaN equal to itself, in order of their key."""
    return [str(row) for row in sorted(rows, key=operator.itemgetter("k"))]


def found(arrow, schema=SCHEMA):
    return told(arrow.select(schema.names).cast(schema).to_pylist())


def committed(table, rows, *, schema=SCHEMA, by=None):
    """A table of one file per row: statistics then decide about each row by itself."""
    files = [
        stage_file(
            table,
            pa.Table.from_pylist([row], schema=pa.schema([f for f in schema if f.name != by])),
            partition={by: row[by]} if by else None,
        )
        for row in rows
    ]
    commit(table, files, schema=schema, unit="a", partition_by=[by] if by else [])
    return table


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("by", [None, "day"])
def test_every_value_is_read_back_equal(tmp_path, read, by):
    table = committed(tmp_path / "table", ROWS, by=by)
    assert found(read(table)) == found(Table(table).arrow()) == told(ROWS)


@pytest.mark.parametrize("read", READERS)
def test_every_value_in_one_file_is_read_back_equal(tmp_path, read):
    table = tmp_path / "table"
    commit(
        table,
        [stage_file(table, pa.Table.from_pylist(ROWS, schema=SCHEMA))],
        schema=SCHEMA,
        unit="a",
    )
    assert found(read(table)) == found(Table(table).arrow()) == told(ROWS)


@pytest.mark.parametrize("read", READERS)
def test_a_text_partition_is_read_back_equal_and_stays_in_its_folder(tmp_path, read):
    schema = pa.schema({"k": pa.int64(), "part": pa.string()})
    rows = [{"k": k, "part": text} for k, text in enumerate(TEXTS)]
    table = committed(tmp_path / "table", rows, schema=schema, by="part")
    assert found(read(table), schema) == found(Table(table).arrow(), schema) == told(rows)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["table"]


def test_two_partition_columns_are_read_back_equal(tmp_path):
    table = tmp_path / "table"
    schema = pa.schema({"k": pa.int64(), "z": pa.string(), "a": pa.date32()})
    rows = pa.table({"k": [1]})
    file = stage_file(table, rows, partition={"z": "x", "a": date(2013, 12, 1)})
    commit(table, [file], schema=schema, unit="u", partition_by=["z", "a"])
    expected = [{"k": 1, "z": "x", "a": date(2013, 12, 1)}]
    assert Table(table).arrow(["k", "z", "a"]).to_pylist() == expected


def test_an_empty_text_cannot_be_a_partition(tmp_path):
    with pytest.raises(HeadraceError, match="partition column part is an empty text"):
        stage_file(tmp_path / "table", pa.table({"k": [1]}), partition={"part": ""})


def literal(value):
    if isinstance(value, datetime):
        return f"timestamp '{value.replace(tzinfo=None).isoformat(' ')}'"
    if isinstance(value, date):
        return f"date '{value}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


COMPARED = {
    "text": ["", "a", "näme", "x" * 33, "\U0001f600"],
    "long": [-(2**63) + 1, 0, 2**53 + 1, 2**63 - 1],
    "small": [-(2**31) + 1, 0, 2**31 - 1],
    "real": [0.0, 0.1, -1e300, 1e300],
    "moment": [
        datetime(2013, 12, 1, 5, 0, 0, 1, tzinfo=UTC),
        datetime(2013, 12, 1, 5, 0, 0, 999_999, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
    ],
    # Spark's own look-up of the ten days that the calendar reform left out finds nothing.
    "day": [date(1582, 10, 4), date(2013, 12, 1), date(2014, 1, 1)],
}
OPERATORS = {">": operator.gt, "<": operator.lt, "=": operator.eq, ">=": operator.ge}


def conditions():
    """SQL, and the keys of the rows it keeps; those of NaN apart, whose order readers differ on."""
    for name, values in COMPARED.items():
        held = {row["k"]: row[name] for row in ROWS}
        yield f"{name} is null", {k for k, value in held.items() if value is None}
        yield f"{name} is not null", {k for k, value in held.items() if value is not None}
        for value in values:
            for sign, holds in OPERATORS.items():
                kept = {k for k, v in held.items() if v is not None and holds(v, value)}
                yield f"{name} {sign} {literal(value)}", kept


NAN = {row["k"] for row in ROWS if isinstance(row["real"], float) and math.isnan(row["real"])}


def wrongly_filtered(read, table):
    """Conditions under which a reader keeps other rows than it should."""
    for condition, kept in conditions():
        keys = set(read(table, condition)["k"].to_pylist())
        undecided = NAN if condition.startswith("real") and "null" not in condition else set()
        if wrong := (keys ^ kept) - undecided:
            yield condition, wrong


@pytest.mark.parametrize("read", PRUNING)
@pytest.mark.parametrize("by", [None, "day"])
def test_statistics_hide_no_row(tmp_path, read, by):
    table = committed(tmp_path / "table", ROWS, by=by)
    assert list(wrongly_filtered(read, table)) == []


def test_spark_reads_every_value_back_equal(tmp_path, spark: SparkSession):
    plain = committed(tmp_path / "plain", ROWS)
    by_day = committed(tmp_path / "by_day", ROWS, by="day")
    schema = pa.schema({"k": pa.int64(), "part": pa.string()})
    texts = [{"k": k, "part": text} for k, text in enumerate(TEXTS)]
    by_text = committed(tmp_path / "by_text", texts, schema=schema, by="part")

    def by_spark(table, condition="true"):
        return spark.read.format("delta").load(table.as_posix()).where(condition).toArrow()

    assert found(by_spark(plain)) == found(by_spark(by_day)) == told(ROWS)
    assert found(by_spark(by_text), schema) == told(texts)
    # Spark holds -0.0 equal to 0.0, but not where it looks into a file's dictionary.
    zero = {row["k"] for row in ROWS if str(row["real"]) == "-0.0"}
    assert list(wrongly_filtered(by_spark, plain)) == [("real = 0.0", zero), ("real >= 0.0", zero)]

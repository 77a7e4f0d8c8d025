"""Profiles: figures against pandas, numpy and scipy; odd columns; kept once per version."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import headrace
from headrace.lake import Table
from headrace.stage import Outcome
from spark_jobs import profiling
from spark_jobs.profiling.columns import (
    BINS,
    MOST_PERIODS,
    PROBABILITIES,
    Overview,
    edges,
    periods,
)
from spark_jobs.profiling.rows import cramers_v, pearson
from spark_jobs.profiling.stage import _left_out
from spark_jobs.profiling.sums import Wanted, cells, sums

NAN, INF = float("nan"), float("inf")
LONG = "x" * 10_000


def described(frame, **options):
    rows, seconds = profiling.described(frame, columns=frame.columns, **options)
    assert set(seconds) == {"overview", "sums", "cells"}
    return rows


def of(rows, column, statistic):
    """The rows of one statistic, in order."""
    return [row for row in rows if row.get("column") == column and row["statistic"] == statistic]


def value(rows, column, statistic):
    (row,) = of(rows, column, statistic)
    return row["value"]


@pytest.fixture(scope="module")
def frame():
    """Some 300 rows with all that a column can be."""
    random = np.random.default_rng(5)
    n = 300
    real = random.normal(10, 3, n)
    other = real * 2 + random.normal(0, 1, n)
    other[random.random(n) < 0.2] = NAN  # null below
    line = random.choice(["red", "green", None], n, p=[0.5, 0.3, 0.2])
    town = np.where(random.random(n) < 0.7, line, "blue")
    days = [date(2024, 1, 1) + timedelta(days=int(day)) for day in random.integers(0, 40, n)]
    return pd.DataFrame(
        {
            "a.b": real,
            "sum(`x`)": other,
            "<b>line</b>": line,
            "Line": town,
            "whole": random.integers(1, 13, n),
            "flag": random.random(n) < 0.25,
            "day": days,
            "at": [datetime(d.year, d.month, d.day, 12, tzinfo=UTC) for d in days],
            "money": [Decimal(int(m)) / 4 for m in random.integers(0, 1000, n)],
            "long": [LONG + str(k % 2) for k in range(n)],
            "nothing": [None] * n,
            "constant": [7.0] * n,
            "list": [[1]] * n,
        }
    )


TYPES = [
    *[pa.float64(), pa.float64(), pa.string(), pa.string(), pa.int32(), pa.bool_(), pa.date32()],
    *[pa.timestamp("us", "UTC"), pa.decimal128(10, 2), pa.string(), pa.float64(), pa.float64()],
    pa.list_(pa.int32()),
]


@pytest.fixture(scope="module")
def rows(spark, frame):
    schema = pa.schema(list(zip(frame.columns, TYPES, strict=True)))
    given = spark.createDataFrame(pa.Table.from_pandas(frame, schema, preserve_index=False))
    return described(given.repartition(3), time_column="day")


@pytest.mark.parametrize("name", ["a.b", "sum(`x`)", "whole", "money"])
def test_numbers_are_those_of_pandas(rows, frame, name):
    column = frame[name].astype(float).dropna()
    for statistic in ("min", "max", "mean", "std"):
        assert value(rows, name, statistic) == pytest.approx(getattr(column, statistic)())
    exact = [np.quantile(column, p, method="inverted_cdf") for p in PROBABILITIES]
    assert [row["value"] for row in of(rows, name, "quantile")] == pytest.approx(exact)
    assert value(rows, name, "missing") == frame[name].isna().sum()
    assert sum(row["value"] for row in of(rows, name, "bin")) == len(column)
    for row in of(rows, name, "bin")[:-1]:
        inside = (column >= row["low"]) & (column < row["high"])
        assert row["value"] == inside.sum()


def test_distinct_and_top_values_are_those_of_pandas(rows, frame):
    for name in ("<b>line</b>", "Line", "whole"):
        counts = frame[name].value_counts()
        assert value(rows, name, "distinct") == len(counts)
        top = {row["key"]: row["value"] for row in of(rows, name, "top")}
        assert top == {str(key): count for key, count in counts.items()}
    assert value(rows, "a.b", "distinct") == pytest.approx(300, rel=0.05)


def test_correlations_are_those_of_pandas_over_rows_where_both_are(rows, frame):
    (row,) = [r for r in of(rows, "a.b", "correlation") if r["key"] == "sum(`x`)"]
    assert row["value"] == pytest.approx(frame["a.b"].corr(frame["sum(`x`)"]))
    assert row["rows"] == frame["sum(`x`)"].notna().sum()
    assert not of(rows, "constant", "correlation")
    assert not of(rows, "nothing", "correlation")


def test_cramers_v_is_bergsmas_from_the_chi_square_of_scipy(rows, frame):
    (row,) = [r for r in of(rows, "<b>line</b>", "cramers_v") if r["key"] == "Line"]
    table = pd.crosstab(frame["<b>line</b>"], frame["Line"])
    assert row["value"] == pytest.approx(bergsma(table.to_numpy()))
    assert row["rows"] == table.to_numpy().sum()


def test_periods_hold_all_rows_and_their_means(rows, frame):
    counted = of(rows, None, "period")
    assert (counted[0]["text"], sum(row["value"] for row in counted)) == ("day", 300)
    expected = frame.groupby(frame["day"].astype(str))["whole"].mean()
    found = {row["key"]: row["value"] for row in of(rows, "whole", "period_mean")}
    assert found == pytest.approx(expected.to_dict())
    missing = frame["Line"].isna().groupby(frame["day"].astype(str)).mean()
    found = {row["key"]: row["value"] for row in of(rows, "Line", "period_missing")}
    assert found == pytest.approx(missing.to_dict())
    shares = [row for row in of(rows, "Line", "period_share") if row["key"] == "2024-01-03"]
    there = frame[frame["day"] == date(2024, 1, 3)]["Line"].value_counts(normalize=True)
    assert {r["text"]: r["value"] for r in shares if r["value"]} == pytest.approx(there.to_dict())


def test_odd_columns_are_told_as_what_they_are(rows, frame):
    assert (value(rows, "nothing", "missing"), value(rows, "nothing", "distinct")) == (300, 0)
    assert not of(rows, "nothing", "bin")
    (only,) = of(rows, "constant", "bin")
    assert (only["low"], only["high"], only["value"]) == (7, 7, 300)
    assert value(rows, "list", "missing") == 0
    assert not of(rows, "list", "distinct")
    assert value(rows, "long", "distinct") == 2  # the same to 10,000 characters
    assert max(len(row["key"]) for row in of(rows, "long", "top")) < 250
    assert value(rows, "long", "length_max") == 10_001
    (first,) = of(rows, "day", "min")
    assert first["text"] == str(min(frame["day"]))
    (first,) = of(rows, "at", "min")
    assert first["text"] == f"{min(frame['day'])}T12:00:00"


def test_nan_and_infinity_are_counted_and_left_out_of_numbers(spark):
    told = [(1.0,), (3.0,), (NAN,), (INF,), (-INF,), (None,), (1.7e308,), (-1.7e308,)]
    rows = described(spark.createDataFrame(told, "x double"))
    assert [value(rows, "x", name) for name in ("missing", "nan", "infinite")] == [1, 1, 2]
    assert (value(rows, "x", "min"), value(rows, "x", "max")) == (-1.7e308, 1.7e308)
    assert sum(row["value"] for row in of(rows, "x", "bin")) == 4
    assert not of(rows, None, "period")


def test_a_table_of_no_rows_and_one_of_one_row(spark):
    types = "x double, t string, d timestamp"
    rows = described(spark.createDataFrame([], types), time_column="d")
    assert value(rows, None, "rows") == 0
    assert [row["text"] for row in rows if row["statistic"] == "type"] == [
        "double",
        "string",
        "timestamp",
    ]
    one = spark.createDataFrame([(1.5, "", datetime(9999, 12, 31, tzinfo=UTC))], types)
    rows = described(one, time_column="d")
    assert value(rows, "x", "mean") == 1.5
    assert of(rows, "t", "top")[0]["key"] == ""
    assert value(rows, None, "period") == 1


def test_many_categories_are_counted_exactly_and_a_key_is_not(spark):
    frame = spark.range(50_000).selectExpr(
        "concat('c', least(id % 20000, 9999)) as many",
        "concat('k', id) as key",
        "if(id % 3 = 0, 'a', concat('z', id % 1000)) as half",
    )
    rows = described(frame)
    assert [row["value"] for row in of(rows, "many", "top")[:2]] == [20_003, 3]
    assert value(rows, "many", "distinct") == pytest.approx(10_000, rel=0.05)
    assert not of(rows, "key", "top")
    assert "nearly every value is another one" in of(rows, "key", "note")[0]["text"]
    assert "not compared as a category" in of(rows, "half", "note")[0]["text"]


def test_a_version_is_profiled_once_and_read_without_an_engine(trips):
    lines = [f"{n},A,2013-12-0{1 + n % 3} 10:00:00,{n / 4}" for n in range(20)]
    trips.deliver("trips", "a.csv", *lines)
    trips.publish("trips")
    results = [
        profiling.profile(
            trips.spark,
            trips.lake,
            "silver/trips",
            version=Table(trips.lake.silver("trips")).version,
            pipeline=trips.pipeline,
            now=datetime(2014, 1, 1, tzinfo=UTC),
        )
        for _ in range(2)
    ]
    assert [result.outcome for result in results] == [Outcome.DONE, Outcome.ALREADY_DONE]
    assert results[0].rows["read"] == 20
    found = headrace.open(trips.lake.root).profile("trips").to_pandas()
    assert found.query("column == 'km' and statistic == 'mean'")["value"].tolist() == [2.375]
    assert found.query("statistic == 'period'")["value"].tolist() == [7, 7, 6]
    assert set(found["table"]) == {"silver/trips"}
    assert not [name for name in found["column"].dropna() if name.startswith("_")]


def bergsma(counts):
    """The formula again, from scipy's chi square."""
    n, (r, k) = counts.sum(), counts.shape
    phi2 = stats.chi2_contingency(counts, correction=False)[0] / n
    corrected = max(0, phi2 - (k - 1) * (r - 1) / (n - 1))
    sizes = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
    return math.sqrt(corrected / (min(sizes) - 1))


@given(st.lists(st.lists(st.integers(1, 50), min_size=3, max_size=3), min_size=2, max_size=5))
def test_cramers_v_of_any_table(counts):
    counts = np.array(counts)
    assert cramers_v(counts) == pytest.approx(min(1, bergsma(counts)), abs=1e-9)
    assert cramers_v(counts.T) == pytest.approx(cramers_v(counts), abs=1e-9)


def test_cramers_v_of_one_value_is_none_and_of_equals_is_one():
    assert cramers_v(np.array([[5, 3], [0, 0]])) is None
    assert cramers_v(np.diag([50, 30, 20])) == pytest.approx(1)


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=40), st.integers(1, 7))
def test_sums_of_parts_are_the_sums_of_the_whole(pairs, size):
    a, b = (np.array(column, float) for column in zip(*pairs, strict=True))
    wanted = Wanted([0, 1], {0: np.array([a.min(), a.max()])}, {}, [], np.array([0, 3, 5]))
    days = np.arange(len(a)) % 7

    def counted(batches):
        parts = pa.Table.from_batches(list(sums(batches, wanted)))
        found = parts.group_by(["kind", "a", "b"]).aggregate([("n", "sum"), ("x", "sum")])
        return {(r["kind"], r["a"], r["b"]): (r["n_sum"], r["x_sum"]) for r in found.to_pylist()}

    table = pa.table(
        {
            "p0": [True] * len(a),
            "p1": pa.array(b > 0),
            "x0": a,
            "day": pa.array(days, pa.int32()).cast(pa.date32()),
        }
    )
    whole = counted(table.to_batches())
    parts = counted(table.to_batches(max_chunksize=size))
    assert {key: pair[0] for key, pair in whole.items()} == {k: p[0] for k, p in parts.items()}
    assert whole["rows", -1, 0][0] == (days < 3).sum()
    assert whole["period", 1, 1][0] == ((days >= 3) & (days < 5) & (b > 0)).sum()
    assert whole["period", 0, 0][1] == pytest.approx(a[days < 3].sum(), rel=1e-6, abs=1e-3)
    assert whole["bin", 0, 0][0] == len(a)


def test_cells_count_others_as_one_and_nulls_not_at_all():
    batch = pa.record_batch(
        {
            "v0": ["a", "b", "c", None, "a"],
            "v1": ["x", "x", "x", "x", None],
            "day": pa.nulls(5, pa.date32()),
        }
    )
    named = {0: pa.array(["a", "b"]), 1: pa.array(["x"])}
    (found,) = cells([batch], values=named, periods=np.empty(0, np.int64))
    assert found.to_pylist() == [{"a": 0, "b": 1, "cell": cell, "n": 1} for cell in (0, 2, 4)]


@given(
    st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=50),
    st.booleans(),
    st.sampled_from([1e281, 1e297]),
)
def test_edges_rise_and_hold_every_value(values, whole, scale):
    values = np.array([float(math.floor(v / scale)) for v in values] if whole else values)
    quantiles = np.quantile(values, PROBABILITIES, method="inverted_cdf").tolist()
    numbers = {"min": values.min(), "max": values.max()}
    kind = "whole" if whole else "real"
    column = Overview(0, "x", kind, kind, len(values), 0, 0, 1, numbers, quantiles)
    found = edges(column)
    assert np.histogram(values, found)[0].sum() == len(values)
    assert np.all(np.diff(found) >= 0)
    assert len(found) <= BINS + 4


@given(st.integers(-700_000, 2_900_000), st.integers(0, 20_000))
def test_periods_are_few_and_hold_both_ends(first, length):
    found = periods(first, first + length)
    assert found is not None
    assert found.starts[0] <= first
    assert first + length < found.starts[-1]
    assert 1 <= len(found.first_days) <= MOST_PERIODS
    assert np.all(np.diff(found.starts) > 0)


def test_what_is_left_out_of_a_wide_table_is_noted():
    numbers = {"min": 0.0, "max": 1.0, "mean": 0.5, "std": 0.5}
    told = [Overview(n, f"x{n}", "double", "real", 9, 0, 0, 9, numbers, ()) for n in range(70)]
    assert _left_out(told, None, time_column="at") == [
        "the first 60 of 70 numbers that vary are correlated",
        "nothing over time: at has no day, or spans too many years",
    ]
    assert _left_out(told[:60], None, time_column="") == []


def test_weeks_begin_on_monday_and_a_thousand_years_have_no_periods():
    day = (date(2024, 3, 13) - date(1970, 1, 1)).days
    assert periods(day, day + 100).first_days[0] == "2024-03-11"
    assert periods(day, day + 400_000) is None


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=30))
def test_pearson_is_within_one_and_numpys(pairs):
    x, y = (np.array(column, float) for column in zip(*pairs, strict=True))
    if min(x.std(), y.std()) < 1e-2 * max(1, abs(x).max(), abs(y).max()):
        return
    x, y = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    found = pearson(
        n=len(x), x=x.sum(), y=y.sum(), xx=(x * x).sum(), yy=(y * y).sum(), xy=(x * y).sum()
    )
    assert found == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-6)

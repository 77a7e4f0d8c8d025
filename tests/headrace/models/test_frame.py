import datetime
import json
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from headrace.errors import UsageError
from headrace.models.frame import Columns, as_frame

ROWS = 40
RNG = np.random.default_rng(1)
FRAME = pd.DataFrame(
    {
        "number": RNG.normal(size=ROWS),
        3: ["x", "y"] * 20,
        ("a", 1): pd.Categorical(["low", "high"] * 20, ["low", "high"], ordered=True),
        "at": pd.date_range("2024-01-01", periods=ROWS, freq="7h", tz="Europe/Berlin"),
        "day": [datetime.date(2024, 1, 1 + i % 28) for i in range(ROWS)],
        "took": pd.to_timedelta(np.arange(ROWS), "min"),
        "one": 1,
        "nothing": None,
        "flag": pd.array([True, None] * 20, dtype="boolean"),
        "name": [f"user {i}" for i in range(ROWS)],
        "text of numbers": [f"{i}.5" for i in range(ROWS)],
        "decimal": [Decimal(i) * i for i in range(ROWS)],
        "infinite": [np.inf, 1.0, 2.0, -np.inf] * 10,
        "mixed": [1, "a"] * 20,
    }
)


def test_each_kind_of_column_is_read_and_what_tells_nothing_is_left_out():
    frame = FRAME.assign(again=FRAME["number"])
    kinds = {source.label[0]: source.kind for source in Columns.learn(frame).sources}
    assert kinds == {
        "'number'": "number",
        "3": "category",
        "('a', 1)": "order",
        "'at'": "moment",
        "'day'": "moment",
        "'took'": "number",
        "'flag'": "number",
        "'text of numbers'": "number",
        "'decimal'": "number",
        "'infinite'": "number",
        "'mixed'": "category",
    }


def test_infinities_and_unseen_categories_are_missing():
    columns = Columns.learn(FRAME)
    places = [source.label[0] for source in columns.sources]
    rows = FRAME.iloc[:2].copy()
    rows[3] = ["x", "never seen"]
    table = columns.table(rows)
    assert table.column(str(places.index("'infinite'"))).to_pylist() == [None, 1.0]
    assert table.column(str(places.index("3"))).to_pylist() == ["x", None]


def test_the_order_of_columns_and_others_beside_do_not_matter():
    columns = Columns.learn(FRAME)
    assert columns.table(FRAME[FRAME.columns[::-1]].assign(more=1)).equals(columns.table(FRAME))


def test_a_missing_column_is_named():
    with pytest.raises(UsageError, match="the frame lacks 'number'"):
        Columns.learn(FRAME).table(FRAME.drop(columns="number"))


def test_columns_survive_json():
    columns = Columns.learn(FRAME)
    assert Columns.from_json(json.loads(json.dumps(columns.to_json()))) == columns


def test_columns_of_one_name_are_told_apart():
    frame = pd.DataFrame(np.arange(8.0).reshape(4, 2) ** 2, columns=["a", "a"])
    assert [source.label for source in Columns.learn(frame).sources] == [("'a'", 0), ("'a'", 1)]


@pytest.mark.parametrize(
    "rows",
    [pl.DataFrame({"a": [1, 2]}), pa.table({"a": [1, 2]}), np.array([[1], [2]]), [[1], [2]]],
)
def test_other_tables_are_frames_too(rows):
    assert as_frame(rows).to_numpy().tolist() == [[1], [2]]


def test_what_is_no_table_is_refused():
    with pytest.raises(UsageError, match="this is no table: list of 1 dimensions"):
        as_frame([1, 2])

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import FeatureError, UsageError
from headrace.models.encoding import Encoding, refusals

ROWS = pa.table(
    {
        "dest": pa.array(["SFO", None, "BOS", "SFO"]),
        "seats": pa.array([100, 200, None, 300], pa.int32()),
        "jet": pa.array([True, False, True, None]),
        "temp": pa.array([1.5, float("nan"), 2.5, 3.5]),
    }
)
NAMES = ROWS.column_names


def dense(matrix):
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix


def test_codes_number_the_sorted_categories_and_keep_missing_as_nan():
    found = Encoding.fit(ROWS, NAMES, form="codes").matrix(ROWS)
    nan = np.nan
    expected = [[1, 100, 1, 1.5], [nan, 200, 0, nan], [0, nan, 1, 2.5], [1, 300, nan, 3.5]]
    np.testing.assert_array_equal(found, expected)


def test_only_text_columns_are_categorical():
    assert Encoding.fit(ROWS, NAMES, form="codes").categorical == (0,)


def test_one_hot_gives_each_category_and_each_missing_a_column_of_its_own():
    rows = ROWS.select(["dest", "seats"])
    found = dense(Encoding.fit(rows, ["dest", "seats"], form="one_hot").matrix(rows))
    spread = np.std([100, 200, 300])
    expected = [
        # BOS, SFO, missing; seats, missing
        [0, 1, 0, -100 / spread, 0],
        [0, 0, 1, 0, 0],
        [1, 0, 0, 0, 1],
        [0, 1, 0, 100 / spread, 0],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-15)


@pytest.mark.parametrize("form", ["codes", "one_hot"])
def test_an_unseen_category_is_as_good_as_missing(form):
    encoding = Encoding.fit(ROWS, ["dest"], form=form)
    unseen, missing = (
        pa.table({"dest": pa.array([value], pa.string())}) for value in ("LAX", None)
    )
    np.testing.assert_array_equal(dense(encoding.matrix(unseen)), dense(encoding.matrix(missing)))


def test_a_number_never_missing_in_training_has_no_column_for_missing():
    encoding = Encoding.fit(pa.table({"x": [1.0, 3.0]}), ["x"], form="one_hot")
    assert dense(encoding.matrix(pa.table({"x": [None, 3.0]}))).tolist() == [[0.0], [1.0]]


def test_a_constant_number_does_not_divide_by_zero():
    rows = pa.table({"x": [2.0, 2.0]})
    assert dense(Encoding.fit(rows, ["x"], form="one_hot").matrix(rows)).tolist() == [[0.0], [0.0]]


def test_a_date_is_refused_with_the_way_out():
    rows = pa.table({"day": [date(2013, 1, 1)]})
    with pytest.raises(FeatureError, match=r"a date32\[day\] cannot be a feature.*column day"):
        Encoding.fit(rows, ["day"], form="codes")


def test_a_timestamp_is_refused():
    rows = pa.table({"at": pa.array([0], pa.timestamp("us", "UTC"))})
    with pytest.raises(FeatureError, match="cannot be a feature"):
        Encoding.fit(rows, ["at"], form="codes")


def test_text_where_training_had_numbers_is_refused():
    encoding = Encoding.fit(ROWS, ["seats"], form="codes")
    with pytest.raises(UsageError, match="learned from int32, and this is string"):
        encoding.matrix(pa.table({"seats": ["100"]}))


def test_a_missing_feature_is_named():
    encoding = Encoding.fit(ROWS, ["dest", "seats"], form="codes")
    with pytest.raises(UsageError, match="the model needs seats"):
        encoding.matrix(ROWS.select(["dest"]))


def test_a_row_with_an_infinite_number_is_refused_with_the_feature():
    rows = pa.table({"a": [1.0, float("inf"), None], "b": [float("-inf"), float("inf"), 1.0]})
    assert refusals(rows, ["a", "b"]).to_pylist() == ["infinite b", "infinite a", None]


def test_dictionary_encoded_text_is_text():
    rows = pa.table({"dest": ROWS["dest"].dictionary_encode()})
    plain = Encoding.fit(ROWS, ["dest"], form="codes").matrix(ROWS)
    np.testing.assert_array_equal(Encoding.fit(rows, ["dest"], form="codes").matrix(rows), plain)


tables = st.lists(
    st.tuples(
        st.none() | st.text(max_size=3),
        st.none() | st.floats(allow_infinity=False, width=32),
        st.none() | st.booleans(),
        st.none() | st.integers(-(2**31), 2**31 - 1),
    ),
    min_size=1,
    max_size=20,
).map(
    lambda rows: pa.table(
        {
            name: pa.array(list(column), kind)
            for name, column, kind in zip(
                "abcd",
                zip(*rows, strict=True),
                (pa.string(), pa.float64(), pa.bool_(), pa.int32()),
                strict=True,
            )
        }
    )
)


@given(rows=tables, other=tables, form=st.sampled_from(["codes", "one_hot"]))
def test_an_encoding_comes_back_from_json_and_encodes_each_row_by_itself(rows, other, form):
    encoding = Encoding.fit(rows, list("abcd"), form=form)
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json(), allow_nan=False)))
    assert again == encoding
    whole = dense(again.matrix(other))
    one_by_one = [dense(encoding.matrix(other.slice(i, 1))) for i in range(other.num_rows)]
    assert whole.tobytes() == np.concatenate(one_by_one).tobytes()

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import add

import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import TrainingError
from headrace.lake import Table, append, commit, stage_file
from headrace.models.algorithms.algorithm import Task
from headrace.models.encoding import Encoding
from headrace.models.shards import Shard, days_of, dealt, sampled
from headrace.models.summary import Summary

DAY = date(2013, 1, 1)
START = datetime(2013, 1, 1, tzinfo=UTC)
SCHEMA = pa.schema(
    {
        "id": pa.int64(),
        "dest": pa.string(),
        "seats": pa.int32(),
        "temp": pa.float64(),
        "late": pa.bool_(),
        "_target_known_at": pa.timestamp("us", "UTC"),
        "_interval": pa.date32(),
    }
)
FEATURES = ("dest", "seats", "temp")


@pytest.fixture
def gold(tmp_path):
    """Ten days of 100 rows, in which some numbers, texts and targets are not known."""
    files = []
    for number in range(10):
        rng = np.random.default_rng(number)
        seats = pa.array(rng.integers(50, 300, 100), pa.int32(), mask=rng.random(100) < 0.1)
        rows = pa.table(
            {
                "id": np.arange(100) + 100 * number,
                "dest": pa.array(np.array(list("ABCD"))[rng.integers(0, 4, 100)]),
                "seats": seats,
                "temp": np.where(rng.random(100) < 0.02, np.inf, rng.normal(20, 5, 100)),
                "late": pa.array(rng.random(100) < 0.3, mask=rng.random(100) < 0.1),
                "_target_known_at": [START + timedelta(days=number, hours=5)] * 100,
            }
        ).cast(pa.schema(list(SCHEMA)[:-1]))
        files.append(stage_file(tmp_path, rows, partition={"_interval": DAY + timedelta(number)}))
    commit(tmp_path, files, schema=SCHEMA, unit="u", partition_by=["_interval"])
    return Table(tmp_path)


def shard(gold, files, *, before=10):
    known_before = START + timedelta(days=before)
    return Shard(gold.path, gold.version, files, FEATURES, "late", Task.BINARY, known_before)


def test_batches_are_the_rows_that_a_whole_read_gives(gold):
    columns = ["_interval", "id", "temp"]
    batches = list(gold.batches(columns, files=gold.files, rows=30))
    assert {batch.num_rows for batch in batches} == {30, 10}
    assert pa.concat_tables(batches).equals(gold.arrow(columns).combine_chunks())


def test_a_column_that_older_files_lack_is_null_in_their_batches(tmp_path):
    append(tmp_path, pa.table({"id": [1]}), unit="u1")
    append(tmp_path, pa.table({"id": [2], "more": ["x"]}), unit="u2")
    table = Table(tmp_path)
    rows = pa.concat_tables(table.batches(["id", "more"], files=table.files))
    assert sorted(rows.to_pylist(), key=lambda row: row["id"]) == [
        {"id": 1, "more": None},
        {"id": 2, "more": "x"},
    ]


def test_a_shard_leaves_out_what_cannot_be_learned_from(gold):
    rows = pa.concat_tables(shard(gold, gold.files, before=6).batches())
    whole = gold.arrow()
    known = whole.column("_target_known_at").to_numpy() < np.datetime64("2013-01-07")
    usable = np.isfinite(whole.column("temp").to_numpy()) & np.array(
        [value is not None for value in whole.column("late").to_pylist()]
    )
    assert rows.num_rows == (known & usable).sum()
    assert np.isfinite(rows.column("temp").to_numpy()).all()
    assert rows.column("late").null_count == 0


@pytest.mark.parametrize("form", ["codes", "one_hot"])
def test_summaries_of_shares_make_the_encoding_of_all_rows(gold, form):
    hands = dealt(gold.files, 3)
    found = reduce(add, (shard(gold, hand).summary() for hand in hands))
    rows = pa.concat_tables(shard(gold, gold.files).batches())
    expected = Encoding.fit(rows, FEATURES, form=form)
    assert found.rows == rows.num_rows
    assert found.targets == {True, False}
    for mine, its in zip(found.encoding(form).columns, expected.columns, strict=True):
        assert (mine.categories, mine.missing, mine.type) == (
            its.categories,
            its.missing,
            its.type,
        )
        assert (mine.mean, mine.scale) == pytest.approx((its.mean, its.scale), rel=1e-12)


def test_the_targets_of_a_regression_are_the_least_and_the_greatest():
    rows = [pa.table({"x": [1.0, 2.0], "y": values}) for values in ([3.0, 1.0], [2.0, 7.0])]
    parts = [Summary.of(each, ["x"], target="y", task=Task.REGRESSION) for each in rows]
    assert reduce(add, parts).targets == {1.0, 7.0}


def test_a_target_of_one_value_is_refused_as_on_one_node():
    rows = pa.table({"x": [1.0, 2.0], "y": [3.0, 3.0]})
    found = Summary.of(rows, ["x"], target="y", task=Task.REGRESSION)
    with pytest.raises(TrainingError, match="the same in all rows"):
        found.classes(Task.REGRESSION)


def test_files_are_dealt_so_that_shares_have_about_as_many_rows(gold):
    hands = dealt(gold.files, 3)
    assert sorted(file.path for hand in hands for file in hand) == [f.path for f in gold.files]
    assert sorted(len(hand) for hand in hands) == [3, 3, 4]


def test_days_are_chosen_from_the_first_to_the_one_before_the_end(gold):
    found = days_of(gold.files, DAY + timedelta(2), DAY + timedelta(5))
    assert {file.partition["_interval"].day for file in found} == {3, 4, 5}


def test_a_sample_is_the_same_rows_whatever_the_batches(gold):
    def ids(rows):
        batches = gold.batches(["id"], files=gold.files, rows=rows)
        return pa.concat_tables(sampled(batches, key=["id"], share=0.2)).column("id").to_pylist()

    assert ids(7) == ids(1000)
    assert 150 < len(ids(1000)) < 250

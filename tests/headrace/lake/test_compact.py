"""Merging small files: the same rows, in fewer files, with all that the log told of them."""

from __future__ import annotations

import json

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from headrace.browse import OpenLake
from headrace.errors import CommitConflict, CorruptArtifact
from headrace.lake import Table, application_id, commit, stage_file
from headrace.lake.compact import FEWEST, SMALL_BYTES, compact, small_files
from headrace.lake.history import broken_seals, history

ODD = [float("nan"), float("inf"), None, -0.0]


@pytest.fixture
def table(lake):
    """Ten batches in silver, each a file of four odd rows."""
    path = lake.silver("weather")
    for number in range(10):
        rows = pa.table(
            {
                "temp": pa.array(ODD, pa.float64()),
                "text": pa.array(["", None, "a,b", f"{number}"]),
                "_batch": [f"b{number:02}"] * 4,
            }
        )
        unit = application_id("weather", "check", f"b{number:02}")
        files = [stage_file(path, rows, statistics_of=["_batch"])]
        told = {"headrace": json.dumps({"duplicates": number})}
        commit(path, files, schema=rows.schema, unit=unit, metadata=told)
    return path


def texts(rows):
    return sorted(str(sorted(row.items())) for row in rows)


def merge(path):
    return compact(path, small_files(Table(path)))


def test_merged_files_hold_the_same_rows_and_statistics(table):
    before = Table(table)
    assert merge(table).made
    after = Table(table)
    assert len(after.files) == 1
    assert texts(after.arrow().to_pylist()) == texts(before.arrow().to_pylist())
    (file,) = after.files
    assert (file.rows, file.batch) == (40, None)
    assert (file.least, file.greatest) == ({"_batch": "b00"}, {"_batch": "b09"})
    assert after.rows_by_batch({"b03", "b04"}) == {"b03": 4, "b04": 4}


def test_other_readers_see_what_they_saw(table):
    def seen(version):
        dataset = Table(table, version).delta.to_pyarrow_dataset()
        rows = duckdb.from_arrow(dataset).to_arrow_table()
        return [
            texts(pl.read_delta(table.as_posix(), version=version).to_dicts()),
            texts(rows.to_pylist()),
        ]

    before = seen(9)
    merge(table)
    assert seen(10) == before
    assert seen(9) == before


def test_a_second_time_changes_nothing(table):
    merge(table)
    version = Table(table).version
    assert small_files(Table(table)) == []
    assert not compact(table, small_files(Table(table, 9))).made
    assert Table(table).version == version


def test_the_table_takes_further_commits_and_remembers_its_units(table):
    merge(table)
    rows = Table(table).arrow().slice(0, 1)
    unit = application_id("weather", "check", "b03")
    assert not commit(table, [stage_file(table, rows)], schema=rows.schema, unit=unit).made
    unit = application_id("weather", "check", "b10")
    assert commit(table, [stage_file(table, rows)], schema=rows.schema, unit=unit).made
    assert Table(table).arrow().num_rows == 41


def test_few_or_big_files_stay_as_they_are(table, lake, monkeypatch):
    few = lake.silver("few")
    rows = pa.table({"a": [1]})
    files = [stage_file(few, rows) for _ in range(FEWEST - 1)]
    commit(few, files, schema=rows.schema, unit="few/check/b")
    assert small_files(Table(few)) == []
    monkeypatch.setattr("headrace.lake.compact.SMALL_BYTES", 100)
    assert SMALL_BYTES > 100
    assert small_files(Table(table)) == []


def test_files_of_one_partition_are_merged_apart_from_those_of_others(lake):
    path = lake.quarantine("weather")
    rows, schema = pa.table({"a": [1]}), pa.schema([("a", pa.int64()), ("_batch", pa.string())])
    files = [
        stage_file(path, rows, partition={"_batch": batch})
        for batch in ("x=1/ä%", None)
        for _ in range(FEWEST)
    ]
    commit(path, files, schema=schema, unit="w/check/b", partition_by=["_batch"])
    merge(path)
    assert sorted((str(file.partition["_batch"]), file.rows) for file in Table(path).files) == [
        ("None", 8),
        ("x=1/ä%", 8),
    ]
    assert Table(path).arrow().group_by("_batch").aggregate([([], "count_all")]).num_rows == 2


def test_of_a_damaged_file_nothing_is_merged(table):
    path = table / Table(table).files[0].path
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptArtifact):
        merge(table)
    assert Table(table).version == 9


def test_files_that_left_the_table_meanwhile_are_not_brought_back(table):
    groups = small_files(Table(table))
    merge(table)
    with pytest.raises(CommitConflict, match="changed since"):
        compact(table, [groups[0][:5]])


def test_history_tells_of_it_and_the_seals_hold(table, lake):
    merge(table)
    events = history(lake.root, OpenLake(lake.root).tables(), subject="weather")
    assert events[-1].told == {"merged": 10, "into": 1}
    assert broken_seals(table) == []


@pytest.mark.parametrize("lost", ["commitInfo", "txn", "add", "remove"])
def test_a_line_that_a_commit_lost_is_found(table, lost):
    merge(table)
    log = table / "_delta_log" / f"{10:020}.json"
    lines = log.read_text().splitlines()
    gone = next(line for line in lines if lost in json.loads(line))
    log.write_text("".join(f"{line}\n" for line in lines if line != gone))
    assert broken_seals(table) == [10]


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ('\\"_batch\\": \\"b03\\"', '\\"_batch\\": \\"b04\\"'),  # a bound
        ("numRecords", "numRecordt"),
        ('"size":', '"size":1'),
        ('"version":1', '"version":2'),
        ('\\"duplicates\\": 3', '\\"duplicates\\": 4'),  # what people are told
    ],
)
def test_a_line_of_a_commit_that_was_edited_is_found(table, there, instead):
    log = table / "_delta_log" / f"{3:020}.json"
    assert there in log.read_text()
    log.write_text(log.read_text().replace(there, instead, 1))
    assert broken_seals(table) == [3]


def test_a_schema_that_was_edited_is_found(table):
    log = table / "_delta_log" / f"{0:020}.json"
    text = log.read_text().replace('\\"type\\":\\"double\\"', '\\"type\\":\\"float\\"', 1)
    assert text != log.read_text()
    log.write_text(text)
    assert 0 in broken_seals(table)


def test_rows_that_were_decided_on_before_files_were_merged_are_committed(table):
    seen, rows = Table(table).version, Table(table).arrow().slice(0, 1)
    file = stage_file(table, rows)
    merge(table)
    unit = application_id("weather", "check", "b10")
    assert commit(table, [file], schema=rows.schema, unit=unit, seen=seen).made
    unit = application_id("weather", "check", "b11")
    with pytest.raises(CommitConflict, match="changed since"):
        commit(table, [stage_file(table, rows)], schema=rows.schema, unit=unit, seen=seen)


def test_a_staged_file_that_is_gone_is_not_committed(table):
    rows = Table(table).arrow().slice(0, 1)
    file = stage_file(table, rows)
    (table / file.path).unlink()
    with pytest.raises(CommitConflict, match="are gone"):
        commit(table, [file], schema=rows.schema, unit="weather/check/b10")
    assert Table(table).arrow().num_rows == 40


def test_maps_such_as_probabilities_are_merged_and_read_alike_by_all(lake):
    path, kind = lake.scores("states"), pa.map_(pa.string(), pa.float64())
    for number in range(10):
        told = [[("early", 0.25), ("late", number / 7)], [("early", -0.0)], [], None]
        rows = pa.table({"id": range(4), "probabilities": pa.array(told, kind)})
        files = [stage_file(path, rows)]
        commit(path, files, schema=rows.schema, unit=application_id("states", "score", f"{number}"))
    before = Table(path).arrow()
    assert merge(path).made
    after = Table(path)
    assert len(after.files) == 1
    assert texts(after.arrow().to_pylist()) == texts(before.to_pylist())
    scores = after.delta.to_pyarrow_dataset()  # noqa: F841 - DuckDB finds it by its name
    ((late,),) = duckdb.sql("select sum(probabilities['late']) from scores").fetchall()
    assert late == pytest.approx(sum(range(10)) / 7)
    assert pl.read_delta(path.as_posix()).height == 40

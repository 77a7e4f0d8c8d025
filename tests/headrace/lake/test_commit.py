"""The commit protocol of delta-rs tables."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from headrace.errors import CommitConflict, CorruptArtifact, UsageError
from headrace.lake import Lake, Table, append, application_id, commit, exclusive, stage_file

ROWS = pa.table({"k": [1, 2], "v": [0.5, None]})
SCHEMA = ROWS.schema.append(pa.field("_interval", pa.date32()))


def commit_day(table, day, *, rows=ROWS, **options):
    file = stage_file(table, rows, partition={"_interval": day})
    unit = application_id("p", "score", day)
    return commit(table, [file], schema=SCHEMA, unit=unit, partition_by=["_interval"], **options)


def test_a_unit_that_has_committed_is_left_as_it_is(lake: Lake):
    first = append(lake.checks, ROWS, unit="weather/check/b1")
    again = append(lake.checks, ROWS, unit="weather/check/b1")
    assert (first.made, again.made, again.version) == (True, False, first.version)
    assert Table(lake.checks).arrow().num_rows == 2


def test_a_staged_file_without_commit_is_not_in_the_table(lake: Lake):
    commit_day(lake.checks, "2013-12-01")
    stage_file(lake.checks, ROWS, partition={"_interval": "2013-12-02"})
    assert Table(lake.checks).arrow().num_rows == 2


def test_replacing_an_interval_leaves_the_others_alone(lake: Lake):
    table = lake.scores("p")
    commit_day(table, "2013-12-01")
    commit_day(table, "2013-12-02")
    other = pa.table({"k": pa.array([9], pa.int64()), "v": [1.0]})
    filters = [("_interval", "=", "2013-12-02")]
    commit_day(table, "2013-12-02", rows=other, replace=filters, repeatable=True, recorded=1)
    found = Table(table).arrow(["k", "_interval"]).to_pylist()
    assert [(row["k"], row["_interval"].day) for row in found] == [(1, 1), (2, 1), (9, 2)]


def test_of_two_that_decided_on_the_same_state_one_commits(lake: Lake):
    table = lake.aliases
    commit_day(table, "2013-12-01", repeatable=True, recorded=0)
    with pytest.raises(CommitConflict, match="committed by another run"):
        commit_day(table, "2013-12-01", repeatable=True, recorded=0)
    assert Table(table).arrow().num_rows == 2


def test_processes_that_append_at_once_lose_no_row(tmp_path: Path):
    script = """
import sys, pathlib, pyarrow as pa
from headrace.lake import append
for n in range(5):
    append(pathlib.Path(sys.argv[1]), pa.table({"k": [n]}), unit=f"{sys.argv[2]}/{n}")
"""
    command = [sys.executable, "-P", "-c", script, str(tmp_path / "t")]
    running = [subprocess.Popen([*command, str(n)]) for n in range(3)]
    assert [process.wait(120) for process in running] == [0, 0, 0]
    assert sorted(Table(tmp_path / "t").arrow()["k"].to_pylist()) == sorted([0, 1, 2, 3, 4] * 3)


def test_a_held_lock_is_a_conflict_after_its_time(lake: Lake):
    with (
        exclusive(lake.checks),
        pytest.raises(CommitConflict, match="held the table's lock"),
        exclusive(lake.checks, timeout_s=0.1),
    ):
        pass


def test_every_reader_sees_the_same_rows(lake: Lake):
    rows = pa.table(
        {
            "k": [1, 2, 3, 4],
            "f": [1.5, float("inf"), float("nan"), None],
            "s": ["", "x" * 40, "ü", None],
            "d": [date(2013, 12, 1), None, date(1, 1, 1), date(9999, 12, 31)],
        }
    )
    append(lake.checks, rows, unit="u")
    ours = Table(lake.checks).arrow()
    native = pl.scan_delta(lake.checks.as_posix()).collect()
    kept = native.filter(pl.col("f") > 1.5)
    arrow = Table(lake.checks).delta.to_pyarrow_table()  # noqa: F841 - DuckDB finds it by name
    assert duckdb.sql("select count(*) from arrow where s = ''").fetchall() == [(1,)]
    assert pl.from_arrow(ours).equals(native, null_equal=True)
    assert ours.equals(rows) or str(ours.to_pylist()) == str(rows.to_pylist())
    assert set(kept["k"]) == {2, 3}  # polars holds NaN greater than any number, as Spark does


def test_statistics_name_no_bound_that_could_hide_a_row(lake: Lake):
    rows = pa.table(
        {"inf": [1.0, float("inf")], "nan": [1.0, float("nan")], "long": ["a", "x" * 33]}
    )
    append(lake.checks, rows, unit="u")
    (file,) = Table(lake.checks).files
    assert not file.least.keys() & {"inf", "nan", "long"}
    assert file.rows == 2


def test_a_flipped_bit_is_an_error(lake: Lake):
    append(lake.checks, pa.table({"k": list(range(1000))}), unit="u")
    (file,) = Table(lake.checks).files
    path = lake.checks / file.path
    content = bytearray(path.read_bytes())
    content[200] ^= 4
    path.write_bytes(bytes(content))
    with pytest.raises(CorruptArtifact, match="cannot be read"):
        Table(lake.checks).arrow()


def test_a_missing_data_file_is_an_error(lake: Lake):
    append(lake.checks, ROWS, unit="u")
    (file,) = Table(lake.checks).files
    (lake.checks / file.path).unlink()
    with pytest.raises(CorruptArtifact, match="cannot be read"):
        Table(lake.checks).arrow()


def test_an_old_version_is_read_as_it_was(lake: Lake):
    append(lake.checks, ROWS, unit="a")
    append(lake.checks, ROWS, unit="b")
    assert Table(lake.checks, 0).arrow().num_rows == 2
    assert Table(lake.checks).arrow().num_rows == 4


def test_partitions_choose_files_and_keep_their_type(lake: Lake):
    commit_day(lake.checks, "2013-12-01")
    commit_day(lake.checks, "2013-12-02")
    found = Table(lake.checks).arrow(partitions={"_interval": {date(2013, 12, 2)}})
    assert found["_interval"].to_pylist() == [date(2013, 12, 2)] * 2
    assert found.schema.field("_interval").type == pa.date32()


def test_an_unknown_column_names_those_there_are(lake: Lake):
    append(lake.checks, ROWS, unit="u")
    with pytest.raises(UsageError, match=r"no column w[\s\S]*there are k, v"):
        Table(lake.checks).arrow(["w"])


def test_no_table_says_how_to_get_one(lake: Lake):
    with pytest.raises(UsageError, match=r"no table here[\s\S]*headrace run"):
        Table(lake.silver("weather"))

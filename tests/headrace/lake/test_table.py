from __future__ import annotations

import shutil

import pyarrow as pa
import pytest

from headrace.errors import CorruptArtifact
from headrace.lake import Table, append
from headrace.lake.history import broken_seals

ROW = pa.table({"id": [1]})


def test_a_commit_of_no_bytes_is_an_error_and_not_an_empty_table(tmp_path):
    table = tmp_path / "rows"
    for number in (1, 2):
        append(table, pa.table({"id": [number]}), unit=f"u{number}")
    (table / "_delta_log" / f"{1:020}.json").write_bytes(b"")
    with pytest.raises(CorruptArtifact, match=r"commit of no bytes: 0{19}1\.json"):
        Table(table)


@pytest.mark.parametrize("commits", [3, 105])
def test_the_transactions_are_those_that_delta_rs_tells_of(tmp_path, commits):
    table = tmp_path / "rows"
    units = [f"weather/check/{number}" for number in range(commits)]
    for unit in units:
        append(table, ROW, unit=unit)
    assert list((table / "_delta_log").glob("*.checkpoint.parquet")) == [
        table / "_delta_log" / f"{99:020}.checkpoint.parquet" for _ in range(commits // 100)
    ]
    for version in (0, 2, commits - 1):
        opened = Table(table, version)
        assert opened.transactions == dict.fromkeys(units[: version + 1], 1)
        assert all(
            opened.recorded(unit) == opened.delta.transaction_version(unit) for unit in units
        )


def test_a_commit_that_is_gone_from_the_middle_is_an_error(tmp_path):
    table = tmp_path / "rows"
    for number in range(4):
        append(table, ROW, unit=f"u{number}")
    opened = Table(table)
    (table / "_delta_log" / f"{1:020}.json").unlink()
    with pytest.raises(CorruptArtifact, match="lacks a commit"):
        opened.recorded("u0")


def test_the_newest_version_is_opened_again_only_when_the_log_changed(tmp_path):
    table = tmp_path / "rows"
    assert Table.if_exists(table) is None
    append(table, ROW, unit="u1")
    first = Table.if_exists(table)
    assert first is not None
    assert Table.if_exists(table) is first
    append(table, ROW, unit="u2")
    second = Table.if_exists(table)
    assert second is not None
    assert (first.version, len(first.files)) == (0, 1)
    assert (second.version, len(second.files)) == (1, 2)


def test_a_log_that_was_replaced_by_another_is_opened_again(tmp_path):
    """A restored backup may have the same number of commits."""
    append(tmp_path / "rows", ROW, unit="u1")
    assert Table.if_exists(tmp_path / "rows").recorded("u1")
    append(tmp_path / "other", ROW, unit="u2")
    shutil.rmtree(tmp_path / "rows")
    (tmp_path / "other").rename(tmp_path / "rows")
    opened = Table.if_exists(tmp_path / "rows")
    assert (opened.recorded("u1"), opened.recorded("u2")) == (None, 1)


def test_bounds_are_told_of_columns_beyond_the_thirty_second(tmp_path):
    wide = pa.table({**{f"c{number}": [1.0] for number in range(40)}, "_fingerprint": ["a"]})
    table = tmp_path / "rows"
    for number in range(102):  # by a checkpoint, too
        append(table, wide, unit=f"u{number}")
    assert {file.least["_fingerprint"] for file in Table(table).files} == {"a"}
    assert {file.greatest["c39"] for file in Table(table).files} == {1.0}


def test_a_table_of_before_is_given_what_tells_of_all_columns(tmp_path):
    wide = pa.table({**{f"c{number}": [1.0] for number in range(40)}, "_batch": ["a"]})
    table = tmp_path / "rows"
    append(table, wide, unit="u1")
    Table(table).delta.alter.set_table_properties({"delta.dataSkippingNumIndexedCols": "32"})
    assert Table(table).files[0].batch is None
    append(table, wide, unit="u2")
    assert [file.batch for file in Table(table).files] == ["a", "a"]
    assert broken_seals(table) == []

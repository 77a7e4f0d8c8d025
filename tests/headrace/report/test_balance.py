"""When rows in and rows out count as equal."""

import pyarrow as pa
import pytest

from headrace.lake import Table, append
from headrace.report.balance import balances
from headrace.report.records import read_records


@pytest.fixture
def balance(pipeline, lake):
    return lambda: balances(pipeline, lake, read_records(pipeline, lake, run="r1"))[0]


def test_rows_that_add_up_and_stand_in_the_tables_balance(balance, told_check):
    told_check("flights", silver=3, quarantine=2, duplicates=1)
    assert balance().holds
    assert balance().stored == {"silver": 3, "quarantine": 2}


@pytest.mark.parametrize(("read", "fate"), [(7, "1 lost"), (5, "1 too many")])
def test_lost_and_doubled_rows_break_the_balance(balance, told_check, read, fate):
    told_check("flights", read=read, silver=3, quarantine=2, duplicates=1)
    assert not balance().holds
    assert fate in balance().problems[0]


def test_table_that_holds_other_rows_than_recorded_breaks_the_balance(balance, told_check):
    told_check("flights", silver=3, in_silver=2)
    assert balance().problems == ("silver holds 2 rows, not the 3 recorded",)


def test_record_without_a_count_does_not_balance(balance, tell):
    tell("check", "flights", rows={"read": 3, "silver": 3})
    assert "does not tell quarantine, duplicates" in balance().problems[0]


def test_source_without_a_check_does_not_balance(balance, tell):
    tell("ingest", "flights")
    assert not balance().holds


def test_table_with_a_lost_file_is_told_not_raised(balance, lake, told_check):
    told_check("flights", silver=3)
    append(lake.silver("flights"), pa.table({"_batch": ["a", "c"]}), unit="others")
    (lost,) = (file for file in Table(lake.silver("flights")).files if file.rows == 2)
    (lake.silver("flights") / lost.path).unlink()
    assert "silver cannot be read: a data file cannot be read" in balance().problems[0]


def test_rows_of_several_batches_in_one_file_are_counted_apart(lake):
    path = lake.silver("flights")
    append(path, pa.table({"_batch": ["a", "a", "b", "c"]}), unit="1")
    append(path, pa.table({"_batch": ["a"]}), unit="2")
    assert Table(path).rows_by_batch({"a", "b"}) == {"a": 3, "b": 1}


@pytest.mark.parametrize("name", ["silver", "silver/flights"])
def test_rows_are_counted_at_the_version_that_the_stage_left(balance, lake, told_check, name):
    told_check("flights", silver=3, tables={name: 0})
    append(lake.silver("flights"), pa.table({"flight": [9], "_batch": ["b" * 32]}), unit="replayed")
    assert balance().holds

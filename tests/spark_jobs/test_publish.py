"""From landing files to silver and quarantine: no row lost or doubled, each bad one told."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime

import pytest

from headrace import plan
from headrace.errors import BalanceError, ChecksFailed, CommitConflict, SchemaChanged
from headrace.lake import NO_TABLE, Table

NOW = datetime(2014, 1, 1, tzinfo=UTC)
NOON = "2013-12-01T17:00:00Z"


def counts(result):
    return tuple(result.rows[name] for name in ("read", "silver", "quarantine", "duplicates"))


def test_sound_rows_reach_silver_typed_and_with_their_place(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},2.5", f"2,B,{NOON},NA")
    _, result = trips.publish("trips")
    moment = datetime(2013, 12, 1, 17, tzinfo=UTC)
    assert trips.silver("trips") == [
        {"id": 1, "line": "A", "leaves": moment, "km": 2.5},
        {"id": 2, "line": "B", "leaves": moment, "km": None},
    ]
    places = Table(trips.lake.silver("trips")).arrow(["_file", "_row", "_batch"]).to_pylist()
    assert sorted((p["_file"], p["_row"], p["_batch"]) for p in places) == [
        ("trips/a.csv", 2, result.units[0]),
        ("trips/a.csv", 3, result.units[0]),
    ]


UNREADABLE = {
    f"x,A,{NOON},1": "id: cannot read 'x' as int",
    f"9223372036854775808,A,{NOON},1": "id: cannot read '9223372036854775808' as int",
    "7,A,yesterday,1": "leaves: cannot read 'yesterday' as timestamp",
    "7,A,10:00,1": "leaves: cannot read '10:00' as timestamp",
    f"7,A,{NOON},Infinity": "km: cannot read 'Infinity' as double",
    f"7,A,{NOON},NaN": "km: cannot read 'NaN' as double",
    f"7,A,{NOON},1d": "km: cannot read '1d' as double",
    f"7,A,{NOON}": "the line has not the 4 cells of its header",
    f"7,A,{NOON},1,2": "the line has not the 4 cells of its header",
    f'7,"A,{NOON},1': "a quote is not closed on its line",
    f"NA,A,{NOON},1": "id: is null, and the row cannot be placed without it",
    "7,A,NA,1": "leaves: is null, and the row cannot be placed without it",
    b"7,\xff,2013-12-01T17:00:00Z,1": "the line is not UTF-8 at byte 2",
    b"7,\0,2013-12-01T17:00:00Z,1": "the line holds a NUL byte",
}


def test_each_line_that_cannot_be_read_is_in_quarantine_with_its_reason(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1", *UNREADABLE, f"2,A,{NOON},1")
    _, result = trips.publish("trips")
    assert counts(result) == (16, 2, 14, 0)
    told = {row: (rules, reason) for _, row, _, rules, reason in trips.quarantine("trips")}
    assert told == {
        row: (["_parse"], reason) for row, reason in enumerate(UNREADABLE.values(), start=3)
    }


def test_a_row_that_breaks_a_rule_is_in_quarantine_with_the_rule(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1", f"2,A,{NOON},-3")
    _, result = trips.publish("trips")
    assert counts(result) == (2, 1, 1, 0)
    ((_, row, raw, rules, reason),) = trips.quarantine("trips")
    assert (row, raw) == (3, f"2,A,{NOON},-3")
    assert rules == ["column_values_to_be_between_km"]
    assert reason == "expect_column_values_to_be_between(column='km', min_value=0) does not hold"


def test_a_rule_that_warns_keeps_the_row_and_may_read_another_source(trips):
    known = "{column: line, value_set: {source: lines, column: line}}"
    first = "expect_table_row_count_to_be_between"
    trips.declare(
        (
            f"    - {first}",
            f"    - expect_column_values_to_be_in_set: {known}\n      action: warn\n    - {first}",
        )
    )
    trips.publish("lines")
    trips.deliver("trips", "a.csv", f"1,Z,{NOON},1")
    _, result = trips.publish("trips")
    assert counts(result) == (1, 1, 0, 0)
    verdicts = {
        v["rule"]: v for v in Table(trips.lake.checks).arrow().to_pylist() if v["source"] == "trips"
    }
    assert len(verdicts) == 3
    known = verdicts["column_values_to_be_in_set_line"]
    assert (known["success"], known["unexpected"], known["action"]) == (False, 1, "warn")


def test_a_batch_that_fails_a_table_rule_stays_unpublished_until_it_is_mended(trips):
    few = "expect_table_row_count_to_be_between: {min_value: 1}"
    trips.declare((few, few.replace("1", "2")))
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1")
    with pytest.raises(ChecksFailed, match="table_row_count_to_be_between"):
        trips.publish("trips")
    assert not Table.exists(trips.lake.silver("trips"))
    trips.deliver("trips", "b.csv", f"2,A,{NOON},1", f"3,A,{NOON},1")
    with pytest.raises(ChecksFailed):
        trips.publish("trips")
    assert [row["id"] for row in trips.silver("trips")] == [2, 3]  # the later batch went on
    trips.declare()
    trips.publish("trips")
    assert [row["id"] for row in trips.silver("trips")] == [1, 2, 3]


def test_publishing_again_changes_nothing(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1")
    trips.publish("trips")
    before = Table(trips.lake.silver("trips")).version
    _, again = trips.publish("trips")
    assert (again.outcome, again.units) == ("already_done", ())
    assert Table(trips.lake.silver("trips")).version == before


def test_a_row_sent_again_is_a_counted_duplicate(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1", f"1,A,{NOON},1.0")
    assert counts(trips.publish("trips")[1]) == (2, 1, 0, 1)
    trips.deliver("trips", "b.csv", f"1,A,{NOON},1", f"2,A,{NOON},1")
    assert counts(trips.publish("trips")[1]) == (2, 1, 0, 1)
    assert [row["id"] for row in trips.silver("trips")] == [1, 2]


def test_another_row_of_a_key_in_silver_is_a_conflict(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1")
    trips.publish("trips")
    trips.deliver("trips", "b.csv", f"1,B,{NOON},1")
    assert counts(trips.publish("trips")[1]) == (1, 0, 1, 0)
    ((file, _, _, rules, reason),) = trips.quarantine("trips")
    assert (file, rules) == ("trips/b.csv", ["_conflict"])
    assert reason == "another row of the same key, with other values, stands already"


def test_of_two_rows_of_a_key_the_sound_one_stands(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},-1", f"1,A,{NOON},1")
    assert counts(trips.publish("trips")[1]) == (2, 1, 1, 0)
    assert trips.silver("trips")[0]["km"] == 1


def test_a_batch_without_a_sound_row_is_published_empty(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},-1")
    assert counts(trips.publish("trips")[1]) == (1, 0, 1, 0)
    assert trips.publish("trips")[1].units == ()


def test_silvers_commit_carries_the_balance(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1", f"1,A,{NOON},1", "x")
    _, result = trips.publish("trips")
    (told,) = Table(trips.lake.silver("trips")).delta.history(1)
    assert json.loads(told["headrace"]) == {
        "batch": result.units[0],
        "read": 3,
        "silver": 1,
        "quarantine": 1,
        "duplicates": 1,
    }


def test_columns_in_another_order_are_read_by_name(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1")
    trips.deliver("trips", "b.csv", f"5,{NOON},B,2", header="km,leaves,line,id")
    trips.publish("trips")
    assert [(row["id"], row["line"], row["km"]) for row in trips.silver("trips")] == [
        (1, "A", 1),
        (2, "B", 5),
    ]


def test_changed_columns_stop_the_source_with_both_lists(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1,x", header="id,line,leaves,miles,extra")
    with pytest.raises(SchemaChanged, match=r"km +- \(missing\)\n +- +miles  \(not declared\)"):
        trips.publish("trips")
    assert not Table.exists(trips.lake.bronze("trips"))


def test_adapt_reads_a_missing_column_as_null_and_keeps_an_unknown_one_in_bronze(trips):
    trips.declare(
        (
            "event_time: leaves\n  arrivals",
            "event_time: leaves\n    on_changed_columns: adapt\n  arrivals",
        )
    )
    trips.deliver("trips", "a.csv", f"1,{NOON},x", header="id,leaves,extra")
    trips.publish("trips")
    assert trips.silver("trips")[0]["line"] is None
    assert Table(trips.lake.bronze("trips")).arrow(["_raw"]).to_pylist() == [
        {"_raw": f"1,{NOON},x"}
    ]


def test_a_file_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},1")
    trips.deliver("trips", "b.csv.gz", f"2,A,{NOON},1")
    read, checked = trips.publish("trips")
    assert read.notes == ("set aside trips/b.csv.gz: the gzip is cut or damaged",)
    assert counts(checked) == (1, 1, 0, 0)


def test_a_header_without_rows_is_a_batch_without_rows(trips):
    trips.declare(("    - expect_table_row_count_to_be_between: {min_value: 1}\n", ""))
    trips.deliver("trips", "a.csv")
    assert counts(trips.publish("trips")[1]) == (0, 0, 0, 0)
    assert trips.publish("trips")[1].units == ()


def test_a_batch_that_is_not_in_bronze_is_not_published_as_if_it_were_empty(trips):
    from spark_jobs import check

    trips.deliver("trips", "a.csv", f"1,A,{NOON},1")
    landing = plan.look_at(trips.pipeline, trips.lake, "trips")
    result = check.check(
        trips.spark, trips.lake, "trips", pipeline=trips.pipeline, landing=landing, run="r", now=NOW
    )
    assert (result.units, Table.exists(trips.lake.silver("trips"))) == ((), False)
    assert counts(trips.publish("trips")[1]) == (1, 1, 0, 0)


def test_quarantine_of_a_batch_that_was_never_published_is_replaced(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},-1", f"2,A,{NOON},1")
    trips.publish("trips")
    shutil.rmtree(trips.lake.silver("trips"))  # as if the run had been killed before that commit
    trips.declare(("min_value: 0", "min_value: -5"))
    assert counts(trips.publish("trips")[1]) == (2, 2, 0, 0)
    assert trips.quarantine("trips") == []


def test_rows_that_are_not_as_many_as_counted_are_not_committed(trips):
    from spark_jobs import delta

    trips.deliver("trips", "a.csv", f"1,A,{NOON},1")
    trips.publish("trips")
    silver = trips.lake.silver("trips")
    rows = delta.read(trips.spark, silver)
    with pytest.raises(BalanceError, match="1 for 2"):
        delta.write(rows, silver, unit="trips/check/other", expected={None: 2})
    assert len(trips.silver("trips")) == 1


def test_a_unit_that_is_committed_already_leaves_no_files_behind(trips):
    trips.deliver("trips", "a.csv", f"1,A,{NOON},-1", "x")
    trips.declare(("{min_value: 1}", "{min_value: 5}\n      action: fail"))
    for _ in range(3):
        with pytest.raises(ChecksFailed):
            trips.publish("trips")
    assert len(list(trips.lake.bronze("trips").rglob("*.parquet"))) == len(
        Table(trips.lake.bronze("trips")).files
    )


def test_a_commit_decided_on_an_older_silver_is_refused(trips):
    from spark_jobs import delta

    trips.deliver("trips", "a.csv", f"1,A,{NOON},1")
    trips.publish("trips")
    silver = trips.lake.silver("trips")
    rows = delta.read(trips.spark, silver)
    with pytest.raises(CommitConflict, match="changed since these rows were decided on"):
        delta.write(rows, silver, unit="trips/check/other", seen=NO_TABLE)
    assert len(trips.silver("trips")) == 1


def test_a_batch_is_read_from_its_own_files(trips):
    from spark_jobs import delta

    for name in ("a.csv", "b.csv"):
        trips.deliver("trips", name, f"{ord(name[0])},A,{NOON},1")
        trips.publish("trips")
    bronze = trips.lake.bronze("trips")
    files = {file.batch: file.path for file in Table(bronze).files}
    for batch, path in files.items():
        rows = delta.read(trips.spark, bronze, batch=batch)
        assert [row["_batch"] for row in rows.collect()] == [batch]
        assert [each.rpartition("/")[2] for each in rows.inputFiles()] == [path]

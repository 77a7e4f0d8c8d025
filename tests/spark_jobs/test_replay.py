"""Rows that come back from quarantine after a rule or a schema was mended: each exactly once."""

from __future__ import annotations

import shutil
from functools import partial

import pytest

from headrace import faults, runs
from headrace.errors import ChecksFailed, EngineLost, SchemaChanged
from headrace.intervals import features_due
from headrace.lake import Table
from headrace.verify import verify

DEC1, DEC2 = (f"2013-12-0{day}T17:00:00Z" for day in (1, 2))
WIDER = ("min_value: 0", "min_value: -10")
TEXT = ("km: double", "km: string")
NO_RULE = (
    "    - expect_column_values_to_be_between: {column: km, min_value: 0}\n",
    "",
)


@pytest.fixture(scope="module")
def published(tmp_path_factory, trips_in):
    """Of six rows, two break the rule on km, one has a km that is no number, one is torn."""
    folder = tmp_path_factory.mktemp("published")
    trips = trips_in(folder)
    trips.deliver(
        "trips",
        "a.csv",
        f"1,A,{DEC1},5",
        f"2,A,{DEC2},-6",
        f"3,B,{DEC2},-70",
        f"4,B,{DEC2},far",
        "5,A",
        f"6,A,{DEC2},6",
    )
    trips.publish("trips")
    return folder


@pytest.fixture
def bad(published, tmp_path, trips_in):
    """A copy of `published`."""
    shutil.copytree(published, tmp_path, dirs_exist_ok=True)
    return trips_in(tmp_path)


def replay(trips):
    from spark_jobs.replay import replay

    work = partial(replay, trips.spark, trips.lake, "trips", pipeline=trips.pipeline)
    return runs.perform("replay", "trips", work, folder=trips.lake.runs("r"))


def ids(trips):
    return [row["id"] for row in trips.silver("trips")]


def lines_in_quarantine(trips):
    return [row[1] for row in trips.quarantine("trips")]


def test_what_passes_a_mended_rule_comes_to_silver_and_the_rest_stays(bad):
    bad.declare(WIDER)
    result = replay(bad)
    assert result.rows == {"read": 4, "silver": 1, "duplicates": 0, "quarantine": 3}
    assert ids(bad) == [1, 2, 6]
    assert lines_in_quarantine(bad) == [4, 5, 6]
    places = Table(bad.lake.silver("trips")).arrow(["id", "_file", "_row"]).to_pylist()
    assert {"id": 2, "_file": "trips/a.csv", "_row": 3} in places


def test_a_row_that_stays_has_the_reason_of_the_mended_rules(bad):
    bad.declare(WIDER)
    replay(bad)
    assert "min_value=-10" in bad.quarantine("trips")[0][4]


def test_a_mended_declaration_brings_back_what_did_not_parse(bad):
    bad.declare(("null_value: NA", "null_value: far"))
    assert replay(bad).rows["silver"] == 1
    assert [(row["id"], row["km"]) for row in bad.silver("trips")] == [(1, 5), (4, None), (6, 6)]


def test_numbers_in_silver_do_not_become_text_by_a_mended_schema(bad):
    bad.declare(NO_RULE, TEXT)
    before = Table(bad.lake.silver("trips")).version
    with pytest.raises(SchemaChanged, match="km: double in the table, string in the rows"):
        replay(bad)
    assert Table(bad.lake.silver("trips")).version == before


def test_replaying_again_writes_no_version(bad):
    bad.declare(WIDER)
    replay(bad)
    tables = (bad.lake.silver("trips"), bad.lake.quarantine("trips"))
    before = [Table(table).version for table in tables]
    assert replay(bad).outcome == "already_done"
    assert [Table(table).version for table in tables] == before


def test_without_a_mend_nothing_changes(bad):
    result = replay(bad)
    assert (result.outcome, result.rows["quarantine"]) == ("already_done", 4)


def test_the_interval_of_a_replayed_row_is_stale_until_it_is_built_again(bad):
    for source in ("lines", "arrivals", "weather"):
        bad.deliver("arrivals", "a.csv", f"1,{DEC1},10,2013-12-02T09:00:00Z")
        bad.deliver("weather", "a.csv", "A,1.5,2013-12-02T04:00:00Z")
        bad.publish(source)
    bad.build()
    bad.declare(WIDER)
    assert [str(i.day) for i in features_due(bad.pipeline, bad.lake).stale] == []
    replay(bad)
    assert [str(i.day) for i in features_due(bad.pipeline, bad.lake).stale] == ["2013-12-02"]
    bad.build(stale=True)
    assert [row["id"] for row in bad.gold()] == [1, 2, 6]


def test_a_row_that_was_corrected_elsewhere_meanwhile_is_no_second_copy(bad):
    bad.deliver("trips", "b.csv", f"2,A,{DEC2},6")
    bad.publish("trips")
    bad.declare(WIDER)
    assert replay(bad).rows["silver"] == 0, "the corrected row stands, the old one conflicts"
    assert ids(bad) == [1, 2, 6]
    assert "_conflict" in [rule for row in bad.quarantine("trips") for rule in row[3]]


def test_a_line_that_an_unpublished_batch_holds_too_is_replayed_once(trips):
    few = "expect_table_row_count_to_be_between: {min_value: 1}"
    trips.declare((few, few.replace("1", "4")))
    trips.deliver("trips", "a.csv", f"1,A,{DEC1},5", f"2,A,{DEC2},-6", f"3,A,{DEC2},far")
    b = trips.deliver("trips", "b.csv")
    with pytest.raises(ChecksFailed):  # the batch of a.csv and b.csv stays in bronze
        trips.publish("trips")
    b.unlink()
    trips.declare()
    trips.publish("trips")  # a.csv alone
    trips.declare(WIDER)
    assert replay(trips).rows == {"read": 2, "silver": 1, "duplicates": 0, "quarantine": 1}
    assert (ids(trips), lines_in_quarantine(trips)) == ([1, 2], [4])


ENDS = [
    *((moment, 1) for moment in faults.MOMENTS),
    *((moment, 2) for moment in ("after_staged_write", "before_commit", "after_commit")),
]  # the first commit is silver's, the second quarantine's


@pytest.mark.parametrize(("moment", "nth"), ENDS)
def test_a_replay_that_ended_early_and_runs_again_brings_each_row_once(
    bad, monkeypatch, moment, nth
):
    bad.declare(WIDER)
    faults._passed.clear()  # noqa: SLF001 - a process of its own would begin at none
    monkeypatch.setenv(faults.VARIABLE, f"replay.{moment}:raise:{nth}")
    with pytest.raises(EngineLost):
        replay(bad)
    monkeypatch.delenv(faults.VARIABLE)
    replay(bad)
    assert ids(bad) == [1, 2, 6]
    assert lines_in_quarantine(bad) == [4, 5, 6]


def test_the_duplicates_of_a_replay_that_was_ended_early_and_mended_are_told_once(
    trips, monkeypatch
):
    trips.deliver("trips", "a.csv", f"1,A,{DEC1},5", f"2,A,{DEC2},-6")
    trips.deliver("trips", "b.csv", f"2,A,{DEC2},-6.0")
    trips.publish("trips")
    trips.deliver("trips", "c.csv", f"2,A,{DEC2},-6.00", f"3,A,{DEC2},-20")
    trips.publish("trips")
    trips.declare(WIDER)
    faults._passed.clear()  # noqa: SLF001 - a process of its own would begin at none
    monkeypatch.setenv(faults.VARIABLE, "replay.after_commit:raise:1")
    with pytest.raises(EngineLost):
        replay(trips)
    monkeypatch.delenv(faults.VARIABLE)
    trips.declare(("min_value: 0", "min_value: -15"))  # so it is not the same replay
    assert replay(trips).rows["duplicates"] == 1
    assert [found for found in verify(trips.lake.root) if found.state == "fail"] == []

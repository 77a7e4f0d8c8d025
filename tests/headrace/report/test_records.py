"""Which run tells of a stage."""

import pytest

from headrace.errors import UsageError
from headrace.report.outcome import finding
from headrace.report.records import read_records
from headrace.stage import Outcome

KEY = ("check", "flights")


def test_stage_already_done_is_told_by_the_newest_earlier_run_that_did_it(pipeline, lake, tell):
    tell("check", "flights", run="oldest", at=1000, rows={"read": 1})
    tell("check", "flights", run="older", at=2000, rows={"read": 2})
    tell("check", "flights", run="idle", at=3000, outcome=Outcome.ALREADY_DONE)
    tell("check", "flights", run="now", at=4000, outcome=Outcome.ALREADY_DONE)
    record = read_records(pipeline, lake, run="now").of[KEY]
    assert (record.run, record.result.rows, record.outcome) == (
        "older",
        {"read": 2},
        Outcome.ALREADY_DONE,
    )


def test_later_run_tells_nothing_of_an_earlier_one(pipeline, lake, tell):
    tell("ingest", "flights", run="now", at=1000)
    tell("check", "flights", run="later", at=2000)
    records = read_records(pipeline, lake, run="now")
    assert KEY not in records.of
    assert KEY in records.missing


def test_stage_that_the_run_never_reached_is_marked_as_an_earlier_runs(pipeline, lake, tell):
    tell("check", "flights", run="older", at=1000)
    tell("ingest", "flights", run="now", at=2000)
    records = read_records(pipeline, lake, run="now")
    assert records.elsewhere == (KEY,)
    assert records.of[KEY].outcome is Outcome.MISSING


def test_of_several_trainings_the_newest_is_told_and_the_others_are_kept(pipeline, lake, tell):
    for moment in ("2013-12-01", "2013-11-01"):
        tell("train", "delays", units=(moment,), file=f"train-delays-{moment}")
    records = read_records(pipeline, lake, run="r1")
    assert records.find("train", "delays").units == ("2013-12-01",)
    assert [result.units for result in records.own] == [("2013-11-01",), ("2013-12-01",)]


def test_a_fit_by_spark_is_told_by_the_run_that_did_it_and_missed_by_no_other(pipeline, lake, tell):
    tell("fit", "delays", run="older", at=1000, rows={"learned_from": 9})
    tell("train", "delays", run="older", at=1001)
    tell("train", "delays", run="now", at=2000, outcome=Outcome.ALREADY_DONE)
    older, now = (read_records(pipeline, lake, run=run) for run in ("older", "now"))
    assert older.of["fit", "delays"].result.rows == {"learned_from": 9}
    assert list(older.of) == [("fit", "delays"), ("train", "delays")]
    for records in (older, now):
        found = finding(pipeline, records, balances=(), checks=(), scores=None)
        assert not any("fit" in remark for remark in found.remarks)
    assert ("fit", "delays") not in {*now.of, *now.missing, *now.elsewhere}


def test_record_cut_short_is_named(pipeline, lake, tell):
    tell("ingest", "flights")
    (lake.runs("r1") / "check-flights.json").write_text('{"name": "che')
    records = read_records(pipeline, lake, run="r1")
    assert records.unreadable[0].startswith("check-flights.json: JSONDecodeError")
    assert KEY in records.missing


@pytest.mark.parametrize("run", ["r2", "../runs/r1", "", ".."])
def test_run_that_is_not_there_is_refused_with_the_near_names(pipeline, lake, tell, run):
    tell("ingest", "flights", run="r1")
    with pytest.raises(UsageError, match=r"(?s)no run .*did you mean r1\?"):
        read_records(pipeline, lake, run=run)


def test_run_begins_with_its_first_stage(pipeline, lake, tell):
    tell("ingest", "flights", at=1000, seconds=100.0)
    tell("check", "flights", at=1050, seconds=10.0)
    records = read_records(pipeline, lake, run="r1")
    assert records.started.timestamp() == 900
    assert records.ended.timestamp() == 1050

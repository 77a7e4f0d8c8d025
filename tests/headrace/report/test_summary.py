from __future__ import annotations

from headrace.report.summary import escaped, outcome, summary


def test_a_run_in_a_page_of_markdown(pipeline, lake, whole_run):
    told = summary(pipeline, lake, run=whole_run, page="https://reports.example/r1.html")
    assert told.startswith("20 rows of 2 sources checked, 1 of them in quarantine; ")
    assert (
        "| check | flights | done | 0 ms | 10 read, 9 silver, 1 quarantine | bbbbbbbbbbbb |" in told
    )
    assert "**Gate**: lightgbm is promoted." in told
    assert "[https://reports.example/r1.html](https://reports.example/r1.html)" in told


def test_what_another_run_did_is_not_told_as_its_own(pipeline, lake, tell, whole_run):
    tell("train", "delays", run="r2", outcome="already_done", units=(), at=2e9)
    tell("features", "delays", run="r2", units=("2013-12-03",), rows={"built": 5}, at=2e9)
    told = summary(pipeline, lake, run="r2")
    assert "| train | delays | already done | — | — | — |" in told
    assert "| features | delays | done | 0 ms | 5 built | 2013-12-03 |" in told
    assert f"**Gate** (run {whole_run}): lightgbm is promoted." in told
    assert "| score" not in told


def test_a_failure_stands_before_the_stages(pipeline, lake, tell):
    tell("ingest", "flights", rows={"read": 10})
    failure = '{"stage": "check", "subject": "flights", "error": "ChecksFailed", "message": "a|b"}'
    (lake.runs("r1") / "failed-check-flights.json").write_text(failure)
    told = summary(pipeline, lake, run="r1", page="lake/reports/r1.html")
    assert r"**check of flights failed**: ChecksFailed: a\|b" in told
    assert told.index("failed") < told.index("| Stage |")
    assert "`lake/reports/r1.html`" in told


def test_foreign_text_makes_no_markup():
    assert escaped("<img src=x>\n# a") == "&lt;img src=x> # a"
    assert escaped("[a](javascript:b)") == r"\[a\](javascript:b)"


def test_a_run_without_a_record_has_an_outcome(pipeline, lake):
    assert outcome(pipeline, lake, run="r9") == "no stage left a record"

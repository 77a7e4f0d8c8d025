"""Verdicts in words, and which quarantined rows are shown."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from headrace.lake import append
from headrace.report.records import read_records
from headrace.report.verdicts import source_checks

BATCH = "b" * 32


@pytest.fixture
def checks(pipeline, lake):
    return lambda: source_checks(pipeline, lake, read_records(pipeline, lake, run="r1"))[0]


def verdict(**told):
    return {"rule": "r", "action": "quarantine", "success": True, "rows": 5, "unexpected": 0} | told


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (verdict(), "kept"),
        (verdict(unexpected=1), "kept, a few broke it"),
        (verdict(rows=0), "nothing to judge"),
        (verdict(vacuous=True), "nothing to judge"),
        (verdict(success=False), "broken: rows set aside"),
        (verdict(success=False, action="warn"), "broken: warned"),
        (verdict(success=False, action="fail"), "broken: not published"),
    ],
)
def test_verdict_says_what_became_of_the_rows(checks, told_check, told, word):
    told_check("flights", silver=5, verdicts=[told])
    assert checks().verdicts[0].word == word


def test_arguments_are_told_as_declared(checks, told_check):
    told = verdict(arguments={"column": "a", "min_value": 0, "max_value": None})
    told_check("flights", silver=5, verdicts=[told, verdict(column="b")])
    assert [found.arguments for found in checks().verdicts] == ["column=a, min_value=0", "column=b"]


def test_examples_are_the_first_five_by_line_of_this_batch(checks, lake, told_check):
    stranger = {"_raw": ["x"], "_file": ["a"], "_row": pa.array([0], pa.int64()), "_batch": ["z"]}
    broken = {"_failed_rules": [["not_null_flight"]], "_reason": ["y"]}
    append(lake.quarantine("flights"), pa.table(stranger | broken), unit="other")
    told_check("flights", silver=0, quarantine=7)
    (quarantined,) = checks().quarantined
    assert quarantined.rows == 7
    assert [row["_row"] for row in quarantined.examples] == [1, 2, 3, 4, 5]


def test_declared_rule_without_a_verdict_is_named(checks, told_check):
    told_check("flights", silver=5)
    assert checks().unjudged == ("column_values_to_not_be_null_flight",)


def test_row_that_broke_two_rules_is_shown_under_both(checks, lake, tell):
    rows = {
        "_raw": ["x"],
        "_file": ["a"],
        "_row": pa.array([1], pa.int64()),
        "_batch": ["b" * 32],
        "_failed_rules": [["one", "two"]],
        "_reason": ["y"],
    }
    append(lake.quarantine("flights"), pa.table(rows), unit="u")
    tell("check", "flights", rows={})
    assert [set_.rule for set_ in checks().quarantined] == ["one", "two"]


def test_rule_tells_what_it_found_in_the_batches_before(checks, lake, told_check):
    told_check("flights", silver=5, verdicts=[verdict()], at=1e9)
    rows = [
        {"batch": "old", "source": "flights", "unexpected": 3, "success": False, "day": 2},
        {"batch": "older", "source": "flights", "unexpected": None, "success": True, "day": 1},
        {"batch": "other", "source": "arrivals", "unexpected": 7, "success": False, "day": 1},
        {"batch": BATCH, "source": "flights", "unexpected": 9, "success": False, "day": 3},
    ]
    columns = {
        "rule": ["r"] * 4,
        "checked_at": [datetime(2001, 1, row.pop("day"), tzinfo=UTC) for row in rows],
        "run": ["r0"] * 4,
    }
    table = pa.Table.from_pylist(rows)
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    append(lake.checks, table, unit="flights/verdicts/r0")
    assert checks().verdicts[0].before == ("kept", "3")

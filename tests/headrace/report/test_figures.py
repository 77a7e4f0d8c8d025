"""Scores per interval, axes and text as the page shows them."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.report import wording
from headrace.report.charts import error_bars
from headrace.report.records import read_records
from headrace.report.scale import Scale, spread
from headrace.report.scores import scores
from headrace.report.training import Estimate, training


def test_scores_are_averaged_per_interval(pipeline, lake, whole_run):
    found = scores(pipeline, lake, read_records(pipeline, lake, run=whole_run))
    told = [(day.interval, day.rows, day.mean, day.predicted, day.observed) for day in found.days]
    assert told == [("2013-12-01", 2, 0.5, 0.5, None), ("2013-12-02", 2, 0.5, 0.5, None)]
    assert found.problems == ()


def test_scores_that_the_table_does_not_hold_are_told(pipeline, lake, whole_run, tell):
    days = ("2013-12-01", "2013-12-02")
    tell("score", "delays", units=days, rows={"read": 6, "scored": 5, "refused": 0})
    found = scores(pipeline, lake, read_records(pipeline, lake, run=whole_run))
    assert found.problems == (
        "6 rows were read and 5 came out",
        "the table holds 4 scores, not the 5 recorded",
    )


def test_leaderboard_is_ranked_by_the_metric_that_decides(pipeline, lake, whole_run):
    found = training(pipeline, read_records(pipeline, lake, run=whole_run))
    assert [entry["candidate"] for entry in found.leaderboard] == ["lightgbm", "class_prior"]


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e9), most=st.integers(2, 8))
def test_ticks_stand_within_the_axis_in_order(low, width, most):
    scale = Scale(low, low + width, 10.0, 200.0)
    places = [place for place, _ in scale.ticks(most)]
    assert len(places) <= most + 1
    assert places == sorted(places)
    assert all(9.9 <= place <= 200.1 for place in places)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5))
def test_every_finite_value_has_its_place(values):
    scale = spread([value for value in values if abs(value) < 1e300], 0.0, 100.0)
    assert all(0 <= scale(value) <= 100 for value in values if abs(value) < 1e300)


def test_estimate_that_is_not_a_number_is_not_drawn():
    drawn = error_bars(
        [Estimate("a", "winner", nan, None, None), Estimate("b", "", 1.0, None, inf)]
    )
    assert [bar.estimate.candidate for bar in drawn.bars] == ["b"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\tb", "a␉b"),
        ("abc\u202edef", "abc⟨U+202E⟩def"),
        ("\ud800", "⟨U+D800⟩"),
        ("x" * 301, "x" * 300 + "… (301 characters)"),
        ({"a": [1, None]}, '{"a": [1, null]}'),
        (None, "—"),
    ],
)
def test_text_that_hides_is_made_visible(text, seen):
    assert wording.shown(text) == seen


@pytest.mark.parametrize(
    ("found", "seen"),
    [("26115", "26,115"), (0.25, "0.25"), ("[1]", "[1]"), (None, "—"), (nan, "nan")],
)
def test_observed_numbers_have_separators(found, seen):
    assert wording.observed(found) == seen


def test_numbers_have_separators_and_units():
    assert wording.count(1234567, "row") == "1,234,567 rows"
    assert wording.count(1, "row") == "1 row"
    assert wording.duration(75.2) == "1:15 min"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"

"""The section about the shipped model: what is recorded is drawn, and foreign text is harmless."""

from __future__ import annotations

import pytest

from headrace import report
from headrace.report.inspection import inspection
from headrace.report.records import read_records
from headrace.report.training import training

SPAN = {"value": 0.1, "low": 0.05, "high": 0.15}
TOLD = {
    "importance": {
        "found": [
            {"features": ["hour", "<b>"], **SPAN, "goes_with": []},
            {"features": ["dest"], "value": 0.0, "low": None, "high": None, "goes_with": []},
        ],
        "rows": 6000,
        "of": 28618,
        "blocks": 31,
        "sentence": "hour counts most.",
    },
    "dependence": [
        {
            "feature": "hour",
            "output": "",
            "numeric": True,
            "values": [5.0, 23.0],
            "means": [SPAN, {"value": 0.3, "low": 0.2, "high": 0.4}],
            "average": 0.2,
            "sentence": "hour moves it.",
        },
        {
            "feature": "dest",
            "output": "late",
            "numeric": False,
            "values": ["<u>"],
            "means": [SPAN],
            "average": 0.2,
            "sentence": "dest moves it.",
        },
    ],
    "slices": {
        "found": [
            {
                "feature": "dest",
                "value": "LAX",
                "rows": 971,
                "mean": None,
                "metric": SPAN,
                "behind": SPAN,
                "chance": 0.01,
                "gain": {"value": -0.1, "low": -0.2, "high": -0.05},
                "worse": True,
            }
        ],
        "left_out": 1,
        "rows": 20000,
        "whole": SPAN,
        "sentence": "One is worse.",
    },
    "learning_curve": {
        "points": [{"rows": 100, "days": 5, **SPAN}, {"rows": 200, "days": 10, **SPAN}],
        "gain": SPAN,
        "rows": 100,
        "sentence": "More rows would help.",
    },
    "overfit": {
        "parts": {"train": SPAN},
        "baseline": {},
        "sentence": "No sign of overfitting.",
        "why_no_seeds": "a baseline is shipped",
    },
    "stability": {"verdict": "refused", "sentence": "With lag_7 at 5, a prediction is 1e+06."},
    "ranges": {"found": [], "warnings": ["month leaves the range of training"]},
    "not_told": [{"part": "attribution", "why": "no <rows>"}],
}


@pytest.fixture
def inspected_run(pipeline, lake, whole_run, tell):
    """The whole run, whose training tells of an inspection."""
    detail = read_records(pipeline, lake, run=whole_run).find("train", "delays").detail
    tell("train", "delays", units=("2013-12-01",), detail={**detail, "inspection": TOLD})
    return whole_run


def test_what_was_inspected_is_on_the_page_and_foreign_text_is_escaped(
    pipeline, lake, inspected_run
):
    page = report.write(pipeline, lake, run=inspected_run).read_text()
    assert '<section id="inspection"' in page
    for text in (
        "hour counts most.",
        "hour with &lt;b&gt;",
        "&lt;u&gt;",
        "dest = LAX",
        "below the baseline",
        "More rows would help.",
        "No sign of overfitting.",
        "With lag_7 at 5",
        "month leaves the range of training",
        "attribution (no &lt;rows&gt;)",
    ):
        assert text in page
    assert "<u>" not in page


def test_points_stand_where_their_values_are(pipeline, lake, inspected_run):
    found = inspection(training(pipeline, read_records(pipeline, lake, run=inspected_run)))
    first, second = found.importance.lines
    assert first.low < first.x < first.high
    assert second.x == found.importance.reference  # nothing is lost
    assert (second.low, second.high) == (None, None)
    curve = found.panels[0]
    assert curve.points[0][0] < curve.points[1][0]
    assert curve.points[0][1] > curve.points[1][1]  # upwards is less
    assert curve.ends == ("5", "23")


def test_a_training_that_was_not_inspected_has_no_section(pipeline, lake, whole_run):
    page = report.write(pipeline, lake, run=whole_run).read_text()
    assert 'id="inspection"' not in page
    assert "#inspection" not in page

"""The section about the shipped model: what is recorded is drawn, and foreign text is harmless."""

from __future__ import annotations

from headrace import report
from headrace.report.inspection import inspection
from headrace.report.records import read_records
from headrace.report.training import training


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

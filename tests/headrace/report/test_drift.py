"""Drift is told where an interval is farther off than the intervals before the training."""

import numpy as np
import pyarrow as pa
import pytest

from headrace.report.drift import Index, drift
from headrace.report.page import render
from headrace.report.records import read_records
from headrace.report.training import training


def test_index_of_halves_that_change_places_is_that_of_the_formula():
    before, now = (
        pa.chunked_array([["a"] * a + ["b"] * b]) for a, b in ((8_000, 2_000), (2_000, 8_000))
    )
    # twice (0.8 - 0.2) ln 4, but for the half row that is added to each bin
    assert Index(before)(now) == pytest.approx(2 * 0.6 * np.log(4), rel=1e-3)
    assert Index(before)(before) == 0


def test_nulls_values_never_seen_and_infinity_are_counted():
    numbers = pa.chunked_array([np.arange(100.0)])
    assert Index(numbers)(pa.chunked_array([[None] * 50 + [float("inf")] * 50])) > 1
    names = pa.chunked_array([["a", "b"] * 50])
    assert Index(names)(pa.chunked_array([["c"] * 100])) > 1
    assert Index(pa.chunked_array([pa.nulls(40, pa.float64())]))(numbers) > 1


def test_too_few_rows_have_no_index():
    assert Index(pa.chunked_array([["a"] * 100]))(pa.chunked_array([["a"] * 3])) is None


def test_feature_that_shifted_is_named_and_others_are_not(pipeline, lake, shifted):
    records = read_records(pipeline, lake, run=shifted)
    found = drift(pipeline, lake, records, trained=training(pipeline, records))
    assert found is not None
    assert found.sentence == "Unusually far off in more than half of 2 intervals: seats."
    assert found.shifts[0].feature == "seats"
    assert {shift.feature for shift in found.shifts} == {"hour", "seats", "carrier"}
    html = render(pipeline, lake, run=shifted)
    assert "Heat map of drift" in html


def test_there_is_no_drift_without_rows_before_the_training(pipeline, lake, whole_run):
    records = read_records(pipeline, lake, run=whole_run)
    assert drift(pipeline, lake, records, trained=training(pipeline, records)) is None

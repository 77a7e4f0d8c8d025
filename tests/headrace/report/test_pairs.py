"""Which features go together: from the profile of gold, or from rows before the training."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import profiles
from headrace.report.page import render
from headrace.report.pairs import correlations


@given(st.integers(0, 2**32 - 1))
def test_correlations_are_those_of_the_rows_where_both_are_there(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(40, 4)) * 10.0 ** rng.integers(-9, 9, 4)
    values[:, 1] += values[:, 0]
    values[rng.random((40, 4)) < 0.2] = np.nan
    found, rows = correlations(values)
    for i, j in ((0, 1), (2, 3), (0, 3)):
        both = np.isfinite(values[:, i]) & np.isfinite(values[:, j])
        expected = np.corrcoef(values[both, i], values[both, j])[0, 1]
        assert found[i, j] == pytest.approx(expected, abs=1e-6)
        assert rows[i, j] == both.sum()


def test_a_column_that_does_not_vary_has_no_correlation():
    found, _ = correlations(np.column_stack([np.full(50, 1e6 + 0.1), np.arange(50.0)]))
    assert np.isnan(found[0, 1])


def test_pairs_are_of_rows_before_the_training_and_say_so(pipeline, lake, shifted):
    page = render(pipeline, lake, run=shifted)
    assert "Of numbers alone, from 3,000 rows of 30 days before 2013-12-01" in page
    assert "Pearson&#39;s correlation" in page
    assert "hour and late: " in page


def test_the_profile_of_gold_is_taken_where_there_is_one(pipeline, lake, shifted):
    rows = [{"statistic": "rows", "value": 77}]
    for place, name in enumerate(("hour", "late", "flight")):
        rows += [
            {"column": name, "statistic": "type", "text": "int", "place": place},
            {"column": name, "statistic": "missing", "value": 0, "rows": 77},
        ]
    same = {"column": "hour", "value": 0.5, "rows": 77}
    rows += [
        {**same, "statistic": "correlation", "key": "late"},
        {**same, "statistic": "cramers_v", "key": "late"},
        {**same, "statistic": "correlation", "key": "flight"},
    ]
    at = datetime(2013, 12, 2, tzinfo=UTC)
    profiles.keep(lake, rows, table="gold/delays", version=0, profiled_at=at)
    page = render(pipeline, lake, run=shifted)
    assert "From the profile of gold/delays, version 0: 77 rows." in page
    assert page.count('aria-label="Heat map of 2 columns') == 2
    assert "hour and flight" not in page  # a key is no feature


def test_without_rows_before_the_training_there_is_no_section(pipeline, lake, whole_run):
    page = render(pipeline, lake, run=whole_run)
    assert 'id="pairs"' not in page
    assert "#pairs" not in page

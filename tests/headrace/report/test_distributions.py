"""How scores are spread, before what they were at the training."""

import re

import numpy as np
import pyarrow as pa
import pytest

from headrace.evaluation.spread import percentiles
from headrace.models.algorithms.algorithm import Task
from headrace.report.distributions import distributions
from headrace.report.page import render
from headrace.report.records import read_records
from headrace.report.scores import Scores, scores
from headrace.report.training import training

MODEL = "m" * 32


@pytest.fixture
def spread_of(pipeline, lake, whole_run, tell):
    """The spread of scores of two days, given those of the test part."""

    def read(days, test=None, *, task=Task.BINARY, model=MODEL):
        records = read_records(pipeline, lake, run=whole_run)
        detail = dict(records.find("train", "delays").detail)
        if test is not None:
            detail["scored"] = {"rows": len(test), "percentiles": percentiles(np.array(test))}
        tell("train", "delays", units=("2013-12-01",), detail=detail)
        records = read_records(pipeline, lake, run=whole_run)
        names = [day for day, values in days.items() for _ in values]
        values = [value for found in days.values() for value in found]
        rows = pa.table({"_interval": names, "value": pa.array(values, pa.float64())})
        record = records.of["score", "delays"]
        trained = training(pipeline, records)
        return distributions(Scores(record, [], (model,), (), rows), trained, task=task)

    return read


def test_a_day_like_the_training_moves_nothing_and_another_everything(spread_of):
    low, high = np.linspace(0.1, 0.3, 500), np.linspace(0.7, 0.9, 500)
    found = spread_of({"2013-12-02": high, "2013-12-01": low}, low)
    assert [panel.interval for panel in found.panels] == ["2013-12-01", "2013-12-02"]
    alike, other = found.panels
    assert alike.moved < 0.03
    assert other.moved > 0.97
    assert other.quantiles == pytest.approx((0.72, 0.8, 0.88))
    assert "median 0.8" in other.says


def test_areas_of_the_pictures_are_shares_and_stay_within(spread_of):
    values = np.random.default_rng(7).beta(2, 5, 1000)
    found = spread_of({"2013-12-01": values}, values)
    for path in (found.panels[0].path, found.behind):
        heights = [float(each) for each in re.findall(r"V([\d.]+)", path)]
        assert all(0 <= each <= found.height for each in heights)
        assert len(heights) == 25


def test_without_a_record_of_the_training_the_days_stand_alone(spread_of):
    found = spread_of({"2013-12-01": [0.2, 0.4]})
    assert (found.behind, found.panels[0].moved) == ("", None)


def test_scores_of_another_model_are_not_held_against_this_training(spread_of):
    assert spread_of({"2013-12-01": [0.2, 0.4]}, [0.2, 0.4], model="another").behind == ""


def test_values_have_an_axis_of_their_own_and_those_far_out_are_in_the_last_bin(spread_of):
    values = [*np.linspace(-50, 50, 999), 1e9, float("nan")]
    found = spread_of({"2013-12-01": values}, values, task=Task.REGRESSION)
    low, high = (float(end) for end in found.ends)
    assert -51 < low < -48
    assert 48 < high < 52
    assert found.panels[0].rows == 1000


def test_all_the_same_score_is_drawn(spread_of):
    found = spread_of({"2013-12-01": [0.25] * 10}, [0.25] * 10)
    assert found.panels[0].moved < 0.01


def test_the_page_shows_a_panel_for_each_day(pipeline, lake, whole_run):
    found = scores(pipeline, lake, read_records(pipeline, lake, run=whole_run))
    assert found.rows["value"].to_pylist() == [0.75, 0.25, 0.75, 0.25]
    page = render(pipeline, lake, run=whole_run)
    assert page.count('<path class="column"') == 2
    assert "How the model scored the test part at its training is not recorded." in page

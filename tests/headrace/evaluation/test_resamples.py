"""One way to an interval: what is looked at has that of the gate, and few blocks make it wide."""

import numpy as np
import pytest

from headrace.evaluation.intervals import interval_of, judged
from headrace.evaluation.metric import Metric
from headrace.evaluation.resamples import LOOKS, Resamples, folds
from headrace.models.algorithms.algorithm import Task

RNG = np.random.default_rng(7)
Y = RNG.normal(size=240)
SCORE = Y + RNG.normal(size=240)
DAYS = np.arange(240) // 40
RMSE = {"task": Task.REGRESSION, "metric": Metric.RMSE}


def test_the_interval_of_a_look_is_that_of_the_gate():
    gate = judged(Y, {"a": SCORE}, blocks=DAYS, seed=3, task=Task.REGRESSION)
    look = Resamples.of(DAYS, seed=3)
    found = look.interval(look.draws(Y, SCORE, **RMSE), bounds=Metric.RMSE.bounds)
    assert vars(found) == pytest.approx(vars(gate.metrics["a"][Metric.RMSE]))


def test_an_interval_of_few_blocks_is_wider_than_its_percentiles():
    look = Resamples.of(DAYS, seed=3, resamples=LOOKS)
    draws = look.means(Y)
    found = look.interval(draws)
    low, high = np.quantile(draws[1:], [0.025, 0.975])
    assert found.low < low < found.value < high < found.high
    assert found.high - found.low > 1.3 * (high - low)


def test_some_rows_have_the_blocks_that_they_are_of():
    look = Resamples.of(DAYS, seed=3)
    some = DAYS < 2
    assert (look.blocks, look.effective(), look.effective(some)) == (6, 6, 2)
    draws = look.draws(Y, SCORE, rows=some, **RMSE)
    assert draws[0] == pytest.approx(np.sqrt(np.mean((Y - SCORE)[some] ** 2)))
    wide, narrow = look.interval(draws, rows=some), look.interval(draws)
    assert wide.high - wide.low > narrow.high - narrow.low


def test_a_mean_is_the_ratio_of_its_sums():
    look = Resamples.of(DAYS, seed=3)
    assert look.ratio(Y, np.ones(240)) == look.interval(look.means(Y))


def test_resamples_that_are_not_defined_are_left_out():
    draws = np.array([0.5, np.nan, 0.4, 0.6, np.inf])
    assert interval_of(draws, effective=100).low == pytest.approx(0.4, abs=0.02)
    alone = interval_of(np.array([0.5, np.nan]), effective=100)
    assert (alone.value, np.isnan(alone.low), np.isnan(alone.high)) == (0.5, True, True)


def test_folds_are_runs_of_neighbouring_blocks_of_about_as_many_rows():
    days = np.repeat(np.arange(10), [1, 1, 1, 1, 1, 1, 1, 1, 1, 91])
    parts = folds(days)
    assert np.sum(parts, axis=0).tolist() == [1] * 100
    assert len(parts) >= 2
    for part in parts:
        held = np.unique(days[part])
        assert np.array_equal(held, np.arange(held[0], held[-1] + 1))
    assert folds(np.zeros(9, dtype=int)) is None

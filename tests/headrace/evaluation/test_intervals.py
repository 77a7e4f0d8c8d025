from __future__ import annotations

import time

import numpy as np
import pytest

from headrace.errors import TrainingError
from headrace.evaluation.intervals import judged
from headrace.evaluation.metrics import Metric, measured


def days(count, rows, *, seed=0, spread=1.0):
    """Rows whose luck differs by day: the score knows the row's own part, not the day's."""
    rng = np.random.default_rng(seed)
    block = np.repeat(np.arange(count), rows)
    luck, own = rng.normal(0, spread, count)[block], rng.normal(0, 1, len(block))
    y = (rng.random(len(block)) < 1 / (1 + np.exp(-(luck + own)))).astype(float)
    return y, 1 / (1 + np.exp(-own)), block


def width(interval):
    return interval.high - interval.low


def test_values_are_those_of_the_rows_as_they_are():
    y, score, block = days(10, 50)
    found = judged(y, {"a": score}, blocks=block, seed=1).metrics["a"]
    assert {metric: each.value for metric, each in found.items()} == measured(y, score)


def test_equal_seeds_give_equal_intervals_and_another_seed_another():
    y, score, block = days(10, 50)
    first, again, other = (
        judged(y, {"a": score}, blocks=block, seed=seed).metrics for seed in (1, 1, 2)
    )
    assert first == again != other


def test_blocks_make_the_interval_wider_than_rows_would():
    y, score, block = days(20, 100, spread=2.0)
    by_day = judged(y, {"a": score}, blocks=block, seed=1).metrics["a"][Metric.LOG_LOSS]
    by_row = judged(y, {"a": score}, blocks=np.arange(len(y)), seed=1, resamples=200)
    assert width(by_day) > 1.3 * width(by_row.metrics["a"][Metric.LOG_LOSS])


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth = 0.5  # the score knows nothing
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        y, score = rng.integers(0, 2, 600).astype(float), rng.random(600)
        found = judged(y, {"a": score}, blocks=np.arange(600) // 20, seed=1, resamples=300)
        interval = found.metrics["a"][Metric.ROC_AUC]
        held += interval.low <= truth <= interval.high
    assert held >= 51  # 57 are expected; fewer than 51 have a chance of 1 in 100


def test_a_gain_is_paired_and_so_narrower_than_its_parts():
    y, score, block = days(20, 100)
    found = judged(y, {"a": score, "b": score + 1e-3 * (1 - 2 * y)}, blocks=block, seed=1)
    gain = found.gain("a", over="b", metric=Metric.ROC_AUC)
    assert gain.value > 0
    assert width(gain) < width(found.metrics["a"][Metric.ROC_AUC]) / 10


def test_a_candidate_gains_nothing_over_itself():
    y, score, block = days(10, 50)
    found = judged(y, {"a": score, "b": score}, blocks=block, seed=1)
    gain = found.gain("a", over="b", metric=Metric.BRIER)
    assert (gain.low, gain.value, gain.high) == (0, 0, 0)
    assert not gain.above_zero


def test_resamples_of_one_class_do_not_count():
    y = np.array([1.0, 0.0, 0.0, 0.0])
    found = judged(y, {"a": np.array([0.9, 0.1, 0.2, 0.3])}, blocks=np.arange(4), seed=1)
    assert 0 < found.resamples < 1000
    assert found.metrics["a"][Metric.ROC_AUC].low == 1.0


def test_a_test_part_of_one_class_is_an_error():
    with pytest.raises(TrainingError, match="the same in all rows"):
        judged(np.ones(4), {"a": np.full(4, 0.5)}, blocks=np.arange(4), seed=1)


def test_a_month_of_flights_is_resampled_a_thousand_times_in_seconds():
    y, score, block = days(30, 900)
    started = time.process_time()
    judged(y, {"a": score}, blocks=block, seed=1)
    assert time.process_time() - started < 5

"""Simulations with a known truth: how often the gate errs, and whether what it tells comes true."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.evaluation.gate import decide
from headrace.evaluation.intervals import judged
from headrace.evaluation.metrics import Metric
from headrace.evaluation.nested import OuterFold, estimate
from headrace.evaluation.power import power_of
from headrace.evaluation.selection import selection
from headrace.models.algorithms.algorithm import Task

ROUNDS = 300
RESAMPLES = 200


def asked(days, *, seed, less=0.0, rows=20):
    """The gate about two models whose errors have days of their own; RMSE, so that it is quick."""
    rng = np.random.default_rng([seed, days])
    day = np.repeat(np.arange(days), rows)
    y = rng.normal(0, 1, len(day))
    scores = {
        name: y + scale * np.exp(rng.normal(0, 0.2, days))[day] * rng.normal(0, 1, len(day))
        for name, scale in (("new", 1 - less), ("old", 1.0))
    }
    found = judged(y, scores, blocks=day, seed=seed, task=Task.REGRESSION, resamples=RESAMPLES)
    told = {"baseline": "old", "champion": None, "metric": Metric.RMSE, "worth": 0.1}
    plain = np.quantile(found.draws["old"][Metric.RMSE] - found.draws["new"][Metric.RMSE], 0.025)
    return decide(found, challenger="new", **told), plain > 0


def test_over_five_days_at_most_one_equal_challenger_in_twenty_is_promoted():
    decisions = [asked(5, seed=seed) for seed in range(ROUNDS)]
    promoted = np.mean([decision.promoted for decision, _ in decisions])
    by_percentiles = np.mean([plain for _, plain in decisions])
    assert promoted <= 0.05 < by_percentiles


def test_a_better_challenger_is_mostly_promoted_over_as_many_days_as_are_called_sufficient():
    promoted = []
    for seed in range(100):
        enough = asked(7, seed=seed, less=0.1)[0].power.enough
        promoted.append(asked(enough, seed=seed + 1000, less=0.1)[0].promoted)
    assert np.mean(promoted) >= 0.8


def test_one_group_that_holds_most_rows_promotes_nobody():
    rng = np.random.default_rng(3)
    block = np.concatenate([np.zeros(1000, dtype=int), np.repeat(np.arange(1, 11), 5)])
    y = rng.normal(0, 1, len(block))
    noise = rng.normal(0, 1, len(block))
    scores = {"new": y + np.where(block == 0, 0.5, 1.05) * noise, "old": y + noise}
    found = judged(y, scores, blocks=block, seed=1, task=Task.REGRESSION)
    assert found.blocks == 11
    assert found.effective < 1.2
    told = {"baseline": "old", "champion": None, "metric": Metric.RMSE, "unit": "group"}
    assert not decide(found, challenger="new", **told).promoted


def test_an_interval_of_a_metric_stays_where_the_metric_can_be():
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 60).astype(float)
    score = np.clip(0.8 * y + rng.normal(0.1, 0.15, 60), 0.01, 0.99)
    found = judged(y, {"a": score}, blocks=np.arange(60) // 12, seed=1).metrics["a"]
    for metric, interval in found.items():
        low, high = metric.bounds
        assert low <= interval.low <= interval.value <= interval.high <= high


def test_so_many_blocks_show_the_gain_four_times_in_five():
    told = power_of(1.0, 0.5, effective=10_000, have=10_000, unit="day", metric=Metric.R2)
    rng = np.random.default_rng(1)
    means = rng.normal(0.5, 1, (4000, told.enough))
    error = means.std(axis=1, ddof=1) / np.sqrt(told.enough)
    shown = np.mean(means.mean(axis=1) > 2.03 * error)  # t of 33 degrees
    assert told.enough == pytest.approx(34, abs=1)
    assert shown == pytest.approx(0.8, abs=0.03)


def test_fewer_blocks_seen_ask_for_more_and_groups_in_a_block_are_counted():
    few, many = (
        power_of(0.05, 0.01, effective=n, have=n, unit="day", metric=Metric.ROC_AUC)
        for n in (5, 100)
    )
    assert few.enough > many.enough > 190
    dealt = power_of(0.05, 0.01, effective=100, have=1000, unit="row", metric=Metric.ROC_AUC)
    assert dealt.enough == 10 * many.enough
    assert dealt.sentence == (
        f"A test part of {dealt.enough:,} rows would show a gain of 0.01 in roc_auc four times in "
        f"five; this one has 1,000, which is enough for a gain of 0.015."
    )


def test_a_gain_of_nothing_needs_no_length_that_there_is():
    told = power_of(0.05, 1e-9, effective=30, have=30, unit="day", metric=Metric.ROC_AUC)
    assert told.enough is None
    assert told.sentence.startswith("No test part of a usual size would show")


@pytest.mark.parametrize(("trials", "spread"), [(200, 0.0), (200, 0.1), (10, 0.0)])
def test_the_optimism_of_the_best_trial_is_about_what_it_truly_is(trials, spread):
    rng = np.random.default_rng(2)
    told, true = [], []
    for seed in range(40):
        worth = rng.normal(0, spread, trials)
        values = worth[:, None] + rng.normal(0, 0.5, (trials, 20)) + rng.normal(0, 1, 20)
        winner = values.mean(axis=1).argmax()
        true.append(values[winner].mean() - values.mean(axis=1).mean() - worth[winner])
        found = selection(
            values, value=0.0, metric=Metric.R2, asked=1, seed=seed, resamples=RESAMPLES
        )
        told.append(found.optimism)
    assert np.mean(told) == pytest.approx(np.mean(true), rel=0.2)


def test_the_only_trial_has_no_optimism_and_too_few_blocks_tell_none():
    rng = np.random.default_rng(3)
    alone = selection(
        rng.normal(0, 1, (1, 2000)), value=0.7, metric=Metric.LOG_LOSS, asked=1, seed=1
    )
    assert alone.optimism == pytest.approx(0, abs=0.01)
    some = selection(np.ones((9, 4)), value=0.7, metric=Metric.LOG_LOSS, asked=1, seed=1)
    assert (some.optimism, some.expected) == (None, None)
    assert some.sentence == "The winner is the best of 9 trials."


def test_less_is_better_makes_the_expected_loss_greater():
    rng = np.random.default_rng(4)
    losses = 1 + rng.normal(0, 0.1, (50, 20))
    best = losses.mean(axis=1).min()
    told = selection(losses, value=best, metric=Metric.LOG_LOSS, asked=12, seed=1)
    assert told.expected == best + told.optimism > best
    assert "best of 50 trials" in told.sentence
    assert "asked 12 times so far" in told.sentence
    assert "with a chance of 26%" in told.sentence


def test_outer_folds_give_a_mean_with_an_interval_for_what_they_share():
    folds = [OuterFold("a", value, 0.6, 100, 300) for value in (0.7, 0.72, 0.74)]
    told = estimate(folds, metric=Metric.ROC_AUC)
    half = 4.3027 * 0.02 * np.sqrt(1 / 3 + 1 / 3)  # t of 2 degrees
    assert told["value"] == pytest.approx(0.72)
    assert told["high"] - told["value"] == pytest.approx(half, rel=1e-4)
    assert told["gain"]["value"] == pytest.approx(0.12)
    assert "repeated on 3 outer folds, gives roc_auc 0.7200" in told["sentence"]

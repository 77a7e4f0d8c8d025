from __future__ import annotations

import numpy as np

from headrace.evaluation.gate import decide
from headrace.evaluation.intervals import judged
from headrace.evaluation.metrics import METRICS, Metric
from headrace.models.algorithms.algorithm import Task

RNG = np.random.default_rng(7)
BLOCKS = np.repeat(np.arange(20), 100)
SIGNAL = RNG.normal(0, 1, len(BLOCKS))
Y = (RNG.random(len(BLOCKS)) < 1 / (1 + np.exp(-2 * SIGNAL))).astype(float)
GOOD = 1 / (1 + np.exp(-2 * SIGNAL))
POOR = 1 / (1 + np.exp(-SIGNAL - RNG.normal(0, 2, len(BLOCKS))))
SAME = np.clip(GOOD + RNG.normal(0, 1e-4, len(BLOCKS)), 0, 1)


def decided(new, base, champion=None, *, blocks=BLOCKS, metric=Metric.ROC_AUC):
    scores = {"new": new, "base": base} | ({} if champion is None else {"old": champion})
    found = judged(Y, scores, blocks=blocks, seed=1, resamples=200)
    name = None if champion is None else "old"
    return decide(found, challenger="new", baseline="base", champion=name, metric=metric)


def test_the_first_model_that_beats_the_baseline_is_promoted():
    decision = decided(GOOD, POOR)
    assert (decision.promoted, decision.shipped, decision.over) == (True, "new", "base")
    assert decision.gain.above_zero
    assert "new beats base by more than noise in roc_auc" in decision.sentence
    assert decision.sentence.endswith(": new is the new champion.")


def test_refused_at_the_first_run_the_baseline_is_shipped():
    decision = decided(SAME, GOOD)
    assert (decision.promoted, decision.shipped) == (False, "base")
    assert "the baseline base is shipped until a model beats it" in decision.sentence


def test_refused_with_a_champion_the_champion_stays():
    decision = decided(SAME, POOR, champion=GOOD)
    assert (decision.promoted, decision.shipped, decision.over) == (False, "old", "old")
    assert decision.sentence.endswith(": the champion stays.")


def test_who_beats_champion_and_baseline_is_promoted():
    decision = decided(GOOD, POOR, champion=POOR)
    assert (decision.promoted, decision.shipped, decision.over) == (True, "new", "old")


def test_to_beat_the_champion_is_not_enough_where_the_baseline_is_better():
    decision = decided(SAME, GOOD, champion=POOR)
    assert (decision.promoted, decision.shipped, decision.over) == (False, "old", "base")


def test_a_metric_where_less_is_better_promotes_who_has_less():
    assert decided(GOOD, POOR, metric=Metric.LOG_LOSS).promoted
    assert not decided(POOR, GOOD, metric=Metric.LOG_LOSS).promoted


def test_too_few_days_promote_nobody():
    decision = decided(GOOD, POOR, blocks=BLOCKS // 7)
    assert (decision.promoted, decision.shipped) == (False, "base")
    assert "rows on 3 days, and at least 5 are needed" in decision.sentence


def test_values_are_judged_by_their_error_whatever_its_size():
    y = 1e4 * SIGNAL
    near, far = y + RNG.normal(0, 500, len(y)), y + RNG.normal(0, 2000, len(y))
    found = judged(
        y, {"near": near, "far": far}, blocks=BLOCKS, seed=1, task=Task.REGRESSION, resamples=200
    )
    told = {"baseline": "far", "champion": None, "metric": Metric.RMSE}
    decision = decide(found, challenger="near", **told)
    assert decision.promoted
    assert decision.gain.low > 1000
    assert "near beats far by more than noise in rmse (+15" in decision.sentence
    other = decide(found, challenger="far", **{**told, "baseline": "near"})
    assert not other.promoted


def test_classes_are_judged_by_their_probabilities():
    y = np.digitize(SIGNAL, [-0.5, 0.5]).astype(float)
    sure = np.eye(3)[y.astype(int)] * 0.4 + 0.2
    flat = np.full((len(y), 3), 1 / 3)
    found = judged(
        y, {"sure": sure, "flat": flat}, blocks=BLOCKS, seed=1, task=Task.MULTICLASS, resamples=200
    )
    for metric in METRICS[Task.MULTICLASS]:
        told = {"challenger": "sure", "baseline": "flat", "champion": None, "metric": metric}
        assert decide(found, **told).promoted, metric

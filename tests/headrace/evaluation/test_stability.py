"""Dozens of collinear lags: least squares explodes where one moves alone, a penalty cures it."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace.evaluation.gate import Decision
from headrace.evaluation.inspection.simplest import first_rule
from headrace.evaluation.inspection.stability import (
    Stability,
    Verdict,
    kept_back,
    of_targets,
    stability,
    too_far,
)
from headrace.evaluation.intervals import Interval
from headrace.evaluation.metrics import Metric, measured
from headrace.evaluation.power import Power
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.encoding import Encoding
from headrace.models.model import Model, Recipe
from headrace.models.target import Classes

LAGS = 36
TREND = Stability(1.0, "", None, 10.0, 9.0, 1.0, 200)
GAIN = Interval(0.02, 0.01, 0.03)
POWER = Power(0.01, 32, 30, 0.011, "day", Metric.ROC_AUC)


def sales(*, days=500, seed=3):
    """What is sold, by the lags of a smooth series: each lag is nearly a sum of the others."""
    rng = np.random.default_rng(seed)
    at = np.arange(days + LAGS)
    series = 100 + 0.05 * at + 10 * np.sin(at / 30) + 4 * np.sin(at / 11)
    series = series + rng.normal(0, 1e-4, len(at))
    names = [f"lag_{lag}" for lag in range(1, LAGS + 1)]
    columns = [series[LAGS - lag : LAGS - lag + days] for lag in range(1, LAGS + 1)]
    return pa.table(dict(zip(names, columns, strict=True))), series[LAGS:] + rng.normal(0, 1, days)


def fitted(name, table, y, **parameters):
    algorithm = named(name)
    encoding = Encoding.fit(table, table.column_names, form=algorithm.needs.categories)
    samples = Samples(encoding.matrix(table), y, encoding.categorical, Task.REGRESSION, 0)
    given = {**algorithm.defaults, **parameters}
    made = algorithm.fit(samples, given, seed=7, validation=None, metric=Metric.RMSE)
    recipe = Recipe("shop", "sales", name, given, 7, "2013-02-20", "d", "s")
    return Model(recipe, encoding, made.estimator, Classes(Task.REGRESSION))


def judged(name, *, hidden=(), **parameters):
    table, y = sales()
    train, recent = table.slice(0, 400), table.slice(400)
    model = fitted(name, train, y[:400], **parameters)
    error = measured(y[400:], model.predict(recent), Task.REGRESSION)[Metric.RMSE]
    return error, stability(model, train=train, recent=recent, y=y[400:], hidden=hidden)


def test_least_squares_on_collinear_lags_is_refused_though_its_error_is_small():
    error, found = judged("linear_regression")
    assert error < 1.5  # and 1 is noise
    assert found.verdict is Verdict.REFUSED
    assert found.feature.startswith("lag_")
    assert found.times > 100
    assert "times the range of recent targets" in found.sentence


def test_the_value_of_a_hidden_feature_is_not_told():
    lags = [f"lag_{lag}" for lag in range(1, LAGS + 1)]
    _, found = judged("linear_regression", hidden=lags)
    assert found.value is None
    assert f"with {found.feature} at a value that training has seen, and all" in found.sentence


def test_elastic_net_on_the_same_lags_is_steady():
    error, found = judged("elastic_net")
    assert error < 1.5
    assert found.verdict is Verdict.STEADY


def test_trees_are_steady():
    assert judged("lightgbm", n_estimators=20)[1].verdict is Verdict.STEADY


def test_least_squares_on_features_of_their_own_is_steady():
    rng = np.random.default_rng(1)
    table = pa.table({name: rng.normal(0, 1, 300) for name in "abcde"})
    y = sum(table[name].to_numpy() for name in "abcde") + rng.normal(0, 0.1, 300)
    model = fitted("linear_regression", table, y)
    assert stability(model, train=table, recent=table, y=y).verdict is Verdict.STEADY


@pytest.mark.parametrize(
    ("times", "verdict"), [(10.0, "steady"), (10.1, "held"), (100.1, "refused")]
)
def test_beyond_ten_times_is_held_and_beyond_a_hundred_refused(times, verdict):
    assert Stability(times, "lag_1", 5.0, 1e3, 9.0, 1.0, 200).verdict == verdict


def test_predictions_far_from_recent_targets_are_held_or_refused_with_a_reason():
    predicted = np.array([100.0, 1_150.0, -20_000.0, np.nan])
    refused, held = (each.to_pylist() for each in too_far(predicted, level=100.0, reach=100.0))
    assert (refused[:2], held[0], held[2:]) == ([None, None], None, [None, None])
    assert refused[2] == (
        "prediction -2e+04 is 201 times the range of recent targets from their median"
    )
    assert refused[3]
    assert held[1].startswith("prediction 1150 is 10 times the range of recent targets")


def test_a_target_that_does_not_move_has_a_reach_all_the_same():
    assert of_targets(np.array([5.0, 5.0])) == (5.0, 5.0)
    assert of_targets(np.zeros(3)) == (0.0, 1.0)


def test_what_is_not_steady_is_not_promoted_and_the_reason_is_told():
    decision = Decision(
        True, "linear_regression", "best_lookup", GAIN, POWER, "it is the new champion."
    )
    found = Stability(1234.0, "lag_7", 5.0, 1e4, 9.0, 1.0, 200)
    kept = kept_back(decision, found, instead="best_lookup", champion=False)
    assert (kept.promoted, kept.shipped) == (False, "best_lookup")
    assert kept.sentence.startswith("linear_regression is refused, as it is not steady: with lag_7")
    assert kept.sentence.endswith("the baseline best_lookup is shipped.")
    kept = kept_back(decision, found, instead="ridge 1234", champion=True)
    assert kept.sentence.endswith("the champion stays.")


def test_what_is_steady_or_not_promoted_is_left_as_the_gate_decided():
    promoted = Decision(True, "ridge", "best_lookup", GAIN, POWER, "x.")
    assert kept_back(promoted, TREND, instead="best_lookup", champion=False) is promoted
    assert kept_back(promoted, None, instead="best_lookup", champion=False) is promoted
    refused = Decision(False, "best_lookup", "best_lookup", GAIN, POWER, "x.")
    wild = Stability(1234.0, "lag_7", 5.0, 1e4, 9.0, 1.0, 200)
    assert kept_back(refused, wild, instead="best_lookup", champion=False) is refused


def test_a_decision_list_that_ties_the_model_is_shipped_and_the_sentence_says_why():
    model = Decision(True, "lightgbm", "best_lookup", GAIN, POWER, "lightgbm is the new champion.")
    rules = Decision(
        True, "decision_list", "best_lookup", GAIN, POWER, "decision_list beats best_lookup."
    )
    tie, ahead = Interval(0.002, -0.001, 0.005), Interval(0.01, 0.004, 0.02)
    found = first_rule(model, rules, gain=tie, metric=Metric.ROC_AUC)
    assert (found.shipped, found.promoted) == ("decision_list", True)
    assert found.sentence == (
        "decision_list ties lightgbm, which gains no more over it than noise (+0.0020, "
        "95% interval -0.0010 to +0.0050 in roc_auc), and people can read it, so it goes first. "
        "decision_list beats best_lookup."
    )
    assert first_rule(model, rules, gain=ahead, metric=Metric.ROC_AUC) is model
    unproven = Decision(False, "best_lookup", "best_lookup", GAIN, POWER, "x.")
    assert first_rule(model, unproven, gain=tie, metric=Metric.ROC_AUC) is model

"""A first look at algorithms on gold, without an engine; gold is that of this folder's fixtures."""

from __future__ import annotations

import pytest

import headrace
from headrace.errors import TrainingError, UsageError
from headrace.models.compare import compare
from headrace.spec.model import Pipeline


def test_a_real_signal_is_found_over_the_best_baseline(lake, pipeline, gold, days):
    gold(lake, days)
    found = compare(lake, pipeline, ["logistic_regression"], rows=2_000)
    best = found.iloc[0]
    assert (best["algorithm"], best["metric"]) == ("logistic_regression", "roc_auc")
    assert best["low"] < best["value"] < best["high"]
    assert best["gain_low"] > 0
    assert set(found["algorithm"]) == {"logistic_regression", "class_prior", "best_lookup"}


def test_a_class_of_the_last_day_alone_counts_against_all(lake, declared, gold, days):
    target = {"name": "kind", "of": "arrivals", "value": "kind", "task": "multiclass"}
    training = {key: value for key, value in declared["training"].items() if key != "metric"}
    pipeline = Pipeline.model_validate({**declared, "target": target, "training": training})
    gold(lake, days[:9], outcome=lambda rng, *_: ("kind", rng.choice(["a", "b"], 60)))
    gold(lake, days[9:10], outcome=lambda rng, *_: ("kind", rng.choice(["a", "b", "c"], 60)))
    found = compare(lake, pipeline, ["naive_bayes"])
    assert found["value"].min() > 5  # a third of the rows cost 36 each


def test_the_same_seed_draws_the_same_rows(lake, pipeline, gold, days):
    gold(lake, days)
    one, two = (
        compare(lake, pipeline, ["naive_bayes"], rows=500, seed=3).drop(columns="seconds")
        for _ in range(2)
    )
    assert one.equals(two)


def test_two_days_are_refused_with_what_to_do(lake, pipeline, gold, days):
    gold(lake, days[:2])
    with pytest.raises(TrainingError, match="fewer than three days"):
        compare(lake, pipeline, ["naive_bayes"])


def test_an_unknown_algorithm_is_told_with_the_nearest(lake, pipeline, gold, days):
    gold(lake, days[:10])
    with pytest.raises(UsageError, match="xgboost"):
        compare(lake, pipeline, ["xgbost"])


def test_the_history_of_a_pipeline_has_a_row_per_commit(lake, gold, days):
    gold(lake, days[:2])
    gold(lake, days[2:3])
    found = headrace.open(lake.root).history("flights")
    assert found["table"].tolist() == ["gold/flights"] * 2
    assert found["version"].tolist() == [0, 1]

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headrace.errors import TrainingError
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from ray_tasks.search import search, shared
from ray_tasks.trial import Problem
from ray_tasks.tuning import Tuning

pytestmark = pytest.mark.usefixtures("ray_local")

PRIOR = named("class_prior")


def failing_algorithm(message):
    # A function within a function travels to the workers by value: they cannot import tests.
    def fit(*_, **__):
        raise ValueError(message)

    return replace(PRIOR, name="failing", baseline=False, fit=fit)


def infinite_algorithm():
    def predict(_, X):
        import numpy

        return numpy.full(X.shape[0], numpy.nan)

    return replace(PRIOR, name="infinite", baseline=False, predict=predict)


def problem(*algorithms):
    X = np.random.default_rng(1).random((200, 2))
    samples = Samples(X, (X[:, 0] > 0.5).astype(float))
    matrices = {"codes": samples, "one_hot": samples}
    entries = {entry.name: entry for entry in algorithms}
    return Problem(entries, matrices, matrices, Metric.ROC_AUC, 7)


def searched(problem, **options):
    reference, held = shared(problem)
    return search(held, reference=reference, **options)


def test_failed_trials_are_counted_beside_those_that_succeed(tmp_path):
    lightgbm = named("lightgbm")
    found = searched(
        problem(PRIOR, failing_algorithm("no such thing"), lightgbm),
        tuning=Tuning(trials=2),
        storage=tmp_path / "t",
    )
    assert [(each.algorithm.name, each.trials, each.failed) for each in found] == [
        ("class_prior", 1, 0),
        ("failing", 1, 1),
        ("lightgbm", 2, 0),
    ]
    assert found[1].values == {}
    assert found[2].values[Metric.ROC_AUC] > 0.95
    assert not (tmp_path / "t").exists()


def test_a_search_where_only_baselines_succeed_is_an_error_with_the_reason(tmp_path):
    with pytest.raises(TrainingError, match=r"every trial failed: .*no such thing"):
        searched(
            problem(PRIOR, failing_algorithm("no such thing")),
            tuning=Tuning(trials=2),
            storage=tmp_path,
        )


def test_predictions_that_are_not_numbers_are_a_failed_trial(tmp_path):
    with pytest.raises(TrainingError, match="every trial failed: predictions are not finite"):
        searched(problem(PRIOR, infinite_algorithm()), tuning=Tuning(trials=2), storage=tmp_path)


def test_matrices_beyond_the_object_store_are_refused_with_the_way_out():
    huge = Samples(np.broadcast_to(np.zeros(1), (10**9, 4)), np.zeros(1))
    too_big = replace(problem(PRIOR), train={"codes": huge})
    with pytest.raises(TrainingError, match="HEADRACE_RAY_OBJECT_STORE_GIB"):
        shared(too_big)

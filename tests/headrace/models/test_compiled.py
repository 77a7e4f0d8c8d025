from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from headrace.errors import SetupError
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.compiled import Trees, compiled


def fitted(task, **given):
    """A booster on numbers and categories, some missing; and rows with strange cells, too."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, 4)).round(1)
    X[:, 3] = rng.integers(0, 80, 3000)
    X[:, :2][rng.random((3000, 2)) < 0.1] = np.nan
    signal = np.nan_to_num(X[:, 0]) + (X[:, 3] % 3 == 0) + 0.1 * rng.normal(size=3000)
    y = {
        Task.BINARY: (signal > 0).astype(float),
        Task.MULTICLASS: np.digitize(signal, [-0.5, 0.5]).astype(float),
        Task.REGRESSION: signal,
    }[task]
    train = Samples(X, y, (3,), task=task, classes={Task.MULTICLASS: 3}.get(task, 2))
    entry = named("lightgbm")
    parameters = {**entry.defaults, "n_estimators": 15, **given}
    estimator = entry.fit(train, parameters, seed=7, validation=None, metric=Metric.LOG_LOSS)
    strange = X.copy()
    strange[rng.random(X.shape) < 0.2] = np.nan
    strange[rng.random(3000) < 0.1, 3] = 300
    return estimator.estimator, np.vstack([X, strange])


@pytest.mark.parametrize("given", [{}, {"min_child_samples": 5000, "n_estimators": 2}])
@pytest.mark.parametrize("task", list(Task))
def test_compiled_trees_predict_the_same_to_a_billionth(task, given):
    pytest.importorskip("lleaves")
    booster, X = fitted(task, **given)
    found = Trees(booster.model_to_string()).predict(X, num_threads=1)
    np.testing.assert_allclose(found, booster.predict(X, num_threads=1), rtol=1e-9, atol=1e-9)


def test_other_models_and_linear_leaves_stay_as_they_are(model_of):
    model = model_of("logistic_regression")
    assert compiled(model) is model
    booster, _ = fitted(Task.BINARY, linear_tree=True)
    linear = replace(model_of("lightgbm"), estimator=booster)
    assert compiled(linear) is linear


def test_a_compiled_model_predicts_rows(model_of, rows):
    pytest.importorskip("lleaves")
    model = model_of("lightgbm")
    np.testing.assert_allclose(compiled(model).predict(rows), model.predict(rows), rtol=1e-9)


def test_without_the_extra_it_is_named(model_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "lleaves", None)
    with pytest.raises(SetupError, match="lleaves is not installed") as refused:
        compiled(model_of("lightgbm"))
    assert refused.value.hint == "pip install 'headrace[lleaves]'"

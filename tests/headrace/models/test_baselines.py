"""Baselines of every kind of target, beside what the contract of the catalogue holds."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.evaluation.metrics import METRICS, Metric, measured
from headrace.models.algorithms import baselines, named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.formats import FORMATS

RNG = np.random.default_rng(4)
ROWS = 900
COLUMN = RNG.integers(0, 4, ROWS).astype(float)
X = np.column_stack([RNG.integers(0, 3, ROWS), COLUMN, RNG.normal(size=ROWS)])
CODES = np.where(RNG.random(ROWS) < 0.8, COLUMN % 3, 2.0)
VALUES = 5 * COLUMN + RNG.gamma(2.0, 2.0, ROWS)
SAMPLES = {
    Task.MULTICLASS: Samples(X, CODES, (0, 1), Task.MULTICLASS, 3),
    Task.REGRESSION: Samples(X, VALUES, (0, 1), Task.REGRESSION, 0),
}
CASES = [(entry.name, task) for task in SAMPLES for entry in baselines(task)]
every_case = pytest.mark.parametrize(("name", "task"), CASES)


def fitted(name, samples, metric=None):
    entry, metric = named(name), metric or METRICS[samples.task][0]
    trial = entry.fit(samples, {}, seed=7, validation=samples, metric=metric)
    return entry.fit(samples, trial.found, seed=7, validation=None, metric=metric).estimator


@every_case
def test_its_file_predicts_the_same_bytes_each_row_by_itself(name, task):
    entry, estimator = named(name), fitted(name, SAMPLES[task])
    form = FORMATS[entry.save_as]
    again = form.load(form.dump(estimator))
    whole = entry.predict(again, X)
    assert whole.shape == ((ROWS, 3) if task is Task.MULTICLASS else (ROWS,))
    alone = np.concatenate([entry.predict(estimator, X[n : n + 1]) for n in range(ROWS)])
    assert alone.tobytes() == whole.tobytes()


@pytest.mark.parametrize("task", list(SAMPLES), ids=str)
@pytest.mark.parametrize("metric", [Metric.LOG_LOSS, Metric.ACCURACY, Metric.RMSE, Metric.MAE])
def test_the_look_up_beats_what_is_so_of_all_rows(task, metric):
    if metric not in METRICS[task]:
        return
    samples = SAMPLES[task]
    found = {
        name: measured(
            samples.y, named(name).predict(fitted(name, samples, metric), X), samples.task
        )[metric]
        for name, of in CASES
        if of is task
    }
    best = max(found, key=lambda name: metric.gain(found[name], 0.0))
    assert best == "best_lookup"


def test_the_look_up_gives_the_shares_of_each_class():
    train = Samples(
        np.array([[0.0], [0.0], [1.0]]), np.array([0, 0, 2.0]), (0,), Task.MULTICLASS, 3
    )
    given = {"columns": [0], "smoothing": 1}
    entry = named("best_lookup")
    found = entry.fit(train, given, seed=7, validation=None, metric=Metric.LOG_LOSS)
    np.testing.assert_allclose(
        entry.predict(found.estimator, np.array([[0.0], [1.0], [9.0]])),
        [[8 / 9, 0, 1 / 9], [1 / 3, 0, 2 / 3], [2 / 3, 0, 1 / 3]],
    )


def a_year_of_months(years, seed):
    """Months of a place that has a season and grows: of each the month before, the year before."""
    rng = np.random.default_rng(seed)
    month = np.arange(12 * (years + 1))
    sold = 100 + 60 * np.sin(2 * np.pi * month / 12) + 0.2 * month + rng.normal(0, 3, len(month))
    now = np.arange(12, len(month))
    lags = np.column_stack([rng.normal(size=len(now)), sold[now - 1], sold[now - 12]])
    return Samples(lags, sold[now], (), Task.REGRESSION, 0)


@pytest.mark.parametrize("metric", [Metric.MAE, Metric.RMSE, Metric.R2])
def test_of_lags_the_best_column_is_that_of_the_season(metric):
    train, validation = a_year_of_months(10, 1), a_year_of_months(3, 2)
    entry = named("best_column")
    trial = entry.fit(train, {}, seed=7, validation=validation, metric=metric)
    assert trial.found["columns"][0] == 2
    assert 0 not in trial.found["columns"]
    later = a_year_of_months(3, 3)
    final = entry.fit(train, trial.found, seed=7, validation=None, metric=metric).estimator
    np.testing.assert_array_equal(entry.predict(final, later.X), later.X[:, 2])


def test_where_the_best_column_is_missing_the_next_is_taken_and_the_constant_last():
    X = np.array([[np.nan, 2.0, 1.0], [3.0, 2.0, 1.0], [np.nan, np.nan, np.nan]])
    estimator = {"columns": [0, 2], "otherwise": 9.0}
    assert named("best_column").predict(estimator, X).tolist() == [1.0, 3.0, 9.0]


@pytest.mark.parametrize(("metric", "constant"), [(Metric.MAE, 2.0), (Metric.RMSE, 4.0)])
def test_without_a_column_that_is_near_it_is_the_constant_of_the_metric(metric, constant):
    y = np.array([1.0, 2.0, 9.0])
    train = Samples(np.array([[500.0], [-70.0], [np.nan]]), y, (), Task.REGRESSION, 0)
    found = named("best_column").fit(train, {}, seed=7, validation=train, metric=metric)
    assert found.found == {"columns": []}
    assert named("best_column").predict(found.estimator, train.X).tolist() == [constant] * 3


def test_a_category_is_no_forecast():
    codes = np.array([[1.0], [2.0], [9.0]])
    train = Samples(codes, codes[:, 0], (0,), Task.REGRESSION, 0)
    found = named("best_column").fit(train, {}, seed=7, validation=train, metric=Metric.MAE)
    assert found.found == {"columns": []}


def test_weights_count_as_rows_do():
    weight = RNG.integers(0, 3, ROWS)
    for name, task in CASES:
        plain = SAMPLES[task]
        heavy = Samples(X, plain.y, (0, 1), task, plain.classes, weight.astype(float))
        many = np.repeat(X, weight, axis=0), np.repeat(plain.y, weight)
        again = Samples(*many, (0, 1), task, plain.classes)
        given = {"columns": [0, 1], "smoothing": 10} if name == "best_lookup" else {}
        one, other = (
            named(name).predict(
                named(name)
                .fit(part, given, seed=7, validation=None, metric=METRICS[task][0])
                .estimator,
                X,
            )
            for part in (heavy, again)
        )
        tolerance = 0.05 if name == "median" else 1e-9  # an even number has two in the middle
        np.testing.assert_allclose(one, other, atol=tolerance)

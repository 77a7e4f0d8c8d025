"""Odd tables and arguments: each gives sound predictions, or one clear error."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from headrace.errors import UsageError
from headrace.models import automl
from headrace.models.algorithms.algorithm import Task
from headrace.models.presets.bag import Member
from headrace.models.presets.job import Job, done
from headrace.models.presets.problem import Problem
from headrace.models.presets.workers import Beside, Here

RNG = np.random.default_rng(5)
ROWS = 90
X = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.choice(["u", "v", "w"], ROWS)})
VALUES = X["a"] + 2 * (X["b"] == "u") + RNG.normal(size=ROWS) * 0.1


def fitted(rows=X, y=VALUES, **given):
    def here(problem, cores):
        del cores
        return [Here(problem)]

    return automl.fit(
        rows, y, **{"preset": "quick", "time_limit": 300, "workers": here, "seed": 3, **given}
    )


def problem_of(y, task=Task.REGRESSION):
    codes = np.column_stack([X["a"], np.arange(ROWS) % 7])
    folds = (np.arange(ROWS) % 2)[None, :]
    return Problem({"codes": codes}, np.asarray(y), (), task, 0, folds, None, 1)


@pytest.mark.parametrize("given", [{"task": "regression"}, {"task": "classification"}])
def test_a_constant_target_is_predicted_everywhere(given):
    model = fitted(y=[4.0] * ROWS, **given)
    assert model.predict(X).tolist() == [4.0] * ROWS
    assert model.bag.members == ()


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([None] * ROWS),
        pd.Series([np.nan] * ROWS),
        pd.Series(np.where(np.arange(ROWS) % 3 == 0, np.inf, np.arange(ROWS) * 1.0)),
        pd.Series(np.where(np.arange(ROWS) % 3 == 0, -1e308, 1e308)),
        X["a"],
        pd.Series([f"{i:05d}x" for i in range(ROWS)]),
    ],
    ids=["nulls", "NaN", "infinities", "as large as can be", "a duplicate", "a text per row"],
)
def test_an_odd_column_more_does_no_harm(cells):
    rows = X.assign(odd=cells)
    model = fitted(rows)
    assert np.corrcoef(model.predict(rows), VALUES)[0, 1] > 0.9


def test_a_category_that_training_had_not_is_a_missing_one():
    model = fitted()
    strange = X.assign(b="never seen")
    assert model.predict(strange).tolist() == model.predict(X.assign(b=None)).tolist()


def test_ten_thousand_categories_are_learned_from():
    names = [f"n{i % 10_000}" for i in range(10_400)]
    rows = pd.DataFrame({"name": names, "a": RNG.normal(size=len(names))})
    model = fitted(rows, rows["a"] > 0.2)
    assert (model.predict(rows) == (rows["a"] > 0.2)).mean() > 0.95
    assert len(model.columns.sources[0].categories) == 400


def test_rows_of_weight_zero_are_as_if_they_were_not_there():
    weight = (np.arange(ROWS) < 60).astype(float)
    spoiled = VALUES.where(weight > 0, 1e6)
    found = [
        fitted(X, spoiled, weight=weight).predict(X),
        fitted(X[:60], VALUES[:60], weight=np.ones(60)).predict(X),
    ]
    assert found[0].tobytes() == found[1].tobytes()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"weight": [-1.0] * ROWS}, "a weight is negative"),
        ({"weight": [np.nan] * ROWS}, "not finite"),
        ({"weight": [0.0] * ROWS}, "no row has a target"),
        ({"weight": [1.0]}, "`weight` of the shape"),
        ({"groups": ["one"]}, "`groups` of the shape"),
        ({"split": [[0, 1]]}, "`split` of the shape"),
        ({"time_limit": 0.0}, "a time limit of 0.0 seconds"),
        ({"time_limit": float("nan")}, "a time limit of nan seconds"),
        ({"preset": "bset"}, "no preset 'bset'"),
        ({"task": "clustering"}, "no task 'clustering'"),
        ({"y": VALUES[:5]}, "90 rows and 5 targets"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_with_the_way_out(given, told):
    with pytest.raises(UsageError, match=told) as refused:
        fitted(**given)
    assert refused.value.hint


def test_a_group_of_all_rows_leaves_the_mean():
    model = fitted(groups=["one"] * ROWS)
    np.testing.assert_allclose(model.predict(X), VALUES.mean())


@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_predictions_that_are_not_finite_are_an_error_of_their_member():
    wild = Member("wild", "spline_linear", {"C": 1e308})
    found = done(problem_of(VALUES), Job(wild, 0, 0, 60.0))
    assert found.error == "ValueError: its predictions are not finite"
    assert found.held is None


def test_a_fit_that_hangs_is_ended_and_the_next_one_is_done(tmp_path: Path):
    problem_of(VALUES).save(tmp_path)
    endless = Member("endless", "extra_trees", {"n_estimators": 10_000_000})
    worker = Beside(tmp_path)
    try:
        assert worker.ready(until=time.monotonic() + 120)
        began = time.monotonic()
        hung = worker.run(Job(endless, 0, 0, 1.0), until=began + 1.0)
        assert hung.error == "it took too long"
        assert time.monotonic() - began < 10
        assert worker.ready(until=time.monotonic() + 120)
        short = Member("short", "lightgbm", {"n_estimators": 5})
        assert worker.run(Job(short, 0, 0, 60.0), until=time.monotonic() + 60).error == ""
    finally:
        worker.close()

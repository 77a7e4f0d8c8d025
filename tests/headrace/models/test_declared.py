"""What a pipeline says of the parameters of an algorithm, and what is searched then."""

from __future__ import annotations

import re

import numpy as np
import pytest

from headrace.errors import UsageError
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import CATALOGUE, named
from headrace.models.algorithms.algorithm import Samples
from headrace.models.algorithms.space import Choice, Range
from headrace.models.declared import declared, setting_problem
from headrace.spec.training import Training

ASKED = {  # the eleven hyperparameters that people ask for, under these names
    "ridge": {"alpha": 3.0},
    "logistic_regression": {"C": 0.5, "penalty": "l1"},
    "decision_tree": {"max_depth": 3, "min_samples_split": 7},
    "random_forest": {"max_depth": 3, "min_samples_split": 7},
    "k_nearest_neighbors": {"n_neighbors": 9, "metric": "manhattan"},
    "svm": {"C": 2.0, "kernel": "poly", "gamma": 0.3, "degree": 2},
}


def training(name, **more):
    return Training.model_validate(
        {"algorithms": [name], "first": "2026-01-01", "every": "7 days", **more}
    )


def with_settings(name, **given):
    return declared(name, training(name, parameters={name: given}))


@pytest.mark.parametrize("name", ASKED)
def test_a_value_is_fixed_and_no_longer_searched(name):
    entry = with_settings(name, **ASKED[name])
    assert ASKED[name].items() <= entry.defaults.items()
    assert not ASKED[name].keys() & entry.space.keys()
    others = named(name).space.keys() - ASKED[name].keys()
    assert {key: entry.space[key] for key in others} == {
        key: named(name).space[key] for key in others
    }


@pytest.mark.parametrize(
    ("given", "dimension", "first"),
    [
        ({"low": 2, "high": 9}, Range(2, 9, "integer"), 9),
        ({"low": 20, "high": 90, "log": True}, Range(20, 90, "integer", log=True), 31),
        ({"low": 50, "high": 90}, Range(50, 90, "integer"), 50),
        ([7, 31], Choice((7, 31)), 31),
        ([7, 8], Choice((7, 8)), 8),
    ],
)
def test_a_range_or_a_list_is_searched_from_the_default_or_what_is_nearest(given, dimension, first):
    entry = with_settings("lightgbm", num_leaves=given)
    assert entry.space["num_leaves"] == dimension
    assert entry.defaults["num_leaves"] == first


def test_a_whole_number_is_one_of_a_range_of_reals():
    assert with_settings("ridge", alpha={"low": 1, "high": 8}).space["alpha"].kind == "real"


def test_what_is_not_searched_by_itself_can_be():
    assert with_settings("glm", family="gamma").defaults["family"] == "gamma"
    assert with_settings("logistic_regression", penalty="none").defaults["penalty"] == "none"
    assert with_settings("lightgbm", max_bin=[63, 255]).space["max_bin"] == Choice((63, 255))
    assert with_settings("lightgbm", max_bin=[63, 255]).defaults["max_bin"] == 255
    kinds = ["multinomial", "complement"]
    assert with_settings("naive_bayes", kind=kinds).defaults["kind"] == "multinomial"


def test_members_and_their_parameters():
    assert with_settings("stacking", of=["ridge", "svr"]).defaults["of"] == ["ridge", "svr"]
    entry = with_settings(
        "bagging", of="extra_trees", **{"extra_trees.max_depth": {"low": 2, "high": 5}}
    )
    assert entry.defaults["of"] == "extra_trees"
    assert entry.space["extra_trees.max_depth"] == Range(2, 5, "integer")
    entry = with_settings("bagging", of="ridge", **{"ridge.alpha": {"low": 0.1, "high": 10}})
    assert entry.defaults["ridge.alpha"] == named("ridge").defaults["alpha"]


def test_a_budget_is_raised_for_its_fits():
    entry = declared("svm", training("svm", budgets={"svm": {"rows": 123_456}}))
    assert (entry.budget.rows, entry.fit.budget.rows) == (123_456, 123_456)
    assert entry.budget.columns == named("svm").budget.columns
    entry = declared("preset", training("svm", preset="quick", budgets={"preset": {"rows": 9}}))
    assert (entry.budget.rows, entry.defaults["preset"]) == (9, "quick")


def test_where_nothing_is_said_the_entry_is_as_it_stands():
    for entry in CATALOGUE:
        found = declared(entry.name, training("ridge"))
        assert (found.defaults, found.space) == (entry.defaults, entry.space)


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_default_and_every_end_of_a_range_may_be_said(entry):
    for name, value in entry.parameters.items():
        if value not in ([], "decision_tree"):  # members
            assert setting_problem(entry, name, value) is None
    for name, dimension in entry.space.items():
        ends = (
            dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
        )
        for value in ends:
            assert setting_problem(entry, name, value) is None


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_what_its_page_names_as_a_setting_may_be_said(entry):
    for caveat in entry.caveats:
        for parameter, said in re.findall(r"`(\w+): (\w+)`", caveat):
            value = {"true": True}.get(said, said)
            assert setting_problem(entry, parameter, value) is None, caveat


def test_a_logistic_regression_without_a_penalty_is_not_drawn_to_zero():
    rows = np.linspace(-1, 1, 400)[:, None]
    y = (np.random.default_rng(2).random(400) < 1 / (1 + np.exp(-3 * rows[:, 0]))).astype(float)

    def slope(**given):
        entry = with_settings("logistic_regression", **given)
        told = {"seed": 7, "validation": None, "metric": Metric.LOG_LOSS}
        model = entry.fit(Samples(rows, y), entry.defaults, **told).estimator
        low, high = entry.predict(model, np.array([[0.0], [1.0]]))
        return np.log(high / (1 - high)) - np.log(low / (1 - low))

    assert slope(penalty="none") == pytest.approx(slope(C=1e8), rel=1e-3)
    assert slope(penalty="none") > 1.5 * slope(C=0.01)


def test_shrinkage_by_itself_is_that_of_ledoit_and_wolf():
    from sklearn.covariance import LedoitWolf

    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(60, 80)), np.arange(60) % 2.0
    X[:, 0] += 2 * y
    means = np.array([X[y == code].mean(axis=0) for code in (0, 1)])
    amount = LedoitWolf(assume_centered=True).fit(X - means[y.astype(int)]).shrinkage_
    assert 0.1 < amount < 1

    def predicted(shrinkage):
        entry = with_settings("lda", shrinkage=shrinkage)
        told = {"seed": 7, "validation": None, "metric": Metric.LOG_LOSS}
        return entry.predict(entry.fit(Samples(X, y), entry.defaults, **told).estimator, X)

    np.testing.assert_allclose(predicted("auto"), predicted(float(amount)), rtol=1e-9)
    assert setting_problem(named("lda"), "shrinkage", "atuo") == (
        "no value 'atuo'; did you mean 'auto'?"
    )


@pytest.mark.parametrize("given", [10**400, float("nan"), {"low": 1, "high": 10**400}])
def test_a_number_that_no_float_holds_is_told(given):
    with pytest.raises(UsageError, match=r"ridge\.alpha: must be a number"):
        with_settings("ridge", alpha=given)


def test_a_pipeline_made_in_python_is_told_of_a_wrong_parameter():
    with pytest.raises(UsageError, match=r"training.parameters.ridge.alhpa: .* mean 'alpha'"):
        with_settings("ridge", alhpa=3)

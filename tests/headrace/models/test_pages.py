from __future__ import annotations

from pathlib import Path

import pytest

from headrace.models.algorithms import CATALOGUE, asked, named
from headrace.models.pages import page, pages

DOCS = Path(__file__).parents[3] / "docs" / "algorithms"


def test_the_pages_are_those_of_the_entries():
    found = {path.name: path.read_text() for path in DOCS.glob("*.md")}
    assert found == pages(), "run `python -m headrace.models.pages docs/algorithms`"


def test_every_algorithm_has_a_section():
    for entry in CATALOGUE:
        assert f"\n## {entry.name}\n" in page(entry.family)


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        ("ridge", ["alpha"]),
        ("lasso", ["alpha"]),
        ("logistic_regression", ["C", "penalty"]),
        ("decision_tree", ["max_depth", "min_samples_split"]),
        ("k_nearest_neighbors", ["n_neighbors", "metric"]),
        ("svm", ["C", "kernel", "gamma", "degree"]),
        ("polynomial", ["degree"]),
    ],
)
def test_the_asked_hyperparameters_are_there_under_their_names(algorithm, parameters):
    assert set(parameters) <= named(algorithm).space.keys()


@pytest.mark.parametrize(
    "name",
    [
        *("linear regression", "polynomial regression", "ridge", "lasso", "elastic net", "glm"),
        *("binomial logistic regression", "multinomial logistic regression", "naive bayes"),
        *("knn", "svm", "svr", "decision tree", "CART", "regression tree", "CHAID"),
        *("decision list", "discriminant analysis", "gaussian process regression"),
        *("random forest", "bagging", "stacking", "blending", "AdaBoost", "gradient boosting"),
        *("XGBoost", "LightGBM", "CatBoost", "RBFN", "MLP"),
    ],
)
def test_the_asked_families_are_found_by_the_words_people_use(name):
    assert asked(name)

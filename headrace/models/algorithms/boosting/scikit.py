"""Boosting of scikit-learn: AdaBoost, and its gradient boosting on histograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Matrix,
    Needs,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.boosting.shared import FLAT
from headrace.models.algorithms.estimators import (
    Scikit,
    completed,
    described,
    made,
    one_class,
    predict_scikit,
    softmax,
    weighted,
)
from headrace.models.algorithms.space import integer, log_int, log_uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric


def _fit_adaboost(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """Trees on rows weighed anew after each; `SAMME`, or `R2` in a regression."""
    given: dict[str, Any] = {**parameters}
    depth = given.pop("max_depth")
    kind = "Regressor" if train.task is Task.REGRESSION else "Classifier"
    tree = made(f"sklearn.tree.DecisionTree{kind}", {"max_depth": depth})
    fit = Scikit(
        "sklearn.ensemble.AdaBoostClassifier",
        "sklearn.ensemble.AdaBoostRegressor",
        {"estimator": tree},
    )
    return fit(train, given, seed=seed, validation=validation, metric=metric)


def _fit_histograms(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # `max_iter` is searched
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Boosts; of scikit-learn's object the nodes of its trees are kept, round by output."""
    import numpy as np

    estimator = described(train)
    if one_class(estimator):
        return Fitted(estimator)
    kind = "Regressor" if train.task is Task.REGRESSION else "Classifier"
    given = {**parameters, "early_stopping": False, "random_state": seed}
    model = made(f"sklearn.ensemble.HistGradientBoosting{kind}", given)
    # A column of nulls has no bins; as one of zeros it is never split.
    X = np.where(np.isnan(train.X).all(axis=0), 0.0, train.X)
    model.fit(X, train.y, **weighted(train))
    found = {
        "columns": train.X.shape[1],
        "start": model._baseline_prediction.ravel(),  # noqa: SLF001  # it has no public name
        "rounds": [
            [tree.nodes for tree in each]
            for each in model._predictors  # noqa: SLF001  # nor have its trees
        ],
    }
    return Fitted({**estimator, **found})


def _predict_histograms(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    import numpy as np
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))
    total = np.repeat(estimator["start"][None, :], X.shape[0], axis=0)
    no_bits, no_map = np.zeros((0, 8), np.uint32), np.zeros(X.shape[1], np.uint32)
    for trees in estimator["rounds"]:
        for output, nodes in enumerate(trees):
            tree = TreePredictor(nodes, no_bits, no_bits)
            total[:, output] += tree.predict(X, no_bits, no_map, 1)
    if estimator["task"] == Task.REGRESSION:
        return completed(estimator, total)
    two = total.shape[1] == 1
    return completed(estimator, softmax(np.hstack([np.zeros_like(total), total]) if two else total))


ADABOOST = Algorithm(
    name="adaboost",
    title="AdaBoost",
    tasks=frozenset(Task),
    needs=Needs(categories="one_hot"),
    fit=_fit_adaboost,
    predict=predict_scikit,
    save_as="skops",
    defaults={"n_estimators": 100, "learning_rate": 0.5, "max_depth": 2},
    space={
        "n_estimators": log_int(50, 500),
        "learning_rate": log_uniform(0.01, 2.0),
        "max_depth": integer(1, 3),
    },
    family=Family.BOOSTING,
    when_not="targets are noisy: rows that cannot be learned gain ever more weight",
    caveats=(FLAT, "probabilities are rough: calibrate before using them"),
    budget=Budget(rows=1_000_000, columns=5_000, cells=200_000_000),
    instead=("lightgbm",),
    exports=("onnx",),
    licence="BSD-3-Clause",
    source="Freund and Schapire 1997; Zhu et al. 2009, Multi-class AdaBoost",
)

HIST_GRADIENT_BOOSTING = Algorithm(
    name="hist_gradient_boosting",
    title="Gradient boosting machine of scikit-learn",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_fit_histograms,
    predict=_predict_histograms,
    save_as="skops",
    defaults={
        "learning_rate": 0.1,
        "max_iter": 100,
        "max_leaf_nodes": 31,
        "min_samples_leaf": 20,
        "l2_regularization": 1e-3,
    },
    space={
        "learning_rate": log_uniform(0.01, 0.3),
        "max_iter": log_int(50, 500),
        "max_leaf_nodes": log_int(15, 255),
        "min_samples_leaf": log_int(5, 200),
        "l2_regularization": log_uniform(1e-3, 10.0),
    },
    family=Family.BOOSTING,
    when_not="LightGBM may be used: it is the same method, heeds categories and stops early",
    caveats=(FLAT, "categories enter as their codes, in order"),
    budget=Budget(rows=10_000_000, columns=5_000, cells=1_000_000_000),
    instead=("lightgbm",),
    aliases=("gradient_boosting", "gradient_boosting_machine", "gbm"),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    source="Friedman 2001, Greedy Function Approximation: A Gradient Boosting Machine",
)

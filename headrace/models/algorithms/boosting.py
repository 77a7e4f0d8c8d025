"""Gradient boosting libraries."""

from __future__ import annotations

import math
import time
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
    Resource,
    Samples,
    Task,
)
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
from headrace.models.algorithms.space import integer, log_int, log_uniform, uniform

if TYPE_CHECKING:
    import lightgbm
    import xgboost

    from headrace.evaluation.metrics import Floats, Metric

_PATIENCE = 25  # rounds without a better validation metric
# Two parameters of any library here that are ours: `early_stopping_rounds` stands for `_PATIENCE`;
# `time_limit`, in seconds, ends a fit that has validation early, so it need not come again alike.
# What stops each library early; other metrics of the task stop by the first of its names.
_LIGHTGBM_METRICS = {
    Task.BINARY: {
        "log_loss": "binary_logloss",
        "roc_auc": "auc",
        "pr_auc": "average_precision",
        "brier": "l2",
        "accuracy": "binary_error",
    },
    Task.MULTICLASS: {"log_loss": "multi_logloss", "accuracy": "multi_error"},
    Task.REGRESSION: {"rmse": "rmse", "mae": "l1", "mape": "mape"},
}
_XGBOOST_METRICS = {
    Task.BINARY: {
        "log_loss": "logloss",
        "roc_auc": "auc",
        "pr_auc": "aucpr",
        "brier": "rmse",
        "accuracy": "error",
    },
    Task.MULTICLASS: {"log_loss": "mlogloss", "accuracy": "merror"},
    Task.REGRESSION: {"rmse": "rmse", "mae": "mae", "mape": "mape"},
}
_LIGHTGBM_OBJECTIVES = {
    Task.BINARY: "binary",
    Task.MULTICLASS: "multiclass",
    Task.REGRESSION: "regression",
}
_XGBOOST_OBJECTIVES = {
    Task.BINARY: "binary:logistic",
    Task.MULTICLASS: "multi:softprob",
    Task.REGRESSION: "reg:squarederror",
}
# One thread, one histogram order, no choice by a timing: equal arguments give equal trees.
_LIGHTGBM_FIXED = {
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
_XGBOOST_FIXED = {"nthread": 1, "tree_method": "hist", "verbosity": 0}


def early_stopping_metric(names: dict[Task, dict[str, str]], task: Task, metric: Metric) -> str:
    """A library's name of the metric, or that of the task's first where it has none for it."""
    of_task = names[task]
    return of_task.get(str(metric), next(iter(of_task.values())))


def ours(given: dict[str, Any]) -> tuple[int, float]:
    """Takes patience and the moment to end at, of `time.monotonic`, out of the parameters."""
    limit = given.pop("time_limit", None)
    patience = int(given.pop("early_stopping_rounds", _PATIENCE))
    return patience, time.monotonic() + limit if limit else math.inf


def lightgbm_arguments(
    task: Task, classes: int, parameters: Parameters, *, seed: int, metric: Metric
) -> dict[str, Any]:
    """What LightGBM is given, under its own names, and ours of `ours`."""
    several = {"num_class": classes} if task is Task.MULTICLASS else {}
    return {
        **_LIGHTGBM_FIXED,
        "objective": _LIGHTGBM_OBJECTIVES[task],
        **parameters,
        "seed": seed,
        "metric": early_stopping_metric(_LIGHTGBM_METRICS, task, metric),
        **several,
    }


def xgboost_arguments(
    task: Task, classes: int, parameters: Parameters, *, seed: int, metric: Metric
) -> dict[str, Any]:
    """What XGBoost is given, under its own names, and ours of `ours`."""
    several = {"num_class": classes} if task is Task.MULTICLASS else {}
    return {
        **_XGBOOST_FIXED,
        "objective": _XGBOOST_OBJECTIVES[task],
        **parameters,
        "seed": seed,
        "eval_metric": early_stopping_metric(_XGBOOST_METRICS, task, metric),
        **several,
    }


def _fit_lightgbm(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
    before: lightgbm.Booster | None = None,
) -> Fitted:
    """Boosts until the validation metric stands still; finally, for `n_estimators` rounds.

    With `before`, its rounds count among them: the first is the one after its last.
    """
    import lightgbm

    given = lightgbm_arguments(train.task, train.classes, parameters, seed=seed, metric=metric)
    rounds = given.pop("n_estimators")
    patience, end = ours(given)

    def in_time(now: lightgbm.callback.CallbackEnv) -> None:
        if time.monotonic() > end:
            best = now.evaluation_result_list or []
            raise lightgbm.callback.EarlyStopException(now.iteration, best)

    data = lightgbm.Dataset(
        train.X, train.y, weight=train.weight, categorical_feature=list(train.categorical)
    )
    if validation is None:
        return Fitted(lightgbm.train(given, data, num_boost_round=rounds))
    booster = lightgbm.train(
        given,
        data,
        num_boost_round=rounds - (before.current_iteration() if before else 0),
        init_model=before,
        valid_sets=[data.create_valid(validation.X, validation.y, weight=validation.weight)],
        callbacks=[lightgbm.early_stopping(patience, verbose=False), in_time],
    )
    return Fitted(booster, found={"n_estimators": booster.best_iteration})


def _predict_lightgbm(estimator: lightgbm.Booster, X: Matrix) -> Floats:
    import numpy as np

    return np.asarray(estimator.predict(X, num_threads=1), dtype=np.float64)


def _fit_xgboost(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
    before: xgboost.Booster | None = None,
) -> Fitted:
    """Boosts until the validation metric stands still; finally, for `n_estimators` rounds.

    With `before`, its rounds count among them: the first is the one after its last.
    """
    import xgboost

    given = xgboost_arguments(train.task, train.classes, parameters, seed=seed, metric=metric)
    if train.task is Task.BINARY and (train.y == train.y[0]).all():
        given["base_score"] = 0.5  # the share of true rows has no logit
    rounds = given.pop("n_estimators")
    patience, end = ours(given)

    class InTime(xgboost.callback.TrainingCallback):
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ANN401, ARG002  # XGBoost's
            return time.monotonic() > end

    kinds = ["c" if i in train.categorical else "q" for i in range(train.X.shape[1])]

    def data(part: Samples) -> xgboost.DMatrix:
        return xgboost.DMatrix(
            part.X,
            part.y,
            weight=part.weight,
            feature_types=kinds,
            enable_categorical=True,
            nthread=1,
        )

    if validation is None:
        return Fitted(xgboost.train(given, data(train), num_boost_round=rounds))
    booster = xgboost.train(
        given,
        data(train),
        num_boost_round=rounds - (before.num_boosted_rounds() if before else 0),
        xgb_model=before,
        evals=[(data(validation), "validation")],
        early_stopping_rounds=patience,
        verbose_eval=False,
        callbacks=[InTime()],
    )
    best = booster.best_iteration + 1
    booster.set_attr(best_iteration=None, best_score=None)
    return Fitted(booster[:best], found={"n_estimators": best})


def _predict_xgboost(estimator: xgboost.Booster, X: Matrix) -> Floats:
    import numpy as np

    estimator.set_param({"nthread": 1})
    # In place: the cells are compared as they would be in a DMatrix, which is a copy of them.
    return np.asarray(estimator.inplace_predict(np.asarray(X)), dtype=np.float64)


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


ALL = frozenset(Task)
CODES = Needs(categories="codes")
_ROUNDS = Resource("rounds", "n_estimators")
# Portfolios: `r...` and Large are of TabRepo's zero-shot portfolio (Salinas and Erickson 2024, as
# in AutoGluon 1.0), TD are tuned defaults (Holzmueller et al. 2024, Better by Default). Digits are
# cut, and a value beyond our space is drawn to its edge.
FLAT = "outside of the data it saw, a prediction stays at the nearest leaf's: no extrapolation"
_SMALL = "hundreds of rows: a linear model, a forest or a kernel is as good and steadier"

LIGHTGBM = Algorithm(
    name="lightgbm",
    title="LightGBM gradient boosting",
    tasks=ALL,
    needs=CODES,
    fit=_fit_lightgbm,
    predict=_predict_lightgbm,
    save_as="lightgbm_text",
    defaults={
        "n_estimators": 500,
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_child_samples": 20,
        "colsample_bytree": 1.0,
        "reg_lambda": 1e-3,
    },
    space={
        "learning_rate": log_uniform(0.03, 0.3),
        "num_leaves": log_int(7, 127),
        "min_child_samples": integer(5, 200),
        "colsample_bytree": uniform(0.5, 1.0),
        "reg_lambda": log_uniform(1e-3, 10.0),
    },
    resource=_ROUNDS,
    portfolio=(
        {"learning_rate": 0.04, "num_leaves": 50, "min_child_samples": 40},  # TD
        {  # r130
            "learning_rate": 0.0471,
            "num_leaves": 89,
            "min_child_samples": 56,
            "colsample_bytree": 0.625,
        },
        {  # Large
            "learning_rate": 0.03,
            "num_leaves": 127,
            "min_child_samples": 5,
            "colsample_bytree": 0.9,
        },
    ),
    family=Family.BOOSTING,
    when_not=_SMALL,
    caveats=(FLAT, "`linear_tree: true` and `extra_trees: true` may be given, too"),
    budget=Budget(rows=50_000_000, columns=20_000, cells=2_000_000_000),
    exports=("onnx",),
    licence="MIT",
    engines=("ray_train",),
    source="Ke et al. 2017, LightGBM: A Highly Efficient Gradient Boosting Decision Tree",
)

XGBOOST = Algorithm(
    name="xgboost",
    title="XGBoost gradient boosting",
    tasks=ALL,
    needs=CODES,
    fit=_fit_xgboost,
    predict=_predict_xgboost,
    save_as="xgboost_json",
    defaults={
        "n_estimators": 500,
        "learning_rate": 0.1,
        "max_depth": 6,
        "min_child_weight": 1.0,
        "subsample": 1.0,
        "colsample_bytree": 1.0,
        "reg_lambda": 1.0,
    },
    space={
        "learning_rate": log_uniform(0.03, 0.3),
        "max_depth": integer(3, 10),
        "min_child_weight": log_uniform(0.5, 20.0),
        "subsample": uniform(0.5, 1.0),
        "colsample_bytree": uniform(0.5, 1.0),
        "reg_lambda": log_uniform(1e-3, 10.0),
    },
    resource=_ROUNDS,
    portfolio=(
        {  # r89
            "learning_rate": 0.0878,
            "max_depth": 5,
            "min_child_weight": 0.629,
            "colsample_bytree": 0.663,
        },
        {  # TD of regressions
            "learning_rate": 0.05,
            "max_depth": 9,
            "min_child_weight": 2.0,
            "subsample": 0.7,
            "reg_lambda": 1e-3,
        },
        {  # r49
            "learning_rate": 0.0384,
            "max_depth": 7,
            "min_child_weight": 0.556,
            "colsample_bytree": 0.745,
        },
    ),
    family=Family.BOOSTING,
    when_not=_SMALL,
    caveats=(FLAT, "numbers are rounded to single precision"),
    budget=Budget(rows=50_000_000, columns=20_000, cells=2_000_000_000),
    exports=("onnx",),
    licence="Apache-2.0",
    engines=("ray_train",),
    source="Chen and Guestrin 2016, XGBoost: A Scalable Tree Boosting System",
)

ADABOOST = Algorithm(
    name="adaboost",
    title="AdaBoost",
    tasks=ALL,
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
    tasks=ALL,
    needs=CODES,
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
    aliases=("gradient_boosting", "gbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    source="Friedman 2001, Greedy Function Approximation: A Gradient Boosting Machine",
)

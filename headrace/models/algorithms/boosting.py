"""Gradient boosting libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import (
    Algorithm,
    Fitted,
    Matrix,
    Needs,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.space import integer, log_int, log_uniform, uniform

if TYPE_CHECKING:
    import lightgbm

    from headrace.evaluation.metrics import Floats, Metric

_PATIENCE = 25  # rounds without a better validation metric
_METRICS = {
    Task.BINARY: {
        "roc_auc": "auc",
        "pr_auc": "average_precision",
        "log_loss": "binary_logloss",
        "brier": "l2",
    },
    Task.MULTICLASS: dict.fromkeys(
        ("log_loss", "roc_auc", "accuracy", "f1_macro", "brier"), "multi_logloss"
    ),
    Task.REGRESSION: {"rmse": "l2", "mae": "l1", "median_ae": "l1", "r2": "l2"},
}
# One thread, one histogram order, no choice by a timing: equal arguments give equal trees.
_FIXED = {
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def _fit_lightgbm(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """Boosts until the validation metric stands still; finally, for `n_estimators` rounds."""
    import lightgbm

    given: dict[str, Any] = {**_FIXED, **parameters, "seed": seed}
    given |= {"objective": str(train.task), "metric": _METRICS[train.task][metric]}
    if train.task is Task.MULTICLASS:
        given["num_class"] = train.classes
    rounds = given.pop("n_estimators")
    categorical = list(train.categorical)
    data = lightgbm.Dataset(train.X, train.y, weight=train.weight, categorical_feature=categorical)
    if validation is None:
        return Fitted(lightgbm.train(given, data, num_boost_round=rounds))
    booster = lightgbm.train(
        given,
        data,
        num_boost_round=rounds,
        valid_sets=[data.create_valid(validation.X, validation.y, weight=validation.weight)],
        callbacks=[lightgbm.early_stopping(_PATIENCE, verbose=False)],
    )
    return Fitted(booster, found={"n_estimators": booster.best_iteration})


def _predict_lightgbm(estimator: lightgbm.Booster, X: Matrix) -> Floats:
    import numpy as np

    return np.asarray(estimator.predict(X, num_threads=1), dtype=np.float64)


LIGHTGBM = Algorithm(
    name="lightgbm",
    title="LightGBM gradient boosting",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
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
    source="Ke et al. 2017, LightGBM: A Highly Efficient Gradient Boosting Decision Tree",
)

"""XGBoost."""

from __future__ import annotations

import time
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
from headrace.models.algorithms.boosting.shared import FLAT, PATIENCE, ROUNDS, SMALL, Names, ours
from headrace.models.algorithms.space import integer, log_uniform, uniform

if TYPE_CHECKING:
    import xgboost

    from headrace.evaluation.metrics import Floats, Metric

NAMES = Names(
    # One thread: equal arguments give equal trees.
    fixed={"nthread": 1, "tree_method": "hist", "verbosity": 0},
    objectives={
        Task.BINARY: "binary:logistic",
        Task.MULTICLASS: "multi:softprob",
        Task.REGRESSION: "reg:squarederror",
    },
    metrics={
        Task.BINARY: {
            "log_loss": "logloss",
            "roc_auc": "auc",
            "pr_auc": "aucpr",
            "brier": "rmse",
            "accuracy": "error",
        },
        Task.MULTICLASS: {"log_loss": "mlogloss", "accuracy": "merror"},
        Task.REGRESSION: {"rmse": "rmse", "mae": "mae", "mape": "mape"},
    },
    metric="eval_metric",
)


def _fit(
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

    given = NAMES.arguments(train.task, train.classes, parameters, seed=seed, metric=metric)
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


def _predict(estimator: xgboost.Booster, X: Matrix) -> Floats:
    import numpy as np

    estimator.set_param({"nthread": 1})
    # In place: the cells are compared as they would be in a DMatrix, which is a copy of them.
    return np.asarray(estimator.inplace_predict(np.asarray(X)), dtype=np.float64)


XGBOOST = Algorithm(
    name="xgboost",
    title="XGBoost gradient boosting",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_fit,
    predict=_predict,
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
    optional={
        "max_bin": 256,
        "gamma": 0.0,
        "reg_alpha": 0.0,
        "max_delta_step": 0.0,
        "colsample_bylevel": 1.0,
        "early_stopping_rounds": PATIENCE,
    },
    space={
        "learning_rate": log_uniform(0.03, 0.3),
        "max_depth": integer(3, 10),
        "min_child_weight": log_uniform(0.5, 20.0),
        "subsample": uniform(0.5, 1.0),
        "colsample_bytree": uniform(0.5, 1.0),
        "reg_lambda": log_uniform(1e-3, 10.0),
    },
    resource=ROUNDS,
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
    when_not=SMALL,
    caveats=(FLAT, "numbers are rounded to single precision"),
    budget=Budget(rows=50_000_000, columns=20_000, cells=2_000_000_000),
    exports=("onnx", "pmml"),
    licence="Apache-2.0",
    engines=("ray_train",),
    source="Chen and Guestrin 2016, XGBoost: A Scalable Tree Boosting System",
)

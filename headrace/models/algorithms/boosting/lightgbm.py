"""LightGBM."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

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
from headrace.models.algorithms.space import integer, log_int, log_uniform, uniform

if TYPE_CHECKING:
    import lightgbm

    from headrace.evaluation.metrics import Floats, Metric

NAMES = Names(
    # One thread, one histogram order, no choice by a timing: equal arguments give equal trees.
    fixed={
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    },
    objectives={
        Task.BINARY: "binary",
        Task.MULTICLASS: "multiclass",
        Task.REGRESSION: "regression",
    },
    metrics={
        Task.BINARY: {
            "log_loss": "binary_logloss",
            "roc_auc": "auc",
            "pr_auc": "average_precision",
            "brier": "l2",
            "accuracy": "binary_error",
        },
        Task.MULTICLASS: {"log_loss": "multi_logloss", "accuracy": "multi_error"},
        Task.REGRESSION: {"rmse": "rmse", "mae": "l1", "mape": "mape"},
    },
    metric="metric",
)


def _fit(
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

    given = NAMES.arguments(train.task, train.classes, parameters, seed=seed, metric=metric)
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


def _predict(estimator: lightgbm.Booster, X: Matrix) -> Floats:
    import numpy as np

    return np.asarray(estimator.predict(X, num_threads=1), dtype=np.float64)


LIGHTGBM = Algorithm(
    name="lightgbm",
    title="LightGBM gradient boosting",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_fit,
    predict=_predict,
    save_as="lightgbm_text",
    defaults={
        "n_estimators": 500,
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_child_samples": 20,
        "colsample_bytree": 1.0,
        "reg_lambda": 1e-3,
    },
    optional={
        "max_bin": 255,
        "max_depth": -1,
        "subsample": 1.0,
        "subsample_freq": 0,
        "reg_alpha": 0.0,
        "min_split_gain": 0.0,
        "extra_trees": False,
        "linear_tree": False,
        "early_stopping_rounds": PATIENCE,
    },
    space={
        "learning_rate": log_uniform(0.03, 0.3),
        "num_leaves": log_int(7, 127),
        "min_child_samples": integer(5, 200),
        "colsample_bytree": uniform(0.5, 1.0),
        "reg_lambda": log_uniform(1e-3, 10.0),
    },
    resource=ROUNDS,
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
    when_not=SMALL,
    caveats=(FLAT, "`subsample` counts where `subsample_freq` is above 0: every so many rounds"),
    budget=Budget(rows=50_000_000, columns=20_000, cells=2_000_000_000),
    exports=("onnx", "pmml"),
    licence="MIT",
    engines=("ray_train",),
    source="Ke et al. 2017, LightGBM: A Highly Efficient Gradient Boosting Decision Tree",
)

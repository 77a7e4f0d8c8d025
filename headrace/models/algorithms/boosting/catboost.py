"""CatBoost, an extra."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from headrace.errors import SetupError, TrainingError
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
from headrace.models.algorithms.boosting.shared import FLAT, PATIENCE, metric_named, ours
from headrace.models.algorithms.estimators import softmax
from headrace.models.algorithms.space import integer, log_uniform

if TYPE_CHECKING:
    import catboost
    import pandas as pd

    from headrace.evaluation.metrics import Floats, Metric

_METRICS = {
    Task.BINARY: {
        "log_loss": "Logloss",
        "roc_auc": "AUC:hints=skip_train~false",
        "pr_auc": "PRAUC:hints=skip_train~false",
        "brier": "BrierScore",
        "accuracy": "Accuracy",
    },
    Task.MULTICLASS: {"log_loss": "MultiClass", "accuracy": "Accuracy"},
    Task.REGRESSION: {"rmse": "RMSE", "mae": "MAE", "mape": "MAPE"},
}
# One thread: equal arguments give equal trees.
_FIXED = {"thread_count": 1, "allow_writing_files": False, "verbose": False}


def _fit(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """Boosts until the validation metric stands still; finally, for `n_estimators` rounds."""
    try:
        import catboost
    except ModuleNotFoundError as error:
        message = "catboost is not installed"
        raise SetupError(message, hint="pip install 'headrace[catboost]'") from error
    import numpy as np

    if (train.y == train.y[0]).all():
        message = "CatBoost learns nothing from a target of one value"
        raise TrainingError(message, hint="look at the target and the split")
    given: dict[str, Any] = {
        **_FIXED,
        **parameters,
        "random_seed": seed,
        "eval_metric": metric_named(_METRICS, train.task, metric),
    }
    patience, end = ours(given)

    class InTime:
        def after_iteration(self, info: object) -> bool:
            del info
            return time.monotonic() < end

    if train.task is Task.MULTICLASS:
        given |= {"loss_function": "MultiClass", "classes_count": train.classes}

    def data(part: Samples) -> catboost.Pool:
        y = part.y if train.task is Task.REGRESSION else part.y.astype(np.int64)
        frame = _frame(part.X, train.categorical)
        return catboost.Pool(frame, y, weight=part.weight, cat_features=list(train.categorical))

    kind = "Regressor" if train.task is Task.REGRESSION else "Classifier"
    model = getattr(catboost, f"CatBoost{kind}")(**given)
    if validation is None:
        return Fitted(model.fit(data(train)))
    model.fit(
        data(train),
        eval_set=data(validation),
        early_stopping_rounds=patience,
        callbacks=[InTime()],
    )
    return Fitted(model, found={"n_estimators": int(model.tree_count_)})


def _frame(X: Matrix, categorical: tuple[int, ...]) -> pd.DataFrame:
    """Numbers as they are, codes of categories as integers, a missing one as -1."""
    import numpy as np
    import pandas as pd

    codes = {i: np.nan_to_num(X[:, i], nan=-1.0).astype(np.int64) for i in categorical}
    return pd.DataFrame({i: codes.get(i, X[:, i]) for i in range(X.shape[1])})


def _predict(estimator: catboost.CatBoost, X: Matrix) -> Floats:
    import numpy as np

    frame = _frame(X, tuple(estimator.get_cat_feature_indices()))
    raw = estimator.predict(frame, prediction_type="RawFormulaVal", thread_count=1)
    if raw.ndim > 1:
        return softmax(raw)
    if len(estimator.classes_) == 0:
        return np.asarray(raw, dtype=np.float64)
    return softmax(np.column_stack([np.zeros_like(raw), raw]))[:, 1].copy()


CATBOOST = Algorithm(
    name="catboost",
    title="CatBoost gradient boosting",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_fit,
    predict=_predict,
    save_as="catboost_cbm",
    defaults={
        "n_estimators": 500,
        "learning_rate": 0.1,
        "max_depth": 6,
        "l2_leaf_reg": 3.0,
    },
    optional={"early_stopping_rounds": PATIENCE},
    space={
        "learning_rate": log_uniform(0.03, 0.3),
        "max_depth": integer(4, 8),
        "l2_leaf_reg": log_uniform(1.0, 10.0),
    },
    portfolio=(
        {"learning_rate": 0.0686, "max_depth": 6, "l2_leaf_reg": 2.15},  # r177
        {"learning_rate": 0.0494, "max_depth": 4, "l2_leaf_reg": 4.56},  # r137
        {"learning_rate": 0.0329, "max_depth": 8, "l2_leaf_reg": 1.64},  # r86
    ),
    family=Family.BOOSTING,
    when_not="fits must be quick: LightGBM and XGBoost take a fraction of the time",
    caveats=(
        FLAT,
        "refuses a target of one value",
        "its file is read by its own library, unchecked: load it from a lake you trust",
    ),
    budget=Budget(rows=10_000_000, columns=5_000, cells=1_000_000_000),
    extra="catboost",
    licence="Apache-2.0",
    source="Prokhorenkova et al. 2018, CatBoost: unbiased boosting with categorical features",
)

"""Linear models of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.models.algorithms.algorithm import (
    Algorithm,
    Fitted,
    Matrix,
    Needs,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.space import log_uniform

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

    from headrace.evaluation.metrics import Floats, Metric


def _fit(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # the fit runs until it has converged
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    from sklearn.linear_model import LogisticRegression

    return Fitted(LogisticRegression(**parameters, random_state=seed).fit(train.X, train.y))


def _predict(estimator: LogisticRegression, X: Matrix) -> Floats:
    probability: Floats = estimator.predict_proba(X)[:, 1]
    return probability


LOGISTIC_REGRESSION = Algorithm(
    name="logistic_regression",
    title="Logistic regression",
    tasks=frozenset({Task.BINARY}),
    needs=Needs(categories="one_hot"),
    fit=_fit,
    predict=_predict,
    save_as="skops",
    defaults={"C": 1.0, "max_iter": 1000},
    space={"C": log_uniform(1e-4, 1e2)},
    source="scikit-learn, sklearn.linear_model.LogisticRegression",
)

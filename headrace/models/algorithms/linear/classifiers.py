"""Linear classifiers: logistic regression, the linear support vector machine, and LDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import (
    classified,
    converging,
    dense,
    described,
    made,
    one_class,
    weighted,
)
from headrace.models.algorithms.linear.coefficients import (
    BUDGET,
    ONE_HOT,
    coefficients,
    margins,
    predict_linear,
)
from headrace.models.algorithms.linear.sparse_logistic import sparse_logistic
from headrace.models.algorithms.space import choice, log_uniform, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Metric

_CLASSES = frozenset({Task.BINARY, Task.MULTICLASS})


def _fit_logistic(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # the fit runs until it has converged
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    estimator = described(train)
    if one_class(estimator):
        return Fitted(estimator)
    given: dict[str, Any] = {**parameters}
    penalty = given.pop("penalty", "l2")
    share = given.pop("l1_ratio", 0.5)
    if penalty == "none":
        given["C"] = np.inf
    given["l1_ratio"] = {"l1": 1.0, "elasticnet": share}.get(penalty, 0.0)
    if given["l1_ratio"] > 0:
        return Fitted(coefficients(estimator, sparse_logistic(train, **given), link="softmax"))
    with converging():
        model = LogisticRegression(**given, random_state=seed)
        model.fit(train.X, train.y, **weighted(train))
    return Fitted(coefficients(estimator, model, link="softmax"))


def _fit_linear_svm(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Margins of the squared hinge loss, one class against the others."""

    def fit(part: Samples) -> dict[str, Any]:
        given = {**parameters, "dual": "auto", "random_state": seed}
        model = made("sklearn.svm.LinearSVC", given)
        with converging():
            model.fit(part.X, part.y, **weighted(part))
        return coefficients({}, model, link="calibrated")

    return classified(train, fit, margins, seed=seed)


def _fit_lda(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    import numpy as np

    estimator = described(train)
    if one_class(estimator):
        return Fitted(estimator)
    X = dense(train.X)
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    mass = np.column_stack([weight * (train.y == code) for code in estimator["present"]])
    shares = mass.sum(axis=0) / mass.sum()
    means = (mass.T @ X) / mass.sum(axis=0)[:, None]
    away = X - means[np.searchsorted(estimator["present"], train.y)]
    within = (away.T * weight) @ away / weight.sum()
    if parameters["shrinkage"] == "auto":
        from sklearn.covariance import ledoit_wolf_shrinkage

        scaled = away * np.sqrt(weight / weight.mean())[:, None]
        shrinkage = float(ledoit_wolf_shrinkage(scaled, assume_centered=True))
    else:
        shrinkage = float(str(parameters["shrinkage"]))
    unit = np.trace(within) / len(within) * np.eye(len(within))
    within = (1 - shrinkage) * within + shrinkage * unit
    coef = np.linalg.lstsq(within, means.T)[0]
    intercept = np.log(shares) - (means.T * coef).sum(axis=0) / 2
    return Fitted({**estimator, "coef": coef, "intercept": intercept, "link": "softmax"})


LOGISTIC_REGRESSION = Algorithm(
    name="logistic_regression",
    title="Logistic regression, binomial and multinomial",
    tasks=_CLASSES,
    needs=ONE_HOT,
    fit=_fit_logistic,
    predict=predict_linear,
    save_as="skops",
    defaults={"C": 1.0, "penalty": "l2", "l1_ratio": 0.5, "max_iter": 1000},
    space={
        "C": log_uniform(1e-4, 1e3),
        "penalty": choice("l2", "l1", "elasticnet", beside=("none",)),
        "l1_ratio": uniform(0.05, 0.95),
    },
    # Of scikit-learn's `LogisticRegressionCV` the decades of strength beside the default.
    portfolio=({"C": 0.1}, {"C": 10.0}, {"C": 0.01}),
    family=Family.LINEAR,
    when_not="columns act together or in steps: take a tree ensemble",
    caveats=(
        "`l1_ratio` is used by `penalty: elasticnet` alone",
        "`penalty: none` does not converge where a column tells the classes apart",
    ),
    budget=BUDGET,
    instead=("lightgbm",),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    engines=("spark",),
    aliases=("logistic", "binomial_logistic_regression", "multinomial_logistic_regression"),
    source="scikit-learn, sklearn.linear_model.LogisticRegression",
)

LINEAR_SVM = Algorithm(
    name="linear_svm",
    title="Linear support vector machine",
    tasks=_CLASSES,
    needs=ONE_HOT,
    fit=_fit_linear_svm,
    predict=predict_linear,
    save_as="skops",
    defaults={"C": 0.1, "max_iter": 2000},
    space={"C": log_uniform(1e-3, 1e2)},
    family=Family.LINEAR,
    when_not="probabilities count: logistic regression gives them by itself",
    caveats=("probabilities are margins scaled by three-fold cross-validation",),
    budget=BUDGET,
    instead=("logistic_regression", "lightgbm"),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    source="Fan et al. 2008, LIBLINEAR: A Library for Large Linear Classification",
)

LDA = Algorithm(
    name="lda",
    title="Linear discriminant analysis",
    tasks=_CLASSES,
    needs=ONE_HOT,
    fit=_fit_lda,
    predict=predict_linear,
    save_as="skops",
    defaults={"shrinkage": 0.0},
    space={"shrinkage": uniform(0.0, 1.0, beside=("auto",))},
    family=Family.LINEAR,
    when_not="columns are far from bell-shaped, as categories are: take logistic regression",
    caveats=(
        "all classes share one covariance",
        "`shrinkage: auto` takes as much as Ledoit and Wolf 2004 find best for it",
    ),
    budget=Budget(rows=10_000_000, columns=2_000, cells=500_000_000),
    instead=("logistic_regression",),
    exports=("onnx", "pmml"),
    licence="Apache-2.0",
    aliases=("discriminant_analysis", "linear_discriminant_analysis"),
    source="Fisher 1936, The Use of Multiple Measurements in Taxonomic Problems",
)

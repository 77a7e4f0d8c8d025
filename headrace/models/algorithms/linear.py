"""Linear models of scikit-learn: coefficients and a link."""

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
from headrace.models.algorithms.estimators import (
    completed,
    converging,
    described,
    made,
    one_class,
    softmax,
    weighted,
)
from headrace.models.algorithms.space import choice, log_uniform, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_DENSE = 50_000_000  # cells up to which a regression is solved on a dense matrix, exactly
_MOST_TERMS = 5_000  # columns that a polynomial may make


def coefficients(estimator: dict[str, Any], model: Any, *, link: str) -> dict[str, Any]:  # noqa: ANN401  # a linear model
    """An estimator of coefficients: `link` is `identity`, `log` or `softmax`."""
    import numpy as np

    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    intercept = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    return {**estimator, "coef": np.ascontiguousarray(coef.T), "intercept": intercept, "link": link}


def margins(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Rows by outputs, before the link; a sparse product goes row by row."""
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # it ships no types

    found: Floats = csr_matrix(X) @ estimator["coef"] + estimator["intercept"]
    return found


def linked(estimator: Mapping[str, Any], margins: Floats) -> Floats:
    """Values, or probabilities of the present classes, from margins."""
    import numpy as np

    if estimator["link"] == "log":
        return np.exp(np.minimum(margins, 700.0))
    if estimator["link"] == "softmax":
        two = margins.shape[1] == 1
        return softmax(np.hstack([np.zeros_like(margins), margins]) if two else margins)
    return margins


def predict_linear(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Predictions from coefficients and a link."""
    import numpy as np

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))
    return completed(estimator, linked(estimator, margins(estimator, X)))


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
        given |= {"solver": "saga", "tol": 1e-3}
    with converging():
        model = LogisticRegression(**given, random_state=seed)
        model.fit(train.X, train.y, **weighted(train))
    return Fitted(coefficients(estimator, model, link="softmax"))


def _fit_regression(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Least squares with the penalty that the parameters name; `alpha` is of a scaled target."""
    import numpy as np

    given: dict[str, Any] = {"l1_ratio": 0.0, "alpha": 0.0, **parameters}
    X = train.X
    if not isinstance(X, np.ndarray) and X.shape[0] * X.shape[1] <= _DENSE:
        X = X.toarray()
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    middle = float(np.average(train.y, weights=weight))
    scale = float(np.sqrt(np.average((train.y - middle) ** 2, weights=weight))) or 1.0
    y = (train.y - middle) / scale
    if given["alpha"] == 0:
        path, given = "LinearRegression", {}
    elif given["l1_ratio"] == 0:
        path, given = "Ridge", {"alpha": given["alpha"]}
    else:
        path, given = "ElasticNet", {**given, "max_iter": 5000}
    model = made(f"sklearn.linear_model.{path}", given)
    with converging():
        model.fit(X, y, **weighted(train))
    model.coef_ = model.coef_ * scale
    model.intercept_ = model.intercept_ * scale + middle
    return Fitted(coefficients(described(train), model, link="identity"))


def _fit_lasso(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    given = {**parameters, "l1_ratio": 1.0}
    return _fit_regression(train, given, seed=seed, validation=validation, metric=metric)


_ONE_HOT = Needs(categories="one_hot")
_REGRESSION = frozenset({Task.REGRESSION})
_BUDGET = Budget(rows=10_000_000, columns=100_000)
_EXTRAPOLATES = "follows its line beyond the data: watch forecasts far outside what it saw"

LINEAR_REGRESSION = Algorithm(
    name="linear_regression",
    title="Linear regression",
    tasks=_REGRESSION,
    needs=_ONE_HOT,
    fit=_fit_regression,
    predict=predict_linear,
    save_as="skops",
    family=Family.LINEAR,
    when_not="columns outnumber rows or say the same twice: take ridge",
    caveats=(_EXTRAPOLATES, "coefficients of collinear columns are arbitrary"),
    budget=_BUDGET,
    instead=("ridge", "lightgbm"),
    source="ordinary least squares; scikit-learn, sklearn.linear_model.LinearRegression",
)

RIDGE = Algorithm(
    name="ridge",
    title="Ridge regression",
    tasks=_REGRESSION,
    needs=_ONE_HOT,
    fit=_fit_regression,
    predict=predict_linear,
    save_as="skops",
    defaults={"alpha": 1.0},
    space={"alpha": log_uniform(1e-4, 1e4)},
    family=Family.LINEAR,
    when_not="the target bends or columns act together: take a tree ensemble",
    caveats=(_EXTRAPOLATES, "`alpha` is added to sums over rows, so more rows weaken it"),
    budget=_BUDGET,
    instead=("lightgbm",),
    source="Hoerl and Kennard 1970, Ridge Regression",
)

LASSO = Algorithm(
    name="lasso",
    title="Lasso",
    tasks=_REGRESSION,
    needs=_ONE_HOT,
    fit=_fit_lasso,
    predict=predict_linear,
    save_as="skops",
    defaults={"alpha": 0.01},
    space={"alpha": log_uniform(1e-4, 1.0)},
    family=Family.LINEAR,
    when_not="many columns carry a little each: take ridge",
    caveats=(_EXTRAPOLATES, "of columns that say the same it keeps one by chance"),
    budget=_BUDGET,
    instead=("ridge", "lightgbm"),
    source="Tibshirani 1996, Regression Shrinkage and Selection via the Lasso",
)

ELASTIC_NET = Algorithm(
    name="elastic_net",
    title="Elastic net",
    tasks=_REGRESSION,
    needs=_ONE_HOT,
    fit=_fit_regression,
    predict=predict_linear,
    save_as="skops",
    defaults={"alpha": 0.01, "l1_ratio": 0.5},
    space={"alpha": log_uniform(1e-4, 1.0), "l1_ratio": uniform(0.05, 1.0)},
    family=Family.LINEAR,
    when_not="the target bends or columns act together: take a tree ensemble",
    caveats=(_EXTRAPOLATES, "`alpha` is of a target scaled to a deviation of 1"),
    budget=_BUDGET,
    instead=("ridge", "lightgbm"),
    source="Zou and Hastie 2005, Regularization and Variable Selection via the Elastic Net",
)

LOGISTIC_REGRESSION = Algorithm(
    name="logistic_regression",
    title="Logistic regression, binomial and multinomial",
    tasks=frozenset({Task.BINARY, Task.MULTICLASS}),
    needs=_ONE_HOT,
    fit=_fit_logistic,
    predict=predict_linear,
    save_as="skops",
    defaults={"C": 1.0, "penalty": "l2", "l1_ratio": 0.5, "max_iter": 1000},
    space={
        "C": log_uniform(1e-4, 1e3),
        "penalty": choice("l2", "l1", "elasticnet"),
        "l1_ratio": uniform(0.05, 0.95),
    },
    family=Family.LINEAR,
    when_not="columns act together or in steps: take a tree ensemble",
    caveats=(
        "`l1_ratio` is used by `penalty: elasticnet` alone",
        "`penalty: none` does not converge where a column tells the classes apart",
    ),
    budget=_BUDGET,
    instead=("lightgbm",),
    source="scikit-learn, sklearn.linear_model.LogisticRegression",
)

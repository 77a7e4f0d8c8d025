"""Linear regression: least squares, and their penalties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import (
    Algorithm,
    Family,
    Fitted,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import converging, described, made, weighted
from headrace.models.algorithms.linear.coefficients import (
    BUDGET,
    ONE_HOT,
    coefficients,
    predict_linear,
)
from headrace.models.algorithms.space import log_uniform, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Metric

_DENSE = 50_000_000  # cells up to which a regression is solved on a dense matrix, exactly
_REGRESSION = frozenset({Task.REGRESSION})
_EXTRAPOLATES = "follows its line beyond the data: watch forecasts far outside what it saw"


def fit_regression(
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
    return fit_regression(train, given, seed=seed, validation=validation, metric=metric)


LINEAR_REGRESSION = Algorithm(
    name="linear_regression",
    title="Linear regression",
    tasks=_REGRESSION,
    needs=ONE_HOT,
    fit=fit_regression,
    predict=predict_linear,
    save_as="skops",
    family=Family.LINEAR,
    when_not="columns outnumber rows or say the same twice: take ridge",
    caveats=(_EXTRAPOLATES, "coefficients of collinear columns are arbitrary"),
    budget=BUDGET,
    instead=("ridge", "lightgbm"),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    engines=("spark",),
    aliases=("ols", "least_squares"),
    source="ordinary least squares; scikit-learn, sklearn.linear_model.LinearRegression",
)

RIDGE = Algorithm(
    name="ridge",
    title="Ridge regression",
    tasks=_REGRESSION,
    needs=ONE_HOT,
    fit=fit_regression,
    predict=predict_linear,
    save_as="skops",
    defaults={"alpha": 1.0},
    space={"alpha": log_uniform(1e-4, 1e4)},
    family=Family.LINEAR,
    when_not="the target bends or columns act together: take a tree ensemble",
    caveats=(_EXTRAPOLATES, "`alpha` is added to sums over rows, so more rows weaken it"),
    budget=BUDGET,
    instead=("lightgbm",),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    engines=("spark",),
    aliases=("ridge_regression",),
    source="Hoerl and Kennard 1970, Ridge Regression",
)

LASSO = Algorithm(
    name="lasso",
    title="Lasso",
    tasks=_REGRESSION,
    needs=ONE_HOT,
    fit=_fit_lasso,
    predict=predict_linear,
    save_as="skops",
    defaults={"alpha": 0.01},
    space={"alpha": log_uniform(1e-4, 1.0)},
    family=Family.LINEAR,
    when_not="many columns carry a little each: take ridge",
    caveats=(_EXTRAPOLATES, "of columns that say the same it keeps one by chance"),
    budget=BUDGET,
    instead=("ridge", "lightgbm"),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    engines=("spark",),
    aliases=("lasso_regression",),
    source="Tibshirani 1996, Regression Shrinkage and Selection via the Lasso",
)

ELASTIC_NET = Algorithm(
    name="elastic_net",
    title="Elastic net",
    tasks=_REGRESSION,
    needs=ONE_HOT,
    fit=fit_regression,
    predict=predict_linear,
    save_as="skops",
    defaults={"alpha": 0.01, "l1_ratio": 0.5},
    space={"alpha": log_uniform(1e-4, 1.0), "l1_ratio": uniform(0.05, 1.0)},
    # The mixtures that Zou and Hastie 2005 call nearly ridge and nearly lasso.
    portfolio=({"alpha": 1e-3, "l1_ratio": 0.05}, {"alpha": 1e-3, "l1_ratio": 0.95}),
    family=Family.LINEAR,
    when_not="the target bends or columns act together: take a tree ensemble",
    caveats=(_EXTRAPOLATES, "`alpha` is of a target scaled to a deviation of 1"),
    budget=BUDGET,
    instead=("ridge", "lightgbm"),
    exports=("onnx", "pmml"),
    licence="BSD-3-Clause",
    engines=("spark",),
    aliases=("elastic_net_regression",),
    source="Zou and Hastie 2005, Regularization and Variable Selection via the Elastic Net",
)

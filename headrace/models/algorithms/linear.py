"""Linear models of scikit-learn: coefficients and a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import comb
from typing import TYPE_CHECKING, Any

from headrace.errors import TrainingError, UsageError
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
    calibrated,
    classified,
    completed,
    converging,
    dense,
    described,
    in_blocks,
    made,
    one_class,
    softmax,
    weighted,
)
from headrace.models.algorithms.space import choice, integer, log_uniform, uniform
from headrace.models.algorithms.sparse_logistic import sparse_logistic

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
    if estimator["link"] == "calibrated":
        return calibrated(estimator, margins)
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
        return Fitted(coefficients(estimator, sparse_logistic(train, **given), link="softmax"))
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


def _fit_polynomial(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """Ridge regression on all products of columns up to a degree."""
    given: dict[str, Any] = {**parameters}
    degree, columns = given.pop("degree"), train.X.shape[1]
    terms = comb(columns + degree, degree) - 1
    if terms > _MOST_TERMS:
        message = f"{columns:,} columns make {terms:,} terms of degree {degree}"
        hint = f"at most {_MOST_TERMS:,}: lower the degree, take fewer columns, or `lightgbm`"
        raise UsageError(message, hint=hint)
    wide = replace(train, X=_terms(dense(train.X), degree))
    fitted = _fit_regression(wide, given, seed=seed, validation=validation, metric=metric)
    return Fitted({**fitted.estimator, "degree": degree})


def _terms(X: Floats, degree: int) -> Floats:
    from sklearn.preprocessing import PolynomialFeatures

    found: Floats = PolynomialFeatures(degree, include_bias=False).fit_transform(X)
    return found


def _predict_polynomial(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    def predict(block: Floats) -> Floats:
        return margins(estimator, _terms(block, estimator["degree"]))

    return completed(estimator, in_blocks(predict, X))


def _fit_glm(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Poisson, gamma or Tweedie with a logarithmic link.

    Exposure comes as the weight of a row, its target then being the rate: events by exposure.
    """
    given: dict[str, Any] = {**parameters}
    family = given.pop("family")
    given["power"] = {"poisson": 1.0, "gamma": 2.0}.get(family, given["power"])
    least = train.y.min()
    if least < 0 or (family == "gamma" and least == 0):
        message = f"a {family} target is {'above' if family == 'gamma' else 'at least'} 0"
        raise TrainingError(message, hint=f"the least here is {least:g}; take another family")
    if train.y.max() == 0:
        message = "every value of the target is 0"
        raise TrainingError(message, hint="a logarithmic link has no 0; look at the target")
    model = made("sklearn.linear_model.TweedieRegressor", {**given, "link": "log"})
    with converging():
        model.fit(train.X, train.y, **weighted(train))
    return Fitted(coefficients(described(train), model, link="log"))


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
    shrinkage, X = float(str(parameters["shrinkage"])), dense(train.X)
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    mass = np.column_stack([weight * (train.y == code) for code in estimator["present"]])
    shares = mass.sum(axis=0) / mass.sum()
    means = (mass.T @ X) / mass.sum(axis=0)[:, None]
    away = X - means[np.searchsorted(estimator["present"], train.y)]
    within = (away.T * weight) @ away / weight.sum()
    unit = np.trace(within) / len(within) * np.eye(len(within))
    within = (1 - shrinkage) * within + shrinkage * unit
    coef = np.linalg.lstsq(within, means.T)[0]
    intercept = np.log(shares) - (means.T * coef).sum(axis=0) / 2
    return Fitted({**estimator, "coef": coef, "intercept": intercept, "link": "softmax"})


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
    exports=("onnx",),
    licence="BSD-3-Clause",
    engines=("spark",),
    aliases=("ols", "least_squares"),
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
    exports=("onnx",),
    licence="BSD-3-Clause",
    engines=("spark",),
    aliases=("ridge_regression",),
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
    exports=("onnx",),
    licence="BSD-3-Clause",
    engines=("spark",),
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
    # The mixtures that Zou and Hastie 2005 call nearly ridge and nearly lasso.
    portfolio=({"alpha": 1e-3, "l1_ratio": 0.05}, {"alpha": 1e-3, "l1_ratio": 0.95}),
    family=Family.LINEAR,
    when_not="the target bends or columns act together: take a tree ensemble",
    caveats=(_EXTRAPOLATES, "`alpha` is of a target scaled to a deviation of 1"),
    budget=_BUDGET,
    instead=("ridge", "lightgbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    engines=("spark",),
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
    # Of scikit-learn's `LogisticRegressionCV` the decades of strength beside the default.
    portfolio=({"C": 0.1}, {"C": 10.0}, {"C": 0.01}),
    family=Family.LINEAR,
    when_not="columns act together or in steps: take a tree ensemble",
    caveats=(
        "`l1_ratio` is used by `penalty: elasticnet` alone",
        "`penalty: none` does not converge where a column tells the classes apart",
    ),
    budget=_BUDGET,
    instead=("lightgbm",),
    exports=("onnx",),
    licence="BSD-3-Clause",
    engines=("spark",),
    aliases=("binomial_logistic_regression", "multinomial_logistic_regression"),
    source="scikit-learn, sklearn.linear_model.LogisticRegression",
)

POLYNOMIAL = Algorithm(
    name="polynomial",
    title="Polynomial regression",
    tasks=_REGRESSION,
    needs=_ONE_HOT,
    fit=_fit_polynomial,
    predict=_predict_polynomial,
    save_as="skops",
    defaults={"degree": 2, "alpha": 1.0},
    space={"degree": integer(1, 3), "alpha": log_uniform(1e-4, 1e4)},
    family=Family.LINEAR,
    when_not="more than some dozen columns: the terms are their number to the power of the degree",
    caveats=("extrapolates wildly: a little beyond the data it may be off by any factor",),
    budget=Budget(rows=1_000_000, columns=_MOST_TERMS),
    instead=("ridge", "gaussian_process", "lightgbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    aliases=("polynomial_regression",),
    source="ridge regression on scikit-learn's PolynomialFeatures",
)

GLM = Algorithm(
    name="glm",
    title="Generalised linear model: Poisson, gamma, Tweedie",
    tasks=_REGRESSION,
    needs=_ONE_HOT,
    fit=_fit_glm,
    predict=predict_linear,
    save_as="skops",
    defaults={"family": "poisson", "power": 1.5, "alpha": 1e-3, "max_iter": 1000},
    space={
        "family": choice("poisson", "tweedie"),
        "power": uniform(1.1, 1.9),
        "alpha": log_uniform(1e-6, 10.0),
    },
    family=Family.LINEAR,
    when_not="the target may be below 0, or is no count, rate or amount",
    caveats=(
        "the link is the logarithm: effects multiply",
        "exposure is the weight of a row, and the target then events by exposure",
        "`power` is used by `family: tweedie` alone; `family: gamma` takes targets above 0",
    ),
    budget=_BUDGET,
    instead=("lightgbm",),
    aliases=("poisson", "gamma", "tweedie", "generalised_linear_model"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    source="McCullagh and Nelder 1989, Generalized Linear Models",
)

LINEAR_SVM = Algorithm(
    name="linear_svm",
    title="Linear support vector machine",
    tasks=frozenset({Task.BINARY, Task.MULTICLASS}),
    needs=_ONE_HOT,
    fit=_fit_linear_svm,
    predict=predict_linear,
    save_as="skops",
    defaults={"C": 0.1, "max_iter": 2000},
    space={"C": log_uniform(1e-3, 1e2)},
    family=Family.LINEAR,
    when_not="probabilities count: logistic regression gives them by itself",
    caveats=("probabilities are margins scaled by three-fold cross-validation",),
    budget=_BUDGET,
    instead=("logistic_regression", "lightgbm"),
    exports=("onnx",),
    licence="BSD-3-Clause",
    source="Fan et al. 2008, LIBLINEAR: A Library for Large Linear Classification",
)

LDA = Algorithm(
    name="lda",
    title="Linear discriminant analysis",
    tasks=frozenset({Task.BINARY, Task.MULTICLASS}),
    needs=_ONE_HOT,
    fit=_fit_lda,
    predict=predict_linear,
    save_as="skops",
    defaults={"shrinkage": 0.0},
    space={"shrinkage": uniform(0.0, 1.0)},
    family=Family.LINEAR,
    when_not="columns are far from bell-shaped, as categories are: take logistic regression",
    caveats=("all classes share one covariance",),
    budget=Budget(rows=10_000_000, columns=2_000, cells=500_000_000),
    instead=("logistic_regression",),
    exports=("onnx",),
    licence="Apache-2.0",
    aliases=("discriminant_analysis", "linear_discriminant_analysis"),
    source="Fisher 1936, The Use of Multiple Measurements in Taxonomic Problems",
)

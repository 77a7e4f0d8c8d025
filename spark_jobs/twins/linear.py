"""Linear models by Spark ML: logistic regression, and least squares with their penalties.

scikit-learn adds losses up and weighs them by C or the penalty by alpha; Spark ML takes their mean.
So with n rows

- logistic regression: `regParam` = 1 / (n C), `elasticNetParam` = the share of L1;
- ridge: `regParam` = alpha / n, `elasticNetParam` = 0;
- lasso and elastic net: `regParam` = alpha, `elasticNetParam` = `l1_ratio`.

The target of a regression is scaled to a deviation of 1, as on one node: then the scaling by which
Spark's penalty differs from scikit-learn's is none. The matrix is standardised by the encoding, so
`standardization` is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.ml.classification import LogisticRegression
from pyspark.ml.regression import LinearRegression
from pyspark.sql import functions as F

from headrace.models.algorithms.algorithm import Parameters, Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.algorithms.linear.coefficients import coefficients
from spark_jobs.matrix import FEATURES, LABEL, one_hot
from spark_jobs.twins.rows import Rows

_TOLERANCE = 1e-9


@dataclass(frozen=True)
class _Coefficients:
    """What `coefficients` reads of a linear model."""

    coef_: Any  # an array of outputs by columns
    intercept_: Any


def logistic_regression(train: Rows, parameters: Parameters) -> dict[str, Any]:
    """Binomial, or multinomial with one row of coefficients for each class."""
    estimator = train.described()
    if one_class(estimator):
        return estimator
    given: Mapping[str, Any] = parameters
    strength = 0.0 if given["penalty"] == "none" else 1.0 / (train.count * given["C"])
    share = {"l1": 1.0, "elasticnet": given["l1_ratio"]}.get(given["penalty"], 0.0)
    model = LogisticRegression(
        family="binomial" if train.classes.task is Task.BINARY else "multinomial",
        regParam=strength,
        elasticNetParam=share,
        maxIter=given["max_iter"],
        tol=_TOLERANCE,
        standardization=False,
        featuresCol=FEATURES,
        labelCol=LABEL,
    ).fit(one_hot(train.rows, train.encoding, label=train.label))
    found = _Coefficients(model.coefficientMatrix.toArray(), model.interceptVector.toArray())
    return coefficients(estimator, found, link="softmax")


def linear_regression(train: Rows, parameters: Parameters) -> dict[str, Any]:
    """Least squares with the penalty that the parameters name."""
    given: dict[str, Any] = {"alpha": 0.0, "l1_ratio": 0.0, **parameters}
    value = train.label
    middle, scale = train.rows.agg(F.avg(value), F.stddev_pop(value)).collect()[0]
    strength = given["alpha"] / (train.count if given["l1_ratio"] == 0 else 1)
    model = LinearRegression(
        regParam=strength,
        elasticNetParam=given["l1_ratio"],
        maxIter=1000,
        tol=_TOLERANCE,
        standardization=False,
        featuresCol=FEATURES,
        labelCol=LABEL,
    ).fit(one_hot(train.rows, train.encoding, label=(value - F.lit(middle)) / F.lit(scale)))
    found = _Coefficients(model.coefficients.toArray() * scale, model.intercept * scale + middle)
    return coefficients(train.described(), found, link="identity")


def lasso(train: Rows, parameters: Parameters) -> dict[str, Any]:
    """Least squares with a penalty on absolute values alone."""
    return linear_regression(train, {**parameters, "l1_ratio": 1.0})

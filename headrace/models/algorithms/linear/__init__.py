"""Linear models: coefficients and a link."""

from headrace.models.algorithms.linear.classifiers import LDA, LINEAR_SVM, LOGISTIC_REGRESSION
from headrace.models.algorithms.linear.glm import GLM
from headrace.models.algorithms.linear.polynomial import POLYNOMIAL
from headrace.models.algorithms.linear.regression import (
    ELASTIC_NET,
    LASSO,
    LINEAR_REGRESSION,
    RIDGE,
)

__all__ = [
    "ELASTIC_NET",
    "GLM",
    "LASSO",
    "LDA",
    "LINEAR_REGRESSION",
    "LINEAR_SVM",
    "LOGISTIC_REGRESSION",
    "POLYNOMIAL",
    "RIDGE",
]

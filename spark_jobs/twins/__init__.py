"""Fits by Spark ML of entries of the catalogue, as the estimators that those entries predict by.

Parameters are those of the catalogue, turned into Spark's by formula, and Spark's model into ours:
each module tells how.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from headrace.models.algorithms.algorithm import Parameters
from spark_jobs.twins.bayes import naive_bayes
from spark_jobs.twins.linear import lasso, linear_regression, logistic_regression
from spark_jobs.twins.rows import Rows
from spark_jobs.twins.trees import decision_tree

__all__ = ["TWINS", "Rows"]

TWINS: Mapping[str, Callable[[Rows, Parameters], dict[str, Any]]] = {
    "decision_tree": decision_tree,
    "elastic_net": linear_regression,
    "lasso": lasso,
    "linear_regression": linear_regression,
    "logistic_regression": logistic_regression,
    "naive_bayes": naive_bayes,
    "ridge": linear_regression,
}

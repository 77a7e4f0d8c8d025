"""Which function writes which entry's estimator into a graph; each is loaded on use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from headrace.errors import UsageError
from headrace.models.export.graph import Graph, Value

# Entry of the catalogue to `module.function`; each gives what `Algorithm.predict` of it gives.
WRITERS = {
    "class_prior": "rules.prior",
    "mean": "rules.prior",
    "median": "rules.prior",
    "best_lookup": "rules.lookup",
    "best_column": "rules.column",
    "linear_regression": "linear.linear",
    "polynomial": "linear.polynomial",
    "ridge": "linear.linear",
    "lasso": "linear.linear",
    "elastic_net": "linear.linear",
    "glm": "linear.linear",
    "logistic_regression": "linear.linear",
    "linear_svm": "linear.linear",
    "lda": "linear.linear",
    "naive_bayes": "linear.naive_bayes",
    "qda": "linear.qda",
    "spline_linear": "linear.splines",
    "quadratic": "linear.products",
    "decision_tree": "tree_graph.forest",
    "random_forest": "tree_graph.forest",
    "extra_trees": "tree_graph.forest",
    "adaboost": "tree_graph.adaboost",
    "hist_gradient_boosting": "tree_graph.histograms",
    "lightgbm": "tree_graph.lightgbm",
    "xgboost": "tree_graph.xgboost",
    "svm": "points.vectors",
    "svr": "points.vectors",
    "svm_nystroem": "points.expansion",
    "gaussian_process": "points.expansion",
    "gaussian_process_ard": "points.process",
    "rbf_network": "points.expansion",
    "mlp": "points.layers",
    "realmlp": "points.realmlp",
    "decision_list": "rules.rules",
    "chaid": "rules.rules",
    "bagging": "combined.mean",
    "weighted_ensemble": "combined.mean",
    "stacking": "combined.stacked",
    "blending": "combined.stacked",
    "preset": "combined.preset",  # where its members are written
}


def written(g: Graph, algorithm: str, estimator: Any, X: Value) -> Value:  # noqa: ANN401  # the library's own
    """Adds an estimator to a graph: the value that holds its predictions.

    Raises:
        UsageError: It is not written as ONNX.
    """
    if algorithm not in WRITERS:
        message = f"{algorithm} is not written as ONNX"
        raise UsageError(message, hint=f"there are {', '.join(WRITERS)}")
    module, _, name = WRITERS[algorithm].partition(".")
    found: Value = getattr(import_module(f"headrace.models.export.{module}"), name)(g, estimator, X)
    return found

"""The decision tree by Spark ML, whose nodes become those of scikit-learn.

Both go left where a cell is at most the threshold, which lies midway between two values. What
differs is met here:

- scikit-learn compares single precision with double: Spark is given cells rounded to singles;
- categories are their codes, in order, as on one node: Spark is not told that they are categories;
- scikit-learn tries missing cells on both sides of a split: Spark is given a feature that has some
  twice, once with a value above all others in their place and once with one below. A split between
  that value and all others has an infinite threshold. Where training had none, a missing cell goes
  where more rows went, as in scikit-learn;
- Spark knows no `min_samples_split`: a node of fewer rows becomes a leaf afterwards, which is what
  growing would have come to, since no node depends on those below it;
- Spark looks at 255 thresholds of a column, between values of equal numbers of rows in a sample of
  65,536: a column of more distinct values has coarser ones than on one node. Splits that gain
  nothing, which scikit-learn makes, it does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from py4j.java_gateway import JavaObject
from pyspark.ml.classification import DecisionTreeClassifier
from pyspark.ml.regression import DecisionTreeRegressor
from pyspark.sql import functions as F

from headrace.models.algorithms.algorithm import Parameters, Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.algorithms.forests import Node, grown
from spark_jobs import gateway
from spark_jobs.matrix import FEATURES, LABEL, coded, sides
from spark_jobs.twins.rows import Rows

_BINS = 256
_DEEPEST = 30  # of Spark's trees
_LARGEST = float(np.finfo(np.float32).max)


def decision_tree(train: Rows, parameters: Parameters) -> dict[str, Any]:
    """A tree of Gini's impurity for classes, of the variance for values."""
    estimator = train.described()
    if one_class(estimator):
        return estimator
    regression = train.classes.task is Task.REGRESSION
    middle = train.rows.agg(F.avg(train.label)).collect()[0][0] if regression else 0.0
    root = spark_tree(train, parameters, middle=middle)
    nodes = _Converted(train, least=int(str(parameters["min_samples_split"])), middle=middle)
    return grown(estimator, nodes.of(root), parameters, columns=len(train.encoding.columns))


def spark_tree(train: Rows, parameters: Parameters, *, middle: float) -> JavaObject:
    """The root of the tree that Spark grows.

    Args:
        train: What it learns from.
        parameters: Of the entry.
        middle: Is taken from the values of a regression, whose variances are then exact.
    """
    given: Mapping[str, Any] = parameters
    told = {
        "maxDepth": min(given["max_depth"] or _DEEPEST, _DEEPEST),
        "maxBins": _BINS,
        "minInstancesPerNode": given["min_samples_leaf"],
        "seed": train.seed,
        "featuresCol": FEATURES,
        "labelCol": LABEL,
    }
    matrix = coded(train.rows, train.encoding, label=train.label - F.lit(middle))
    if train.classes.task is Task.REGRESSION:
        return gateway.root(DecisionTreeRegressor(**told).fit(matrix))
    return gateway.unmerged_root(DecisionTreeClassifier(**told), matrix, train.classes.count)


class _Converted:
    """Nodes of Spark as nodes of ours, each before those below it."""

    def __init__(self, train: Rows, *, least: int, middle: float) -> None:
        self._present = [*train.counts]
        self._columns = train.encoding.columns
        self._sides = sides(train.encoding)
        self._least, self._middle = least, middle

    def of(self, node: JavaObject) -> list[Node]:
        """The node and all below it."""
        stats = node.impurityStats()
        rows = int(stats.rawCount())
        if self._present:
            counts = np.array([*stats.stats()])[self._present]
            value = tuple((counts / counts.sum()).tolist())
            impurity = 1.0 - sum(share**2 for share in value)
        else:
            value = (node.prediction() + self._middle,)
            impurity = stats.calculate()
        if rows < self._least or node.getClass().getSimpleName() == "LeafNode":
            return [Node(rows, value, impurity)]
        left, right = self.of(node.leftChild()), self.of(node.rightChild())
        feature, below = self._sides[node.split().featureIndex()]
        threshold = node.split().threshold()
        if abs(threshold) > _LARGEST:
            threshold = math.copysign(math.inf, threshold)
        had_missing = self._columns[feature].missing
        inner = Node(
            rows,
            value,
            impurity,
            right=1 + len(left),
            feature=feature,
            threshold=threshold,
            missing_left=below if had_missing else left[0].rows > right[0].rows,
        )
        return [inner, *left, *right]

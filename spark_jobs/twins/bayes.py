"""Naive Bayes by Spark ML, whose log shares become those of a column each.

Spark's `NaiveBayes` knows neither missing cells nor columns of several kinds, so it is fitted on
columns from which what the entry keeps follows by formula. `theta` is its log share of a column in
a class, over all columns; the log share over some of them is `theta` less the log of the sum of
their shares, whatever the others were, since the denominator is the same.

- Texts, by the multinomial kind: a column for each text, and none for a missing one.
- Numbers, multinomial and complement: the counts, a missing one as 0; all columns together.
- Numbers, Bernoulli: whether it is high, and whether it is low; the two together.
- Numbers, Gaussian: the standardised value z, 0 where it is missing, and whether it is known, k.
  Where m is the mean and s the variance of z, and q the mean of k: the mean of what is known is
  m / q, and its variance (s + m^2) / q - (m / q)^2. Spark adds to each variance 1e-9 of the largest
  of a column, whatever the class; that is taken away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyspark.ml.classification import NaiveBayes, NaiveBayesModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from scipy.special import logsumexp  # type: ignore[import-untyped]  # it ships no types

from headrace.evaluation.metrics import Floats
from headrace.models.algorithms.algorithm import Parameters
from headrace.models.algorithms.bayes import no_counts, smoothed
from headrace.models.algorithms.estimators import one_class
from headrace.models.encoding import Encoding
from spark_jobs.matrix import FEATURES, LABEL, assembled, cells, indexed, widened
from spark_jobs.twins.rows import Rows

_SPARKS_SMOOTHING = 1e-9
_REMEMBERED = {"gaussian": ("mean", "variance"), "bernoulli": ("threshold", "high", "low")}


def naive_bayes(train: Rows, parameters: Parameters) -> dict[str, Any]:
    """Log shares of classes, categories and numbers; a missing cell says nothing of the class.

    Raises:
        UsageError: The kind takes counts, and a number is below 0.
    """
    estimator = train.described()
    if one_class(estimator):
        return estimator
    kind, alpha = str(parameters["kind"]), float(str(parameters["alpha"]))
    totals = np.array([*train.counts.values()], dtype=np.float64)
    rows, codes = indexed(train.rows.withColumn(LABEL, train.label), train.encoding)
    texts = train.encoding.categorical
    numbers = {
        place: cell
        for place, cell in cells(train.encoding, codes).items()
        if place not in set(texts)
    }
    return {
        **estimator,
        "kind": kind,
        "prior": np.log(totals / totals.sum()),
        "categorical": list(texts),
        "tables": _tables(rows, train.encoding, codes, alpha=alpha, classes=len(totals)),
        "numbers": list(numbers),
        **_of_numbers(rows, train.encoding, numbers, kind=kind, alpha=alpha, totals=totals),
    }


def _fitted(
    rows: DataFrame, columns: dict[str, Column], *, kind: str, alpha: float
) -> NaiveBayesModel:
    matrix = assembled(rows.withColumns(columns), [*columns])
    return NaiveBayes(modelType=kind, smoothing=alpha, featuresCol=FEATURES, labelCol=LABEL).fit(
        matrix
    )


def _tables(
    rows: DataFrame, encoding: Encoding, codes: dict[int, str], *, alpha: float, classes: int
) -> list[Floats]:
    """Log share of each category in each class: a table per column of texts."""
    theta = np.empty((0, classes))
    if codes:
        wide, vectors = widened(rows, [*codes.values()])
        parts = {vector: F.col(vector) for vector in vectors}
        theta = _fitted(wide, parts, kind="multinomial", alpha=alpha).theta.toArray().T
    tables, at = [], 0
    for place in encoding.categorical:
        column = encoding.columns[place]
        size = len(column.categories)
        tables.append(_among(theta[at : at + size]))
        at += size + (column.missing and size > 0)  # the last is of missing texts
    return tables


def _of_numbers(
    rows: DataFrame,
    encoding: Encoding,
    numbers: dict[int, Column],
    *,
    kind: str,
    alpha: float,
    totals: Floats,
) -> dict[str, Any]:
    """What each kind remembers of numbers: columns by classes."""
    if not numbers:
        return dict.fromkeys(_REMEMBERED.get(kind, ("loading",)), np.empty((0, len(totals))))
    if kind == "gaussian":
        return _gaussian(rows, encoding, numbers, totals=totals)
    ends = [end for cell in numbers.values() for end in (F.min(cell), F.max(cell))]
    least, most = np.array(rows.agg(*ends).collect()[0], dtype=np.float64).reshape(-1, 2).T
    if kind == "bernoulli":
        middle = np.nan_to_num((least + most) / 2)  # a column without a value has none
        parts = {}
        for cell, value, place in zip(numbers.values(), middle, numbers, strict=True):
            parts[f"_high_{place}"] = _as_number(cell > F.lit(float(value)))
            parts[f"_low_{place}"] = _as_number(cell <= F.lit(float(value)))
        theta = _fitted(rows, parts, kind=kind, alpha=alpha).theta.toArray().T
        pairs = np.stack([_among(pair) for pair in theta.reshape(len(middle), 2, -1)])
        return {"threshold": middle, "high": pairs[:, 0], "low": pairs[:, 1]}
    if (least < 0).any():
        raise no_counts(kind)
    counts = {f"_count_{place}": F.coalesce(cell, F.lit(0.0)) for place, cell in numbers.items()}
    return {"loading": _fitted(rows, counts, kind=kind, alpha=alpha).theta.toArray().T}


def _gaussian(
    rows: DataFrame, encoding: Encoding, numbers: dict[int, Column], *, totals: Floats
) -> dict[str, Any]:
    parts = {}
    for place, cell in numbers.items():
        column = encoding.columns[place]
        scaled = (cell - F.lit(column.mean)) / F.lit(column.scale)
        parts[f"_value_{place}"] = F.coalesce(scaled, F.lit(0.0))
        parts[f"_known_{place}"] = cell.isNotNull().cast("double")
    model = _fitted(rows, parts, kind="gaussian", alpha=1.0)  # where alpha has no part
    mean, variance = model.theta.toArray().T, model.sigma.toArray().T
    variance -= _added(mean, variance, shares=totals / totals.sum())
    known = np.where(mean[1::2] > 0, mean[1::2], np.inf)  # of none, all is 0
    middle = mean[0::2] / known
    spread = np.maximum((variance[0::2] + mean[0::2] ** 2) / known - middle**2, 0.0)
    columns = [encoding.columns[place] for place in numbers]
    scale = np.array([[column.scale] for column in columns])
    shift = np.array([[column.mean] for column in columns])
    having = mean[1::2] * totals
    overall = _overall(middle, spread, having, scale)
    return {
        "mean": np.where(having > 0, middle * scale + shift, 0.0),
        "variance": smoothed(spread * scale**2, overall=overall),
    }


def _overall(middle: Floats, spread: Floats, rows: Floats, scale: Floats) -> list[float]:
    """The variance of each column over all classes, from that of each and the rows it has."""
    whole = np.maximum(rows.sum(axis=1, keepdims=True), 1e-300)
    level = (rows * middle).sum(axis=1, keepdims=True) / whole
    inner = (rows * (spread + (middle - level) ** 2)).sum(axis=1, keepdims=True) / whole
    found: list[float] = (inner * scale**2).ravel().tolist()
    return found


def _added(mean: Floats, variance: Floats, *, shares: Floats) -> float:
    """What Spark has added to each variance: 1e-9 of the largest of a column, before that."""
    whole = (variance + mean**2) @ shares - (mean @ shares) ** 2
    return float(whole.max() * _SPARKS_SMOOTHING / (1 + _SPARKS_SMOOTHING))


def _among(theta: Floats) -> Floats:
    """Log shares over these columns alone: columns by classes."""
    shares: Floats = theta - logsumexp(theta, axis=0) if len(theta) else theta
    return shares


def _as_number(condition: Column) -> Column:
    """1 or 0; a missing cell, of which nothing is known, is 0."""
    return F.coalesce(condition.cast("double"), F.lit(0.0))

"""Sums over columns as operators: linear models, their expansions, distributions of classes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.export.graph import Graph, Value

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

_CUBIC = 3
_OUTER = 10.0  # deviations, where numbers enter as they are


def linked(g: Graph, estimator: Mapping[str, Any], margins: Value) -> Value:
    """As `linear.linked`."""
    outputs = estimator["coef"].shape[1]
    if estimator["link"] == "log":
        return g.op("Exp", g.op("Min", margins, 700.0))
    if estimator["link"] == "calibrated":
        return calibrated(g, estimator, margins)
    return g.softmax(margins, outputs) if estimator["link"] == "softmax" else margins


def calibrated(g: Graph, estimator: Mapping[str, Any], margins: Value) -> Value:
    """As `estimators.calibrated`."""
    slopes = estimator["calibration"]
    return g.softmax(g.linear(margins, slopes.T, estimator["offset"]), len(slopes))


def linear(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Coefficients and a link."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    margins = g.linear(X, estimator["coef"], estimator["intercept"])
    if "exposure" in estimator:
        place, mean, scale = estimator["exposure"]
        exposure = g.op("Add", g.op("Mul", g.columns(X, [place]), scale), mean)
        margins = g.op("Add", margins, g.op("Log", g.op("Max", exposure, 0.0)))
    return g.completed(estimator, linked(g, estimator, margins))


def polynomial(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Products of columns up to a degree, in the order of `PolynomialFeatures`."""
    degree, coef = estimator["degree"], estimator["coef"]
    columns = next(n for n in range(1, len(coef) + 1) if _terms(n, degree) >= len(coef))
    factors = [
        [*each, *[columns] * (degree - size)]  # the column after the last is 1
        for size in range(1, degree + 1)
        for each in combinations_with_replacement(range(columns), size)
    ]
    one = g.join([X, g.each_row(X, np.ones(1))])
    first, *others = (g.columns(one, places) for places in np.array(factors).T)
    for other in others:
        first = g.op("Mul", first, other)
    return g.completed(estimator, g.linear(first, coef, estimator["intercept"]))


def _terms(columns: int, degree: int) -> int:
    from math import comb

    return comb(columns + degree, degree) - 1


def naive_bayes(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Sums of log shares; a missing or unknown cell adds nothing."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    classes = len(estimator["present"])
    prior = np.zeros(classes) if estimator["kind"] == "complement" else estimator["prior"]
    found = g.each_row(X, prior)
    for column, table in zip(estimator["categorical"], estimator["tables"], strict=True):
        codes = g.column(X, column)
        place = g.op("Where", g.op("Less", codes, float(len(table))), codes, float(len(table)))
        rows = g.op("Gather", np.vstack([table, np.zeros(classes)]), g.integers(place), axis=0)
        found = g.op("Add", found, rows)
    if estimator["numbers"]:
        numbers = g.columns(X, estimator["numbers"])
        cells = g.op("Unsqueeze", numbers, np.array([2], dtype=np.int64))
        said = g.op("Where", g.op("IsNaN", cells), 0.0, _said(g, estimator, cells))
        found = g.op("Add", found, g.sum(said, keep=False))
    return g.completed(estimator, g.softmax(found, classes))


def _said(g: Graph, estimator: Mapping[str, Any], cells: Value) -> Value:
    """Log likelihoods, (rows, columns, classes)."""
    if estimator["kind"] == "gaussian":
        away = g.op("Sub", cells, estimator["mean"])
        squares = g.op("Div", g.op("Mul", away, away), estimator["variance"])
        return g.op("Mul", g.op("Add", squares, np.log(2 * np.pi * estimator["variance"])), -0.5)
    if estimator["kind"] == "bernoulli":
        high = g.op("Greater", cells, estimator["threshold"][:, None])
        return g.op("Where", high, estimator["high"], estimator["low"])
    return g.op("Mul", cells, estimator["loading"])


def qda(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Squared distances along the axes of each class."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    parts = []
    for mean, axes in zip(estimator["mean"], estimator["axes"], strict=True):
        along = g.op("MatMul", g.op("Sub", X, mean), axes)
        parts.append(g.sum(g.op("Mul", along, along)))
    found = g.op("Sub", estimator["constant"], g.op("Mul", g.join(parts), 0.5))
    return g.completed(estimator, g.softmax(found, len(parts)))


def splines(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Each number's spline as the polynomial of its interval; then its missing and categories."""
    coef = estimator["coef"]
    found, at = g.each_row(X, estimator["intercept"]), 0
    for i, column in enumerate(estimator["numbers"].tolist()):
        cells = g.columns(X, [column])
        knots = estimator["knots"][i][~np.isnan(estimator["knots"][i])]
        if not len(knots):
            scaled = g.op("Div", g.op("Sub", cells, estimator["center"][i]), estimator["scale"][i])
            part = g.op(
                "MatMul", g.clipped(g.where_missing(scaled, 0.0), -_OUTER, _OUTER), coef[[at]]
            )
            at += 1
        else:
            size = len(knots) + _CUBIC - 1
            part = _spline(g, knots, coef[at : at + size], cells)
            at += size
        found = g.op("Add", found, part)
    rest = g.ones(X, estimator["missing"], estimator["categories"])
    if rest:
        found = g.op("Add", found, g.op("MatMul", g.join(rest), coef[at:]))
    return _read(g, estimator, found)


def _spline(g: Graph, knots: Floats, coef: Floats, cells: Value) -> Value:
    """Values of a spline for each output, 0 where missing, constant beyond the outer knots."""
    from scipy.interpolate import BSpline, PPoly  # type: ignore[import-untyped]  # it ships no types

    t = np.concatenate([[knots[0]] * _CUBIC, knots, [knots[-1]] * _CUBIC])
    pieces = [PPoly.from_spline(BSpline(t, each, _CUBIC)).c[:, _CUBIC:-_CUBIC] for each in coef.T]
    powers = np.stack(pieces, axis=-1)  # power, interval, output
    absent = g.op("IsNaN", cells)
    inside = g.clipped(g.where_missing(cells, knots[0]), knots[0], knots[-1])
    beyond = g.op("GreaterOrEqual", inside, knots[1:-1])
    place = g.integers(g.sum(g.doubles(beyond), keep=False))
    away = g.op("Sub", inside, g.op("Gather", knots[:-1, None], place, axis=0))
    value = g.op("Gather", powers[0], place, axis=0)
    for each in powers[1:]:
        value = g.op("Add", g.op("Mul", value, away), g.op("Gather", each, place, axis=0))
    return g.op("Where", absent, 0.0, value)


def products(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Columns, and products of pairs of some."""
    parts = []
    if len(estimator["numbers"]):
        away = g.op("Sub", g.columns(X, estimator["numbers"]), estimator["center"])
        z = g.where_missing(g.op("Mul", away, estimator["factor"]), 0.0)
        parts.append(g.op("Div", z, _root(g, z)))
    parts += g.ones(X, estimator["missing"], estimator["categories"])
    plain = g.join(parts)
    left, right = np.triu_indices(len(estimator["paired"]))
    pairs = [g.columns(plain, estimator["paired"][side]) for side in (left, right)]
    made = g.join([plain, g.op("Mul", *pairs)])
    scaled = g.op("Div", g.op("Sub", made, estimator["mean"]), estimator["spread"])
    return _read(g, estimator, g.linear(scaled, estimator["coef"], estimator["intercept"]))


def _root(g: Graph, z: Value) -> Value:
    """What a smooth clip to (-3, 3) divides by: the root of 1 + (z / 3)^2."""
    third = g.op("Div", z, 3.0)
    return g.op("Sqrt", g.op("Add", g.op("Mul", third, third), 1.0))


def _read(g: Graph, estimator: Mapping[str, Any], found: Value) -> Value:
    told = estimator["settings"]
    if told["task"] == Task.REGRESSION:
        return g.clipped(g.flat(found), *told["range"])
    chance = g.softmax(found, estimator["coef"].shape[1])
    return g.column(chance, 1) if told["task"] == Task.BINARY else chance

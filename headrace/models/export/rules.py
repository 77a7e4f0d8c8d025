"""Rules and look-ups as operators: which one a row meets, then its value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headrace.models.algorithms.rules.conditions import Condition, predict_rules
from headrace.models.export.graph import Graph, Value


def prior(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """The same for each row."""
    values = np.atleast_1d(estimator["prior"])
    found = g.each_row(X, values)
    return g.flat(found) if np.ndim(estimator["prior"]) == 0 else found


def lookup(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """The value of the group that a row's cells are in, or the prior."""
    place, known, size = g.each_row(X, np.zeros(1)), None, 1
    for column, listed in zip(estimator["columns"], estimator["values"], strict=True):
        values = np.array(listed, dtype=np.float64)
        cells, nan = g.columns(X, [column]), np.isnan(values)
        same = g.op("Equal", cells, values)
        if nan.any():
            same = g.op("Or", same, g.op("And", g.op("IsNaN", cells), nan))
        found = g.doubles(same)
        here = g.op("MatMul", found, np.arange(len(values), dtype=np.float64)[:, None])
        place = g.op("Add", g.op("Mul", place, float(len(values))), here)
        hit = g.op("Greater", g.sum(found), 0.0)
        known = hit if known is None else g.op("And", known, hit)
        size *= len(values)
    place = g.op("Where", known, place, float(size))
    means = np.array([*estimator["means"], estimator["prior"]], dtype=np.float64)
    return g.op("Gather", means, g.integers(g.flat(place)), axis=0)


def column(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """The first of the columns that is known, or the constant."""
    found = g.each_row(X, np.array([estimator["otherwise"]], dtype=np.float64))
    for place in reversed(estimator["columns"]):
        cells = g.columns(X, [place])
        found = g.op("Where", g.op("IsNaN", cells), found, cells)
    return g.flat(found)


def rules(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """The value of the first rule that a row meets."""
    count = len(estimator["rules"])
    which = g.each_row(X, np.array([count]))
    for place in reversed(range(count)):
        when = estimator["rules"][place]["when"]
        met = _met(g, when[0], X)
        for condition in when[1:]:
            met = g.op("And", met, _met(g, condition, X))
        which = g.op("Where", met, float(place), which)
    return g.op("Gather", _values(estimator), g.integers(g.flat(which)), axis=0)


def _values(estimator: Mapping[str, Any]) -> Any:  # noqa: ANN401  # an array
    """The prediction of each rule, and of the rows that meet none."""
    alone = [
        predict_rules({**estimator, "rules": [], "otherwise": each}, np.zeros((1, 1)))
        for each in (*estimator["rules"], estimator["otherwise"])
    ]
    return np.concatenate(alone)


def _met(g: Graph, condition: Condition, X: Value) -> Value:
    """As `rules.holds`, of one condition: (rows, 1) of true and false."""
    column, test, value = condition
    cells = g.columns(X, [column])
    absent = g.op("IsNaN", cells)
    if test == "missing":
        return absent
    if test == "in":
        codes = np.array([code for code in value if code is not None], dtype=np.float64)
        if not len(codes):
            return absent
        same = g.doubles(g.op("Equal", cells, codes))
        met = g.op("Greater", g.sum(same), 0.0)
        return g.op("Or", met, absent) if None in value else met
    low, high, or_missing, only_missing = {
        "<=": (None, value, False, False),
        ">": (value, None, False, False),
    }.get(test) or value
    if only_missing:
        return g.op("And", absent, np.array(or_missing))
    met = g.op("Not", absent)
    if low is not None:
        met = g.op("And", met, g.op("Greater", cells, low))
    if high is not None:
        met = g.op("And", met, g.op("LessOrEqual", cells, high))
    return g.op("Or", met, absent) if or_missing else met

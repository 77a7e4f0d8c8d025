"""Ensembles as operators: their members in one graph, from one matrix of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.encoding import Column, Kind
from headrace.models.export.graph import Graph, Value
from headrace.models.export.inputs import one_hot
from headrace.models.export.writers import written

_CERTAIN = 1e-6  # as `ensembles` has it: the least probability that a log is taken of


def _member(g: Graph, member: Mapping[str, Any], X: Value) -> Value:
    if member["columns"] is not None:
        columns = [
            Column(**{**each, "kind": Kind(each["kind"]), "categories": tuple(each["categories"])})
            for each in member["columns"]
        ]
        X = one_hot(g, columns, X)
    return written(g, member["algorithm"], member["estimator"], X)


def mean(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """The weighted mean of members."""
    parts = [
        g.op("Mul", _member(g, member, X), float(weight))
        for member, weight in zip(estimator["members"], estimator["weights"], strict=True)
    ]
    return g.op("Sum", *parts)


def stacked(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """A line, or logistic regression, on what members say."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    said = g.join([_said(g, estimator, member, X) for member in estimator["members"]])
    found = g.linear(said, estimator["coef"].T, estimator["intercept"])
    if estimator["task"] != Task.REGRESSION:
        found = g.softmax(found, len(estimator["coef"]))
    return g.completed(estimator, found)


def _said(g: Graph, estimator: Mapping[str, Any], member: Mapping[str, Any], X: Value) -> Value:
    found = _member(g, member, X)
    column: Sequence[int] = [-1, 1]
    if estimator["task"] == Task.MULTICLASS:
        whole = found
    else:
        whole = g.op("Reshape", found, np.array(column, dtype=np.int64))
    if estimator["task"] == Task.REGRESSION:
        return whole
    if estimator["task"] == Task.BINARY:
        whole = g.join([g.op("Sub", 1.0, whole), whole])
    logs = g.op("Log", g.op("Max", whole, _CERTAIN))
    classes = range(1, max(estimator["classes"], 2))
    return g.op("Sub", g.columns(logs, classes), g.columns(logs, [0]))

"""Ensembles as operators: their members in one graph, from one matrix of codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.encoding import Column, Kind
from headrace.models.export.graph import Graph, Value
from headrace.models.export.inputs import one_hot
from headrace.models.export.writers import written
from headrace.models.formats import FORMATS
from headrace.models.presets.pool import FLOOR

if TYPE_CHECKING:
    from headrace.models.encoding import Encoding, Form
    from headrace.models.presets.bag import Bag, Member
    from headrace.models.presets.entry import OfMatrix

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
    whole = found
    if estimator["task"] != Task.MULTICLASS:
        whole = g.op("Reshape", found, np.array([-1, 1], dtype=np.int64))
    if estimator["task"] == Task.REGRESSION:
        return whole
    if estimator["task"] == Task.BINARY:
        whole = g.join([g.op("Sub", 1.0, whole), whole])
    logs = g.op("Log", g.op("Max", whole, _CERTAIN))
    classes = range(1, max(estimator["classes"], 2))
    return g.op("Sub", g.columns(logs, classes), g.columns(logs, [0]))


def preset(g: Graph, estimator: OfMatrix, X: Value) -> Value:
    """A pool of members, each the mean of its parts; the matrix of each form is made once.

    Raises:
        UsageError: A member is of an entry that is not written.
    """
    bag, task = estimator.bag, estimator.bag.task
    if not bag.members:
        found = g.each_row(X, np.array(bag.prior))
        return _of_task(g, found, task)
    codes = _inner_codes(g, estimator.encoding, X)
    forms = {
        form: codes if form == "codes" else one_hot(g, estimator.encoding.columns, codes)
        for form in sorted(bag.forms)
    }
    means = [_mean_of_parts(g, bag, member, forms) for member in bag.members]
    if task is Task.REGRESSION:
        level = bag.pool.level
        parts = [
            g.op("Mul", g.op("Sub", each, level), float(weight))
            for each, weight in zip(means, bag.pool.weights, strict=False)
        ]
        return g.clipped(g.op("Add", g.op("Sum", *parts), level), *bag.range)
    each_class = [*means, g.each_row(X, np.array(bag.prior))]
    logs = [
        g.op("Mul", g.op("Log", g.op("Max", each, FLOOR)), float(weight))
        for each, weight in zip(each_class, bag.pool.weights, strict=True)
    ]
    return _of_task(g, g.op("Softmax", g.op("Sum", *logs), axis=1), task)


def _of_task(g: Graph, found: Value, task: Task) -> Value:
    """Of probabilities of both classes that of true; of one column, (rows,)."""
    if task is Task.MULTICLASS:
        return found
    return g.column(found, 1 if task is Task.BINARY else 0)


def _inner_codes(g: Graph, encoding: Encoding, X: Value) -> Value:
    """The preset's own codes: its categories are the codes that its rows had, as texts."""
    cells = []
    for place, column in enumerate(encoding.columns):
        cell = g.columns(X, [place])
        if column.kind is Kind.CATEGORY:
            held = [int(text) for text in column.categories]
            size = max(held, default=-1) + 1
            inner = np.full((size + 1, 1), np.nan)
            inner[held, 0] = np.arange(len(held))
            known = g.op("Where", g.op("Less", cell, float(size)), cell, float(size))
            cell = g.op("Gather", inner, g.integers(g.flat(known)), axis=0)
        cells.append(cell)
    return g.join(cells)


def _mean_of_parts(g: Graph, bag: Bag, member: Member, forms: Mapping[Form, Value]) -> Value:
    entry = named(member.algorithm)
    form, X = FORMATS[entry.save_as], forms[entry.needs.categories]
    parts = [part for part in bag.parts if part.member == member.name]
    said = []
    for part in parts:
        found = written(g, member.algorithm, form.load(bag.files[part.file]), X)
        if member.log:
            found = g.op("Mul", g.op("Exp", found), part.factor)
        if bag.task is Task.BINARY:
            whole = g.op("Reshape", found, np.array([-1, 1], dtype=np.int64))
            found = g.join([g.op("Sub", 1.0, whole), whole])
        said.append(found)
    return g.op("Div", g.op("Sum", *said), float(len(parts)))

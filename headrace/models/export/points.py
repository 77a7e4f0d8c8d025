"""Kernels and small networks as operators; doubles throughout, but for RealMLP's singles."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.estimators import one_class
from headrace.models.export.graph import Graph, Value
from headrace.models.export.linear import calibrated, linked
from headrace.models.methods import neural
from headrace.models.methods.neural.network import SELU

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats


def _squares(g: Graph, X: Value, points: Floats) -> Value:
    """Squared distances of rows to points, from products; rounding may not take them below 0."""
    own = g.sum(g.op("Mul", X, X))
    cross = g.linear(X, -2 * points.T, (points * points).sum(axis=1))
    return g.op("Max", g.op("Add", own, cross), 0.0)


def _kernel(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """As `kernels.kernel`."""
    kind, gamma, points = estimator["kernel"], float(estimator["gamma"]), estimator["points"]
    if kind == "rbf":
        return g.op("Exp", g.op("Mul", _squares(g, X, points), -gamma))
    if kind == "matern":
        away = g.op("Mul", g.op("Sqrt", _squares(g, X, points)), np.sqrt(10 * gamma))
        third = g.op("Div", g.op("Mul", away, away), 3.0)
        risen = g.op("Add", g.op("Add", away, 1.0), third)
        return g.op("Mul", risen, g.op("Exp", g.op("Neg", away)))
    found = g.op("MatMul", X, points.T)
    if kind == "poly":
        found = g.op("Add", g.op("Mul", found, gamma), 1.0)
        return g.op("Pow", found, float(estimator["degree"]))
    return found


def expansion(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Weighted sums of kernel values, under a link, Platt's scaling, or votes of duels."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    found = g.linear(_kernel(g, estimator, X), estimator["coef"], estimator["intercept"])
    if "calibration" not in estimator:
        return g.completed(estimator, linked(g, estimator, found))
    return g.completed(estimator, calibrated(g, estimator, found))


def vectors(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Support vectors: of more than two classes, mean margins and shares of duels won."""
    classes = len(estimator["present"])
    if one_class(estimator) or estimator["task"] == Task.REGRESSION or classes == 2:  # noqa: PLR2004
        return expansion(g, estimator, X)
    margins = g.linear(_kernel(g, estimator, X), estimator["coef"], estimator["intercept"])
    duels = np.zeros((len(estimator["intercept"]), classes))
    for place, (one, other) in enumerate(combinations(range(classes), 2)):
        duels[place, one], duels[place, other] = 1 / (classes - 1), -1 / (classes - 1)
    won = g.op("Where", g.op("Greater", margins, 0.0), 1.0, -1.0)
    votes = g.join([g.op("MatMul", margins, duels), g.op("MatMul", won, duels)])
    return g.completed(estimator, calibrated(g, estimator, votes))


def process(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """The Gaussian process with a length scale per column."""
    told = estimator["settings"]
    scaled = g.op("Mul", g.op("Sub", X, estimator["center"]), estimator["factors"])
    r = g.op("Sqrt", _squares(g, scaled, estimator["points"]))
    near = g.op("Mul", g.op("Add", r, 1.0), g.op("Exp", g.op("Neg", r)))
    found = g.linear(near, estimator["alpha"][:, None], told["mean"])
    return g.clipped(g.flat(found), *told["range"])


def layers(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """Layers of rectified units."""
    if one_class(estimator):
        return g.completed(estimator, g.each_row(X, np.ones(1)))
    *hidden, (weight, offset) = zip(estimator["weights"], estimator["offsets"], strict=True)
    for each, shift in hidden:
        X = g.op("Max", g.linear(X, each, shift), 0.0)
    found = g.linear(X, weight, offset)
    if estimator["task"] != Task.REGRESSION:
        found = g.softmax(found, weight.shape[1])
    return g.completed(estimator, found)


def realmlp(g: Graph, estimator: Mapping[str, Any], X: Value) -> Value:
    """RealMLP with its parameters' single precision; sums are of doubles."""
    told = estimator["settings"]
    shape = neural.Shape(**{name: told[name] for name in neural.Shape.__dataclass_fields__})
    held = {
        name[4:]: value.astype(np.float64)
        for name, value in estimator.items()
        if name.startswith("net_")
    }
    x = g.op("Mul", _front(g, estimator, X, shape, held), held["scale"])
    for i, (inputs, _) in enumerate(shape.layers):
        x = g.linear(x, held[f"weight{i}"] * inputs**-0.5, held[f"bias{i}"])
        if i < len(shape.layers) - 1:
            bend = g.op("Sub", _active(g, shape.activation, x), x)
            x = g.op("Add", x, g.op("Mul", bend, held[f"slope{i}"]))
    if told["task"] == Task.REGRESSION:
        value = g.op("Add", g.op("Mul", g.flat(x), told["spread"]), told["mean"])
        return g.clipped(value, *told["range"])
    chance = g.softmax(x, shape.outputs)
    return g.column(chance, 1) if told["task"] == Task.BINARY else chance


def _front(
    g: Graph,
    estimator: Mapping[str, Any],
    X: Value,
    shape: neural.Shape,
    held: Mapping[str, Floats],
) -> Value:
    """Numbers, scaled, clipped and embedded; then ones of missing numbers and of categories."""
    parts = []
    if shape.numbers:
        away = g.op("Sub", g.columns(X, estimator["numbers"]), estimator["center"])
        z = g.where_missing(g.op("Mul", away, estimator["factor"]), 0.0)
        third = g.op("Div", z, 3.0)
        clip = g.op("Sqrt", g.op("Add", g.op("Mul", third, third), 1.0))
        numbers = g.singles(g.op("Div", z, clip))
        parts.append(_embedded(g, numbers, shape, held) if shape.embedded else numbers)
    missing = estimator["numbers"][estimator["missing"]]
    return g.join([*parts, *g.ones(X, missing, estimator["categories"])])


def _embedded(g: Graph, numbers: Value, shape: neural.Shape, held: Mapping[str, Floats]) -> Value:
    """Each number, and mixes of its cosines: number by number, as one row of columns."""
    flat = g.op("Unsqueeze", g.op("Transpose", numbers, perm=[1, 0]), np.array([2], dtype=np.int64))
    angle = g.op("Add", g.op("Mul", flat, held["frequency"]), held["phase"])
    waves = g.op("Cos", g.op("Mul", angle, 2 * np.pi))
    mixed = g.op("Add", g.op("MatMul", waves, held["mix"]), held["shift"])
    block = g.op("Concat", flat, mixed, axis=2)
    rows = g.op("Transpose", block, perm=[1, 0, 2])
    width = shape.layers[0][0] - shape.ones
    return g.op("Reshape", rows, np.array([-1, width], dtype=np.int64))


def _active(g: Graph, kind: str, x: Value) -> Value:
    """As in `neural/network.py`."""
    if kind == "selu":
        scale, alpha = SELU
        low = g.op("Sub", g.op("Exp", g.op("Min", x, 0.0)), 1.0)
        return g.op("Mul", g.op("Add", g.op("Mul", low, alpha), g.op("Max", x, 0.0)), scale)
    e = g.op("Exp", g.op("Min", x, 20.0))
    risen = g.op("Mul", e, g.op("Add", e, 2.0))
    return g.op("Mul", x, g.op("Div", risen, g.op("Add", risen, 2.0)))

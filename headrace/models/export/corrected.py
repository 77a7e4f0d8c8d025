"""Calibration, and the rule that decides by costs, as operators; doubles throughout."""

from __future__ import annotations

import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.calibration import TINY, Calibration, Curve, Line, Method, Steps
from headrace.models.decision import THRESHOLD, ClassRule, Rule, ValueRule
from headrace.models.export.graph import Graph, Value


def corrected(g: Graph, calibration: Calibration, found: Value, *, task: Task) -> Value:
    """As `Calibration`: probabilities in, corrected ones out, of the same shape."""
    if task is Task.BINARY:
        (curve,) = calibration.curves
        return _curve(g, curve, found)
    if calibration.method is Method.TEMPERATURE:
        logs = g.op("Log", g.op("Max", found, TINY))
        return g.op("Softmax", g.op("Mul", logs, calibration.slope), axis=1)
    columns = [
        g.op("Unsqueeze", _curve(g, curve, g.column(found, place)), np.array([1], dtype=np.int64))
        for place, curve in enumerate(calibration.curves)
    ]
    whole = g.join(columns)
    total = g.sum(whole)
    above = g.op("Greater", total, 0.0)
    return g.op("Where", above, g.op("Div", whole, total), found)


def decision(g: Graph, rule: Rule | None, found: Value, *, task: Task) -> Value:
    """As `decided`, (rows,): truths, codes of classes, or values."""
    if task is Task.REGRESSION:
        return g.op("Add", found, rule.offset) if isinstance(rule, ValueRule) else found
    if task is Task.BINARY:
        at = rule.threshold if isinstance(rule, ClassRule) else THRESHOLD
        return g.op("GreaterOrEqual", found, at)
    if isinstance(rule, ClassRule):
        cost = g.op("MatMul", found, np.array(rule.costs))
        return g.op("ArgMin", cost, axis=1, keepdims=0)
    return g.op("ArgMax", found, axis=1, keepdims=0)


def _curve(g: Graph, curve: Curve | None, chance: Value) -> Value:
    """One curve on (rows,)."""
    if curve is None:
        return chance
    if isinstance(curve, Line):
        sure = g.clipped(chance, TINY, 1 - TINY)
        odds = g.op("Log", g.op("Div", sure, g.op("Sub", 1.0, sure)))
        margin = g.op("Add", g.op("Mul", odds, curve.slope), curve.intercept)
        return g.op("Div", 1.0, g.op("Add", g.op("Exp", g.op("Neg", margin)), 1.0))
    return _steps(g, curve, chance)


def _steps(g: Graph, curve: Steps, chance: Value) -> Value:
    x, y = np.array(curve.scores), np.array(curve.shares)
    if len(x) == 1:
        return g.op("Add", g.op("Mul", chance, 0.0), y[0])
    inside = g.clipped(chance, x[0], x[-1])
    column = g.op("Unsqueeze", inside, np.array([1], dtype=np.int64))
    passed = g.sum(g.doubles(g.op("GreaterOrEqual", column, x[None])), keep=False)
    at = g.integers(g.clipped(g.op("Sub", passed, 1.0), 0.0, float(len(x) - 2)))
    start, low, high = (g.op("Gather", each, at, axis=0) for each in (x[:-1], y[:-1], y[1:]))
    width, rise = (g.op("Gather", np.diff(each), at, axis=0) for each in (x, y))
    away = g.op("Div", g.op("Sub", inside, start), width)
    return g.op("Min", g.op("Add", low, g.op("Mul", away, rise)), high)

"""The search of a training as curves: the best so far against time, and against trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.report.scale import Scale, spread

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BASE = 400, 220, 56, 388, 12, 190
_KINDS = ("mean", "predicted", "observed")  # classes of the style sheet, in turn
_LEAST_SHARE = 0.02  # of a chart's time, so that a curve of one moment is a line


@dataclass(frozen=True)
class Curve:
    """One algorithm's best so far, as corners of steps in pixels."""

    label: str
    kind: str
    corners: list[tuple[float, float]]


@dataclass(frozen=True)
class CurveChart:
    """The curves of all tuned algorithms on one axis."""

    title: str
    width: int
    height: int
    left: int
    right: int
    base: int
    curves: list[Curve]
    value_ticks: list[tuple[float, str]]
    along_ticks: list[tuple[float, str]]


def curve_charts(detail: Mapping[str, Any]) -> list[CurveChart]:
    """The charts of a training's record; none where nothing was tuned.

    Args:
        detail: Of the stage `train`; `search` holds points (trials, seconds, value) per algorithm.
    """
    tuned = [
        each
        for each in (detail.get("search") or {}).get("algorithms") or []
        if each.get("curve") and (each.get("planned") or 0) > 1
    ]
    if not tuned:
        return []
    ends = detail["search"].get("seconds") or 0.0
    return [
        _chart("seconds", tuned, lambda point: point[1], lambda _: ends),
        _chart("trials", tuned, lambda point: point[0], lambda each: each.get("trials") or 0),
    ]


def _chart(
    title: str,
    tuned: Sequence[Mapping[str, Any]],
    along: Callable[[Sequence[float]], float],
    end: Callable[[Mapping[str, Any]], float],
) -> CurveChart:
    values = [point[2] for each in tuned for point in each["curve"]]
    height = spread(values, _BASE, _TOP)
    longest = max([end(each) for each in tuned] + [along(p) for e in tuned for p in e["curve"]])
    width = Scale(0.0, longest or 1.0, _LEFT, _RIGHT)
    curves = []
    for place, each in enumerate(tuned):
        points = [(along(point), point[2]) for point in each["curve"]]
        last = max(end(each), points[-1][0], longest * _LEAST_SHARE)
        curves.append(
            Curve(
                str(each["candidate"]),
                _KINDS[place % len(_KINDS)],
                _steps(points, last, width, height),
            )
        )
    return CurveChart(
        title, _WIDTH, _HEIGHT, _LEFT, _RIGHT, _BASE, curves, height.ticks(4), width.ticks(5)
    )


def _steps(
    points: Sequence[tuple[float, float]], last: float, width: Scale, height: Scale
) -> list[tuple[float, float]]:
    """Level until the next point, then up or down to it."""
    corners = [(width(points[0][0]), height(points[0][1]))]
    for at, value in points[1:]:
        corners += [(width(at), corners[-1][1]), (width(at), height(value))]
    return [*corners, (width(last), corners[-1][1])]

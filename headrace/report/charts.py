"""Geometry of the charts: error bars per metric, scores per interval. The templates draw it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.report.scale import Scale, spread
from headrace.report.scores import Day, Series
from headrace.report.training import Estimate

_BARS_WIDTH, _BARS_ROW, _BARS_TOP, _BARS_EDGE = 340, 46, 8, 14
_DAYS_WIDTH, _DAYS_LEFT, _DAYS_RIGHT = 900, 48, 12
_COUNT_TOP, _COUNT_BASE, _LINE_TOP, _LINE_BASE = 26, 116, 166, 330
MOST_DAYS = 120


@dataclass(frozen=True)
class Bar:
    """A value with its interval, in pixels."""

    estimate: Estimate
    y: float
    x: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ErrorBars:
    """One metric of all candidates."""

    width: int
    height: int
    bars: list[Bar]
    ticks: list[tuple[float, str]]
    zero: float | None


@dataclass(frozen=True)
class Line:
    """One series over the intervals; `kind` is its class in the style sheet."""

    label: str
    kind: str
    pieces: list[list[tuple[float, float]]]


@dataclass(frozen=True)
class DayChart:
    """Rows per interval as bars above, mean score and shares as lines below, on one time axis."""

    width: int
    left: int
    right: int
    count_base: int
    line_base: int
    counts: list[tuple[float, float, float, float, str]]  # x, y, width, height, what it says
    lines: list[Line]
    count_ticks: list[tuple[float, str]]
    line_ticks: list[tuple[float, str]]
    day_ticks: list[tuple[float, str]]
    shown: int


def error_bars(estimates: Sequence[Estimate], *, with_zero: bool = False) -> ErrorBars:
    """Places estimates one below the other on a common axis."""
    ends = [end for one in estimates for end in (one.value, one.low, one.high) if end is not None]
    scale = spread([*ends, 0.0] if with_zero else ends, _BARS_EDGE, _BARS_WIDTH - _BARS_EDGE)
    bars = []
    for place, one in enumerate(
        estimate for estimate in estimates if math.isfinite(estimate.value)
    ):
        low, high = (None if end is None else scale(end) for end in (one.low, one.high))
        bars.append(Bar(one, _BARS_TOP + _BARS_ROW * place + 32, scale(one.value), low, high))
    height = _BARS_TOP + _BARS_ROW * len(bars) + 26
    return ErrorBars(_BARS_WIDTH, height, bars, scale.ticks(4), scale(0.0) if with_zero else None)


def day_chart(days: Sequence[Day], told: Sequence[Series], *, from_zero: bool) -> DayChart:
    """Draws the newest `MOST_DAYS` intervals.

    Args:
        days: All intervals.
        told: A line each.
        from_zero: Whether the lines stand on zero, as shares do.
    """
    days = days[-MOST_DAYS:]
    slot = (_DAYS_WIDTH - _DAYS_LEFT - _DAYS_RIGHT) / max(len(days), 1)
    centres = [_DAYS_LEFT + slot * (place + 0.5) for place in range(len(days))]
    most = max((day.rows for day in days), default=0) or 1
    rows = Scale(0, most, _COUNT_BASE, _COUNT_TOP)
    found = [value for day in days for each in told if (value := each.of(day)) is not None]
    level = spread(found, _LINE_BASE, _LINE_TOP)
    if from_zero:
        level = Scale(
            0, max(filter(math.isfinite, found), default=1.0) * 1.05 or 1.0, _LINE_BASE, _LINE_TOP
        )
    width = max(slot * 0.72, 1)
    lines = [
        Line(each.label, each.kind, _pieces(centres, [each.of(day) for day in days], level))
        for each in told
    ]
    return DayChart(
        width=_DAYS_WIDTH,
        left=_DAYS_LEFT,
        right=_DAYS_WIDTH - _DAYS_RIGHT,
        count_base=_COUNT_BASE,
        line_base=_LINE_BASE,
        counts=[
            (x - width / 2, rows(day.rows), width, _COUNT_BASE - rows(day.rows), day.interval)
            for x, day in zip(centres, days, strict=True)
        ],
        lines=[line for line in lines if line.pieces],
        count_ticks=rows.ticks(3),
        line_ticks=level.ticks(5),
        day_ticks=_day_ticks(centres, days),
        shown=len(days),
    )


def _pieces(
    centres: Sequence[float], values: Sequence[float | None], level: Scale
) -> list[list[tuple[float, float]]]:
    """Points joined as long as no value is missing between them."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, value in zip(centres, values, strict=True):
        if value is not None and math.isfinite(value):
            pieces[-1].append((round(x, 1), level(value)))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _day_ticks(centres: Sequence[float], days: Sequence[Day]) -> list[tuple[float, str]]:
    every = math.ceil(len(days) / 8) or 1
    return [(round(centres[n], 1), days[n].interval) for n in range(0, len(days), every)]

"""What the inspection of a shipped model recorded, and the geometry of its charts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.report.scale import Scale, spread
from headrace.report.training import Training
from headrace.report.training import told as of_metric
from headrace.report.wording import figure

_WIDE, _PANEL = (620, 190, 210), (390, 100, 64)  # width, room for labels, room for figures
_ROW, _SMALL, _TALL, _LEFT, _TOP, _BASE = 22, 390, 180, 52, 12, 150
_SHOWN = 20  # features

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """A label, a value with its interval, and both in words."""

    label: str
    y: float
    x: float
    low: float | None
    high: float | None
    text: str


@dataclass(frozen=True)
class Lines:
    """Values one below the other on one axis, beside a reference."""

    width: int
    height: int
    label: int
    right: int
    lines: list[Line]
    reference: float | None


@dataclass(frozen=True)
class Curve:
    """A curve with its band, over numbers in their order.

    Attributes:
        points: Where each value stands.
        band: The outline of the intervals.
        reference: Where the reference stands.
        ends: The first and the last value, in words.
        ticks: Of the upright axis.
    """

    title: str
    sentence: str
    width: int
    height: int
    left: int
    points: list[tuple[float, float]]
    band: list[tuple[float, float]]
    reference: float | None
    ends: tuple[str, str]
    ticks: list[tuple[float, str]]


@dataclass(frozen=True)
class Inspection:
    """The section of the page.

    Attributes:
        metric: What the model is judged by.
        told: As it was recorded.
        importance: Features by what is lost without them.
        panels: Partial dependence: curves of numbers, lines of categories, with title and sentence.
        attribution: Features by the mean size of their contributions.
        learning: The learning curve.
    """

    metric: str
    told: Json
    importance: Lines | None
    panels: list[Curve | tuple[str, str, Lines]]
    attribution: Lines | None
    learning: Curve | None


def inspection(trained: Training | None) -> Inspection | None:
    """The inspection of the training that is shown; None where none is recorded."""
    found = trained.record.result.detail.get("inspection") if trained else None
    if trained is None or not isinstance(found, Mapping):
        return None
    metric = trained.metric
    importance, attribution = found.get("importance"), found.get("attribution")
    curve = found.get("learning_curve")
    return Inspection(
        metric=metric,
        told=found,
        importance=_importance(importance["found"], metric) if importance else None,
        panels=list(_panels(found.get("dependence") or [])),
        attribution=_attribution(attribution["features"]) if attribution else None,
        learning=_learning(curve, metric) if curve else None,
    )


def _importance(found: Sequence[Json], metric: str) -> Lines:
    rows = [
        (" with ".join(each["features"]), each, _interval(each, metric)) for each in found[:_SHOWN]
    ]
    return _lines(rows, reference=0.0)


def _attribution(found: Sequence[Json]) -> Lines:
    rows = [(each["feature"], each, figure(each.get("value"))) for each in found[:_SHOWN]]
    return _lines(rows, reference=0.0)


def _panels(curves: Sequence[Json]) -> Iterator[Curve | tuple[str, str, Lines]]:
    for each in curves:
        title = each["feature"] + (f", {each['output']}" if each.get("output") else "")
        means = each["means"]
        if each["numeric"]:
            ends = figure(each["values"][0]), figure(each["values"][-1])
            places = [float(value) for value in each["values"]]
            text = title, each["sentence"]
            yield _curve(text, places=places, means=means, reference=each.get("average"), ends=ends)
        else:
            rows = [
                (str(value), mean, figure(mean.get("value")))
                for value, mean in zip(each["values"], means, strict=True)
            ]
            drawn = _lines(rows, reference=each.get("average"), room=_PANEL)
            yield title, each["sentence"], drawn


def _learning(curve: Json, metric: str) -> Curve:
    points = curve["points"]
    places = [math.log2(max(each["rows"], 1)) for each in points]
    ends = f"{points[0]['rows']:,} rows", f"{points[-1]['rows']:,} rows"
    text = metric, curve["sentence"]
    return _curve(text, places=places, means=points, reference=None, ends=ends)


def _lines(
    rows: Sequence[tuple[str, Json, str]],
    *,
    reference: float | None,
    room: tuple[int, int, int] = _WIDE,
) -> Lines:
    width, label_end, figures = room
    values = [
        each[name]
        for _, each, _ in rows
        for name in ("value", "low", "high")
        if each.get(name) is not None
    ]
    ends = values if reference is None else [*values, reference]
    scale = spread(ends, label_end + 10, width - figures, margin=0.03)
    drawn = [
        Line(
            label,
            _ROW * place + 15.0,
            scale(each["value"]),
            _placed(scale, each.get("low")),
            _placed(scale, each.get("high")),
            text,
        )
        for place, (label, each, text) in enumerate(rows)
        if each.get("value") is not None
    ]
    at = None if reference is None else scale(reference)
    return Lines(width, _ROW * len(rows) + 8, label_end, width, drawn, at)


def _curve(
    told: tuple[str, str],
    *,
    places: Sequence[float],
    means: Sequence[Json],
    reference: float | None,
    ends: tuple[str, str],
) -> Curve:
    values = [
        each[name]
        for each in means
        for name in ("value", "low", "high")
        if each.get(name) is not None
    ]
    level = spread(values if reference is None else [*values, reference], _BASE, _TOP)
    across = Scale(min(places), max(places), _LEFT, _SMALL - 8)
    both = [
        (across(place), each)
        for place, each in zip(places, means, strict=True)
        if each.get("value") is not None
    ]
    lows = [(x, level(each["low"])) for x, each in both if each.get("low") is not None]
    highs = [(x, level(each["high"])) for x, each in both if each.get("high") is not None]
    return Curve(
        *told,
        _SMALL,
        _TALL,
        _LEFT,
        [(x, level(each["value"])) for x, each in both],
        [*lows, *reversed(highs)],
        None if reference is None else level(reference),
        ends,
        level.ticks(3),
    )


def _placed(scale: Scale, value: float | None) -> float | None:
    return None if value is None else scale(value)


def _interval(each: Json, metric: str) -> str:
    value, low, high = (each.get(name) for name in ("value", "low", "high"))
    text = of_metric(value, metric, signed=True)
    if low is None or high is None:
        return text
    return (
        f"{text} [{of_metric(low, metric, signed=True)} to {of_metric(high, metric, signed=True)}]"
    )

"""A closer look at a training's models: calibration, costs of errors, curves, as they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.report.scale import Scale
from headrace.report.training import Training

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BASE = 340, 300, 40, 330, 12, 262
_LEVEL = 0.05
_MARGIN = 1.04  # room above the highest point

Recorded = Mapping[str, Any]  # JSON values as recorded


@dataclass(frozen=True)
class Dot:
    """A point with its interval, in pixels, and what it says."""

    x: float
    y: float
    low: float | None
    high: float | None
    says: str


@dataclass(frozen=True)
class Drawn:
    """One series; `kind` is its class in the style sheet."""

    label: str
    kind: str
    line: list[tuple[float, float]]
    dots: list[Dot]


@dataclass(frozen=True)
class Plot:
    """Series over a share from 0, on axes of their own; `guide` is what to hold them against."""

    name: str
    x_name: str
    y_name: str
    series: list[Drawn]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    guide: list[tuple[float, float]]
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    base: int = _BASE


@dataclass(frozen=True)
class Confusion:
    """Rows by what came and what was decided."""

    candidate: str
    labels: list[str]
    rows: list[tuple[str, list[int]]]


@dataclass(frozen=True)
class Closer:
    """What the page shows beyond metrics; parts that the training does not tell are None.

    Attributes:
        calibration: As recorded.
        reliable: Whether the test finds nothing wrong with the probabilities.
        plots: Reliability, precision and recall, gain.
        lift: Candidate, and its recorded lift with intervals at some shares of the rows.
        costs: As recorded.
        confusion: Of the model that ships, or of the winner.
    """

    calibration: Recorded | None
    reliable: bool
    plots: list[Plot]
    lift: tuple[str, list[Recorded]] | None
    costs: Recorded | None
    confusion: Confusion | None


def closer(training: Training | None) -> Closer | None:
    """The closer look of a training; None where it tells none of it."""
    detail = training.record.result.detail if training else {}
    calibration, costs = detail.get("calibration"), detail.get("costs")
    curves: Mapping[str, Recorded] = detail.get("curves") or {}
    if training is None or not (calibration or costs or curves):
        return None
    tests = (calibration or {}).get("test") or {}
    shipped = tests.get("as shipped") or {}
    p_value = (shipped.get("spiegelhalter") or {}).get("p_value_blocks")
    winner = next(iter(curves), None)
    return Closer(
        calibration=calibration,
        reliable=p_value is not None and p_value >= _LEVEL,
        plots=[
            *([_reliability(tests)] if shipped.get("bins") else []),
            *([_precision(curves), _gain(curves)] if curves else []),
        ],
        lift=(winner, curves[winner].get("lift") or []) if winner else None,
        costs=costs,
        confusion=_confusion(costs or {}, str(training.decision.get("shipped"))),
    )


def _reliability(tests: Mapping[str, Recorded]) -> Plot:
    kinds = {"as shipped": "winner", "before": "baseline"}
    bins = {when: tests[when]["bins"] for when in kinds if when in tests}
    values = [one[end] for found in bins.values() for one in found for end in ("score", "value")]
    x, y = _axes(max(values), max(values))
    series = [
        Drawn(
            "as shipped" if when == "as shipped" else "before calibration",
            kinds[when],
            [(x(one["score"]), y(one["value"])) for one in found],
            [_dot(one, x, y, top=x.high) for one in found],
        )
        for when, found in bins.items()
    ]
    guide = [(x(0), y(0)), (x(x.high), y(x.high))]
    names = "Reliability", "mean score of the bin", "share that came"
    return Plot(*names, series, x.ticks(4), y.ticks(4), guide)


def _dot(one: Recorded, x: Scale, y: Scale, *, top: float) -> Dot:
    says = f"{one['rows']:,} rows, score {one['score']:.3f}, share {one['value']:.3f}"
    low, high = (None if one.get(end) is None else y(min(one[end], top)) for end in ("low", "high"))
    return Dot(x(one["score"]), y(one["value"]), low, high, says)


def _precision(curves: Mapping[str, Recorded]) -> Plot:
    every = [point["precision"] for told in curves.values() for point in told["points"]]
    x, y = _axes(1.0, min(1.0, max(every) * _MARGIN))
    share = next(iter(curves.values()))["share_true"]
    guide = [(x(0), y(share)), (x(1), y(share))]
    series = _curves(curves, x, y, across="recall", up="precision", origin=None)
    names = "Precision and recall", "recall", "precision"
    return Plot(*names, series, x.ticks(4), y.ticks(4), guide)


def _gain(curves: Mapping[str, Recorded]) -> Plot:
    x, y = _axes(1.0, 1.0)
    series = _curves(curves, x, y, across="rows", up="recall", origin=(x(0), y(0)))
    guide = [(x(0), y(0)), (x(1), y(1))]
    names = "Gain", "share of rows, highest scores first", "share of the true found"
    return Plot(*names, series, x.ticks(4), y.ticks(4), guide)


def _curves(
    curves: Mapping[str, Recorded],
    x: Scale,
    y: Scale,
    *,
    across: str,
    up: str,
    origin: tuple[float, float] | None,
) -> list[Drawn]:
    """A line each: the first is the winner's."""
    return [
        Drawn(
            name,
            "winner" if place == 0 else "baseline",
            [*([origin] if origin else []), *((x(p[across]), y(p[up])) for p in told["points"])],
            [],
        )
        for place, (name, told) in enumerate(curves.items())
    ]


def _axes(right: float, top: float) -> tuple[Scale, Scale]:
    high = (min(1.0, each * (1 if each == 1 else _MARGIN)) or 1.0 for each in (right, top))
    x, y = high
    return Scale(0.0, x, _LEFT, _RIGHT), Scale(0.0, y, _BASE, _TOP)


def _confusion(costs: Recorded, shipped: str) -> Confusion | None:
    found: Mapping[str, Recorded] = costs.get("confusion") or {}
    if not found:
        return None
    name = shipped if shipped in found else next(iter(found))
    labels, rows = found[name]["labels"], found[name]["rows"]
    return Confusion(name, labels, list(zip(labels, rows, strict=True)))

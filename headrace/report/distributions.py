"""How the scores of each interval are spread, before what they were at the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.metrics import Floats
from headrace.models.algorithms.algorithm import Task
from headrace.report.scale import Scale
from headrace.report.scores import Scores
from headrace.report.training import Training
from headrace.report.wording import count, figure, percent

MOST_INTERVALS = 31
_BINS, _WIDTH, _HEIGHT = 24, 168, 64
_TAIL = 0.005  # of all values at either end, drawn in the outermost bins
_ROOM = 1.05


@dataclass(frozen=True)
class Panel:
    """One interval.

    Attributes:
        interval: Which.
        rows: Its rows.
        path: The outline of its histogram, in pixels.
        quantiles: The lowest tenth ends, half of the rows lie below, the highest tenth begins.
        moved: The share of its rows that lie elsewhere than at the training; None where that is
            not recorded.
        says: All of this for people.
    """

    interval: str
    rows: int
    path: str
    quantiles: tuple[float, float, float]
    moved: float | None
    says: str


@dataclass(frozen=True)
class Distributions:
    """The newest intervals on the same axes, and the outline of the training behind each.

    Attributes:
        panels: The intervals, oldest first.
        behind: The outline of the scores of the test part; empty where it is not recorded.
        rows: Of the test part.
        ends: The first and the last value on the axis.
        of: How many intervals there are.
    """

    panels: list[Panel]
    behind: str
    rows: int
    ends: tuple[str, str]
    of: int
    width: int = _WIDTH
    height: int = _HEIGHT


def distributions(
    scored: Scores | None, trained: Training | None, *, task: Task
) -> Distributions | None:
    """The spread of scores, or of the values predicted; None where there are none.

    Bars are shares of the interval's rows, on one scale for all intervals.
    """
    values = _by_interval(scored.rows) if scored is not None and scored.rows is not None else {}
    if scored is None or not values:
        return None
    shown = dict(sorted(values.items())[-MOST_INTERVALS:])
    told = trained.record.result.detail.get("scored") if trained else None
    told = told if isinstance(told, dict) and _is_of(trained, scored) else {}
    percentiles = np.array(told.get("percentiles") or [], dtype=np.float64)
    edges = _edges([*shown.values(), percentiles], task)
    before = _shares_of(percentiles, edges) if len(percentiles) else None
    shares = {interval: _shares(found, edges) for interval, found in shown.items()}
    most = max(max(each) for each in [*shares.values(), *([] if before is None else [before])])
    return Distributions(
        panels=[
            _panel(interval, shown[interval], of, before, most=most)
            for interval, of in shares.items()
        ],
        behind="" if before is None else _outline(before, most),
        rows=int(told.get("rows") or 0),
        ends=(figure(float(edges[0])), figure(float(edges[-1]))),
        of=len(values),
    )


def _is_of(trained: Training | None, scored: Scores) -> bool:
    """Whether the scores are all of the model that the training shipped."""
    return trained is not None and set(scored.models) <= {trained.model}


def _by_interval(rows: pa.Table) -> dict[str, Floats]:
    days = pc.cast(rows["_interval"], pa.string()).combine_chunks().dictionary_encode()
    values = pc.fill_null(pc.cast(rows["value"], pa.float64()), np.nan).to_numpy()
    codes = days.indices.to_numpy()
    found = {}
    for code, name in enumerate(days.dictionary.to_pylist()):
        own = values[codes == code]
        if len(own := own[np.isfinite(own)]):
            found[name] = own
    return found


def _edges(values: Sequence[Floats], task: Task) -> Floats:
    pooled = np.concatenate(list(values))
    low, high = np.quantile(pooled, [_TAIL, 1 - _TAIL]).tolist()
    if task is not Task.REGRESSION:
        low, high = 0.0, min(1.0, high * _ROOM)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    edges: Floats = np.linspace(low, high, _BINS + 1)
    return edges


def _shares(values: Floats, edges: Floats) -> Floats:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    shares: Floats = counts / len(values)
    return shares


def _shares_of(percentiles: Floats, edges: Floats) -> Floats:
    """Shares of bins from evenly spaced quantiles, as straight lines between them have it."""
    below = np.interp(edges, percentiles, np.linspace(0, 1, len(percentiles)), left=0.0, right=1.0)
    below[0], below[-1] = 0.0, 1.0  # outermost bins hold all that is farther out
    shares: Floats = np.diff(below)
    return shares


def _panel(
    interval: str, values: Floats, shares: Floats, before: Floats | None, *, most: float
) -> Panel:
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9]).tolist()
    moved = None if before is None else float(np.abs(shares - before).sum() / 2)
    says = (
        f"{interval}: {count(len(values), 'row')}, median {figure(middle)}, "
        f"eight of ten from {figure(low)} to {figure(high)}"
    )
    if moved is not None:
        says += f", {percent(moved)} elsewhere than at the training"
    return Panel(interval, len(values), _outline(shares, most), (low, middle, high), moved, says)


def _outline(shares: Floats, most: float) -> str:
    x, y = Scale(0, len(shares), 0, _WIDTH), Scale(0, most, _HEIGHT, 2)
    steps = [f"V{y(share)}H{x(place + 1)}" for place, share in enumerate(shares.tolist())]
    return f"M0 {_HEIGHT}{''.join(steps)}V{_HEIGHT}"

"""Whether rows leave the ranges that training has seen, and what a model makes of that."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.metrics import Floats
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Family

Ranges = Mapping[str, Sequence[float]]  # feature -> least and greatest, JSON values

WARNED = 0.01  # of rows; of a model that may explode, any row
_EXPLODES = {"polynomial", "quadratic"}
_FLAT = {Family.TREES, Family.BOOSTING, Family.RULES, Family.BASELINES, Family.NEIGHBORS}


@dataclass(frozen=True)
class Beyond:
    """A feature with values that training has not seen the like of.

    Attributes:
        feature: The feature.
        below: Rows below the least of training.
        above: Rows above the greatest.
        rows: All rows.
        low: The least of training.
        high: The greatest of training.
        least: The least of these rows.
        most: The greatest of these rows.
        told: Whether these four values may be told.
    """

    feature: str
    below: int
    above: int
    rows: int
    low: float
    high: float
    least: float
    most: float
    told: bool = True

    @property
    def share(self) -> float:
        """The share of rows outside."""
        return (self.below + self.above) / max(self.rows, 1)

    @property
    def sentence(self) -> str:
        """What was found, for people."""
        sides = []
        if self.below:
            of = f"{self.low:.6g} (down to {self.least:.6g})" if self.told else "its least"
            sides.append(f"{self.below:,} below {of}")
        if self.above:
            of = f"{self.high:.6g} (up to {self.most:.6g})" if self.told else "its greatest"
            sides.append(f"{self.above:,} above {of}")
        both = " and ".join(sides)
        return f"{self.feature} leaves the range of training in {both}, of {self.rows:,} rows"

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        values = {} if self.told else dict.fromkeys(("low", "high", "least", "most"))
        return {**vars(self), **values, "sentence": f"{self.sentence}."}


def ranges(rows: pa.Table, features: Sequence[str]) -> dict[str, list[float]]:
    """The least and the greatest of each number; features without any are left out.

    Args:
        rows: Training rows, without infinite cells.
        features: Which to look at.
    """
    found = {}
    for name in features:
        bounds = _bounds(rows.column(name))
        if bounds is not None:
            found[name] = list(bounds)
    return found


def beyond(rows: pa.Table, seen: Ranges) -> list[Beyond]:
    """The features with values outside of their ranges, most rows first; missing is within.

    Args:
        rows: Any rows that hold the features.
        seen: As `ranges` found them.
    """
    found = []
    for name, (low, high) in seen.items():
        bounds = _bounds(rows.column(name))
        if bounds is None or (bounds[0] >= low and bounds[1] <= high):
            continue
        values = rows.column(name).cast(pa.float64(), safe=False)
        below, above = (
            int(pc.sum(outside).as_py() or 0)
            for outside in (pc.less(values, low), pc.greater(values, high))
        )
        found.append(Beyond(name, below, above, rows.num_rows, low, high, *bounds))
    return sorted(found, key=lambda each: (-each.share, each.feature))


def added(parts: Sequence[Sequence[Beyond]], *, rows: int) -> list[Beyond]:
    """What was found in several parts, as of all their rows together.

    Args:
        parts: Of each what `beyond` found.
        rows: All rows of all parts.
    """
    whole: dict[str, Beyond] = {}
    for each in (one for part in parts for one in part):
        have = whole.get(each.feature)
        whole[each.feature] = Beyond(
            each.feature,
            each.below + (have.below if have else 0),
            each.above + (have.above if have else 0),
            rows,
            each.low,
            each.high,
            min(each.least, have.least) if have else each.least,
            max(each.most, have.most) if have else each.most,
        )
    return sorted(whole.values(), key=lambda each: (-each.share, each.feature))


def masked(found: Sequence[Beyond], hidden: Collection[str]) -> list[Beyond]:
    """The same, without the values of features that are hidden."""
    return [replace(each, told=each.feature not in hidden) for each in found]


def warnings(found: Sequence[Beyond], *, algorithm: str) -> tuple[str, ...]:
    """A line for people where it matters to a model of this algorithm; none elsewhere."""
    least = 0.0 if algorithm in _EXPLODES else WARNED
    told = [each for each in found if each.share > least]
    return tuple(f"{each.sentence}: {consequence(algorithm)}" for each in told)


def consequence(algorithm: str) -> str:
    """What a model does outside of what training has seen.

    Example:
        >>> consequence("polynomial")
        'polynomial grows without bound out there'
    """
    if algorithm in _EXPLODES:
        return f"{algorithm} grows without bound out there"
    family = named(algorithm).family
    if family in _FLAT:
        return f"{algorithm} predicts there as at the edge of what it has seen"
    if family is Family.LINEAR:
        return f"{algorithm} goes on in a straight line, which nothing has confirmed"
    return f"what {algorithm} predicts there, nothing has confirmed"


def target_beyond(y: Floats, *, train: Floats, algorithm: str) -> str | None:
    """A sentence where recent targets leave the range of training and the model cannot follow.

    Args:
        y: Recent targets of a regression.
        train: Those of training.
        algorithm: Of the model.
    """
    low, high = float(train.min()), float(train.max())
    outside = int(((y < low) | (y > high)).sum())
    if named(algorithm).family not in _FLAT or outside <= WARNED * len(y):
        return None
    return (
        f"{outside:,} of {len(y):,} recent targets lie outside of what training has seen "
        f"({low:.6g} to {high:.6g}), and {algorithm} predicts nothing outside of it: for a target "
        f"with a trend, predict the change, or take a linear model"
    )


def _bounds(column: pa.ChunkedArray) -> tuple[float, float] | None:
    types = pa.types
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        return None
    found = pc.min_max(column)  # NaN is passed over, as null is
    low, high = found["min"].as_py(), found["max"].as_py()
    if low is None or not (np.isfinite(low) and np.isfinite(high)):
        return None
    return float(low), float(high)

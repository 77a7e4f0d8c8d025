"""How well one column alone ranks the rows by the target, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.evaluation.audit.subject import Cells
from headrace.evaluation.metrics import Floats, Integers

_EXACT = 256  # a number with at most so many values is looked up by value, else by bin
_MOST_BINS, _ROWS_PER_BIN = 128, 20
_SMOOTHING = 2.0  # rows of the overall mean added to each bin
_FOLDS = 5


@dataclass(frozen=True)
class Power:
    """A ROC AUC and its interval."""

    auc: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """The same as JSON values."""
        return {name: round(value, 4) for name, value in vars(self).items()}


def auc_of(y: Floats, score: Floats) -> float:
    """ROC AUC with ties counted half; 0.5 where only one class is there."""
    from scipy.stats import rankdata  # type: ignore[import-untyped]  # it ships no types

    positives = float(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return 0.5
    ranks = rankdata(score)
    return float((ranks[y > 0].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def power_of(y: Floats, score: Floats, *, alpha: float) -> Power:
    """The AUC of a score with its interval.

    The width is Hanley and McNeil's (1982). Theirs vanishes for an AUC of 1, so the lower end is at
    most what so many rows without an error can tell: `alpha` to the power of one by the number of
    rows of the rarer class.

    Args:
        y: 1.0 or 0.0.
        score: Anything that can be ranked.
        alpha: Chance that the true value is below `low`, and again that it is above `high`.
    """
    from scipy.stats import norm

    a = auc_of(y, score)
    n1 = max(float(y.sum()), 1.0)
    n0 = max(len(y) - n1, 1.0)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (n1 - 1) * (q1 - a * a) + (n0 - 1) * (q2 - a * a)) / (n1 * n0)
    half = float(norm.isf(alpha)) * max(variance, 0.0) ** 0.5
    certain = alpha ** (1 / min(n0, n1))
    return Power(a, max(0.0, min(a - half, a * certain)), min(1.0, max(a + half, 1 - certain)))


def scores(cells: Cells, y: Floats, *, learn: Integers, judge: Integers) -> list[Floats]:
    """The rows `judge` scored by what the rows `learn` tell of this column alone, in two ways.

    The value itself, turned so that more of it means true more often; and the share of true rows
    among equal values, or among those of its bin. Missing is a value of its own.
    """
    values, targets = cells.values[learn], y[learn]
    asked = cells.values[judge]
    known = values[~np.isnan(values)]
    looked_up = shares(cells, values, targets, asked=asked)
    if cells.is_category or not len(known):
        return [looked_up]
    seen = ~np.isnan(values)
    turn = 1.0 if auc_of(targets[seen], values[seen]) >= 0.5 else -1.0  # noqa: PLR2004  # chance
    return [np.where(np.isnan(asked), np.median(known), asked) * turn, looked_up]


def shares(cells: Cells, values: Floats, targets: Floats, *, asked: Floats) -> Floats:
    """The mean target among equal values, or among those of its bin, for each value asked for.

    Args:
        cells: The column.
        values: Its cells in the rows to learn from.
        targets: Their targets.
        asked: Cells of other rows.
    """
    known = values[~np.isnan(values)]
    prior = float(targets.mean()) if len(targets) else 0.0
    distinct = np.unique(known)
    if cells.is_category or len(distinct) <= _EXACT:
        edges = distinct
        exact = True
    else:
        bins = int(np.clip(len(known) // _ROWS_PER_BIN, 2, _MOST_BINS))
        edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
        exact = False
    width = len(edges) + 2  # and one for missing, and one for beyond the last or never seen
    codes, wanted = _codes(values, edges, exact=exact), _codes(asked, edges, exact=exact)
    rows = np.bincount(codes, minlength=width)
    hits = np.bincount(codes, targets, minlength=width)
    share = (hits + _SMOOTHING * prior) / (rows + _SMOOTHING)
    found: Floats = share[wanted]
    return found


def cross_fitted(cells: Cells, y: Floats, places: Integers, *, alpha: float, seed: int) -> Power:
    """The power of a column on rows that its look-up has not seen, five times a fifth of them."""
    fold = np.random.default_rng(seed).permutation(len(places)) % _FOLDS
    kept = [
        scores(cells, y, learn=places[fold != n], judge=places[fold == n]) for n in range(_FOLDS)
    ]
    truth = np.concatenate([y[places[fold == n]] for n in range(_FOLDS)])
    ways = zip(*kept, strict=True) if len({len(each) for each in kept}) == 1 else []
    return max(
        (power_of(truth, np.concatenate(way), alpha=alpha) for way in ways),
        key=lambda power: power.auc,
        default=Power(0.5, 0.0, 1.0),
    )


def _codes(values: Floats, edges: Floats, *, exact: bool) -> Integers:
    absent = np.isnan(values)
    place: Any = np.searchsorted(edges, np.where(absent, 0.0, values))
    if exact:
        inside = np.minimum(place, max(len(edges) - 1, 0))
        never = (edges[inside] != values) if len(edges) else np.ones(len(values), dtype=bool)
        place = np.where(never, len(edges), inside)
    found: Integers = np.where(absent, len(edges) + 1, place)
    return found


def enough(y: Floats, places: Sequence[int] | Integers, *, least: int) -> bool:
    """Whether both classes have at least so many rows there."""
    targets = y[np.asarray(places)]
    return bool(targets.sum() >= least and (1 - targets).sum() >= least)

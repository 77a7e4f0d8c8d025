"""Precision, recall, gain and lift of a ranking on the test part, as points of curves."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.evaluation.intervals import Interval
from headrace.evaluation.metrics import Booleans, Floats, Integers
from headrace.evaluation.resamples import Resamples

_POINTS = 100  # of a curve, at most
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)  # of the rows, at which lift is told with its interval


def curves(y: Floats, score: Floats, *, blocks: Integers, seed: int) -> dict[str, Any]:
    """The curves as JSON values; each cuts where a score ends, so ties are never split.

    Gain at a share of the rows, the highest scores first, is the share of all true rows among
    them; lift is gain by that share, and precision by the share of true rows.

    Args:
        y: 1.0 where true, else 0.0; some are true.
        score: Probability of true.
        blocks: Block of each row.
        seed: Of the resamples.

    Returns:
        `points`, from the highest cut to the lowest: score, share of rows, recall (which is the
        gain), precision, lift; `lift`: some of them with intervals; `share_true`.
    """
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    last = np.flatnonzero(np.append(np.diff(falling) != 0, True))
    hits, seen = np.cumsum(y[order])[last], last + 1.0
    kept = _thinned(seen / len(y))
    total = float(y.sum())
    points = [
        {
            "score": float(falling[last[at]]),
            "rows": float(seen[at] / len(y)),
            "recall": float(hits[at] / total),
            "precision": float(hits[at] / seen[at]),
            "lift": float(hits[at] / seen[at] / (total / len(y))),
        }
        for at in kept
    ]
    taken = {share: score >= falling[_place(share, len(y))] for share in _SHARES}
    resamples = Resamples.of(blocks, seed=seed)
    lift = [
        {"rows": float(each.mean()), **vars(_lift(y, each, resamples))} for each in taken.values()
    ]
    return {"share_true": total / len(y), "points": points, "lift": lift}


def _thinned(shares: Floats) -> Integers:
    """Places of the first cut, of those at each hundredth of the rows, and of the last."""
    return np.unique(np.searchsorted(shares, np.linspace(0, 1, _POINTS + 1)))


def _place(share: float, rows: int) -> int:
    return max(0, int(np.ceil(share * rows)) - 1)


def _lift(y: Floats, taken: Booleans, resamples: Resamples) -> Interval:
    """The share of true rows among those that are taken, by that among all."""
    counted = np.ones(len(y)), y, y * taken, taken
    rows, true, hits, seen = (resamples.summed(each) for each in counted)
    return resamples.divided(hits * rows, seen * true)

"""Features that tell the target alone: nearly perfectly, or only in the training rows."""

from __future__ import annotations

import numpy as np

from headrace.evaluation.audit.finding import Finding, NotJudged
from headrace.evaluation.audit.power import Power, cross_fitted, enough, power_of, scores
from headrace.evaluation.audit.subject import Cells, Subject
from headrace.evaluation.metrics import Booleans, Integers
from headrace.spec.training import Leak

PERFECT = 0.98  # an AUC that is surely above this
FEWEST = 50  # rows of either class
ALPHA = 0.025  # of either end of an interval
STRONG = 0.65  # an AUC in every stretch of the training rows
KEPT = 0.4  # share of its power above chance that a feature must keep
STRETCHES = 5
_CHANCE = 0.5
_FEWEST_IN_STRETCH = 15
_LEAST_SUPPORT = 0.3  # of the later rows must have values like those of training


def perfect_features(subject: Subject) -> list[Finding | NotJudged]:
    """Features whose AUC, on rows they were not learned from, is surely above `PERFECT`."""
    places = subject.sampled(subject.places)
    if not enough(subject.y, places, least=FEWEST):
        return [NotJudged(Leak.PERFECT_FEATURE, _too_few(FEWEST, "in all parts together"))]
    found: list[Finding | NotJudged] = []
    ids = set(subject.row_ids)
    for name in subject.roles.features:
        if name in ids:
            continue  # judged as the order of rows
        power = cross_fitted(subject.cells[name], subject.y, places, alpha=ALPHA, seed=subject.seed)
        if power.low > PERFECT:
            found.append(_perfect(name, power, rows=len(places)))
    return found


def collapsing_features(subject: Subject) -> list[Finding | NotJudged]:
    """Features that are strong in every stretch of the training rows, and not on later ones."""
    train = subject.sampled(subject.train)
    later = subject.sampled(subject.later)
    if not enough(subject.y, later, least=FEWEST):
        return [NotJudged(Leak.COLLAPSING_FEATURE, _too_few(FEWEST, "in validation and test"))]
    stretches = np.array_split(np.arange(len(train)), STRETCHES)
    if not all(enough(subject.y, train[each], least=_FEWEST_IN_STRETCH) for each in stretches):
        why = _too_few(_FEWEST_IN_STRETCH, f"in each of {STRETCHES} stretches of training")
        return [NotJudged(Leak.COLLAPSING_FEATURE, why)]
    found: list[Finding | NotJudged] = []
    alpha = ALPHA / max(1, len(subject.roles.features))  # one feature in many is always unlucky
    for name in subject.roles.features:
        cells = subject.cells[name]
        least, way = _least(cells, subject, train, stretches)
        if least < STRONG:
            continue
        inside = later[_supported(cells, train, later)]
        if len(inside) < _LEAST_SUPPORT * len(later) or not enough(subject.y, inside, least=FEWEST):
            continue  # values beyond all that training had, such as next year's number
        score = scores(cells, subject.y, learn=train, judge=inside)[way]
        power = power_of(subject.y[inside], score, alpha=alpha)
        most = _CHANCE + KEPT * (least - _CHANCE)
        if power.high < most:
            found.append(_collapsing(name, least, power, most=most, rows=len(inside)))
    return found


def _least(
    cells: Cells, subject: Subject, train: Integers, stretches: list[Integers]
) -> tuple[float, int]:
    """The weakest AUC over the stretches, each judged by what the others tell."""
    powers = []
    for held in stretches:
        others = np.setdiff1d(np.arange(len(train)), held, assume_unique=True)
        ways = scores(cells, subject.y, learn=train[others], judge=train[held])
        y = subject.y[train[held]]
        powers.append([power_of(y, way, alpha=ALPHA).auc for way in ways])
    width = min(len(each) for each in powers)
    least = [min(each[way] for each in powers) for way in range(width)]
    best = int(np.argmax(least))
    return least[best], best - width  # counted from the end: the look-up is always the last


def _supported(cells: Cells, train: Integers, later: Integers) -> Booleans:
    """Later rows whose value training could know; a missing one counts: the feature is gone."""
    values, seen = cells.values[later], cells.values[train]
    known = seen[~np.isnan(seen)]
    if cells.is_category:
        inside = np.isin(values, known)
    else:
        inside = (values >= known.min()) & (values <= known.max())
    supported: Booleans = inside | np.isnan(values)
    return supported


def _perfect(name: str, power: Power, *, rows: int) -> Finding:
    return Finding(
        Leak.PERFECT_FEATURE,
        (name,),
        f"{name} alone tells the target nearly perfectly: ROC AUC {power.auc:.3f} "
        f"(at least {power.low:.3f}) on {rows:,} rows that it was not learned from",
        f"find out when {name} is written; if it is after the event, or is made of the target, "
        "take it out of `features`",
        {"auc": power.to_json(), "rows": rows, "threshold": PERFECT},
    )


def _collapsing(name: str, least: float, power: Power, *, most: float, rows: int) -> Finding:
    return Finding(
        Leak.COLLAPSING_FEATURE,
        (name,),
        f"{name} ranks the training rows with a ROC AUC of at least {least:.3f} in each of "
        f"{STRETCHES} stretches of time, and later rows with {power.auc:.3f} (at most "
        f"{power.high:.3f}): what it told was filled in afterwards, or is not filled in any more",
        f"look how {name} comes to be in fresh rows; use it only as it stood at the moment of "
        "prediction",
        {
            "auc_in_training": round(least, 4),
            "auc_later": power.to_json(),
            "threshold": round(most, 4),
            "rows": rows,
        },
    )


def _too_few(least: int, where: str) -> str:
    return f"needs at least {least} true and {least} false rows {where}"

"""Encodings, imputations and scalings that were fitted on all rows, test rows among them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headrace.evaluation.audit.aggregates import aggregates
from headrace.evaluation.audit.finding import Finding, NotJudged
from headrace.evaluation.audit.subject import Subject
from headrace.evaluation.metrics import Floats
from headrace.spec.training import Leak

FEWEST = 100  # rows; and at least half as many values
EXACT = 1e-6  # of a column's spread: equal, but for rounding
DIFFERENT = 1e-4  # of a column's spread: surely not equal
SPIKE = 10  # times as often as the next value
FEWEST_FILLED = 8
_ROUNDED = 0.002  # of a column's spread
_MOST_DECIMALS = 12
_MOST_GROUPINGS = 30
_COMPONENTS = 3  # two columns may be so by design


def fitted_on_test(subject: Subject) -> list[Finding | NotJudged]:
    """Columns that carry a mean, a scale or an encoding of all rows that training rows lack.

    Each sign is exact: what was fitted equals, to six digits, the figure of all rows, and differs
    from that of the training rows.
    """
    if min(len(subject.train), len(subject.places)) < FEWEST or not len(subject.later):
        return [NotJudged(Leak.FITTED_ON_TEST, f"needs {FEWEST} training rows and later ones")]
    found: list[Finding | NotJudged] = []
    taken = {name for lookup in subject.roles.lookups for name in lookup.columns}
    names = [name for name in subject.roles.features if name not in taken]
    numbers = [name for name in names if not subject.cells[name].is_category]
    for name in numbers:
        values, train = _parts(subject, name)
        if np.isfinite(values).sum() >= FEWEST / 2 and np.nanstd(values) > 0:
            told = _filled(values, train) or _scaled(values, train)
            if told:
                found.append(_finding((name,), *told))
    done = {name for each in found if isinstance(each, Finding) for name in each.columns}
    found += _rotated(subject, [name for name in numbers if name not in done])
    found += _encoded(subject, [name for name in numbers if name not in done])
    return found


def _parts(subject: Subject, name: str) -> tuple[Floats, Floats]:
    values = subject.cells[name].values
    return values[subject.places], values[subject.train]


def _filled(values: Floats, train: Floats) -> tuple[str, str, float] | None:
    """A value that is far more frequent than any other, and the mean or median of all others."""
    known = values[~np.isnan(values)]
    distinct, counts = np.unique(known, return_counts=True)
    order = np.argsort(-counts)
    if len(distinct) < SPIKE or counts[order[0]] < FEWEST_FILLED:
        return None
    spread = float(known.std())
    for place in order[:2]:
        value, count = float(distinct[place]), int(counts[place])
        rest, rest_train = known[known != value], train[~np.isnan(train) & (train != value)]
        if count < FEWEST_FILLED or len(rest) < FEWEST / 2 or not len(rest_train):
            continue
        step = _step(value)
        tolerance = max(EXACT * spread, step / 2 if step <= _ROUNDED * spread else 0.0)
        if abs(value - rest.mean()) <= tolerance and _differs(
            value, rest_train.mean(), tolerance, spread
        ):
            return (
                "filled",
                f"{count:,} values are {value:.6g}, the mean of the others in all rows",
                value,
            )
        lonely = value != 0 and count >= SPIKE * int(np.delete(counts, place).max())
        apart = _differs(value, float(np.median(rest_train)), tolerance, spread)
        if lonely and abs(value - np.median(rest)) <= tolerance and apart:
            return (
                "filled",
                f"{count:,} values are {value:.6g}, the median of the others in all rows",
                value,
            )
    return None


def _differs(value: float, fitted: float, tolerance: float, spread: float) -> bool:
    return abs(value - fitted) > max(2 * tolerance, DIFFERENT * spread)


def _step(value: float) -> float:
    """The last decimal that a number is written with."""
    for decimals in range(_MOST_DECIMALS):
        if round(value, decimals) == value:
            return float(10.0**-decimals)
    return 0.0


def _scaled(values: Floats, train: Floats) -> tuple[str, str, float] | None:
    """Mean 0 and deviation 1, or 0 to 1, or even ranks: of all rows and not of training."""
    known, part = values[~np.isnan(values)], train[~np.isnan(train)]
    if not len(part):
        return None
    spread, mean = float(known.std()), float(known.mean())
    units = (spread, float(known.std(ddof=1)), float(np.sqrt((known**2).sum())))
    if abs(mean) < EXACT * spread and any(abs(unit - 1) < EXACT for unit in units):
        if abs(part.mean()) > DIFFERENT * spread:
            return (
                "scaled",
                f"mean 0 and scale 1 over all rows; training has {part.mean():+.4f}",
                mean,
            )
        return None
    low, high = float(known.min()), float(known.max())
    ordered = np.sort(known)
    if len(known) > SPIKE and np.unique(known).size == len(known) and (low >= 0 and high <= 1):
        steps = np.diff(ordered)
        if np.ptp(steps) < EXACT / len(known) and float(steps.mean()) * len(known) > 1 - 0.1:
            return "ranked", f"evenly spaced ranks of all {len(known):,} rows", 0.0
    alone = (known == 0).sum() == 1 and (known == 1).sum() == 1
    if (low, high) == (0.0, 1.0) and alone and (part.min() > 0 or part.max() < 1):
        return (
            "scaled",
            (f"0 to 1 over all rows; training has {part.min():.4f} to {part.max():.4f}"),
            0.0,
        )
    return None


def _rotated(subject: Subject, names: list[str]) -> Iterator[Finding]:
    """Components: columns without any correlation over all rows, but with some in training."""
    columns = {name: _parts(subject, name) for name in names}
    whole = {
        name: values
        for name, (values, _) in columns.items()
        if np.isfinite(values).all() and len(np.unique(values)) > len(values) / 2
    }
    if len(whole) < _COMPONENTS:
        return
    every = np.corrcoef(np.column_stack(list(whole.values())), rowvar=False)
    trained = np.column_stack([columns[name][1] for name in whole])
    with np.errstate(invalid="ignore", divide="ignore"):
        of_train = np.nan_to_num(np.corrcoef(trained, rowvar=False))
    free = (np.abs(every) < EXACT) & (np.abs(of_train) > 1e-3)  # noqa: PLR2004  # far from 0
    pairs = dict(zip(whole, free.sum(axis=1), strict=True))
    rotated = tuple(name for name, count in pairs.items() if count >= _COMPONENTS - 1)
    if len(rotated) >= _COMPONENTS:
        text = "no correlation among them over all rows, to six digits, but some in training"
        yield _finding(rotated, "rotated", text, 0.0)


def _encoded(subject: Subject, names: list[str]) -> Iterator[Finding]:
    candidates = (*subject.roles.features, *subject.roles.key, *subject.roles.groups)
    names_by = list(dict.fromkeys(candidates))[:_MOST_GROUPINGS]
    groupings: list[tuple[str, ...]] = [(name,) for name in names_by]
    if subject.roles.groups[1:]:
        groupings.append(subject.roles.groups)
    for found in aggregates(subject, names, groupings):
        by = ", ".join(found.by)
        text = (
            f"{found.what} by {by}, of all rows, in {found.agreeing:.1%} of rows; "
            f"in {found.rows:,} that of training differs"
        )
        yield _finding((found.column,), "encoded", text, 0.0)


def _finding(columns: tuple[str, ...], how: str, text: str, value: float) -> Finding:
    return Finding(
        Leak.FITTED_ON_TEST,
        columns,
        f"{', '.join(columns)} was {how} with the rows of validation and test among the others: "
        f"{text}",
        "fit it on the training rows alone, or hand it over as it is: the encoding of a model is "
        "fitted on training rows",
        {"how": how, "told": text, "value": value, "threshold": EXACT},
    )

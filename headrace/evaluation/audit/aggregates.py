"""Columns that are an aggregate of the table's own rows: of all, where only training may count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headrace.evaluation.audit.repeats import sum_of
from headrace.evaluation.audit.subject import Subject
from headrace.evaluation.metrics import Floats, Integers

FEWEST_GROUPS = 10  # that tell all rows from training rows
SAME = 0.98  # of the rows agree
_EXACT = 1e-6  # of a column's spread
_MOST_SOURCES = 12  # numbers that may have been added up
FEWEST_VALUES = 4  # that the column takes there


@dataclass(frozen=True)
class Aggregate:
    """What a column was found to be.

    Attributes:
        column: The column.
        by: The columns that it is grouped by.
        what: The aggregate, for people.
        rows: Rows where it is that of all rows and not that of training.
        agreeing: Share of rows where it is that of all rows.
    """

    column: str
    by: tuple[str, ...]
    what: str
    rows: int
    agreeing: float


def aggregates(
    subject: Subject, columns: Sequence[str], groupings: Sequence[tuple[str, ...]]
) -> Iterator[Aggregate]:
    """Those of the columns that equal an aggregate of all rows and not that of training alone.

    Looked for: the number of rows of the group and its share, target sum and mean (plain, drawn to
    the overall mean, or without the row itself), and sum, mean and greatest of other numbers.
    """
    places = subject.places
    numbers = [
        name
        for name in columns
        if not subject.cells[name].is_category
        and len(np.unique(subject.cells[name].values[places])) >= FEWEST_VALUES
    ]
    seen: set[str] = set()
    for by in groupings:
        group = _group(subject, by)
        if not 1 < int(group.max(initial=0)) + 1 < 0.9 * len(places):  # they recur
            continue
        for name in numbers:
            if name in seen or name in by:
                continue
            if not _may_be_one(subject, name, group):
                continue
            found = _match(subject, name, by, group)
            if found is not None:
                seen.add(name)
                yield found


def _may_be_one(subject: Subject, name: str, group: Integers) -> bool:
    """Whether a column has one value per group, or per group and target; most have not."""
    values = subject.cells[name].values[subject.places]
    finer = 2 * group + (subject.y[subject.places] > 0)
    first = np.full(int(finer.max()) + 1, np.nan)
    first[finer[::-1]] = values[::-1]  # what is written last is the first
    return bool(np.isclose(values, first[finer], rtol=_EXACT, atol=0.0).mean() >= SAME)


def _match(subject: Subject, name: str, by: tuple[str, ...], group: Integers) -> Aggregate | None:
    places = subject.places
    values = subject.cells[name].values[places]
    spread = float(np.nanstd(values)) or 1.0
    y = (subject.y if subject.value is None else subject.value)[places]
    in_train = (np.arange(len(places)) < len(subject.train)).astype(np.float64)
    every = np.ones(len(places))
    known = np.bincount(group, in_train)[group] > 0  # a group that is later only tells nothing
    for what, of_all, of_train in _candidates(subject, name, group, y, (every, in_train)):
        whole = np.abs(values - of_all) <= _EXACT * spread
        part = np.abs(values - of_train) <= _EXACT * spread
        agreeing = float(whole.mean())
        telling = whole & ~part & known
        is_varied = len(np.unique(values[telling])) >= FEWEST_VALUES
        if agreeing >= SAME and is_varied and len(np.unique(group[telling])) >= FEWEST_GROUPS:
            return Aggregate(name, by, what, int(telling.sum()), agreeing)
    return None


def _candidates(
    subject: Subject, name: str, group: Integers, y: Floats, scopes: tuple[Floats, Floats]
) -> Iterator[tuple[str, Floats, Floats]]:
    """What it may be, over all rows and over training; per row."""
    size = int(group.max()) + 1
    values = subject.cells[name].values[subject.places]
    rows = [_sum(group, scope, size) for scope in scopes]
    hits = [_sum(group, scope * y, size) for scope in scopes]
    totals = [float(scope.sum()) for scope in scopes]
    priors = [
        float((scope * y).sum() / max(total, 1))
        for scope, total in zip(scopes, totals, strict=True)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        yield "the number of rows", rows[0], rows[1]
        yield "the share of rows", rows[0] / totals[0], rows[1] / totals[1]
        whole = "the number of true targets" if subject.value is None else "the sum of the target"
        yield whole, hits[0], hits[1]
        drawn = [_drawn(values, n, s, p) for n, s, p in zip(rows, hits, priors, strict=True)]
        yield "the mean of the target", drawn[0], drawn[1]
        less = [
            (s - scope * y) / (n - scope) for n, s, scope in zip(rows, hits, scopes, strict=True)
        ]
        yield "the mean of the target of the group's other rows", less[0], less[1]
        for other in [each for each in subject.roles.features if each != name][:_MOST_SOURCES]:
            cells = subject.cells[other]
            if cells.is_category:
                continue
            known = np.nan_to_num(cells.values[subject.places])
            sums = [_sum(group, scope * known, size) for scope in scopes]
            yield f"the sum of {other}", sums[0], sums[1]
            yield f"the mean of {other}", sums[0] / rows[0], sums[1] / rows[1]
            most = [_most(known, group, size, scope) for scope in scopes]
            yield f"the greatest {other}", most[0], most[1]


def _drawn(values: Floats, rows: Floats, hits: Floats, prior: float) -> Floats:
    """The mean of each group, drawn to the prior by as many rows as fit the values best."""
    gap = prior - values
    usable = np.isfinite(values) & np.isfinite(rows)
    weight = float((gap[usable] ** 2).sum())
    found = float((gap * (values * rows - hits))[usable].sum()) / weight if weight else 0.0
    added = max(0.0, found)
    if not np.isfinite(added) or added < _EXACT:
        added = 0.0
    mean: Floats = (hits + added * prior) / (rows + added)
    return mean


def _sum(group: Integers, weights: Floats, size: int) -> Floats:
    """The sum of each row's group."""
    total: Floats = np.bincount(group, weights, size)[group].astype(np.float64)
    return total


def _most(known: Floats, group: Integers, size: int, scope: Floats) -> Floats:
    most = np.full(size, -np.inf)
    inside = scope > 0
    np.maximum.at(most, group[inside], known[inside])
    found: Floats = most[group]
    return found


def _group(subject: Subject, by: tuple[str, ...]) -> Integers:
    found: Integers = np.unique(sum_of(subject, by)[subject.places], return_inverse=True)[1]
    return found.astype(np.int64)

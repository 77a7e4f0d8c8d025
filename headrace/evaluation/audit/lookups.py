"""Look-ups that were rebuilt after the fact: what they hold was not there at the moment."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from headrace.evaluation.audit.aggregates import aggregates
from headrace.evaluation.audit.finding import Finding, NotJudged
from headrace.evaluation.audit.subject import Cells, Lookup, Subject
from headrace.spec.training import Leak

PURE = 0.98  # of the rows without an entry, or of those with one, have the same target
FEWEST = 30  # rows of either kind
APART = 0.2  # between the shares of true rows with and without an entry
LATE_SHARE = 0.01  # of the rows predicted since the lake has the source
ALPHA = 0.025
_MOMENT = pa.timestamp("us", "UTC")


def rebuilt_lookups(subject: Subject) -> list[Finding | NotJudged]:
    """Look-ups with entries that came later, that follow from the target, or that sum up all rows.

    That a source was first loaded after the intervals it serves is no evidence: so is every first
    back-fill. It is for an entry that came later, when the lake had the source already.
    """
    found: list[Finding | NotJudged] = []
    for lookup in subject.roles.lookups:
        found += _late(subject, lookup)
        found += _telling_gap(subject, lookup)
        found += _totals(subject, lookup)
    return found


def _late(subject: Subject, lookup: Lookup) -> Iterator[Finding]:
    if lookup.arrived is None or subject.roles.at is None:
        return
    arrived, at = (
        Cells.of(subject.table.column(name).cast(_MOMENT, safe=False)).values[subject.places]
        for name in (lookup.arrived, subject.roles.at)
    )
    if np.isnan(arrived).all():
        return
    live = ~np.isnan(arrived) & (at >= np.nanmin(arrived))
    late = live & (arrived > at)
    count, rows = int(late.sum()), int(live.sum())
    if not count or count < LATE_SHARE * rows:
        return
    days = float((arrived - at)[late].max()) / 8.64e10
    yield Finding(
        Leak.REBUILT_LOOKUP,
        lookup.columns,
        f"{count:,} of {rows:,} rows predicted since the lake has {lookup.source} use an entry "
        f"that came after their moment of prediction, by up to {days:,.1f} days",
        f"give {lookup.source} a `known_at` and take it by `latest`, so that each row gets what "
        "was there at its moment",
        {"rows": count, "of": rows, "days_at_most": round(days, 2), "threshold": LATE_SHARE},
    )


def _telling_gap(subject: Subject, lookup: Lookup) -> Iterator[Finding]:
    """Whether an entry is there at all decides the target."""
    from scipy.stats import beta  # type: ignore[import-untyped]  # it ships no types

    places = subject.places
    gaps = [np.isnan(subject.cells[name].values[places]) for name in lookup.columns]
    if not gaps:
        return
    missing = np.logical_and.reduce(gaps)
    y = subject.y[places]
    if min(missing.sum(), (~missing).sum()) < FEWEST:
        return
    shares = (float(y[missing].mean()), float(y[~missing].mean()))
    if abs(shares[0] - shares[1]) < APART:
        return
    for which, rows in (("no entry", y[missing]), ("an entry", y[~missing])):
        same = max(int(rows.sum()), len(rows) - int(rows.sum()))
        low = float(beta.ppf(ALPHA, same, len(rows) - same + 1))
        low = ALPHA ** (1 / len(rows)) if same == len(rows) else low
        if low < PURE - 1 / FEWEST * (same == len(rows) < 4 * FEWEST):
            continue
        value = str(bool(rows.mean() > 0.5)).lower()  # noqa: PLR2004  # most of them
        yield Finding(
            Leak.REBUILT_LOOKUP,
            lookup.columns,
            f"the target is {value} in {same:,} of {len(rows):,} rows with {which} in "
            f"{lookup.source}, and true in {shares[0]:.1%} of those without and {shares[1]:.1%} of "
            "those with one: who is in it was decided after the outcome",
            f"use {lookup.source} as it stood at the moment of prediction, or leave it out",
            {
                "rows": len(rows),
                "same": same,
                "at_least": round(low, 4),
                "threshold": PURE,
                "true_without": round(shares[0], 4),
                "true_with": round(shares[1], 4),
            },
        )
        return


def _totals(subject: Subject, lookup: Lookup) -> Iterator[Finding]:
    groupings = [lookup.by] if lookup.by else [(name,) for name in subject.roles.key]
    for found in aggregates(subject, lookup.columns, groupings):
        yield Finding(
            Leak.REBUILT_LOOKUP,
            (found.column,),
            f"{found.column} of {lookup.source} is {found.what} by {', '.join(found.by)} over the "
            f"whole period, later rows included ({found.agreeing:.1%} of rows agree)",
            f"make {found.column} a `history` feature, which counts what was known at the moment "
            "of prediction only",
            {
                "aggregate": found.what,
                "by": list(found.by),
                "rows": found.rows,
                "agreeing": round(found.agreeing, 4),
            },
        )

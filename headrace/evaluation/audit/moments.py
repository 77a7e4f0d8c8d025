"""Columns whose values were known only after the moment of prediction."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.audit.finding import Finding, NotJudged
from headrace.evaluation.audit.power import cross_fitted, enough
from headrace.evaluation.audit.subject import Cells, Subject
from headrace.evaluation.metrics import Booleans, Floats
from headrace.spec.training import Leak

SHARE = 0.001  # of the values
TELLS = 0.6  # the AUC that a moment after `at` must surely have to be more than a plan
FEWEST = 50  # rows of either class
ALPHA = 0.001
_MOMENT = pa.timestamp("us", "UTC")
_ISO = r"^\d{4}-\d{2}-\d{2}"
_MOSTLY = 0.9
_DATE, _DATE_TIME = 10, 19  # characters


def known_after_at(subject: Subject) -> list[Finding | NotJudged]:
    """Features whose value became known after `at`, by their own moment or by what they are.

    A column that says when a feature was known is proof. A feature that is itself a moment after
    `at` may be a plan, such as a due date; it is a leak if how long after, or whether at all,
    tells the target.
    """
    roles = subject.roles
    if roles.at is None:
        return [NotJudged(Leak.KNOWN_AFTER_AT, "the table does not say the moment of prediction")]
    at = subject.table.column(roles.at).cast(_MOMENT, safe=False).cast(pa.int64())
    moment = Cells.of(at).values
    found: list[Finding | NotJudged] = []
    for name, known_at in roles.known_at.items():
        known = _microseconds(subject.table.column(known_at))
        if known is not None and (told := _told(subject, name, known, moment, by=known_at)):
            found.append(told)
    for name in roles.features:
        values = None if name in roles.known_at else _microseconds(subject.table.column(name))
        if values is not None and (told := _dated(subject, name, values, moment)):
            found.append(told)
    return found


def _told(subject: Subject, name: str, known: Floats, moment: Floats, *, by: str) -> Finding | None:
    places = subject.places
    given = pc.is_valid(subject.table.column(name)).to_numpy()[places]
    after: Booleans = given & (known[places] > moment[places])
    count, rows = int(after.sum()), int(given.sum())
    if not count or count < SHARE * rows:
        return None
    worst = float((known[places] - moment[places])[after].max()) / 3.6e9
    return Finding(
        Leak.KNOWN_AFTER_AT,
        (name,),
        f"{count:,} of {rows:,} values of {name} became known after the moment of prediction, by "
        f"{by}; the latest by {worst:,.1f} hours",
        f"use the newest value of {name} that was known at the moment of prediction: declare its "
        "source's `known_at`, and take it by `latest` or `history`",
        {"rows": count, "of": rows, "hours_at_most": round(worst, 2), "threshold": SHARE},
    )


def _dated(subject: Subject, name: str, values: Floats, moment: Floats) -> Finding | None:
    places = subject.sampled(subject.places)
    ahead = values - moment
    after = ahead[places] > 0
    if after.sum() < max(1, SHARE * len(places)) or not enough(subject.y, places, least=FEWEST):
        return None
    cells = Cells(np.where(ahead > 0, ahead, np.nan), is_category=False)
    power = cross_fitted(cells, subject.y, places, alpha=ALPHA, seed=subject.seed)
    if power.low < TELLS:
        return None
    return Finding(
        Leak.KNOWN_AFTER_AT,
        (name,),
        f"{name} lies after the moment of prediction in {int(after.sum()):,} of {len(places):,} "
        f"rows, and how long after tells the target: ROC AUC {power.auc:.3f} (at least "
        f"{power.low:.3f})",
        f"take {name} out of `features`; if it was planned and known before, say so in an "
        "allowance",
        {"rows": int(after.sum()), "of": len(places), "auc": power.to_json(), "threshold": TELLS},
    )


def _microseconds(column: pa.ChunkedArray) -> Floats | None:
    """The moments of a column of moments, days or ISO texts, in UTC; None for any other."""
    found = column.type
    if pa.types.is_timestamp(found) or pa.types.is_date(found):
        moments = column.cast(pa.timestamp("us", getattr(found, "tz", None)), safe=False)
        return Cells.of(moments.cast(pa.int64())).values
    if not pa.types.is_string(found) and not pa.types.is_large_string(found):
        return None
    known = column.drop_null()
    if not len(known) or (pc.mean(pc.match_substring_regex(known, _ISO)).as_py() or 0) < _MOSTLY:
        return None
    for length in (_DATE_TIME, _DATE):
        texts = pc.replace_substring(pc.utf8_slice_codeunits(column, 0, length), "T", " ")
        form = "%Y-%m-%d %H:%M:%S" if length == _DATE_TIME else "%Y-%m-%d"
        moments = pc.strptime(texts, form, "us", error_is_null=True)
        if moments.null_count - column.null_count < (1 - _MOSTLY) * len(column):
            return Cells.of(moments.cast(pa.int64())).values
    return None

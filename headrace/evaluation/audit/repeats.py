"""Rows that stand in two parts: the same key, the same values, or nearly the same values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.evaluation.audit.finding import Finding, NotJudged
from headrace.evaluation.audit.subject import Subject
from headrace.evaluation.metrics import Booleans, Floats
from headrace.masking import masked
from headrace.spec.training import Leak

FEWEST = 5  # later rows that recur
SHARE = 0.01  # of the later rows, too
SURE = 0.5  # of the rows that are alike in all columns but one are alike in that one, too
NEAR = 0.05  # of the distance to the fifth neighbour
NEAR_SHARE = 0.05  # of later rows that have such a neighbour; by chance it is far less
_NEIGHBOUR = 5
_FEWEST_CONTINUOUS = 4
_CERTAIN = 5.0  # natural logarithm: one chance twin in 150 tables
_SAME_ORDER = 0.99
_MOST_COMPARED = 5_000
_CONTINUOUS = 0.2  # distinct values by rows
_MOST_ROWS = 20_000
_MOST_LATER = 2_000
_SHOWN = 3
_TINY = 1e-12

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


def repeated_rows(subject: Subject) -> list[Finding | NotJudged]:
    """Keys, rows and near rows that are in training and in a later part."""
    if not len(subject.train) or not len(subject.later):
        return [NotJudged(Leak.REPEATED_ROWS, "needs rows in training and in a later part")]
    found = [*_keys(subject)]
    if not found:
        found += _twins(subject)
    if not found:
        found += _near_twins(subject)
    return list(found)


def _keys(subject: Subject) -> list[Finding]:
    key = subject.roles.key
    if not key:
        return []
    hashes = sum_of(subject, key)
    shared = np.isin(hashes[subject.later], hashes[subject.train])
    count = int(shared.sum())
    if not count:
        return []
    examples = subject.table.select(list(key)).take(pa.array(subject.later[shared][:_SHOWN]))
    return [
        Finding(
            Leak.REPEATED_ROWS,
            key,
            f"{count:,} of {len(subject.later):,} rows of validation and test have a key "
            f"({', '.join(key)}) that is also in training",
            "a row must have one key and one place: remove the copies, or complete the key",
            {
                "rows": count,
                "of": len(subject.later),
                "examples": _texts(examples, subject.roles.hidden),
            },
        )
    ]


def _twins(subject: Subject) -> list[Finding]:
    """Exact copies.

    In a table of a few coarse columns, rows are alike by chance: only rows of rare enough values
    count, and they must be alike in the last column, too, whichever is left out.
    """
    names = [name for name in subject.roles.features if name not in subject.row_ids]
    train, later = subject.train, subject.later
    rare = _rarity(subject, names) > np.log(len(train)) + np.log(len(later)) + _CERTAIN
    later_rare = later[rare[later]]
    if len(later_rare) < FEWEST:
        return []
    parts = [_hashed(subject.cells[name].values, n) for n, name in enumerate(names)]
    parts.append(_hashed(subject.y, len(names)))
    whole: Hashes = np.asarray(np.sum(parts, axis=0, dtype=np.uint64))
    twins = np.isin(whole[later_rare], whole[train])
    count = int(twins.sum())
    if count < max(FEWEST, SHARE * len(later)):
        return []
    rests = (whole - part for part in parts)
    sure = min(count / int(np.isin(rest[later_rare], rest[train]).sum()) for rest in rests)
    if sure < SURE:
        return []
    examples = subject.table.select(names[:4]).take(pa.array(later_rare[twins][:_SHOWN]))
    return [
        Finding(
            Leak.REPEATED_ROWS,
            (),
            f"{count:,} of {len(later):,} rows of validation and test equal a training row in all "
            f"{len(names)} features and the target; {sure:.0%} of those that are alike in all "
            "columns but one are alike in that one, so it is no chance",
            "remove the copies before the split; if rows were drawn again to balance the classes, "
            "do so within training only",
            {
                "rows": count,
                "of": len(later),
                "surely": round(sure, 4),
                "threshold": SURE,
                "examples": _texts(examples, subject.roles.hidden),
            },
        )
    ]


def _rarity(subject: Subject, names: list[str]) -> Floats:
    """Half of how surprising each row's values are together, were the columns independent.

    They are not, hence half; and a column that another one tells, such as the same in other units,
    is left out.
    """
    total = np.zeros(subject.table.num_rows)
    places = subject.sampled(subject.places, _MOST_COMPARED)
    coded = [
        np.unique(subject.cells[name].values, return_inverse=True, return_counts=True)[1:]
        for name in names
    ]
    kept: list[Floats] = []
    for code, counts in sorted(coded, key=lambda each: -len(each[1])):  # the finer tell the coarser
        own = code[places].astype(np.float64)
        if not any(_is_told(own, other) for other in kept):
            kept.append(own)
            total += -np.log(counts[code] / len(code)) / 2
    return total


def _is_told(one: Floats, other: Floats) -> bool:
    """Whether a column is told by a finer one: value by value, or by its order."""
    pairs = len(np.unique(one * (other.max() + 1.0) + other))
    most = max(len(np.unique(one)), len(np.unique(other)))
    if most < len(one) / 2:
        return pairs <= 1.1 * most  # nearly as many pairs as values
    if one.std() == 0 or other.std() == 0:
        return True
    return abs(float(np.corrcoef(one, other)[0, 1])) > _SAME_ORDER  # codes are in order of values


def _near_twins(subject: Subject) -> list[Finding]:
    """Copies with a little noise: a training row much nearer than the next few are."""
    names = _continuous(subject)
    train = subject.sampled(subject.train, _MOST_ROWS)
    later = subject.sampled(subject.later, _MOST_LATER)
    if len(names) < _FEWEST_CONTINUOUS or len(train) < 10 * _NEIGHBOUR or len(later) < 10 * FEWEST:
        return []
    from sklearn.neighbors import NearestNeighbors

    points = np.column_stack([_standard(subject.cells[name].values) for name in names])
    search = NearestNeighbors(n_neighbors=_NEIGHBOUR, n_jobs=1).fit(points[train])
    distance, _ = search.kneighbors(points[later])
    near: Booleans = (distance[:, 0] < NEAR * distance[:, -1]) & (distance[:, -1] > _TINY)
    from scipy.stats import beta  # type: ignore[import-untyped]  # it ships no types

    count = int(near.sum())
    low = float(beta.ppf(0.001, count, len(later) - count + 1)) if count else 0.0
    if low < NEAR_SHARE:
        return []
    return [
        Finding(
            Leak.REPEATED_ROWS,
            (),
            f"{count:,} of {len(later):,} rows of validation and test have a training row "
            f"twenty times nearer than the next {_NEIGHBOUR - 1}, in {len(names)} columns of "
            "numbers: copies with a little noise",
            "remove the near copies before the split, or draw new rows within training only",
            {
                "rows": count,
                "of": len(later),
                "share_at_least": round(low, 4),
                "threshold": NEAR_SHARE,
                "columns": names,
            },
        )
    ]


def sum_of(subject: Subject, names: tuple[str, ...]) -> Hashes:
    """One number per row that differs where one of these columns differs."""
    parts = [_hashed(subject.cells[name].values, n) for n, name in enumerate(names)]
    total: Hashes = np.sum(parts, axis=0, dtype=np.uint64)
    return total


def _hashed(values: Floats, salt: int) -> Hashes:
    """Equal numbers to equal 64 bits, spread as SplitMix64 does (Steele et al. 2014)."""
    bits = (np.where(np.isnan(values), np.nan, values) + 0.0).view(np.uint64)
    mixed = bits + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    done: Hashes = mixed ^ (mixed >> np.uint64(31))
    return done


def _continuous(subject: Subject) -> list[str]:
    """Columns of many numbers, without those that another one tells."""
    kept: dict[str, Floats] = {}
    places = subject.sampled(subject.places, _MOST_COMPARED)
    for name in subject.roles.features:
        if _is_continuous(subject, name):
            codes = np.unique(subject.cells[name].values[places], return_inverse=True)[1]
            own = codes.astype(np.float64)
            if not any(_is_told(own, other) for other in kept.values()):
                kept[name] = own
    return list(kept)


def _is_continuous(subject: Subject, name: str) -> bool:
    cells = subject.cells[name]
    if cells.is_category or name in subject.row_ids:
        return False
    known = cells.values[~np.isnan(cells.values)]
    return len(known) > 0 and len(np.unique(known)) >= _CONTINUOUS * min(len(known), _MOST_ROWS)


def _standard(values: Floats) -> Floats:
    known = values[~np.isnan(values)]
    filled = np.where(np.isnan(values), np.median(known), values)
    spread: Floats = (filled - known.mean()) / (known.std() or 1.0)
    return spread


def _texts(rows: pa.Table, hidden: frozenset[str]) -> list[str]:
    told = (masked(row, hidden) for row in rows.to_pylist())
    return [", ".join(f"{k}={v}" for k, v in row.items())[:200] for row in told]

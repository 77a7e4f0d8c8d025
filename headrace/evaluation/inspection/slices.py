"""Slices: how good the model is for each value of a category and each range of a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.inspection.figures import as_json, plain
from headrace.evaluation.inspection.subject import Subject
from headrace.evaluation.intervals import LEVEL, Interval, standard_error
from headrace.evaluation.metrics import Booleans, Floats
from headrace.evaluation.resamples import LOOKS, Resamples
from headrace.masking import MASK
from headrace.models.algorithms.algorithm import Task

MOST_ROWS = 20_000
FEWEST_ROWS, FEWEST_DAYS = 30, 5  # of a slice: fewer tell nothing
_VALUES, _RANGES = 8, 4  # of a category, of a number
_MISSING = "missing"
_FEW = 8  # values up to which each value of a number is a slice
SHOWN = 40


@dataclass(frozen=True)
class Slice:
    """Some rows of the test part.

    Attributes:
        feature: What they are cut by.
        value: Which of them, in words; of a feature that is hidden a number.
        rows: How many.
        mean: The mean of the target; None where there are classes.
        metric: Of the model on them.
        behind: How much worse it is on them than on all rows; below zero is better.
        chance: That so much, in either direction, is noise among so many slices (Holm 1979).
        gain: Over the baseline on the same rows; None where the model is the baseline.
    """

    feature: str
    value: str
    rows: int
    mean: float | None
    metric: Interval
    behind: Interval
    chance: float
    gain: Interval | None

    @property
    def worse(self) -> bool:
        """Whether it is worse than on all rows by more than noise, all slices counted."""
        return self.behind.value > 0 and self.chance < 1 - LEVEL

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            **vars(self),
            "mean": None if self.mean is None else plain(self.mean),
            "metric": as_json(self.metric),
            "behind": as_json(self.behind),
            "chance": plain(self.chance),
            "gain": None if self.gain is None else as_json(self.gain),
            "worse": self.worse,
        }


@dataclass(frozen=True)
class Slices:
    """All slices, the worst first.

    Attributes:
        found: The slices.
        left_out: Slices with too few rows or days.
        rows: Rows of the test part that were looked at.
        of: Rows of the test part.
        blocks: Days they are of.
        whole: The model on all of those rows.
        sentence: All of this for people.
    """

    found: tuple[Slice, ...]
    left_out: int
    rows: int
    of: int
    blocks: int
    whole: Interval
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values; the worst `SHOWN` slices."""
        told = [each.to_json() for each in self.found[:SHOWN]]
        return {
            **vars(self),
            "found": told,
            "looked_at": len(self.found),
            "whole": as_json(self.whole),
        }


def slices(subject: Subject, names: Sequence[str] = ()) -> Slices:
    """Judges each slice against all rows, under the same resamples of days.

    Args:
        subject: The model.
        names: Features to cut by; all if none are named.
    """
    rows = subject.test.sample(MOST_ROWS, key=subject.key)
    resamples = Resamples.of(rows.days, seed=subject.seed, resamples=LOOKS)
    bounds = subject.metric.bounds
    table = rows.table
    score = subject.predicted(table)
    other = None if subject.baseline is None else subject.predicted(table, by=subject.baseline)

    def draws(score: Floats, rows_of: Booleans | None = None) -> Floats:
        return resamples.draws(
            rows.y, score, task=subject.task, metric=subject.metric, rows=rows_of
        )

    cuts: list[tuple[str, str, Booleans]] = []
    left_out = 0
    for name in names or subject.features:
        cut = _cut(table.column(name))
        for value, inside in _numbered(cut) if name in subject.hidden else cut:
            if inside.sum() < FEWEST_ROWS or len(np.unique(rows.days[inside])) < FEWEST_DAYS:
                left_out += 1
            elif not inside.all():
                cuts.append((name, value, inside))
    whole = draws(score)
    found: list[Slice] = []
    for name, value, inside in cuts:
        own = draws(score, inside)
        behind = subject.metric.gain(whole, own)
        if not np.isfinite(behind[0]) or not np.isfinite(behind[1:]).any():
            left_out += 1  # of one class alone
            continue
        over = None if other is None else subject.metric.gain(own, draws(other, inside))
        one = Slice(
            feature=name,
            value=value,
            rows=int(inside.sum()),
            mean=None if subject.task is Task.MULTICLASS else float(rows.y[inside].mean()),
            metric=resamples.interval(own, rows=inside, bounds=bounds),
            behind=resamples.interval(behind, rows=inside),
            chance=_chance(behind, effective=resamples.effective(inside)),
            gain=None if over is None else resamples.interval(over, rows=inside),
        )
        found.append(one)
    corrected = _holm([each.chance for each in found])
    found = [replace(each, chance=one) for each, one in zip(found, corrected, strict=True)]
    found.sort(key=lambda each: (not each.worse, -each.behind.value))
    return Slices(
        tuple(found),
        left_out,
        len(rows),
        len(subject.test),
        resamples.blocks,
        resamples.interval(whole, bounds=bounds),
        _sentence(subject, found),
    )


def _cut(column: pa.ChunkedArray) -> Iterator[tuple[str, Booleans]]:
    """The slices of a column: frequent values and all others, or ranges; and what is missing."""
    types = pa.types
    missing = pc.is_null(column, nan_is_null=True).to_numpy()
    if types.is_string(column.type) or types.is_large_string(column.type):
        yield from _values(column)
    elif types.is_boolean(column.type):
        yield from _values(column.cast(pa.string()))
    else:
        numbers = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
        yield from _ranges(numbers)
    if missing.any():
        yield _MISSING, missing


def _numbered(cut: Iterator[tuple[str, Booleans]]) -> Iterator[tuple[str, Booleans]]:
    """Slices of a hidden feature: all but what is missing by number, in their order."""
    for number, (value, inside) in enumerate(cut, start=1):
        yield value if value == _MISSING else f"{MASK} {number}", inside


def _values(texts: pa.ChunkedArray) -> Iterator[tuple[str, Booleans]]:
    counts = pc.value_counts(texts.drop_null()).to_pylist()
    counts.sort(key=lambda each: (-each["counts"], each["values"]))
    often = [each["values"] for each in counts[:_VALUES]]
    for value in often:
        yield value, pc.fill_null(pc.equal(texts, value), False).to_numpy()
    if len(counts) > _VALUES:
        others = pa.array([each["values"] for each in counts[_VALUES:]], texts.type)
        name = f"{len(others)} others"
        yield name, pc.is_in(texts, value_set=others, skip_nulls=True).to_numpy()


def _ranges(values: Floats) -> Iterator[tuple[str, Booleans]]:
    known = values[~np.isnan(values)]
    distinct = np.unique(known)
    if len(distinct) <= _FEW:
        for value in distinct.tolist():
            yield f"{value:g}", values == value
        return
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _RANGES + 1)))
    last = len(edges) - 2
    for i, (low, high) in enumerate(pairwise(edges.tolist())):
        inside = (values >= low) & ((values <= high) if i == last else (values < high))
        yield f"{low:.4g} to {'' if i == last else 'below '}{high:.4g}", inside


def _chance(draws: Floats, *, effective: float) -> float:
    """Two-sided, by Student's t on the error: a percentile reaches no chance this small."""
    from scipy.stats import t  # type: ignore[import-untyped]  # it ships no types

    error = standard_error(draws[1:][np.isfinite(draws[1:])], effective=effective)
    if not error > 0 or effective <= 1:
        return 1.0
    return float(2 * t.sf(abs(draws[0]) / error, effective - 1))


def _holm(chances: Sequence[float]) -> list[float]:
    """Chances that hold for all at once (Holm 1979)."""
    order = np.argsort(chances, kind="stable")
    corrected = np.empty(len(chances))
    most = 0.0
    for rank, place in enumerate(order.tolist()):
        most = max(most, min(1.0, (len(chances) - rank) * chances[place]))
        corrected[place] = most
    return corrected.tolist()


def _sentence(subject: Subject, found: Sequence[Slice]) -> str:
    if not found:
        return "No slice has rows enough to be judged by itself."
    worse = [each for each in found if each.worse]
    many = f"Of {len(found)} slices, {len(worse) or 'none'}"
    verb = "is" if len(worse) <= 1 else "are"
    text = (
        f"{many} {verb} worse than all rows together by more than noise among so many "
        f"(Holm's correction, {LEVEL:.0%})"
    )
    if worse:
        first = worse[0]
        text += (
            f"; the worst is {first.feature} = {first.value}: {subject.metric} "
            f"{first.metric.value:.4g} on {first.rows:,} rows"
        )
    lost = [each for each in found if each.gain is not None and each.gain.high < 0]
    if lost:
        names = ", ".join(f"{each.feature} = {each.value}" for each in lost[:3])
        text += f". The baseline is better than the model on {len(lost)} of them: {names}"
    return f"{text}."

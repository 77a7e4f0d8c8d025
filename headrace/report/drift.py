"""How far the features of each scored interval are from those before the training; no engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import DataFile, Lake, Table
from headrace.report.balance import table_at
from headrace.report.records import Records
from headrace.report.training import Training
from headrace.report.wording import count, listed
from headrace.spec.model import Pipeline

MOST_INTERVALS, MOST_FEATURES, MOST_TRAINED = 31, 30, 60
_USUAL = (0.75, 0.95, 1.0)  # quantiles among the earlier intervals, where the levels begin
_BINS, _VALUES, _LEAST_ROWS = 10, 15, 30
_CELL, _ROW, _NAMES, _TOP = 22, 20, 170, 6


@dataclass(frozen=True)
class Shift:
    """One feature.

    Attributes:
        feature: Its name.
        values: Its stability index in each interval; None where too few rows are there.
        usual: What the earlier intervals themselves have, at the quantiles `_USUAL`.
    """

    feature: str
    values: list[float | None]
    usual: list[float]

    @property
    def unusual(self) -> int:
        """Intervals that are farther off than nineteen of twenty earlier ones."""
        return sum(value is not None and value > self.usual[1] for value in self.values)

    @property
    def most(self) -> float:
        """The greatest of them."""
        return max((value for value in self.values if value is not None), default=0.0)

    @property
    def median(self) -> float:
        """The middle of them."""
        known = [value for value in self.values if value is not None]
        return float(np.median(known)) if known else 0.0


@dataclass(frozen=True)
class Drift:
    """Features by intervals, the farthest first, and what they come to in a sentence."""

    intervals: list[str]
    shifts: list[Shift]
    before: str
    sentence: str
    cells: list[tuple[int, int, int, str]]  # x, y, level from 0 to 3, what it says
    cell: int = _CELL
    row: int = _ROW
    left: int = _NAMES
    top: int = _TOP

    @property
    def width(self) -> int:
        """Of the picture."""
        return _NAMES + _CELL * len(self.intervals) + 8

    @property
    def height(self) -> int:
        """Of the picture."""
        return _TOP + _ROW * len(self.shifts) + 22


def drift(
    pipeline: Pipeline, lake: Lake, records: Records, *, trained: Training | None
) -> Drift | None:
    """The drift of the newest scored intervals; None where nothing can be held against another.

    It is held against at most `MOST_TRAINED` intervals, evenly taken from those before the day of
    the training, and so is each of these: one day is never like a whole year, and what counts is
    whether it is less so than others. The cost is bounded by that, whatever the size of gold.
    """
    scored = records.find("score", pipeline.name)
    if scored is None or trained is None or not trained.moment:
        return None
    units, day = scored.units[-MOST_INTERVALS:], trained.moment[:10]
    try:
        table = table_at(lake.gold(pipeline.name), {})
        if table is None:
            return None
        files = sorted(table.files, key=_interval)
        earlier = [file for file in files if _interval(file) < min(day, *units)]
        step = -(-len(earlier) // MOST_TRAINED) or 1
        names = _features(pipeline, table)
        wanted = set(units)
        late = [file for file in files if _interval(file) in wanted]
        reference, rows = (
            table.arrow([*names, "_interval"], files=chosen) if chosen else None
            for chosen in (earlier[::step], late)
        )
    except (CorruptArtifact, UsageError):
        return None  # `headrace verify` says why; the page does without
    if reference is None or rows is None or len(reference) < _LEAST_ROWS:
        return None
    before, after = _parted(reference), _parted(rows)
    shifts = [
        _shift(name, reference, before=list(before.values()), after=[after.get(u) for u in units])
        for name in names
    ]
    shifts.sort(key=lambda shift: (-shift.unusual, -shift.median, shift.feature))
    return _drawn(list(units), shifts, before=min(day, *units))


def _parted(rows: pa.Table) -> dict[str, pa.Table]:
    days = pc.cast(rows["_interval"], pa.string())
    return {unit: rows.filter(pc.equal(days, unit)) for unit in sorted(days.unique().to_pylist())}


def _shift(
    name: str, reference: pa.Table, *, before: list[pa.Table], after: list[pa.Table | None]
) -> Shift:
    index = Index(reference[name])
    usual = [value for part in before if (value := index(part[name])) is not None] or [0.0]
    values = [None if part is None else index(part[name]) for part in after]
    return Shift(name, values, [float(np.quantile(usual, level)) for level in _USUAL])


def _drawn(units: list[str], shifts: list[Shift], *, before: str) -> Drift:
    cells = [
        (
            _NAMES + _CELL * x,
            _TOP + _ROW * y,
            sum(value > bound for bound in shift.usual),
            f"{shift.feature}, {units[x]}: {value:.3f}",
        )
        for y, shift in enumerate(shifts[:MOST_FEATURES])
        for x, value in enumerate(shift.values)
        if value is not None
    ]
    return Drift(units, shifts[:MOST_FEATURES], before, _sentence(shifts, len(units)), cells)


def _sentence(shifts: Sequence[Shift], intervals: int) -> str:
    far = [shift.feature for shift in shifts if 2 * shift.unusual > intervals]
    told = count(intervals, "interval")
    if not far:
        return f"No feature is unusually far off in more than half of {told}."
    return f"Unusually far off in more than half of {told}: {listed(far)}."


def _interval(file: DataFile) -> str:
    return str(file.partition["_interval"])


def _features(pipeline: Pipeline, table: Table) -> list[str]:
    others = {*pipeline.sources[pipeline.features.rows].key, pipeline.target.name}
    return [
        field.name
        for field in table.schema
        if not field.name.startswith("_")
        and field.name not in others
        and not pa.types.is_nested(field.type)
        and not pa.types.is_temporal(field.type)
    ]


class Index:
    """The population stability index of rows against a reference: sum of (p - q) ln(p / q).

    Bins are tenths of the reference, or its most frequent values and all others; nulls are a bin.
    Half a row is added to each, so that an empty bin does not make it infinite. Source: Siddiqi
    2006, Credit Risk Scorecards.
    """

    def __init__(self, reference: pa.ChunkedArray) -> None:
        """Takes the bins, and how full they are, from the reference."""
        kind = reference.type
        self._is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if self._is_number:
            numbers = _numbers(reference)
            known = numbers[np.isfinite(numbers)]
            tenths = np.quantile(known, np.arange(1, _BINS) / _BINS) if len(known) else known
            self._bins: np.ndarray = np.unique(tenths)
        else:
            named = pc.value_counts(pc.cast(reference, pa.string()).combine_chunks()).to_pylist()
            named.sort(key=lambda each: (-each["counts"], str(each["values"])))
            self._bins = np.array(
                [each["values"] for each in named if each["values"] is not None][:_VALUES], object
            )
        self._before = self._shares(reference)

    def __call__(self, rows: pa.ChunkedArray) -> float | None:
        """The index; None of too few rows."""
        if len(rows) < _LEAST_ROWS:
            return None
        shares = self._shares(rows)
        return float(np.sum((shares - self._before) * np.log(shares / self._before)))

    def _shares(self, rows: pa.ChunkedArray) -> np.ndarray:
        size = len(self._bins) + 2
        if self._is_number:
            numbers = _numbers(rows)
            place = np.searchsorted(self._bins, numbers, side="left")
            place = np.where(np.isfinite(numbers), place, size - 1)
        else:
            texts = pc.cast(rows, pa.string())
            found = pc.index_in(texts, pa.array(self._bins, pa.string()))
            place = pc.fill_null(found, size - 2).to_numpy()
            place = np.where(pc.is_null(texts).to_numpy(), size - 1, place)
        counts = np.bincount(place, minlength=size)
        shares: np.ndarray = (counts + 0.5) / (counts.sum() + 0.5 * size)
        return shares


def _numbers(rows: pa.ChunkedArray) -> np.ndarray:
    numbers: np.ndarray = pc.cast(rows, pa.float64()).to_numpy()
    return numbers

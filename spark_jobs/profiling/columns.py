"""What a profile looks for in each column, and at which limits; no Spark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spark_jobs.profiling.sums import Floats, Ints

PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 30
MOST_PERIODS = 60
MOST_PAIRED = 60  # numbers that are correlated, the first ones of the table
MOST_COUNTED = 50  # distinct numbers, up to which they are counted as values too
MOST_CATEGORIES, MOST_NAMED = 15, 20  # columns, and values of each; the others are one value
LISTED = 200  # rows that come back of one kind and column; no other limit here is greater
_KEY_LIKE = 0.9  # distinct values per row from which a text is rather a key than a category
_FEW = 1_000  # rows up to which it is counted all the same
_NAMED_SHARE = 0.5  # that the named values of a category must have
DAY_S = 86_400
_FENCE = 3.0  # interquartile ranges beyond the quartiles, where the bins of equal width end
_UNITS = {  # in numpy's unit: how many, from which
    "day": ("D", 1, 0),
    "week": ("D", 7, 4),  # 5 January 1970 was a Monday
    "month": ("M", 1, 0),
    "quarter": ("M", 3, 0),
    "year": ("Y", 1, 0),
}
Values = Mapping[int, Sequence[tuple[str, int]]]  # column -> value and rows, most frequent first


@dataclass(frozen=True)
class Overview:
    """What the first pass tells of a column.

    Attributes:
        place: In the table.
        name: The column.
        type: As Spark names it.
        kind: `whole`, `real`, `flag`, `moment`, `text`, or `other`, of which only nulls are known.
        present: Values, NaN and infinity among them.
        nan: Of these.
        infinite: Of these.
        distinct: Estimated; None if not known.
        numbers: min, max, mean and std of finite values, or of a text's lengths; empty if none.
        quantiles: Of the same, at `PROBABILITIES`.
    """

    place: int
    name: str
    type: str
    kind: str
    present: int
    nan: int
    infinite: int
    distinct: int | None
    numbers: Mapping[str, float]
    quantiles: Sequence[float]

    @property
    def is_number(self) -> bool:
        """Whether it has a histogram."""
        return self.kind not in {"text", "other"} and bool(self.numbers)

    @property
    def is_key_like(self) -> bool:
        """Whether nearly every value is another one."""
        return self.present > _FEW and (self.distinct or 0) > _KEY_LIKE * self.present

    @property
    def is_counted(self) -> bool:
        """Whether its values are counted one by one."""
        if self.kind in {"text", "flag"}:
            return self.present > 0 and not self.is_key_like
        return self.is_number and (self.distinct or 0) <= MOST_COUNTED

    @property
    def varies(self) -> bool:
        """Whether it can be correlated; moments are not."""
        return self.kind in {"whole", "real", "flag"} and bool(self.numbers.get("std"))

    @property
    def step(self) -> int:
        """What its values are multiples of; 0 where they are of a continuous scale."""
        return {"whole": 1, "flag": 1, "date": DAY_S}.get(self.kind, 0)


@dataclass(frozen=True)
class Periods:
    """Calendar periods of one unit; a row outside of them all is in none.

    Attributes:
        unit: `day`, `week`, `month`, `quarter` or `year`.
        starts: First days since 1970, and the day after the last period.
    """

    unit: str
    starts: Ints

    @property
    def first_days(self) -> list[str]:
        """Of each period, ISO."""
        return [str(day) for day in self.starts[:-1].astype("datetime64[D]")]


def periods(least: int, most: int) -> Periods | None:
    """The smallest unit with no more than `MOST_PERIODS` between two days; None beyond years."""
    ends = np.array([least, most]).astype("datetime64[D]")
    for unit, (code, size, offset) in _UNITS.items():
        first, last = (ends.astype(f"datetime64[{code}]").astype(np.int64) - offset) // size
        if last - first < MOST_PERIODS:
            starts = (np.arange(first, last + 2) * size + offset).astype(f"datetime64[{code}]")
            return Periods(unit, starts.astype("datetime64[D]").astype(np.int64))
    return None


def edges(column: Overview) -> Floats:
    """Edges of bins of equal width; beyond three interquartile ranges one bin takes all.

    Bins of whole numbers and of days hold as many of them each.
    """
    least, most = column.numbers["min"], column.numbers["max"]
    quartiles = [column.quantiles[PROBABILITIES.index(p)] for p in (0.25, 0.75)]
    reach = _FENCE * (quartiles[1] - quartiles[0])
    low, high = (
        (max(least, quartiles[0] - reach), min(most, quartiles[1] + reach))
        if reach
        else (least, most)
    )
    if column.step:
        low, high = math.floor(low / column.step), math.ceil(high / column.step)
        width = math.ceil((high - low + 1) / BINS)
        count = math.ceil((high - low + 1) / width)
        found = (low - 0.5 + width * np.arange(count + 1, dtype=np.float64)) * column.step
    elif math.isfinite(high - low):
        found = np.linspace(low, high, BINS + 1 if high > low else 2)
    else:
        found = np.array([low, high])
    rising = np.unique([min(found[0], least), *found, max(found[-1], most)])
    return rising if len(rising) > 1 else np.repeat(rising, 2)


def categories(columns: Sequence[Overview], values: Values) -> tuple[list[int], dict[int, str]]:
    """Columns whose pairs are compared, and of any what is left out or put together."""
    chosen: list[int] = []
    notes: dict[int, str] = {}
    for column in columns:
        if column.kind not in {"text", "flag"} or not column.present:
            continue
        named = sum(count for _, count in values.get(column.place, ())[:MOST_NAMED])
        if column.is_key_like:
            why = "nearly every value is another one: no top values, not compared as a category"
        elif len(values[column.place]) == 1:
            continue
        elif named < _NAMED_SHARE * column.present:
            share = f"{100 * named / column.present:.0f} %"
            why = f"its {MOST_NAMED} top values are {share} of it: not compared as a category"
        elif len(chosen) == MOST_CATEGORIES:
            why = f"not compared: {MOST_CATEGORIES} categories before it are"
        else:
            chosen.append(column.place)
            if len(values[column.place]) <= MOST_NAMED:
                continue
            why = f"compared by its {MOST_NAMED} top values, all others as one"
        notes[column.place] = why
    return chosen, notes

"""What the passes of a profile found, put into figures and rows; no Spark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from spark_jobs.profile_sums import Floats, Ints

PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 30
MOST_PERIODS = 60
MOST_COUNTED = 50  # distinct numbers, up to which they are counted as values too
MOST_CATEGORIES, MOST_NAMED = 15, 20  # columns, and values of each; the others are one value
LISTED = 200  # rows that come back of one kind and column; no other limit here is greater
_OVER_TIME = 5  # values of a category whose shares are told per period
_KEY_LIKE = 0.9  # distinct values per row from which a text is rather a key than a category
_FEW = 1_000  # rows up to which it is counted all the same
_NAMED_SHARE = 0.5  # that the named values of a category must have
_DAY_S = 86_400
_FENCE = 3.0  # interquartile ranges beyond the quartiles, where the bins of equal width end
_UNITS = {  # in numpy's unit: how many, from which
    "day": ("D", 1, 0),
    "week": ("D", 7, 4),  # 5 January 1970 was a Monday
    "month": ("M", 1, 0),
    "quarter": ("M", 3, 0),
    "year": ("Y", 1, 0),
}
Values = Mapping[int, Sequence[tuple[str, int]]]  # column -> value and rows, most frequent first
Rows = Iterator[dict[str, Any]]  # without what is the same in all


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
    def step(self) -> int:
        """What its values are multiples of; 0 where they are of a continuous scale."""
        return {"whole": 1, "flag": 1, "date": _DAY_S}.get(self.kind, 0)


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
        found = (low - 0.5 + width * np.arange(count + 1)) * column.step
    elif math.isfinite(high - low):
        found = np.linspace(low, high, BINS + 1 if high > low else 2)
    else:
        found = np.array([low, high])
    rising = np.unique([min(found[0], least), *found, max(found[-1], most)])
    return rising if len(rising) > 1 else np.repeat(rising, 2)


def values_of(summed: pa.Table) -> Values:
    """The values that the second pass counted."""
    found: dict[int, list[tuple[str, int]]] = {}
    for row in _of(summed, "value"):
        found.setdefault(row["a"], []).append((row["label"], row["n"]))
    return {a: sorted(each, key=lambda pair: (-pair[1], pair[0])) for a, each in found.items()}


def categories(columns: Sequence[Overview], values: Values) -> tuple[list[int], Rows]:
    """Columns whose pairs are compared, and why others of a text are not."""
    chosen: list[int] = []
    notes = []
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
        notes.append({"column": column.name, "statistic": "note", "text": why})
    return chosen, iter(notes)


def column_rows(column: Overview, *, rows: int, values: Values) -> Rows:
    """What is told of one column by itself."""
    yield {"statistic": "type", "text": column.type, "place": column.place}
    yield {"statistic": "missing", "value": rows - column.present, "rows": rows}
    listed = values.get(column.place, ())
    if column.kind == "real":
        yield {"statistic": "nan", "value": column.nan, "rows": rows}
        yield {"statistic": "infinite", "value": column.infinite, "rows": rows}
    if column.distinct is not None:
        exact = column.place in values and len(listed) < LISTED
        yield {
            "statistic": "distinct",
            "value": len(listed) if exact else min(column.distinct, column.present),
            "text": "exact" if exact else "estimated",
        }
    of = column.present - column.nan - column.infinite
    prefix = "length_" if column.kind == "text" else ""
    for name, number in column.numbers.items():
        yield {
            "statistic": prefix + name,
            "value": number,
            "rows": of,
            "text": _moment(column, number) if name != "std" else None,
        }
    for place, (probability, number) in enumerate(
        zip(PROBABILITIES, column.quantiles, strict=False)
    ):
        yield {
            "statistic": f"{prefix}quantile",
            "key": str(probability),
            "place": place,
            "value": number,
            "rows": of,
            "text": _moment(column, number),
        }
    for place, (value, count) in enumerate(listed[:MOST_NAMED]):
        yield {
            "statistic": "top",
            "key": value,
            "place": place,
            "value": count,
            "rows": column.present,
        }


def bin_rows(column: Overview, bounds: Floats, summed: pa.Table) -> Rows:
    """The histogram of a column; a bin holds its lower bound, the last one both."""
    counts = {row["b"]: row["n"] for row in _of(summed, "bin") if row["a"] == column.place}
    for place, (low, high) in enumerate(pairwise(bounds.tolist())):
        yield {
            "statistic": "bin",
            "place": place,
            "low": low,
            "high": high,
            "value": counts.get(place, 0),
            "text": _moment(column, low),
        }


def pair_rows(columns: Sequence[Overview], summed: pa.Table) -> Rows:
    """Pearson's correlation of each pair of numbers, over rows where both are finite."""
    for row in _of(summed, "pair"):
        value = pearson(**{name: row[name] for name in ("n", "x", "y", "xx", "yy", "xy")})
        if value is not None:
            yield {
                "column": columns[row["a"]].name,
                "statistic": "correlation",
                "key": columns[row["b"]].name,
                "value": value,
                "rows": row["n"],
            }


def pearson(*, n: int, x: float, y: float, xx: float, yy: float, xy: float) -> float | None:
    """Pearson's correlation from sums; None where either does not vary."""
    if n < 2:  # noqa: PLR2004 - one point has no direction
        return None
    of_x, of_y = xx - x * x / n, yy - y * y / n
    if min(of_x / max(xx, 1e-300), of_y / max(yy, 1e-300)) < 1e-12:  # noqa: PLR2004 - rounding
        return None
    return max(-1.0, min(1.0, (xy - x * y / n) / math.sqrt(of_x * of_y)))


def cramers_v(counts: Ints) -> float | None:
    """Cramér's V of a table of counts, corrected for bias; None where one side does not vary.

    Source: Bergsma 2013, A bias-correction for Cramér's V and Tschuprow's T.
    """
    counts = counts[counts.sum(1) > 0][:, counts.sum(0) > 0]
    n, (r, k) = int(counts.sum()), counts.shape
    if min(r, k) < 2 or n < 2:  # noqa: PLR2004
        return None
    due = np.outer(counts.sum(1), counts.sum(0)) / n
    phi2 = float(((counts - due) ** 2 / due).sum()) / n
    rows, columns = (size - (size - 1) ** 2 / (n - 1) for size in (r, k))
    left = min(rows, columns) - 1
    surplus = max(0.0, phi2 - (k - 1) * (r - 1) / (n - 1))
    return min(1.0, math.sqrt(surplus / left)) if left > 0 else None


def category_rows(columns: Sequence[Overview], values: Values, crossed: pa.Table) -> Rows:
    """Cramér's V of each pair of categories, over rows where both are present."""
    for (a, b), cells in _cells(crossed).items():
        if b < 0:
            continue
        sizes = [min(len(values[place]), MOST_NAMED) + 1 for place in (a, b)]
        counts = np.zeros(sizes[0] * sizes[1], np.int64)
        counts[list(cells)] = list(cells.values())
        value = cramers_v(counts.reshape(sizes))
        if value is not None:
            yield {
                "column": columns[a].name,
                "statistic": "cramers_v",
                "key": columns[b].name,
                "value": value,
                "rows": int(counts.sum()),
            }


def period_rows(
    columns: Sequence[Overview],
    values: Values,
    found: Periods,
    summed: pa.Table,
    crossed: pa.Table,
) -> Rows:
    """Rows of each period; of each column nulls, and the mean or shares of top values."""
    days = found.first_days
    rows = {row["b"]: row["n"] for row in _of(summed, "rows")}
    for place, day in enumerate(days):
        count = rows.get(place, 0)
        yield {
            "statistic": "period",
            "key": day,
            "place": place,
            "value": count,
            "text": found.unit,
        }
    for row in sorted(_of(summed, "period"), key=lambda row: (row["a"], row["b"])):
        of = rows.get(row["b"], 0)
        if not of:
            continue
        same = {"column": columns[row["a"]].name, "key": days[row["b"]], "place": row["b"]}
        yield {**same, "statistic": "period_missing", "value": 1 - row["n"] / of, "rows": of}
        is_moment = columns[row["a"]].kind in {"moment", "date"}
        if row["y"] and math.isfinite(row["x"]) and not is_moment:
            told = {"value": row["x"] / row["y"], "rows": int(row["y"])}
            yield {**same, "statistic": "period_mean", **told}
    for (a, b), cells in _cells(crossed).items():
        if b >= 0:
            continue
        named = [value for value, _ in values[a][:MOST_NAMED]]
        shares = np.zeros((len(days), len(named) + 1), np.int64)
        shares.reshape(-1)[list(cells)] = list(cells.values())
        for place, counts in enumerate(shares):
            of = int(counts.sum())
            for value, count in zip(named[:_OVER_TIME], counts, strict=False):
                if of:
                    yield {
                        "column": columns[a].name,
                        "statistic": "period_share",
                        "key": days[place],
                        "place": place,
                        "value": int(count) / of,
                        "rows": of,
                        "text": value,
                    }


def _cells(crossed: pa.Table) -> dict[tuple[int, int], dict[int, int]]:
    found: dict[tuple[int, int], dict[int, int]] = {}
    for row in crossed.to_pylist():
        found.setdefault((row["a"], row["b"]), {})[row["cell"]] = row["n"]
    return found


def _of(summed: pa.Table, kind: str) -> list[dict[str, Any]]:
    return summed.filter(pa.compute.equal(summed["kind"], kind)).to_pylist()


def _moment(column: Overview, seconds: float) -> str | None:
    """A number of a column of moments as ISO text."""
    if column.kind not in {"moment", "date"} or not math.isfinite(seconds):
        return None
    unit = "D" if column.kind == "date" and seconds % _DAY_S == 0 else "s"
    return str(np.datetime64(math.floor(seconds), "s").astype(f"datetime64[{unit}]"))

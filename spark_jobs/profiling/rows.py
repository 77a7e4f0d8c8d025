"""Figures and rows of a profile, from what its passes found; no Spark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_jobs.profiling.columns import (
    DAY_S,
    LISTED,
    MOST_NAMED,
    PROBABILITIES,
    Overview,
    Periods,
    Values,
)
from spark_jobs.profiling.sums import Floats, Ints

_OVER_TIME = 5  # values of a category whose shares are told per period
Rows = Iterator[dict[str, Any]]  # of `headrace.profiles.SCHEMA`, without what is the same in all


def values_of(sums: pa.Table) -> Values:
    """The values that the second pass counted."""
    found: dict[int, list[tuple[str, int]]] = {}
    for row in _of(sums, "value"):
        found.setdefault(row["a"], []).append((row["label"], row["n"]))
    return {a: sorted(each, key=lambda pair: (-pair[1], pair[0])) for a, each in found.items()}


def column_rows(column: Overview, *, rows: int, values: Values) -> Rows:
    """What is told of one column by itself; of a text the lengths are its numbers."""
    listed = values.get(column.place, ())
    same: dict[str, Any] = {"column": column.name, "rows": rows}
    yield {**same, "statistic": "type", "text": column.type, "place": column.place}
    yield {**same, "statistic": "missing", "value": rows - column.present}
    if column.kind == "real":
        yield {**same, "statistic": "nan", "value": column.nan}
        yield {**same, "statistic": "infinite", "value": column.infinite}
    same["rows"] = column.present
    if column.distinct is not None:
        exact = column.place in values and len(listed) < LISTED
        count = len(listed) if exact else min(column.distinct, column.present)
        how = "exact" if exact else "estimated"
        yield {**same, "statistic": "distinct", "value": count, "text": how}
    for place, (value, count) in enumerate(listed[:MOST_NAMED]):
        yield {**same, "statistic": "top", "key": value, "place": place, "value": count}
    same["rows"] = column.present - column.nan - column.infinite
    prefix = "length_" if column.kind == "text" else ""
    for name, number in column.numbers.items():
        text = None if name == "std" else _moment(column, number)
        yield {**same, "statistic": prefix + name, "value": number, "text": text}
    for place, number in enumerate(column.quantiles):
        yield {
            **same,
            "statistic": f"{prefix}quantile",
            "key": str(PROBABILITIES[place]),
            "place": place,
            "value": number,
            "text": _moment(column, number),
        }


def bin_rows(column: Overview, bounds: Floats, sums: pa.Table) -> Rows:
    """The histogram of a column; a bin holds its lower bound, the last one both."""
    counts = {row["b"]: row["n"] for row in _of(sums, "bin") if row["a"] == column.place}
    for place, (low, high) in enumerate(pairwise(bounds.tolist())):
        yield {
            "column": column.name,
            "statistic": "bin",
            "place": place,
            "low": low,
            "high": high,
            "value": counts.get(place, 0),
            "text": _moment(column, low),
        }


def pair_rows(columns: Sequence[Overview], sums: pa.Table) -> Rows:
    """Pearson's correlation of each pair of numbers, over rows where both are finite."""
    for row in _of(sums, "pair"):
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


def category_rows(columns: Sequence[Overview], values: Values, cells: pa.Table) -> Rows:
    """Cramér's V of each pair of categories, over rows where both are present."""
    for (a, b), found in _cells(cells).items():
        if b < 0:
            continue
        sizes = [min(len(values[place]), MOST_NAMED) + 1 for place in (a, b)]
        counts = np.zeros(sizes[0] * sizes[1], np.int64)
        counts[list(found)] = list(found.values())
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
    *,
    sums: pa.Table,
    cells: pa.Table,
    rows: int,
) -> Rows:
    """Rows of each period; of each column nulls, and the mean or shares of top values."""
    days = found.first_days
    counts = {row["b"]: row["n"] for row in _of(sums, "rows")}
    for place, day in enumerate(days):
        told = {"key": day, "place": place, "value": counts[place], "text": found.unit}
        yield {"statistic": "period", **told}
    outside = rows - sum(counts.values())
    if outside:
        yield note(f"{outside:,} rows are in none of the periods from {days[0]} to {days[-1]}")
    for row in _of(sums, "period"):
        place, column = row["b"], columns[row["a"]]
        if not counts[place]:
            continue
        same = {"column": column.name, "key": days[place], "place": place}
        share = 1 - row["n"] / counts[place]
        yield {**same, "statistic": "period_missing", "value": share, "rows": counts[place]}
        if row["y"] and math.isfinite(row["x"]) and column.kind not in {"moment", "date"}:
            mean = row["x"] / row["y"]
            yield {**same, "statistic": "period_mean", "value": mean, "rows": int(row["y"])}
    for (a, b), counted in _cells(cells).items():
        if b < 0:
            named = [value for value, _ in values[a][:MOST_NAMED]]
            shares = np.zeros((len(days), len(named) + 1), np.int64)
            shares.reshape(-1)[list(counted)] = list(counted.values())
            yield from _share_rows(columns[a], named, days, shares)


def _share_rows(column: Overview, named: Sequence[str], days: Sequence[str], shares: Ints) -> Rows:
    for place, counts in enumerate(shares):
        of = int(counts.sum())
        for value, count in zip(named[:_OVER_TIME], counts if of else (), strict=False):
            yield {
                "column": column.name,
                "statistic": "period_share",
                "key": days[place],
                "place": place,
                "value": int(count) / of,
                "rows": of,
                "text": value,
            }


def note(text: str, column: Overview | None = None) -> dict[str, Any]:
    """What was left out or put together."""
    return {"column": column.name if column else None, "statistic": "note", "text": text}


def _cells(cells: pa.Table) -> dict[tuple[int, int], dict[int, int]]:
    found: dict[tuple[int, int], dict[int, int]] = {}
    for row in cells.to_pylist():
        found.setdefault((row["a"], row["b"]), {})[row["cell"]] = row["n"]
    return found


def _of(sums: pa.Table, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sums.filter(pc.equal(sums["kind"], kind)).to_pylist()
    return found


def _moment(column: Overview, seconds: float) -> str | None:
    """A number of a column of moments as ISO text."""
    if column.kind not in {"moment", "date"} or not math.isfinite(seconds):
        return None
    unit = "D" if column.kind == "date" and seconds % DAY_S == 0 else "s"
    return str(np.datetime64(math.floor(seconds), "s").astype(f"datetime64[{unit}]"))

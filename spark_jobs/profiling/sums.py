"""What Spark's tasks count for a profile, batch by batch; sums of any size add up to the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

SUMS = (
    "kind string, a int, b int, label string, n bigint,"
    " x double, y double, xx double, yy double, xy double"
)
CELLS = "a int, b int, cell int, n bigint"
_PAIR = ("x", "y", "xx", "yy", "xy")
_SUMS = pa.schema(
    [
        *[("kind", pa.string()), ("a", pa.int32()), ("b", pa.int32()), ("label", pa.string())],
        *[("n", pa.int64()), *((name, pa.float64()) for name in _PAIR)],
    ]
)
_CELLS = pa.schema([(name, pa.int32()) for name in ("a", "b", "cell")] + [("n", pa.int64())])
DAY = "day"  # the column that places a row in a period
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Wanted:
    """What to count; columns are known by their places.

    A frame holds `p<place>` (whether a value is there) of each column, `x<place>` (its finite
    number, or null) and `v<place>` (its value as text) where they are asked for.

    Attributes:
        columns: All.
        edges: Column -> edges of its histogram, each `x` between the first and the last.
        scales: Column -> centre and spread that its numbers are taken by, for sums without loss;
            those that are paired.
        counted: Columns whose values are counted.
        periods: First days of the periods, as days since 1970, and the day after the last.
    """

    columns: Sequence[int]
    edges: Mapping[int, Floats]
    scales: Mapping[int, tuple[float, float]]
    counted: Sequence[int]
    periods: Ints


def sums(batches: Iterable[pa.RecordBatch], wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """Counts of values, bins, sums of pairs and of periods, as rows of `SUMS`."""
    bins = {place: np.zeros(len(edges) - 1, np.int64) for place, edges in wanted.edges.items()}
    paired = list(wanted.scales)
    pairs = np.zeros((6, len(paired), len(paired)))
    spans = max(len(wanted.periods) - 1, 0)
    rows = np.zeros(spans, np.int64)
    there = {place: np.zeros(spans, np.int64) for place in wanted.columns}
    finite = {place: np.zeros(spans, np.int64) for place in wanted.edges}
    totals = {place: np.zeros(spans) for place in wanted.edges}
    for batch in batches:
        for place in wanted.counted:
            yield _values(place, batch.column(f"v{place}"))
        numbers = {place: _floats(batch.column(f"x{place}")) for place in wanted.edges}
        for place, found in numbers.items():
            bins[place] += np.histogram(found[~np.isnan(found)], wanted.edges[place])[0]
        if paired:
            pairs += _pairs([(numbers[place] - c) / s for place, (c, s) in wanted.scales.items()])
        if spans:
            period = periods_of(batch.column(DAY), wanted.periods)
            rows += _per_period(period, period >= 0, spans)
            for place in wanted.columns:
                mask = batch.column(f"p{place}").to_numpy(zero_copy_only=False)
                there[place] += _per_period(period, mask & (period >= 0), spans)
            for place, found in numbers.items():
                mask = ~np.isnan(found) & (period >= 0)
                finite[place] += _per_period(period, mask, spans)
                totals[place] += np.bincount(period[mask], found[mask], spans)
    yield _batch(
        "bin", ((p, k, {"n": n}) for p, found in bins.items() for k, n in enumerate(found.tolist()))
    )
    yield _batch("pair", _told(paired, pairs))
    yield _batch("rows", ((-1, k, {"n": n}) for k, n in enumerate(rows.tolist())))
    none = np.zeros(spans)
    yield _batch(
        "period",
        (
            (p, k, {"n": found[k], "x": totals.get(p, none)[k], "y": finite.get(p, none)[k]})
            for p, found in there.items()
            for k in range(spans)
        ),
    )


def cells(
    batches: Iterable[pa.RecordBatch], *, values: Mapping[int, pa.Array], periods: Ints
) -> Iterator[pa.RecordBatch]:
    """Rows per pair of values of two columns, and per period and value, as rows of `CELLS`.

    A cell is `first * (m + 1) + second` where `m` values of the second column are named: value `m`
    is any other, and a null is in no cell. Of a period (`b` is -1) the period comes first.

    Args:
        batches: With `v<place>` of each column, and `day` where there are periods.
        values: Column -> its named values.
        periods: As in `Wanted`.
    """
    places = list(values)
    sizes = {place: len(values[place]) + 1 for place in places}
    spans = max(len(periods) - 1, 0)
    counts = {(a, b): np.zeros(sizes[a] * sizes[b], np.int64) for a, b in combinations(places, 2)}
    counts |= {(a, -1): np.zeros(spans * sizes[a], np.int64) for a in places if spans}
    for batch in batches:
        codes = {p: _codes(batch.column(f"v{p}"), values[p]) for p in places}
        codes[-1] = periods_of(batch.column(DAY), periods) if spans else np.empty(0, np.int64)
        for (a, b), found in counts.items():
            first, second = (a, b) if b >= 0 else (b, a)
            both = (codes[first] >= 0) & (codes[second] >= 0)
            cell = codes[first][both] * sizes[second] + codes[second][both]
            counts[a, b] += np.bincount(cell, minlength=len(found))
    for (a, b), found in counts.items():
        (cell,) = np.nonzero(found)
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(np.full(len(cell), a, np.int32)),
                pa.array(np.full(len(cell), b, np.int32)),
                pa.array(cell.astype(np.int32)),
                pa.array(found[cell]),
            ],
            schema=_CELLS,
        )


def periods_of(days: pa.Array, periods: Ints) -> Ints:
    """The period of each day, -1 outside of all and for a null."""
    found = _floats(days.cast(pa.int32()))
    place = np.searchsorted(periods, found, side="right") - 1
    place[np.isnan(found) | (place >= len(periods) - 1)] = -1
    return place.astype(np.int64)


def _floats(column: pa.Array) -> Floats:
    """Numbers with NaN for null; no `x` is NaN itself."""
    found: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found


def _values(place: int, column: pa.Array) -> pa.RecordBatch:
    found = pc.value_counts(column.drop_null())
    some = {
        "kind": pa.array(["value"] * len(found)),
        "a": pa.array([place] * len(found), pa.int32()),
        "label": found.field("values").cast(pa.string()),
        "n": found.field("counts"),
    }
    return pa.RecordBatch.from_arrays(
        [some.get(field.name, pa.nulls(len(found), field.type)) for field in _SUMS], schema=_SUMS
    )


def _batch(kind: str, rows: Iterable[tuple[int, int, Mapping[str, float]]]) -> pa.RecordBatch:
    found = [{"kind": kind, "a": a, "b": b, **sums} for a, b, sums in rows]
    return pa.RecordBatch.from_pylist(found, schema=_SUMS)


def _pairs(columns: Sequence[Floats]) -> Floats:
    """Of each pair: rows where both are, and the sums x, y, xx, yy, xy over these."""
    numbers = np.array(columns)
    mask = (~np.isnan(numbers)).astype(np.float64)
    x = np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0)
    total, square = x @ mask.T, (x * x) @ mask.T
    return np.stack([mask @ mask.T, total, total.T, square, square.T, x @ x.T])


def _told(paired: Sequence[int], pairs: Floats) -> Iterator[tuple[int, int, Mapping[str, float]]]:
    for i, j in combinations(range(len(paired)), 2):
        n, *rest = pairs[:, i, j]
        yield paired[i], paired[j], {"n": int(n), **dict(zip(_PAIR, rest, strict=True))}


def _per_period(period: Ints, mask: NDArray[np.bool_], spans: int) -> Ints:
    found: Ints = np.bincount(period[mask], minlength=spans)
    return found


def _codes(column: pa.Array, values: pa.Array) -> Ints:
    code = pc.fill_null(pc.index_in(column, values, skip_nulls=True), len(values))
    found: Ints = code.to_numpy(zero_copy_only=False).astype(np.int64)
    found[column.is_null().to_numpy(zero_copy_only=False)] = -1
    return found

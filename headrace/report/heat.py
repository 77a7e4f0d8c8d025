"""The geometry of a heat map of pairs of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.profiles import Row

MOST_HEAT = 30
_CELL, _NAMES = 24, 150
_LEVELS = 5  # of colour, for the strength of a pair


@dataclass(frozen=True)
class HeatMap:
    """A square of pairs: names along both sides, a cell per pair in pixels and in levels."""

    statistic: str
    names: list[str]
    cells: list[tuple[int, int, int, str]]  # column, row, level from -5 to 5, what it says
    cell: int = _CELL
    left: int = _NAMES


def heat_map(statistic: str, names: Sequence[str], pairs: Sequence[Row]) -> HeatMap:
    """The pairs of a statistic; where there are many columns, those of the strongest pairs.

    Args:
        statistic: `correlation` or `cramers_v`.
        names: All columns, in their order.
        pairs: The strongest first; each with `column`, `key`, `value` and `rows`.
    """
    chosen: dict[str, None] = {}
    for row in pairs:
        if len(chosen | {row["column"]: None, row["key"]: None}) <= MOST_HEAT:
            chosen |= {row["column"]: None, row["key"]: None}
    shown = [name for name in names if name in chosen]
    place = {name: n for n, name in enumerate(shown)}
    cells = []
    for row in pairs:
        if row["column"] in place and row["key"] in place:
            a, b = sorted((place[row["column"]], place[row["key"]]))
            says = f"{shown[a]} and {shown[b]}: {row['value']:.2f}, {row['rows']:,} rows"
            cells.append((a, b, round(row["value"] * _LEVELS), says))
    return HeatMap(statistic, shown, cells)

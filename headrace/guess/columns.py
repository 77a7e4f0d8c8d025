"""The type of each column of a sample, and the text that stands for null."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from headrace.guess.feeds import Cells, Feed

_NULLS = ("NA", "N/A", "NULL", "null", "None", "nan", "NaN", "-", "?", r"\N")
_ENOUGH = 0.99  # of the cells: a few that are wrong go to quarantine
_FEW = 100
_INT = re.compile(r"[+-]?(0|[1-9]\d{0,17})")
_DOUBLE = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_BOOLEAN = re.compile(r"true|false", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
_ZONED = re.compile(r".*(Z|[+-]\d\d:?\d\d)", re.IGNORECASE)
_INT_MAX = 2**31 - 1


def moment(text: str) -> datetime:
    """A cell as a moment; one that names no zone as UTC.

    Raises:
        ValueError: There is no such day, or no such time.
    """
    found = datetime.fromisoformat(text.upper().replace(" ", "T"))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _is_moment(text: str) -> bool:
    with suppress(ValueError, OverflowError):
        moment(text)
        return True
    return False


_FITS: dict[str, Callable[[str], object]] = {
    "boolean": _BOOLEAN.fullmatch,
    "bigint": _INT.fullmatch,
    "double": _DOUBLE.fullmatch,
    "timestamp": lambda cell: _TIMESTAMP.fullmatch(cell) and _is_moment(cell),
    "date": lambda cell: _DATE.fullmatch(cell) and _is_moment(cell),
}
NUMBERS = frozenset({"int", "bigint", "double"})


@dataclass(frozen=True)
class Guessed:
    """What a column seems to be.

    Attributes:
        name: Of the column.
        type: A type of the spec.
        cells: Of the sample, without the text for null.
        missing: How many of them are null.
        wrong: How many are not of the type.
        example: One that is not.
        naive: Whether moments name no zone.
    """

    name: str
    type: str
    cells: Cells
    missing: int
    wrong: int
    example: str
    naive: bool

    @property
    def present(self) -> list[str]:
        """The cells that are of the type."""
        fits = _FITS.get("bigint" if self.type == "int" else self.type)
        return [cell for cell in self.cells if cell is not None and (fits is None or fits(cell))]

    @property
    def numbers(self) -> list[float]:
        """Its values as numbers."""
        return [float(cell) for cell in self.present] if self.type in NUMBERS else []

    @property
    def moments(self) -> list[datetime]:
        """Its values as moments, UTC."""
        return [moment(cell) for cell in self.present] if self.type == "timestamp" else []


def null_value(feeds: Sequence[Feed]) -> dict[str, str]:
    """Feed -> the text that stands for null in it beside an empty cell; empty where there is none.

    One of the usual texts, if a column of some feed becomes a number or a moment without it.
    """
    proven = {text for feed in feeds for text in _proven(feed)}
    held = {
        feed.name: Counter(c for cells in feed.columns.values() for c in cells if c in proven)
        for feed in feeds
        if feed.format != "parquet"
    }
    return {
        feed.name: counted.most_common(1)[0][0] if (counted := held.get(feed.name)) else ""
        for feed in feeds
    }


def _proven(feed: Feed) -> set[str]:
    found = set()
    for cells in feed.columns.values():
        for text in set(_NULLS) & set(cells):
            present = [cell for cell in cells if cell is not None and cell != text]
            if present and _type(present) != "string":
                found.add(text)
    return found


def guessed(feed: Feed, *, null: str) -> dict[str, Guessed]:
    """Each column of a feed, with the type that nearly all of its cells have."""
    found = {}
    for name, cells in feed.columns.items():
        clean: Cells = [None if cell == null else cell for cell in cells]
        present = [cell for cell in clean if cell is not None]
        kind = feed.types.get(name) or _type(present)
        fits = _FITS.get("bigint" if kind == "int" else kind)
        wrong = [cell for cell in present if fits is not None and not fits(cell)]
        found[name] = Guessed(
            name,
            kind,
            clean,
            len(clean) - len(present),
            len(wrong),
            wrong[0] if wrong else "",
            kind == "timestamp" and any(not _ZONED.fullmatch(cell) for cell in present[:100]),
        )
    return found


def _type(present: Sequence[str]) -> str:
    """The narrowest type that nearly all cells have; text where there is none."""
    few = present[:_FEW]
    for kind, fits in _FITS.items():
        if sum(map(bool, map(fits, few))) < _ENOUGH * len(few) - _FEW / 10:
            continue  # a tenth of the first are wrong: the rest need not be looked at
        right = [cell for cell in present if fits(cell)]
        if not right or len(right) < _ENOUGH * len(present):
            continue
        if kind != "bigint":
            return kind
        return "int" if all(abs(int(cell)) <= _INT_MAX for cell in right) else "bigint"
    return "string"

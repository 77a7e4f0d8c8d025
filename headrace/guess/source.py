"""A feed with what it seems to be, and which of its columns could be a measure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headrace.guess.columns import NUMBERS, Guessed
from headrace.guess.feeds import Feed

_TARGET = re.compile(
    r"^(is_|has_|was_)|late|delay|churn|label|target|outcome|fraud|default|cancel|fail|win|won|"
    r"amount|price|sales|minutes|score|status|result"
)


@dataclass(frozen=True)
class Source:
    """A feed, and what it seems to be.

    Attributes:
        feed: Its files.
        name: Of the source; that of the feed, unless it serves twice.
        columns: Its columns.
        null: The text that stands for null.
        key: Columns that name a row.
        event_time: When it happened; None for a timeless one.
        known_at: When it was known; None where that is not told.
        references: The source whose rows its own are about.
    """

    feed: Feed
    name: str
    columns: Mapping[str, Guessed]
    null: str
    key: tuple[str, ...]
    event_time: str | None = None
    known_at: str | None = None
    references: str | None = None


def measures(source: Source, shared: Iterable[str]) -> list[str]:
    """Columns that could be predicted, the likeliest first."""
    held = set(shared) | set(source.key)
    able = [
        column
        for name, column in source.columns.items()
        if name not in held and column.type in {*NUMBERS, "boolean"} and varies(column)
    ]

    begins = (source.known_at or "")[:3]

    def likely(column: Guessed) -> tuple[bool, bool, bool]:
        told_together = bool(begins) and column.name.startswith(begins)
        return not _TARGET.search(column.name), column.type != "boolean", not told_together

    return [column.name for column in sorted(able, key=likely)]


def varies(column: Guessed) -> bool:
    """Whether it has two values or more."""
    return len(set(column.present)) > 1

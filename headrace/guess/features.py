"""The features that rows could have: their own columns, look-ups, and the latest of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from headrace.guess.columns import NUMBERS
from headrace.guess.source import Source, measures, varies
from headrace.spec.expressions import parse
from headrace.spec.model import ColumnType

_FEW, _MANY = 2, 500  # distinct values of a column of texts that is a feature
_OVERLAP = 0.8  # of the values that a look-up finds


def own(rows: Source, outcomes: Source) -> Iterator[tuple[str, str]]:
    """Features of a row's own columns, and of the moment it is placed by."""
    late = set(measures(outcomes, ())[:1]) if outcomes.feed is rows.feed else set()
    for name, column in rows.columns.items():
        if name in {rows.event_time, *late} or column.type in {"timestamp", "date"}:
            continue
        distinct = len(set(column.present))
        is_id = column.type == "string" and distinct > _MANY
        if not is_id and distinct > 1 and rows.key != (name,):
            yield name, in_sql(name)
    moments = rows.columns[str(rows.event_time)].moments
    event = in_sql(str(rows.event_time))
    if len({moment.hour for moment in moments}) > 1 and "hour" not in rows.columns:
        yield "hour", f"hour({event})"
    if "weekday" not in rows.columns:
        yield "weekday", f"dayofweek({event})"


def in_sql(name: str) -> str:
    """A column as SQL has it: in back quotes where the name is a word of SQL."""
    found = [parse(each, {name: ColumnType.INT}) for each in (name, f"{name} + 1")]
    is_plain = all(each.columns == (name,) and not each.problems for each in found)
    return name if is_plain else f"`{name}`"


def group(rows: Source, own: Mapping[str, str]) -> str | None:
    """The column of texts that a history could group by."""
    able = [
        name
        for name in own
        if name in rows.columns and rows.columns[name].type == "string"
        if _FEW <= len(set(rows.columns[name].present)) <= _MANY
    ]
    return able[0] if able else None


def lookups(
    rows: Source, others: Sequence[Source], own: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, str, Mapping[str, str]]]]:
    """Of each timeless feed that fits: the columns that are matched, and what it adds."""
    taken = set(own)
    for other in others:
        if other.event_time is not None or len(other.key) != 1:
            continue
        (theirs,) = other.key
        ours = _matched(rows, other, theirs)
        able = [
            name
            for name, column in other.columns.items()
            if name != theirs and column.type in {*NUMBERS, "string", "boolean"}
            if len(set(column.present)) > 1
            and not (column.type == "string" and len(set(column.present)) > _MANY)
        ]
        if ours and able:
            new = {_free(name, other.name, taken): name for name in able}
            taken |= new.keys()
            yield other.name, (ours, theirs, new)


def _matched(rows: Source, other: Source, theirs: str) -> str | None:
    """The column of `rows` whose values a key holds."""
    kind, values = other.columns[theirs].type, set(other.columns[theirs].present)
    named = sorted(
        rows.columns.values(), key=lambda own: (own.name != theirs, -len(set(own.present)))
    )
    for column in named:
        own = set(column.present)
        if column.type == kind and own and len(own & values) >= _OVERLAP * len(own):
            return column.name
    return None


def latest(
    rows: Source, others: Sequence[Source], taken: Iterable[str]
) -> Iterator[tuple[str, tuple[tuple[str, ...], Mapping[str, str]]]]:
    """Of each feed with a moment that fits: the columns that are matched, and what it adds."""
    held = set(taken)
    for other in others:
        if other.event_time is None:
            continue
        on = tuple(
            name
            for name in other.key
            if name != other.event_time and name in rows.columns
            if rows.columns[name].type == other.columns[name].type
        )
        able = [
            name
            for name, column in other.columns.items()
            if name not in other.key and column.type in NUMBERS and varies(column)
        ]
        if on and able:
            new = {_free(name, other.name, held): name for name in able}
            held |= new.keys()
            yield other.name, (on, new)


def _free(name: str, source: str, taken: Iterable[str]) -> str:
    return name if name not in set(taken) else f"{source}_{name}"

"""Look-ups, latest rows and histories: what other sources add to a row, and by which columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from headrace.spec.expressions import parse
from headrace.spec.model import ColumnType, History, Latest, Lookup, Source
from headrace.spec.parts import Parts
from headrace.spec.problems import KEY, Findings, Loc, shown, unknown

_Types = Mapping[str, ColumnType]
_NOT_IN_TIME = "has no `known_at`, so it cannot be told which rows were known in time"


def joins_problems(parts: Parts) -> Findings:
    """What does not fit in `features.lookups`, `features.latest` and `features.history`."""
    for name, lookup in parts.lookups.items():
        yield from _lookup(parts, name, lookup)
    for name, latest in parts.latest.items():
        yield from _latest(parts, name, latest)
    for name, history in parts.history.items():
        yield from _history(parts, name, history)


def _lookup(parts: Parts, name: str, lookup: Lookup) -> Findings:
    at: Loc = ("features", "lookups", name)
    if name not in parts.sources:
        yield (*at, KEY), unknown("source", name, parts.sources)
    source = parts.sources.get(name)
    if source is None:
        return
    if not source.timeless:
        yield (
            (*at, KEY),
            f"{name} is not timeless: use `latest`, which takes what was known in time",
        )
    yield from _taken(lookup.columns, source, (*at, "columns"), of=name)
    if len(lookup.on) != len(source.key):
        yield (*at, "on"), f"must name a column for each of {name}'s key: {', '.join(source.key)}"
    else:
        pairs = zip(lookup.on, source.key, strict=True)
        yield from _matched(parts, pairs, source.columns, (*at, "on"), of=name)


def _latest(parts: Parts, name: str, latest: Latest) -> Findings:
    at: Loc = ("features", "latest", name)
    if name not in parts.sources:
        yield (*at, KEY), unknown("source", name, parts.sources)
    source = parts.sources.get(name)
    if source is None:
        return
    if source.known_at is None:
        yield (*at, KEY), f"{name} {_NOT_IN_TIME}"
    yield from _taken(latest.columns, source, (*at, "columns"), of=name)
    for new in [new for new, column in latest.columns.items() if column == source.known_at]:
        yield (
            (*at, "columns", new),
            f"{source.known_at} is {name}'s `known_at`, which is no feature",
        )
    yield from _same_name(parts, latest.on, source.columns, (*at, "on"), of=name)


def _history(parts: Parts, name: str, history: History) -> Findings:
    at: Loc = ("features", "history", name)
    if history.of not in parts.sources:
        yield (*at, "of"), unknown("source", history.of, parts.sources)
    source = parts.sources.get(history.of)
    if source is None:
        return
    if source.known_at is None:
        yield (*at, "of"), f"{history.of} {_NOT_IN_TIME}"
    about = parts.about(history.of)
    if about and about.known_at is not None:
        yield (*at, "of"), f"{source.references}, which it references, may be known too late"
    columns: _Types | None = source.columns
    if source.references:
        columns = {**about.columns, **source.columns} if about else None
    for problem in parse(history.value, columns, aggregate=True, where=history.of).problems:
        yield (*at, "value"), problem
    if columns is not None:
        yield from _same_name(parts, history.by, columns, (*at, "by"), of=history.of)


def _taken(columns: Mapping[str, str], source: Source, at: Loc, *, of: str) -> Findings:
    for new, column in columns.items():
        if column not in source.columns:
            yield (*at, new), unknown("column", column, source.columns, of=of)


def _same_name(parts: Parts, names: Sequence[str], theirs: _Types, at: Loc, *, of: str) -> Findings:
    """Columns of `rows` that are matched with columns of the same name."""
    for index, name in enumerate(names):
        if name not in theirs:
            yield (*at, index), unknown("column", name, theirs, of=of)
    yield from _matched(parts, zip(names, names, strict=True), theirs, at, of=of)


def _matched(
    parts: Parts, pairs: Iterable[tuple[str, str]], theirs: _Types, at: Loc, *, of: str
) -> Findings:
    """Columns of `rows`, each with the one it is matched with: there, and of the same type."""
    ours = parts.columns(parts.rows)
    if ours is None:
        return
    seen: set[str] = set()
    for index, (our, their) in enumerate(pairs):
        if our in seen:
            yield (*at, index), f"column {shown(our)} stands twice"
        elif our not in ours:
            yield (*at, index), unknown("column", our, ours, of=str(parts.rows))
        elif their in theirs and ours[our] != theirs[their]:
            types = f"{ours[our].value} in {parts.rows} and {theirs[their].value} in {of}"
            yield (*at, index), f"column {shown(our)} is {types}"
        seen.add(our)

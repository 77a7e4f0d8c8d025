"""Look-ups, latest rows, histories and encodings: what other sources add to a row, and how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace.spec.expressions import parse
from headrace.spec.forms import Encoding, History, Latest, Lookup
from headrace.spec.model import ColumnType, Source
from headrace.spec.parts import Parts
from headrace.spec.problems import KEY, Findings, Loc, shown, unknown

_Types = Mapping[str, ColumnType]
_NUMBERS = {ColumnType.INT, ColumnType.BIGINT, ColumnType.DOUBLE, ColumnType.BOOLEAN}
_NOT_IN_TIME = "has no `known_at`, so it cannot be told which rows were known in time"


def joins_problems(parts: Parts) -> Findings:
    """What does not fit in `features.lookups`, `latest`, `history` and `encodings`."""
    for name, lookup in parts.lookups.items():
        yield from _lookup(parts, name, lookup)
    for name, latest in parts.latest.items():
        yield from _latest(parts, name, latest)
    for name, history in parts.history.items():
        at: Loc = ("features", "history", name)
        yield from _grouped(parts, history, at)
        for problem in _parsed(parts, history.of, history.value, aggregate=True):
            yield (*at, "value"), problem
    for name, encoding in parts.encodings.items():
        yield from _encoding(parts, name, encoding)


def _joined(parts: Parts, name: str, form: Lookup | Latest, at: Loc) -> Findings:
    of = form.source(name)
    if of not in parts.sources:
        yield (*at, KEY if form.of is None else "of"), unknown("source", of, parts.sources)


def _lookup(parts: Parts, name: str, lookup: Lookup) -> Findings:
    at: Loc = ("features", "lookups", name)
    yield from _joined(parts, name, lookup, at)
    of = lookup.source(name)
    source = parts.sources.get(of)
    if source is None:
        return
    if not source.timeless and source.valid_from is None:
        yield (
            (*at, KEY),
            f"{of} is not timeless: use `latest`, which takes what was known in time",
        )
    yield from _taken(lookup.columns, source, (*at, "columns"), of=of)
    key = [column for column in source.key if column != source.valid_from]
    pairs = lookup.pairs(source)
    whole = {their for _, their in pairs} == {*key}
    if len(pairs) < len(lookup.on) or not (whole or (source.timeless and lookup.named)):
        yield (*at, "on"), f"must name a column for each of {of}'s key: {', '.join(key)}"
    else:
        for ours, theirs in pairs:
            if theirs not in source.columns:
                yield (*at, "on", ours), unknown("column", theirs, source.columns, of=of)
        yield from _matched(parts, pairs, source.columns, (*at, "on"), of=of)


def _latest(parts: Parts, name: str, latest: Latest) -> Findings:
    at: Loc = ("features", "latest", name)
    yield from _joined(parts, name, latest, at)
    of = latest.source(name)
    source = parts.sources.get(of)
    if source is None:
        return
    if source.timeless:
        yield (*at, KEY), f"{of} {_NOT_IN_TIME}"
    yield from _taken(latest.columns, source, (*at, "columns"), of=of)
    for new in [new for new, column in latest.columns.items() if column == source.known_at]:
        yield (
            (*at, "columns", new),
            f"{source.known_at} is {of}'s `known_at`, which is no feature",
        )
    yield from _on(parts, latest.on, source.columns, (*at, "on"), of=of)


def _grouped(parts: Parts, form: History | Encoding, at: Loc) -> Findings:
    if form.of not in parts.sources:
        yield (*at, "of"), unknown("source", form.of, parts.sources)
    source = parts.sources.get(form.of)
    if source is None:
        return
    if source.timeless:
        yield (*at, "of"), f"{form.of} {_NOT_IN_TIME}"
    about = parts.about(form.of)
    if about and (about.known_at is not None or about.on_conflict == "latest"):
        yield (*at, "of"), f"{source.references}, which it references, may be known too late"
    columns = _columns(parts, form.of)
    if columns is not None:
        yield from _on(parts, form.by, columns, (*at, "by"), of=form.of)


def _encoding(parts: Parts, name: str, encoding: Encoding) -> Findings:
    at: Loc = ("features", "encodings", name)
    yield from _grouped(parts, encoding, at)
    if encoding.kind == "frequency" and encoding.value is not None:
        yield (*at, "value"), "a frequency counts rows and has no value: leave it out"
    if encoding.kind == "mean":
        if encoding.value is None:
            yield at, "a mean needs `value`, such as `delay`"
            return
        for problem in _parsed(parts, encoding.of, encoding.value, aggregate=False):
            yield (*at, "value"), problem
        columns = _columns(parts, encoding.of) or {}
        kind = columns.get(encoding.value.strip())
        if kind is not None and kind not in _NUMBERS:
            yield (*at, "value"), f"column {shown(encoding.value)} is {kind.value}, not a number"


def _parsed(parts: Parts, of: str, sql: str, *, aggregate: bool) -> tuple[str, ...]:
    if parts.sources.get(of) is None:
        return ()
    return parse(sql, _columns(parts, of), aggregate=aggregate, where=of).problems


def _columns(parts: Parts, of: str) -> _Types | None:
    """The columns of a source and of the one it references; None where they are not known."""
    source = parts.sources.get(of)
    if source is None or not source.references:
        return source.columns if source else None
    about = parts.about(of)
    return {**about.columns, **source.columns} if about else None


def _taken(columns: Mapping[str, str], source: Source, at: Loc, *, of: str) -> Findings:
    for new, column in columns.items():
        if column not in source.columns:
            yield (*at, new), unknown("column", column, source.columns, of=of)


def _on(parts: Parts, on: Mapping[str, str], theirs: _Types, at: Loc, *, of: str) -> Findings:
    for our, their in on.items():
        if their not in theirs:
            yield (*at, our), unknown("column", their, theirs, of=of)
    yield from _matched(parts, on.items(), theirs, at, of=of)


def _matched(
    parts: Parts, pairs: Iterable[tuple[str, str]], theirs: _Types, at: Loc, *, of: str
) -> Findings:
    """Columns of `rows`, each with the one it is matched with: there, and of the same type."""
    ours = parts.columns(parts.rows)
    if ours is None:
        return
    for our, their in pairs:
        if our not in ours:
            yield (*at, our), unknown("column", our, ours, of=str(parts.rows))
        elif their in theirs and ours[our] != theirs[their]:
            types = f"{ours[our].value} in {parts.rows} and {theirs[their].value} in {of}"
            yield (*at, our), f"column {shown(our)} is {types}"

"""Sources: their columns, their times, the roots they lie under, and the source they are about."""

from __future__ import annotations

from pathlib import Path

from headrace.spec.landing import path_problem, root_problem
from headrace.spec.model import ColumnType, Source
from headrace.spec.parts import Parts
from headrace.spec.problems import Findings, Loc, shown, unknown

_MOMENTS = ("event_time", "known_at", "valid_from", "valid_to")


def sources_problems(parts: Parts, *, folder: Path) -> Findings:
    """What does not fit in `roots` and `sources`."""
    for index, root in enumerate(parts.roots):
        if problem := root_problem(root):
            yield ("roots", index), problem
    for name, source in parts.sources.items():
        if source is None:
            continue
        at: Loc = ("sources", name)
        if problem := path_problem(source.path, roots=parts.roots, folder=folder):
            yield (*at, "path"), problem
        yield from _cells(source, at)
        yield from _key(source, at)
        yield from _times(source, at)
        if source.references is not None:
            yield from _references(parts, name, source)


def _cells(source: Source, at: Loc) -> Findings:
    for field in {"delimiter", "quote"} & source.model_fields_set:
        if source.format != "csv":
            yield (*at, field), f"a {source.format} file has none: leave it out"
    for field, character in (("delimiter", source.delimiter), ("quote", source.quote)):
        if character in "\r\n":
            yield (*at, field), "must not end a line: a row is one line of the file"
    if source.delimiter == source.quote:
        yield (*at, "quote"), f"{shown(source.quote)} is the delimiter already"


def _key(source: Source, at: Loc) -> Findings:
    for index, column in enumerate(source.key):
        if column not in source.columns:
            yield (*at, "key", index), unknown("column", column, source.columns)
        elif column in source.key[:index]:
            yield (*at, "key", index), f"column {shown(column)} stands twice in the key"
    for index, column in enumerate(source.pii):
        if column not in source.columns:
            yield (*at, "pii", index), unknown("column", column, source.columns)


def _times(source: Source, at: Loc) -> Findings:
    moments = {name: getattr(source, name) for name in _MOMENTS}
    for field, column in moments.items():
        if column is None:
            continue
        if source.timeless:
            yield (*at, field), f"a timeless source has no `{field}`: leave one of the two out"
        if column not in source.columns:
            yield (*at, field), unknown("column", column, source.columns)
        elif source.columns[column] != ColumnType.TIMESTAMP:
            given = source.columns[column].value
            yield (
                (*at, field),
                f"column {shown(column)} is of type {given}; a moment is a timestamp",
            )
    if not source.timeless and not (source.event_time or source.known_at or source.valid_from):
        yield at, "needs `event_time`, `known_at` (no row is used before it) or `timeless: true`"
    yield from _corrected(source, at)


def _corrected(source: Source, at: Loc) -> Findings:
    """Rows that hold for a time, or until they are corrected."""
    if source.valid_to is not None and source.valid_from is None:
        yield (*at, "valid_to"), "needs `valid_from` beside it"
    if source.valid_from is not None and source.valid_from == source.valid_to:
        yield (*at, "valid_to"), f"{source.valid_to} is `valid_from` already"
    if source.valid_from is not None and set(source.key) == {source.valid_from}:
        yield (
            (*at, "key"),
            "needs another column: `valid_from` tells one row of a thing from others",
        )
    if source.timeless:
        pass  # told above
    elif source.valid_from in source.columns and source.valid_from not in source.key:
        yield (*at, "valid_from"), f"{source.valid_from} must be in `key`: one row from each moment"
    if source.timeless and source.on_conflict == "latest":
        yield (*at, "on_conflict"), "what is corrected is not timeless: declare when it was known"


def _references(parts: Parts, name: str, source: Source) -> Findings:
    at: Loc = ("sources", name, "references")
    other = str(source.references)
    if other == name:
        yield at, "a source cannot reference itself"
    elif other not in parts.sources:
        yield at, unknown("source", other, parts.sources.keys() - {name})
    about = parts.about(name)
    if about is None or not (_sound_key(source) and _sound_key(about)):
        return
    if set(source.key) != set(about.key):
        yield at, f"must have the same key as {other}: {', '.join(about.key)}"
        return
    for column in source.key:
        ours, theirs = source.columns.get(column), about.columns.get(column)
        if ours and theirs and ours != theirs:
            yield (
                at,
                f"column {shown(column)} is {ours.value} here and {theirs.value} in {other}",
            )


def _sound_key(source: Source) -> bool:
    return len(set(source.key)) == len(source.key) and set(source.key) <= source.columns.keys()

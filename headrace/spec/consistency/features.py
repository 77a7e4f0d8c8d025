"""Features: names that exist, and no way in for a value that was not yet known at `at`."""

from __future__ import annotations

from headrace.spec.consistency.joins import joins_problems
from headrace.spec.expressions import parse
from headrace.spec.forms import Holiday
from headrace.spec.parts import Parts
from headrace.spec.problems import KEY, Findings, Loc, dotted, shown, unknown


def features_problems(parts: Parts) -> Findings:
    """What does not fit in `features`."""
    yield from ((("features", "rows"), problem) for problem in _rows(parts))
    yield from _names(parts)
    columns = parts.columns(parts.rows)
    for name, sql in parts.features.items():
        for problem in parse(sql, columns, where=parts.rows or "").problems:
            yield ("features", "columns", name), problem
    yield from joins_problems(parts)
    for name, holiday in parts.holidays.items():
        for key, problem in _holiday(holiday):
            yield ("features", "holidays", name, key), problem


def _rows(parts: Parts) -> list[str]:
    if parts.rows is None:
        return []
    if parts.rows not in parts.sources:
        return [unknown("source", parts.rows, parts.sources)]
    source, found = parts.sources[parts.rows], []
    if source and source.event_time is None:
        found.append(f"{parts.rows} has no `event_time`, which places its rows in intervals")
    if source and source.known_at is not None:
        found.append(f"{parts.rows} has `known_at`: its rows may be known only after `at`")
    if source and source.on_conflict == "latest":
        found.append(f"{parts.rows} may be corrected (`on_conflict: latest`) after `at`")
    return found


def _holiday(holiday: Holiday) -> list[tuple[str, str]]:
    import holidays

    known = holidays.list_supported_countries()
    if holiday.country not in known:
        return [("country", unknown("country", holiday.country, known))]
    parts = known[holiday.country]
    if holiday.subdivision is not None and holiday.subdivision not in parts:
        told = unknown("subdivision", holiday.subdivision, parts, of=holiday.country)
        return [("subdivision", told)]
    return []


def _names(parts: Parts) -> Findings:
    """Every column of gold has a name of its own; a key column may be a feature as it is."""
    rows = parts.sources.get(parts.rows) if parts.rows else None
    key: Loc = ("sources", parts.rows or "", "key")
    taken: dict[str, Loc] = dict.fromkeys(rows.key if rows else (), key)
    target = [(parts.target.name, ("target", "name", KEY))] if parts.target else []
    for name, at in [*parts.named, *target]:
        as_it_is = at[1] == "columns" and parts.features[name].strip().strip("`") == name
        first = taken.get(name)
        if first is not None and not (first == key and as_it_is):
            yield at, f"name {shown(name)} is taken by {dotted(first)}"
        taken[name] = at[:-1]

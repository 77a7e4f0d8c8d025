"""Checks: expectations that are known, arguments that can be judged, columns that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headrace.spec.consistency.arguments import (
    BOUNDS,
    COLUMNS,
    NEEDED,
    SETS,
    argument_problem,
)
from headrace.spec.consistency.values import values_problems
from headrace.spec.expressions import parse
from headrace.spec.model import Action, Check
from headrace.spec.parts import Parts
from headrace.spec.problems import KEY, Findings, Loc, shown, unknown
from headrace.spec.rules import RULES, SQL_ARGUMENT, Rule

_Given = Mapping[str, Any]  # arguments: any JSON value


def action_of(check: Check) -> Action:
    """What a broken rule leads to: as declared, else by the kind of the rule."""
    if check.action is not None:
        return check.action
    return Action.QUARANTINE if RULES[check.expectation].kind == "row" else Action.FAIL


def checks_problems(parts: Parts) -> Findings:
    """What does not fit in `checks`."""
    for source, checks in parts.checks.items():
        if source not in parts.sources:
            yield ("checks", source, KEY), unknown("source", source, parts.sources)
        taken: dict[str, int] = {}
        for index, check in checks:
            problems = list(_check(parts, source, check))
            for place, problem in problems:
                yield ("checks", source, index, *place), problem
            first = index if problems else taken.setdefault(check.rule, index)
            if first != index:
                twice = f"rule {shown(check.rule)} stands twice, first as checks.{source}[{first}]"
                yield ("checks", source, index), f"{twice}: give one of them a `name`"


def _check(parts: Parts, source: str, check: Check) -> Findings:
    rule, at = RULES.get(check.expectation), ("arguments",)
    if rule is None:
        yield (*at, KEY), unknown("expectation", check.expectation, RULES)
        return
    if rule.kind == "table" and check.action is Action.QUARANTINE:
        yield ("action",), "a rule about the whole batch cannot quarantine a row: use fail or warn"
    for name in check.arguments:
        if name not in rule.arguments:
            yield (*at, name, KEY), unknown("argument", name, rule.arguments)
    given = {name: value for name, value in check.arguments.items() if name in rule.arguments}
    if len(given) == len(check.arguments):
        yield from ((at, problem) for problem in _missing(rule, given))
    for name, value in given.items():
        problem = argument_problem(name, value)
        if problem:
            yield (*at, name), problem
        else:
            yield from _argument(parts, source, name, given)
    kind = (parts.columns(source) or {}).get(str(given.get("column")))
    for name, problem in values_problems(check.expectation, given, kind):
        yield (*at, name), problem


def _missing(rule: Rule, given: _Given) -> list[str]:
    found = [
        f"argument {shown(name)} is missing"
        for name in NEEDED
        if name in rule.arguments and name not in given
    ]
    if set(BOUNDS) <= rule.arguments and all(given.get(name) is None for name in BOUNDS):
        found.append("needs `min_value` or `max_value`: without them nothing is checked")
    return found


def _argument(parts: Parts, source: str, name: str, given: _Given) -> Findings:
    """What an argument names must be there."""
    columns, at, value = parts.columns(source), ("arguments", name), given[name]
    if name == SQL_ARGUMENT:
        for problem in parse(value, columns, gives="boolean").problems:
            yield at, problem
    elif name in COLUMNS and columns is not None:
        for index, column in enumerate([value] if isinstance(value, str) else value):
            place: Loc = at if isinstance(value, str) else (*at, index)
            if column not in columns:
                yield place, unknown("column", column, columns)
    elif name in SETS and isinstance(value, dict):
        yield from _values_of(parts, source, value, given)
    elif name in SETS and (not isinstance(value, list) or not value):
        yield at, "must be a list of values, and not empty, or `{source: ..., column: ...}`"
    elif name in SETS and any(
        None in (item if isinstance(item, list) else [item]) for item in value
    ):
        yield at, "null in a value set makes the rule true for every row: leave it out"


def _values_of(parts: Parts, source: str, value: Mapping[str, object], given: _Given) -> Findings:
    at: Loc = ("arguments", "value_set")
    other, column = value.get("source"), value.get("column")
    if not isinstance(other, str) or not isinstance(column, str):
        yield at, "must name a `source` and a `column`"
    elif strangers := sorted(value.keys() - {"source", "column"}):
        yield (*at, strangers[0], KEY), unknown("such key", strangers[0], ("source", "column"))
    elif other == source:
        yield (*at, "source"), "a source cannot take values from itself"
    elif other not in parts.sources:
        yield (*at, "source"), unknown("source", other, parts.sources.keys() - {source})
    else:
        if source in _waits_for(parts, other):
            yield (*at, "source"), f"{other} waits for {source}, whose checks would wait for it"
        columns = parts.columns(other)
        ours = (parts.columns(source) or {}).get(str(given.get("column")))
        if columns is not None and column not in columns:
            yield (*at, "column"), unknown("column", column, columns, of=other)
        elif columns is not None and ours is not None and columns[column] != ours:
            types = f"{columns[column].value} in {other} and {ours.value} in {source}"
            yield (*at, "column"), f"column {shown(column)} is {types}"


def _waits_for(parts: Parts, source: str) -> set[str]:
    """Sources that the checks of a source take values from, and those that these wait for."""
    found: set[str] = set()
    waiting = [source]
    while waiting:
        for _, check in parts.checks.get(waiting.pop(), []):
            values = check.arguments.get("value_set")
            other = values.get("source") if isinstance(values, dict) else None
            if isinstance(other, str) and other not in found:
                found.add(other)
                waiting.append(other)
    return found

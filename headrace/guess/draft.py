"""The text of a pipeline file from what was guessed; each guess has a comment that says so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from headrace.guess.columns import NUMBERS, Guessed
from headrace.guess.roles import Roles, span
from headrace.guess.source import Source

GUESS = "# guess: "
_BROKEN = 0.01  # of the rows may break a rule that is proposed
_COLUMN = 50  # where comments begin


def draft(name: str, roles: Roles, *, folder: Path) -> str:
    """The text of a pipeline file.

    Args:
        name: Of the pipeline.
        roles: What was guessed.
        folder: Where the file will lie; paths are relative to it where they can be.
    """
    return "\n".join(
        [
            f"# Written by `headrace new {name}` from a look at some rows of each feed.",
            "# What is marked `guess` was guessed: look at each, then run `headrace validate`.",
            f"name: {name}",
            _line(f"timezone: {roles.zone}", _zone_told(roles)),
            *_roots(roles, folder),
            "",
            "sources:",
            *(line for each in roles.sources for line in _source(each, roles, folder)),
            *_checks(roles),
            *_features(roles),
            *_rest(roles),
            "",
        ]
    )


def _line(text: str, guess: str = "") -> str:
    return f"{text:<{_COLUMN}}  {GUESS}{guess}" if guess else text


def _zone_told(roles: Roles) -> str:
    if roles.zone == "UTC":
        return "whose calendar days are the intervals"
    return "in this zone the column `hour` is the hour of the moment"


def _roots(roles: Roles, folder: Path) -> list[str]:
    """The one folder that all files lie below."""
    tops = {each.feed.folder for each in roles.sources}
    common = Path(os.path.commonpath(tops))
    if common in tops and common != folder.absolute() and common.parent != common:
        common = common.parent if len(tops) == 1 and common.parent != folder.absolute() else common
    return [f"roots: [{_quoted(_relative(common, folder))}]"]


def _relative(path: Path, folder: Path) -> str:
    try:
        return path.relative_to(folder.absolute()).as_posix()
    except ValueError:
        return path.as_posix()


def _quoted(text: str) -> str:
    """A text as YAML has it."""
    return yaml.safe_dump(text, default_flow_style=True, width=10_000).splitlines()[0]


def _source(source: Source, roles: Roles, folder: Path) -> Iterator[str]:
    feed = source.feed
    looked = f"{feed.rows:,} rows of {feed.files} file{'s' if feed.files > 1 else ''} looked at"
    yield f"  {source.name}:  # {looked}{', a sample' if feed.sampled else ''}"
    place = (Path(_relative(feed.folder, folder)) / feed.pattern).as_posix()
    yield f"    path: {_quoted(place)}"
    if feed.format != "csv":
        yield f"    format: {feed.format}"
    if feed.format == "csv" and feed.delimiter != ",":
        yield _line(f"    delimiter: {_delimiter(feed.delimiter)}", "it splits the header best")
    if source.null:
        yield _line(f"    null_value: {_quoted(source.null)}", "it stands among numbers")
    yield "    schema:"
    for column in source.columns.values():
        yield _line(f"      {column.name}: {column.type}", _type_told(column))
    yield _line(f"    key: [{', '.join(source.key)}]", _key_told(source, roles))
    naive = [c.name for c in source.columns.values() if c.naive]
    if naive:
        yield _line("    time_zone: UTC", f"{', '.join(naive)} names no zone")
    if source.event_time is None:
        yield _line("    timeless: true", "it has no moment, or one row per key")
    else:
        yield _line(f"    event_time: {source.event_time}", "when a row happens")
    if source.known_at:
        told = "nothing of a row is used before it"
        yield _line(f"    known_at: {source.known_at}", told)
    if source.references:
        yield f"    references: {source.references}"


def _delimiter(text: str) -> str:
    return r'"\t"' if text == "\t" else _quoted(text)


def _type_told(column: Guessed) -> str:
    if column.wrong:
        of = len(column.cells) - column.missing
        return f"but for {column.wrong:,} of {of:,} cells, such as {column.example[:20]!r}"
    return "no cell has a value" if column.missing == len(column.cells) else ""


def _key_told(source: Source, roles: Roles) -> str:
    if source is roles.outcomes:
        return f"it names the same rows as in {roles.rows.name}"
    return "no two rows that were looked at have the same"


def _checks(roles: Roles) -> Iterator[str]:
    rows = roles.rows
    rules = [rule for column in rows.columns.values() for rule in _rules(column, roles)]
    if rules:
        yield from ("", "checks:", f"  {rows.name}:", *rules)


def _rules(column: Guessed, roles: Roles) -> Iterator[str]:
    if column.name not in roles.columns:
        return
    numbers = column.numbers
    below = sum(number < 0 for number in numbers)
    measured = column.type == "double" or below
    if column.type in NUMBERS and measured and below <= _BROKEN * len(numbers):
        told = f"{below:,} of {len(numbers):,} are below" if below else "none is below"
        rule = f"{{column: {column.name}, min_value: 0}}"
        yield _line(f"    - expect_column_values_to_be_between: {rule}", told)
    if column.name == roles.by and not column.missing:
        rule = f"{{column: {column.name}}}"
        yield _line(f"    - expect_column_values_to_not_be_null: {rule}", "none is missing")


def _features(roles: Roles) -> Iterator[str]:
    yield from ("", "features:", f"  rows: {roles.rows.name}")
    told = "the moment of prediction: the hour before a day's first events"
    yield _line(f"  at: '{roles.at:02}:00'", told)
    yield _line("  columns:", "known at that moment")
    for name, sql in roles.columns.items():
        yield f"    {name}: {_quoted(sql)}"
    if roles.lookups:
        yield "  lookups:"
    for name, (ours, theirs, new) in roles.lookups.items():
        on = f"[{ours}]" if ours == theirs else f"{{{ours}: {theirs}}}"
        yield _line(f"    {name}:", f"most values of {ours} are keys of it")
        yield from (f"      on: {on}", f"      columns: {_columns(new)}")
    if roles.latest:
        yield "  latest:"
    for name, (by, new) in roles.latest.items():
        yield f"    {name}:"
        yield f"      on: [{', '.join(by)}]"
        yield _line("      within: 1 days", "how old its newest row may be")
        yield f"      columns: {_columns(new)}"
    if roles.by:
        feature = f"{roles.by}_7d"
        yield "  history:"
        yield f"    {feature}:"
        yield f"      of: {roles.outcomes.name}"
        yield _line(f"      value: {roles.measure}", "what became known in the days before")
        yield f"      by: [{roles.by}]"
        yield "      over: 7 days"


def _columns(new: Mapping[str, str]) -> str:
    if all(feature == column for feature, column in new.items()):
        return f"[{', '.join(new)}]"
    return f"{{{', '.join(f'{feature}: {column}' for feature, column in new.items())}}}"


def _rest(roles: Roles) -> Iterator[str]:
    first, last = roles.days
    part, training = span(first, last)
    yield from ("", "target:", "  name: target", f"  of: {roles.outcomes.name}")
    share = "" if roles.share is None else f"; true in {roles.share:.0%} of the rows looked at"
    yield _line(f"  value: {_quoted(roles.target)}", f"what shall be predicted{share}")
    yield ""
    yield _line(f"split: {{validation: {part} days, test: {part} days}}", f"{first} to {last}")
    yield "training:"
    yield "  algorithms: [logistic_regression, lightgbm]"
    yield _line(f"  first: {training}", "three quarters of the days lie before it")
    yield "  every: 30 days"
    yield from (f"# {note}" for note in roles.notes)

"""YAML text as plain values, and the place of each; what they mean is not known here.

The language is YAML 1.2's core schema without tags, anchors and aliases: `on`, `no` and `05:00` are
texts, as a reader of the file expects, and no file can name a Python object or blow up in memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from headrace.spec.problems import KEY, Loc, Problem, dotted, shown

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_VALUES = 5_000

Json = Any  # what YAML's core schema can say: dict, list, str, int, float, bool, None

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,400}")
_BASED = {"0x": (re.compile(r"0x[0-9a-fA-F]{1,100}"), 16), "0o": (re.compile(r"0o[0-7]{1,100}"), 8)}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_UNPRINTABLE = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class Document:
    """The values of a YAML file, where each stands, and what is wrong with the text itself.

    Attributes:
        data: Plain values; None where the text could not be read at all.
        problems: Wrong YAML, or YAML that is refused here.
        readable: Whether `data` holds the whole document, so that more can be said of it.
        values: Line and column of each value, from 1.
        keys: Line and column of each key, from 1.
    """

    data: Json = None
    problems: list[Problem] = field(default_factory=list)
    readable: bool = True
    values: dict[Loc, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Loc, tuple[int, int]] = field(default_factory=dict)

    def problem(self, loc: Loc, message: str) -> Problem:
        """A problem at a place, or at the nearest place above it that the file has."""
        line = " ".join(message.split())
        told = line if line.isprintable() else "".join(map(_printable, line))
        return Problem(*self._mark(loc), dotted(loc), told)

    def rename(self, loc: Loc, key: str) -> None:
        """Takes the key at `loc` for another one from now on; both have its place in the file."""
        place, size = (*loc[:-1], key), len(loc)
        _at(self.data, loc[:-1])[key] = _at(self.data, loc[:-1]).pop(loc[-1])
        for marks in (self.values, self.keys):
            for old in [old for old in marks if old[:size] == loc]:
                marks[(*place, *old[size:])] = marks[old]

    def _mark(self, loc: Loc) -> tuple[int, int]:
        if loc and loc[-1] == KEY:
            found = self.keys.get(loc[:-1])
            return found or self._mark(loc[:-1])
        for size in range(len(loc), 0, -1):
            if (found := self.values.get(loc[:size])) is not None:
                return found
        return (1, 1)


def read(text: str) -> Document:
    """Reads YAML text; what is wrong with it is in the document's `problems`.

    Example:
        >>> read("on: [a]  # a text here, true in YAML 1.1").data
        {'on': ['a']}
    """
    document = Document()
    if bad := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - text.rfind("\n", 0, bad.start())
        document.problems.append(
            Problem(line, column, "", f"a character that YAML does not allow: {bad[0]!r}")
        )
        document.readable = False
        return document
    builder = _Builder(document)
    try:
        document.data = builder.document(yaml.parse(text, Loader=_loader()))
    except _Refused:
        document.readable = False
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        why = " ".join(part for part in (error.problem, error.context) if part)
        document.problems.append(Problem(line, column, "", f"not YAML: {why}"))
        document.readable = False
    return document


def _loader() -> type[yaml.CSafeLoader | yaml.SafeLoader]:
    # The C parser is ten times as fast, where PyYAML was built with it.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _at(data: Json, loc: Loc) -> Json:
    for part in loc:
        data = data[part]
    return data


class _Refused(Exception):
    """The rest of the document cannot be understood."""


class _Builder:
    """Values from the parser's events; PyYAML's own constructors and 1.1 rules never run."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._count = 0

    def document(self, events: Iterator[yaml.Event]) -> Json:
        data: Json = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, (), "a second document: a pipeline file holds one")
            elif isinstance(event, yaml.NodeEvent):
                data = self._value(event, events, ())
        if not isinstance(data, dict):
            what = (
                "the file is empty"
                if data is None
                else f"{shown(data)} where the keys of a pipeline belong"
            )
            self._document.problems.append(Problem(1, 1, "", what))
            raise _Refused
        return data

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], loc: Loc) -> Json:
        self._document.values.setdefault(loc, _place(event))
        self._count += 1
        if self._count > MAX_VALUES:
            self._refuse(event, (), f"more than {MAX_VALUES:,} values")
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, loc, f"alias '*{event.anchor}' is refused: write the value out")
        self._plain(event, loc)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, loc) if event.implicit[0] else event.value
        if len(loc) >= MAX_DEPTH:
            self._refuse(event, loc[:3], f"nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, loc)
        return self._mapping(events, loc)

    def _plain(self, event: yaml.Event, loc: Loc) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor:
            self._note(
                event, loc, f"anchor '&{anchor}' is refused: write the value where it is used"
            )
        if tag:
            self._note(event, loc, f"tag {shown(tag)} is refused: values are plain")

    def _sequence(self, events: Iterator[yaml.Event], loc: Loc) -> list[Json]:
        found: list[Json] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            found.append(self._value(event, events, (*loc, len(found))))
        return found

    def _mapping(self, events: Iterator[yaml.Event], loc: Loc) -> dict[str, Json]:
        found: dict[str, Json] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, loc, "a key must be a plain name")
            self._plain(event, loc)
            key: str = event.value
            here = (*loc, key)
            if key in found:
                first = self._document.keys[here][0]
                self._note(event, here, f"key stands twice; the first is on line {first}")
            self._document.keys.setdefault(here, _place(event))
            value = self._value(next(events), events, here)
            found.setdefault(key, value)
        return found

    def _scalar(self, event: yaml.ScalarEvent, loc: Loc) -> Json:
        text: str = event.value
        if text in _NULL:
            return None
        if text in _BOOLEAN:
            return _BOOLEAN[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        pattern, base = _BASED.get(text[:2], (None, 0))
        if pattern and pattern.fullmatch(text):
            return int(text, base)
        if _NOT_FINITE.fullmatch(text) or (_FLOAT.fullmatch(text) and math.isinf(float(text))):
            self._note(event, loc, f"{shown(text)} is not a finite number; put a text in quotes")
            return 0.0
        return float(text) if _FLOAT.fullmatch(text) else text

    def _note(self, event: yaml.Event, loc: Loc, message: str) -> None:
        self._document.problems.append(Problem(*_place(event), dotted(loc), message))

    def _refuse(self, event: yaml.Event, loc: Loc, message: str) -> NoReturn:
        self._note(event, loc, message)
        raise _Refused


def _printable(letter: str) -> str:
    """A character as it is, or its escape: a name must not move a terminal's cursor."""
    return letter if letter.isprintable() else repr(letter)[1:-1]


def _place(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)

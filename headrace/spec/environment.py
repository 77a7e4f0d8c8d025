"""`${env:NAME}` in `roots` and in paths: replaced by variables that the document lists, no others.

Nowhere else: names, expressions and descriptions are written into tables, models and pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace.spec.document import Json
from headrace.spec.problems import Finding, Loc, near, shown

_REFERENCE = re.compile(r"\$\{env:([^{}]*)\}")
_LOOSE = re.compile(r"\$\{[^{}]*\}?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# In characters: a shorter value or piece is no secret, and hiding it would garble messages.
_HIDDEN, _HIDDEN_PIECE = 4, 8


class Replacement:
    """Replaces references in a document, and keeps what it put in out of messages.

    Attributes:
        problems: What is wrong with references.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[Finding] = []
        self._environ = environ
        self._used: dict[str, str] = {}

    def apply(self, data: dict[str, Json]) -> dict[str, Json]:
        """The document with its texts filled in; keys, and the list `env`, stay as they are."""
        listed = data.get("env", [])
        names = (
            [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
        )
        for index, name in enumerate(names):
            if not _VARIABLE.fullmatch(name):
                self.problems.append(
                    (("env", index), f"{shown(name)} is not the name of a variable")
                )
        return {
            key: value if key == "env" else self._filled(value, (key,), names)
            for key, value in data.items()
        }

    def hidden(self, message: str) -> str:
        """A message without the values of variables, and without longer pieces of them."""
        for name, value in self._used.items():
            if len(value) >= _HIDDEN:
                for text in (repr(value)[1:-1], value):
                    message = _without(message, text, f"${{env:{name}}}")
        return message

    def _filled(self, value: Json, loc: Loc, names: list[str]) -> Json:
        if isinstance(value, dict):
            return {key: self._filled(item, (*loc, key), names) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, (*loc, index), names) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        if not _is_place(loc):
            where = "has no place here, only in `roots` and in the `path` of a source"
            self.problems.append((loc, f"{shown(_LOOSE.findall(value)[0])} {where}"))
            return value
        for loose in _LOOSE.findall(_REFERENCE.sub("", value)):
            self.problems.append((loc, f"{shown(loose)}: only ${{env:NAME}} is replaced"))
        return _REFERENCE.sub(lambda match: self._value(match[1], loc, names) or match[0], value)

    def _value(self, name: str, loc: Loc, names: list[str]) -> str | None:
        if name not in names:
            self.problems.append(
                (loc, f"variable {shown(name)} is not listed in `env`{near(name, names)}")
            )
        elif name not in self._environ:
            self.problems.append((loc, f"variable {shown(name)} is not set"))
        else:
            self._used[name] = self._environ[name]
            return self._environ[name]
        return None


def _is_place(loc: Loc) -> bool:
    in_source = len(loc) == 3 and loc[0] == "sources" and loc[2] == "path"  # noqa: PLR2004
    return loc[0] == "roots" or in_source


def _without(message: str, value: str, instead: str) -> str:
    """A message in which the value, and pieces of it, are replaced: it may be cut or lower case."""
    text, value = _lower(message), _lower(value)
    size = min(len(value), _HIDDEN_PIECE)
    told, at = "", 0
    while at < len(message):
        end = at + size
        if len(text[at:end]) < size or text[at:end] not in value:
            told, at = told + message[at], at + 1
            continue
        while end < len(text) and text[at : end + 1] in value:
            end += 1
        told, at = told + instead, end
    return told


def _lower(text: str) -> str:
    """The text in lower case, character by character, so that places stay."""
    return "".join(low if len(low := letter.lower()) == 1 else letter for letter in text)

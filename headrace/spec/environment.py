"""`${env:NAME}` in a document's texts: replaced by variables that the document lists, no others."""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace.spec.document import Json
from headrace.spec.problems import Finding, Loc, near, shown

_REFERENCE = re.compile(r"\$\{env:([^{}]*)\}")
_LOOSE = re.compile(r"\$\{[^{}]*\}?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HIDDEN = 4  # characters: a shorter value is no secret, and hiding it would garble messages


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
        """A message without the values of variables."""
        for name, value in self._used.items():
            for text in (value, repr(value)[1:-1]):
                message = (
                    message.replace(text, f"${{env:{name}}}") if len(value) >= _HIDDEN else message
                )
        return message

    def _filled(self, value: Json, loc: Loc, names: list[str]) -> Json:
        if isinstance(value, dict):
            return {key: self._filled(item, (*loc, key), names) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item, (*loc, index), names) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
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

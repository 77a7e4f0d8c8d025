"""One problem of a spec: where it stands, what is wrong, and the nearest right name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

# A place in the document: keys and list positions from the root; a last KEY means the key itself.
Loc = tuple[str | int, ...]
KEY = "[key]"

# What a check of the spec finds: a place, and what is wrong there in one line.
Finding = tuple[Loc, str]
Findings = Iterator[Finding]

_PLAIN = re.compile(r"[\w-]{1,64}")
_SHOWN = 60  # characters of a value that a message repeats
_LISTED = 8  # names that a message lists


@dataclass(frozen=True, order=True)
class Problem:
    """What is wrong at one place of a pipeline file.

    Attributes:
        line: From 1; 0 where the file as a whole is meant.
        column: From 1; 0 where the file as a whole is meant.
        path: In the document, such as `sources.weather.key[0]`; empty for the file as a whole.
        message: One line: what is wrong, and the nearest valid name.

    Example:
        >>> print(Problem(12, 5, "training.trials", "must be at least 1").at("pipeline.yaml"))
        pipeline.yaml:12:5 training.trials: must be at least 1
    """

    line: int
    column: int
    path: str
    message: str

    def at(self, file: str) -> str:
        """The problem as one line of text that editors and terminals can follow."""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{place} {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


def dotted(loc: Loc) -> str:
    """A place as people write it: `checks.weather[0].column`."""
    text = ""
    for part in loc:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part == KEY:
            continue
        elif _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{shown(part)}]"
    return text


def shown(value: object) -> str:
    """A value as a message repeats it: one short line, whatever it holds."""
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]}...{text[0]}"


def unknown(kind: str, name: str, names: Iterable[str], *, of: str = "") -> str:
    """The message about a name that is not there.

    Example:
        >>> unknown("column", "origim", ["origin", "dest"], of="weather")
        "no column 'origim' in weather; did you mean 'origin'?"
    """
    where = f" in {of}" if of else ""
    return f"no {kind} {shown(name)}{where}{near(name, names)}"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, if one is near."""
    close = get_close_matches(name[:64].lower(), sorted(names), n=1)
    return close[0] if close else None


def near(name: str, names: Iterable[str]) -> str:
    """The end of a message about a name that is not there: the nearest one, or those that are."""
    known = sorted(names)
    if meant := nearest(name, known):
        return f"; did you mean {meant!r}?"
    return f"; there is {listed(known)}" if known else ""


def listed(names: Iterable[str]) -> str:
    """Names in order, as many as a line has room for."""
    known = sorted(names)
    more = f", and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return ", ".join(known[:_LISTED]) + more

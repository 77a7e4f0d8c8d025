"""Reference pages made from the declarations: `python -P -m headrace.reference docs/reference`."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from headrace.settings import Settings
from headrace.spec import fields
from headrace.spec.fields import Declared
from headrace.spec.model import Pipeline
from headrace.spec.rules import RULES

_NOTE = "Written from the code by `python -P -m headrace.reference docs/reference`; edit that."
_WORDS: dict[Any, str] = {
    fields.Name: "name",
    fields.Country: "country code",
    fields.Function: "`module:function`",
    fields.Duration: "span, as `6 hours`",
    fields.Limit: "limit of time, as `10m`",
    fields.Days: "days, as `31 days`",
    fields.Portion: "days or a share, as `31 days`, `20%`",
    fields.Day: "day, as `2013-12-01`",
    fields.TimeOfDay: "time of day, as `05:00`",
    fields.Zone: "time zone, as `America/New_York`",
    fields.Renamed: "list of columns, or new name: column",
    fields.On: "list of columns, or ours: theirs",
    fields.OnKey: "list of columns, or ours: theirs",
    fields.Taken: "list of columns, or feature: column",
    fields.Columns: "list of columns",
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Path: "path",
    SecretStr: "secret text",
    type(None): "nothing",
    Any: "any value",
}


def pages() -> dict[str, str]:
    """File name to content."""
    return {
        "pipeline.md": pipeline_page(),
        "checks.md": checks_page(),
        "settings.md": settings_page(),
    }


def pipeline_page() -> str:
    """Every key of `pipeline.yaml`, section by section, in the order in which they are met."""
    lines = [
        "# pipeline.yaml",
        "",
        _NOTE,
        "",
        "A key that is not listed is refused. `headrace validate` tells every mistake at once.",
    ]
    met: list[type[Declared]] = [Pipeline]
    for model in met:  # it grows while it is read
        hints = get_type_hints(model, include_extras=True)
        found = [each for name in model.model_fields for each in _named(hints[name])]
        met += [each for each in dict.fromkeys(found) if each not in met]
        lines += _section(model)
    return "\n".join([*lines, ""])


def checks_page() -> str:
    """Every rule that a check may name, with its arguments."""
    lines = ["# Rules of checks", "", _NOTE, ""]
    lines += ["Great Expectations' own names and arguments; [how they are used](../checks.md)."]
    for kind, title in (("row", "Rules about rows"), ("table", "Rules about a batch as a whole")):
        lines += ["", f"## {title}", "", "| rule | arguments |", "|---|---|"]
        lines += [
            f"| `{name}` | {', '.join(f'`{each}`' for each in sorted(rule.arguments))} |"
            for name, rule in RULES.items()
            if rule.kind == kind
        ]
    return "\n".join([*lines, ""])


def settings_page() -> str:
    """Every environment variable of ours."""
    lines = [
        "# Settings",
        "",
        _NOTE,
        "",
        "Where things are and how much they may use; read from the environment.",
        "",
        "| variable | type | default | what it sets |",
        "|---|---|---|---|",
    ]
    hints = get_type_hints(Settings, include_extras=True)
    for name, field in Settings.model_fields.items():
        kind = _told(hints[name])
        default = "by the machine" if field.default_factory else _default(field)
        row = (f"`HEADRACE_{name.upper()}`", kind, default, field.description or "")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, ""])


def _section(model: type[Declared]) -> list[str]:
    hints = get_type_hints(model, include_extras=True)
    told = [inspect.getdoc(each) or "" for each in model.__mro__[: model.__mro__.index(Declared)]]
    lines = ["", f"## {_title(model)}", "", "\n\n".join(told), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        kind, default = _told(hints[name]), _default(field)
        row = (f"`{field.alias or name}`", kind, default, field.description or "")
        lines.append(f"| {' | '.join(each.replace('|', chr(92) + '|') for each in row)} |")
    return lines


def _title(model: type[Declared]) -> str:
    return "The file" if model is Pipeline else model.__name__


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, timedelta):
        return f"`{int(value.total_seconds())}s`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{' '.join(value) if isinstance(value, tuple) else value}`" if f"{value}" else "`''`"


def _told(hint: Any) -> str:  # noqa: ANN401  # whatever an annotation may be
    """A type in words."""
    if hint in _WORDS:
        return _WORDS[hint]
    if get_origin(hint) in _SHAPES:
        return _SHAPES[get_origin(hint)](*get_args(hint))
    if issubclass(hint, BaseModel):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _choice(*hint) if issubclass(hint, StrEnum) else str(hint.__name__)


def _choice(*values: object) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _either(*hints: Any) -> str:  # noqa: ANN401
    return " or ".join(_told(each) for each in hints if each is not type(None))


_SHAPES: dict[Any, Callable[..., str]] = {
    Annotated: lambda hint, *_: _told(hint),
    Literal: _choice,
    Union: _either,
    types.UnionType: _either,
    tuple: lambda hint, *_: f"list of: {_told(hint)}",
    dict: lambda key, value: f"{_told(key)}: {_told(value)}",
}


def _named(hint: Any) -> list[type[Declared]]:  # noqa: ANN401  # whatever an annotation may be
    """The sections that a type leads to, in order."""
    if isinstance(hint, type) and issubclass(hint, Declared):
        return [hint]
    return [found for inner in get_args(hint) for found in _named(inner)]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pages().items():
        (folder / name).write_text(content, encoding="utf-8")

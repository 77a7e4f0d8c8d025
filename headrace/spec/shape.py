"""Whether a document has the shape of a pipeline: its keys and types, not their sense."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from headrace.spec.document import Document, Json
from headrace.spec.model import Check, Pipeline
from headrace.spec.problems import KEY, Finding, Findings, Loc, nearest, shown, unknown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# pydantic's kinds of error in our words; what it says of any other kind is shown as it is.
_TOLD = {
    "bool_type": "must be true or false, not {given}",
    "dict_type": "must be a mapping of names to values, not {given}",
    "greater_than_equal": "must be at least {ge}, not {given}",
    "int_type": "must be a whole number, not {given}",
    "less_than": "must be below {lt}, not {given}",
    "less_than_equal": "must be at most {le}, not {given}",
    "missing": "is missing",
    "model_type": "must be a mapping of names to values, not {given}",
    "string_pattern_mismatch": "{given} is not a name: lower-case letters, digits and _",
    "string_too_long": "must have at most {max_length} characters, not {given}",
    "string_too_short": "must not be empty",
    "string_type": "must be a text, not {given}",
    "too_short": "must not be empty",
    "tuple_type": "must be a list, not {given}",
    "value_error": "{error}",
}


def shape_problems(document: Document) -> Findings:
    """All that is wrong with keys and values.

    A misspelt key is taken for the nearest one from then on, so that it is one problem, and what
    stands under it is still looked at.
    """
    yield from _unknown_keys(document, Pipeline, document.data, ())
    try:
        Pipeline.model_validate(document.data, by_alias=True, by_name=False)
    except ValidationError as error:
        yield from (_told(detail) for detail in error.errors(include_url=False))


def in_document(data: Json, loc: Loc) -> Loc:
    """Where a place of the model stands in the file, whose short forms leave parts out.

    Example:
        >>> in_document({"columns": ["temp", "visib"]}, ("columns", "visib"))
        ('columns', 1)
    """
    place: list[str | int] = []
    for named in loc:
        part = named
        if isinstance(data, list) and isinstance(part, str) and part in data:
            part = data.index(part)
        elif isinstance(data, dict) and part == "arguments" and part not in data:
            part = next((key for key in data if key not in {"action", "name"}), part)
        place.append(part)
        if isinstance(data, dict):
            data = data.get(part)
        else:
            inside = isinstance(data, list) and isinstance(part, int) and part < len(data)
            data = data[part] if inside else None
    return tuple(place)


def _unknown_keys(
    document: Document, annotation: object, data: Json, loc: Loc
) -> Iterator[Finding]:
    kind, inner = _opened(annotation)
    if kind is dict and isinstance(data, dict):
        for key, value in data.items():
            yield from _unknown_keys(document, inner, value, (*loc, key))
    elif kind is tuple and isinstance(data, list):
        for index, value in enumerate(data):
            yield from _unknown_keys(document, inner, value, (*loc, index))
    elif isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(data, dict):
        fields = {info.alias or name: info.annotation for name, info in kind.model_fields.items()}
        if kind is Check:  # an expectation is a key of its own there; the model tells strangers
            return
        for key in [key for key in data if key not in fields]:
            yield (*loc, key, KEY), unknown("such key", key, fields)
            meant = nearest(key, fields)
            if meant and meant not in data:
                document.rename((*loc, key), meant)
            else:
                del data[key]
        for key in data:
            yield from _unknown_keys(document, fields[key], data[key], (*loc, key))


def _opened(annotation: object) -> tuple[object, object]:
    """The container or model of a type, and what it holds: `dict[str, Source]` is dict, Source."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _opened(parts[0])
    if origin in {Union, UnionType}:
        return _opened(next(part for part in parts if part is not NoneType))
    if origin is dict:
        return dict, parts[1]
    return (tuple, parts[0]) if origin is tuple else (annotation, None)


def _told(detail: ErrorDetails) -> Finding:
    kind, loc, given, context = (
        detail["type"],
        detail["loc"],
        detail["input"],
        detail.get("ctx", {}),
    )
    if kind == "extra_forbidden":
        return (*loc, KEY), unknown("such key", str(loc[-1]), ("action", "name"))
    if kind in {"literal_error", "enum"}:
        names = [name.strip("'") for name in context["expected"].replace(" or ", ", ").split(", ")]
        return loc, unknown("such value", str(given), names)
    told = _TOLD.get(kind)
    shape = {**context, "given": shown(given)}
    message = told.format(**shape) if told else f"{detail['msg']}, not {shown(given)}"
    number = kind == "string_type" and isinstance(given, bool | int | float)
    return loc, f"{message}; put it in quotes" if number else message

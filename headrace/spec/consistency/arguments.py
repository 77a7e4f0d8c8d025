"""Arguments of expectations by their names: what each must be, whatever the expectation."""

from __future__ import annotations

import math
from collections.abc import Callable

from headrace.spec.problems import shown
from headrace.spec.rules import COLUMN_ARGUMENTS, SQL_ARGUMENT

COLUMNS = (*COLUMN_ARGUMENTS, "column_set")
SETS = ("value_set", "value_pairs_set")
BOUNDS = ("min_value", "max_value")

# What a rule cannot be judged without, if it is among its arguments.
NEEDED = (
    *(*COLUMNS, *SETS, "regex", "regex_list", "type_", "type_list"),
    *("sum_total", "value", "quantile_ranges"),
)
_IGNORED = (
    *("both_values_are_missing", "either_value_is_missing", "all_values_are_missing"),
    *("any_value_is_missing", "never"),
)


def is_number(value: object) -> bool:
    """Whether a value is a finite number, as a double holds it; true and false are none."""
    try:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
    except OverflowError:  # a whole number of more than 308 digits
        return False


def argument_problem(name: str, value: object) -> str | None:
    """Why a value cannot stand under the name of an argument, if so.

    Example:
        >>> argument_problem("mostly", 95)
        'must be a share between 0 and 1, not 95'
    """
    accepts, wanted = _KINDS.get(name, (_anything, ""))
    return None if accepts(value) else f"must be {wanted}, not {shown(value)}"


def _anything(_: object) -> bool:
    return True


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_text(item) for item in value)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _share(value: object) -> bool:
    return isinstance(value, int | float) and is_number(value) and 0 <= value <= 1


def _bound(value: object) -> bool:
    return value is None or _text(value) or is_number(value)


_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    **dict.fromkeys(("column", "column_A", "column_B"), (_text, "the name of a column")),
    **dict.fromkeys(("column_list", "column_set"), (_texts, "a list of columns")),
    **dict.fromkeys(("regex", "type_", SQL_ARGUMENT), (_text, "a text")),
    **dict.fromkeys(("regex_list", "type_list"), (_texts, "a list of texts")),
    **dict.fromkeys(("sum_total", "value", "column_index"), (is_number, "a number")),
    **dict.fromkeys(
        ("strict_min", "strict_max", "or_equal", "exact_match"), (_flag, "true or false")
    ),
    **dict.fromkeys(BOUNDS, (_bound, "a number, or a moment as a text")),
    "mostly": (_share, "a share between 0 and 1"),
    "match_on": (lambda value: value in ("any", "all"), "any or all"),
    "ignore_row_if": (lambda value: value in _IGNORED, f"one of {', '.join(_IGNORED)}"),
}

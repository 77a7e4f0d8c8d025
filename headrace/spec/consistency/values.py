"""Values that a rule holds against a column: of the column's type, and possible at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headrace.spec.consistency.arguments import BOUNDS, is_number
from headrace.spec.expressions import reads_clock
from headrace.spec.model import ColumnType
from headrace.spec.problems import shown

_NUMBERS = {ColumnType.INT, ColumnType.BIGINT, ColumnType.DOUBLE}
_MOMENTS = {ColumnType.DATE, ColumnType.TIMESTAMP}
# Rules whose bounds are values of the column; those of the others count or measure something.
_BOUND_VALUES = {
    "expect_column_values_to_be_between",
    "expect_column_min_to_be_between",
    "expect_column_max_to_be_between",
}
# Rules that work on texts, or on numbers.
_TEXT_RULES = ("regex", "value_lengths")
_NUMBER_RULES = ("_mean_", "_stdev_", "_sum_to_", "_median_", "_quantile_")

Wrong = Iterator[tuple[str, str]]  # argument, what is wrong with it


def values_problems(
    expectation: str, given: Mapping[str, object], kind: ColumnType | None
) -> Wrong:
    """What is wrong with the values in a rule's arguments.

    Args:
        expectation: Its name.
        given: Its arguments.
        kind: Type of the column `column`; None where there is none, or it is not known.
    """
    yield from _bounds(expectation, given, kind)
    if kind is None:
        return
    if kind is not ColumnType.STRING and any(word in expectation for word in _TEXT_RULES):
        yield "column", f"is of type {kind.value}; the rule is about texts"
    if kind not in _NUMBERS and any(word in expectation for word in _NUMBER_RULES):
        yield "column", f"is of type {kind.value}; the rule is about numbers"
    values = given.get("value_set")
    wrong = (
        [value for value in values if not _fits(value, kind)] if isinstance(values, list) else []
    )
    if wrong and None not in wrong:
        yield "value_set", f"{shown(wrong[0])} is no value of a column of type {kind.value}"


def _bounds(expectation: str, given: Mapping[str, object], kind: ColumnType | None) -> Wrong:
    least, most = (given.get(name) for name in BOUNDS)
    if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
        yield "min_value", f"{least} is above max_value, which is {most}: no row could pass"
    for name in BOUNDS:
        value = given.get(name)
        if value is None:
            continue
        if expectation not in _BOUND_VALUES and not is_number(value):
            yield name, f"must be a number, not {shown(value)}"
        elif expectation in _BOUND_VALUES and kind is not None and not _fits(value, kind):
            yield name, f"{shown(value)} is no value of a column of type {kind.value}"


def _fits(value: object, kind: ColumnType) -> bool:
    """Whether a value may stand in a column of that type; a moment is written as a text."""
    if kind in _NUMBERS:
        return is_number(value)
    if kind in _MOMENTS and isinstance(value, str):
        return not reads_clock(value)
    return isinstance(value, bool if kind is ColumnType.BOOLEAN else str)

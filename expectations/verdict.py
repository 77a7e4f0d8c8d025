"""The verdict on one rule over one batch, as JSON values; it imports no engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.spec.model import Check

LONGEST_SET = 20  # longer value sets are told by their number and first values
FIRST_VALUES = 5


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What Great Expectations found for one rule.

    Attributes:
        rule: Name of the rule, as in `_failed_rules`.
        expectation: Great Expectations' name.
        arguments: As declared; a value set of more than 20 is told by its number and first values.
        column: The column or columns it reads, separated by commas; None for a rule on the table.
        action: What the spec asks for when the rule is broken.
        success: Great Expectations' verdict.
        vacuous: True if there was no value to judge; a row rule succeeds then by definition.
        rows: Rows in the rule's domain: all, or those its `row_condition` and `ignore_row_if` keep.
        missing: Rows among them that a row rule skipped because the value is null.
        unexpected: Rows that break a row rule, or distinct values that break one on these.
        unexpected_percent: The broken share of `rows - missing`, in percent.
        observed: What was measured instead of single rows, as text.
    """

    rule: str
    expectation: str
    arguments: dict[str, Any]
    column: str | None
    action: str
    success: bool
    vacuous: bool
    rows: int
    missing: int
    unexpected: int | None
    unexpected_percent: float | None
    observed: str | None


def verdict(check: Check, *, success: bool, result: Mapping[str, Any], rows: int) -> Verdict:
    """The verdict that a result of Great Expectations amounts to.

    Args:
        check: The rule as declared.
        success: Great Expectations' verdict.
        result: The `result` of its validation.
        rows: Rows of the batch, for rules that do not count their own.
    """
    per_row = "element_count" in result
    rows = result["element_count"] if per_row else rows
    missing = (result.get("missing_count") or 0) if per_row else 0
    return Verdict(
        rule=check.rule,
        expectation=check.expectation,
        arguments={name: _shortened(value) for name, value in check.arguments.items()},
        column=columns_of(check),
        action=str(check.action),
        success=success,
        vacuous=rows == missing,
        rows=rows,
        missing=missing,
        unexpected=result.get("unexpected_count"),
        unexpected_percent=result.get("unexpected_percent"),
        observed=None if per_row else _observed(result),
    )


def columns_of(check: Check) -> str | None:
    """The column or columns that a rule reads, separated by commas."""
    single = (check.arguments.get(name) for name in ("column", "column_A", "column_B"))
    named = [str(name) for name in (*single, *check.arguments.get("column_list", ())) if name]
    return ", ".join(named) or None


def _shortened(value: object) -> object:
    if isinstance(value, list | tuple | set) and len(value) > LONGEST_SET:
        return {"count": len(value), "first": list(value)[:FIRST_VALUES]}
    return list(value) if isinstance(value, tuple | set) else value


def _observed(result: Mapping[str, Any]) -> str | None:
    """What was seen: a number, a type, or the distinct values that are too many or too few."""
    if result.get("observed_value") is not None:
        return str(result["observed_value"])
    parts = [
        f"{told}: {', '.join(str(value) for value in result[key][:LONGEST_SET])}"
        for told, key in (
            ("unexpected", "partial_unexpected_list"),
            ("missing", "partial_missing_list"),
        )
        if result.get(key)
    ]
    return "; ".join(parts) or None

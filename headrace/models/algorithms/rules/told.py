"""Rules as people and databases read them: in words, and as one SQL CASE."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.rules.conditions import Condition, values

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats
    from headrace.models.encoding import Encoding


def as_sql(
    estimator: Mapping[str, Any],
    encoding: Encoding,
    *,
    predicted: Floats | None = None,
    dialect: Literal["spark", "duckdb"] = "spark",
) -> str:
    """The rules as one SQL CASE: the probability of true, or the value, of a row.

    It reads the features under their own names. A text that training had not is as a missing one.

    Args:
        estimator: Of `decision_list` or `chaid`, of a binary target or a regression.
        encoding: The encoding it was fitted with.
        predicted: What each rule, and at last the rows that meet none, is given; as fitted if None.
        dialect: They differ in how names are enclosed, and in what a backslash means.

    Raises:
        UsageError: The target has more than two classes: a CASE has one value.
    """
    if estimator["task"] == Task.MULTICLASS:
        message = "one CASE has one value, and this target has a probability per class"
        raise UsageError(message, hint="take a target that is true or false, or a number")
    found = (values(estimator) if predicted is None else predicted).tolist()
    lines = [
        f"WHEN {' AND '.join(_sql(each, encoding, dialect) for each in rule['when'])} "
        f"THEN {_number(value)}"
        for rule, value in zip(estimator["rules"], found, strict=False)
    ]
    if not lines:
        return _number(found[-1])
    return "\n".join(["CASE", *lines, f"ELSE {_number(found[-1])}", "END"])


def described_rules(
    estimator: Mapping[str, Any], encoding: Encoding, *, predicted: Floats | None = None
) -> list[str]:
    """The rules in words, each with its prediction (as `as_sql` has it), support and lift."""
    import numpy as np

    lines = []
    rules = [*estimator["rules"], estimator["otherwise"]]
    for rule, value in zip(
        rules, values(estimator) if predicted is None else predicted, strict=True
    ):
        when = " and ".join(_words(each, encoding) for each in rule["when"]) or "otherwise"
        support = f"; {rule['rows']:,} rows, lift {rule['lift']:.2f}" if "rows" in rule else ""
        lines.append(f"{when}: {np.round(value, 4)}{support}")
    return lines


def _number(value: float) -> str:
    return f"CAST('{value!r}' AS DOUBLE)"  # a text is read to the nearest double, to the bit


def _sql(condition: Condition, encoding: Encoding, dialect: str) -> str:
    place, test, value = condition
    column = encoding.columns[place]
    quote = "`" if dialect == "spark" else '"'
    name = f"{quote}{column.name.replace(quote, quote * 2)}{quote}"
    if test == "in":
        texts = [column.categories[code] for code in value if code is not None]
        return _one_of(name, texts, column.categories, missing=None in value, dialect=dialect)
    cell = f"CAST({name} AS DOUBLE)"
    missing = f"({name} IS NULL OR isnan({cell}))"
    if test == "missing":
        return missing
    low, high, or_missing, only_missing = {
        "<=": (None, value, False, False),
        ">": (value, None, False, False),
    }.get(test) or value
    if only_missing:
        return missing
    parts = [f"{cell} > {_number(low)}"] if low is not None else []
    parts += [f"{cell} <= {_number(high)}"] if high is not None else []
    known = " AND ".join([f"{name} IS NOT NULL", f"NOT isnan({cell})", *parts])
    return f"({missing} OR ({known}))" if or_missing else f"({known})"


def _one_of(
    name: str, texts: Sequence[str], known: Sequence[str], *, missing: bool, dialect: str
) -> str:
    def listed(some: Sequence[str]) -> str:
        plain = (each.replace("'", "''") for each in some)
        if dialect == "spark":
            plain = (each.replace("\\", "\\\\").replace("''", "\\'") for each in plain)
        return ", ".join(f"'{each}'" for each in plain)

    if not missing:
        return f"{name} IN ({listed(texts)})"
    others = [each for each in known if each not in set(texts)]
    return f"({name} IS NULL OR {name} NOT IN ({listed(others)}))" if others else "TRUE"


def _words(condition: Condition, encoding: Encoding) -> str:
    place, test, value = condition
    column = encoding.columns[place]
    if test == "missing":
        return f"{column.name} is missing"
    if test == "in":
        texts = ["missing" if code is None else column.categories[code] for code in value]
        return f"{column.name} in ({', '.join(texts)})"
    if test == "within":
        return _range_words(column.name, *value)
    return f"{column.name} {test} {value:g}"


def _range_words(
    name: str, low: float | None, high: float | None, or_missing: bool, only_missing: bool
) -> str:
    if only_missing:
        return f"{name} is missing"
    if low is None and high is None:
        return "TRUE" if or_missing else f"{name} is known"
    if low is not None and high is not None and low == math.nextafter(high, -math.inf):
        text = f"{name} = {high:g}"
    else:
        text = f"{'' if low is None else f'{low:g} < '}{name}"
        text += "" if high is None else f" <= {high:g}"
    return f"({text} or missing)" if or_missing else text

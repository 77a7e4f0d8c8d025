"""From declared checks to Great Expectations' own, refused where they could not judge anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from expectations.engine import ROWS, MeasuredEngine, visible_columns
from expectations.gx import (
    Expectation,
    MetricConfiguration,
    MetricsCalculator,
    PassThroughCondition,
    get_expectation_impl,
    pydantic,
)
from headrace.errors import SpecError
from headrace.spec.model import Check
from headrace.spec.rules import COLUMN_ARGUMENTS, RULES, SQL_ARGUMENT

# These judge which columns there are, so the columns they name may be missing.
_ON_SCHEMA = ("expect_column_to_exist", "expect_table_columns_to_match_ordered_list")


@dataclass(frozen=True)
class Declared:
    """A check, the expectation it stands for, and the metrics that it judges by.

    Attributes:
        check: As declared.
        expectation: Great Expectations' own.
        metrics: By the name that the expectation calls them; their own dependencies are known.
    """

    check: Check
    expectation: Expectation
    metrics: Mapping[str, MetricConfiguration] = field(repr=False)

    @property
    def unexpected_count(self) -> MetricConfiguration:
        """The number of rows that break the rule; row rules only."""
        map_metric = self.expectation.map_metric  # type: ignore[attr-defined]  # row rules have it
        return self.metrics[f"{map_metric}.unexpected_count"]


def suite(checks: Sequence[Check], engine: MeasuredEngine) -> tuple[Declared, ...]:
    """The expectations of `checks`, in their order.

    Args:
        checks: Rules with value sets resolved.
        engine: Holds the rows that will be judged.

    Raises:
        SpecError: Two rules share a name, or a rule is unknown, names no such column, or has
            arguments that Great Expectations refuses; all problems at once.
    """
    columns = visible_columns(engine.rows)
    names = Counter(check.rule for check in checks)
    problems = [
        f"rule {name}: declared {n} times; `name` them" for name, n in names.items() if n > 1
    ]
    declared = []
    for check in checks:
        found = list(_problems(check, columns))
        try:
            if not found:
                declared.append(_declared(check, engine))
        except pydantic.ValidationError as error:
            found = [f"{_place(one)}{one['msg']}" for one in error.errors()]
        problems += [f"rule {check.rule}: {text}" for text in found]
    if problems:
        hint = "mend `checks`; the arguments are those of Great Expectations"
        raise SpecError("\n".join(problems), hint=hint)
    return tuple(declared)


def runtime() -> dict[str, Any]:
    """A result tells counts. New at each call, since Great Expectations writes into it."""
    return {"result_format": {"result_format": "BASIC"}}


def _declared(check: Check, engine: MeasuredEngine) -> Declared:
    arguments = {**check.arguments, "batch_id": ROWS}
    condition = arguments.pop(SQL_ARGUMENT, None)
    if condition is not None:  # a plain string would be deprecated, and need a parser named
        arguments[SQL_ARGUMENT] = PassThroughCondition(pass_through_filter=condition)
    expectation = get_expectation_impl(check.expectation)(**arguments)
    needed = expectation.get_validation_dependencies(engine, runtime())
    # Building the graph is what fills in the dependencies of each metric.
    MetricsCalculator(engine).build_metric_dependency_graph(
        needed.get_metric_configurations(), runtime()
    )
    return Declared(check, expectation, needed.metric_configurations)


def _problems(check: Check, columns: Collection[str]) -> Iterator[str]:
    rule = RULES.get(check.expectation)
    if rule is None:
        yield f"no expectation {check.expectation!r}{_near(check.expectation, RULES)}"
        return
    for name in sorted(check.arguments.keys() - rule.arguments):
        yield f"no argument {name!r}{_near(name, rule.arguments)}"
    if check.expectation not in _ON_SCHEMA:
        for column in _named(check):
            if column not in columns:
                yield f"no column {column!r}{_near(column, columns)}"
    # Spark's `x IN (..., NULL)` is never false, so such a rule could not be broken.
    values = check.arguments.get("value_set", [""])
    if not values or any(value is None for value in values):
        yield "value_set is empty or holds a null, so it could judge nothing"


def _named(check: Check) -> Iterator[str]:
    for name in COLUMN_ARGUMENTS:
        value = check.arguments.get(name, ())
        yield from (value,) if isinstance(value, str) else value


def _near(name: str, known: Collection[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(sorted(known))}"


def _place(error: Mapping[str, object]) -> str:
    where = error["loc"]
    named = [str(part) for part in where if part != "__root__"] if isinstance(where, tuple) else []
    return f"{'.'.join(named)}: " if named else ""

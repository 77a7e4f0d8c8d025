"""Which rows break which rule, as boolean columns made of Great Expectations' own conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from headrace.spec.model import Check
from headrace.spec.rules import RULES

if TYPE_CHECKING:
    from expectations.engine import MeasuredEngine
    from expectations.suite import Declared


def row_flags(df: DataFrame, checks: Sequence[Check]) -> dict[str, Column]:
    """For each row rule, a boolean column that is true where a row breaks it; no job is run.

    It is never null: a row outside the rule's domain (a null in its column, or a row that its
    `row_condition` leaves out) does not break it. Uniqueness is a count by a window over the
    rule's columns, so its flag costs a shuffle where it is used.

    Args:
        df: The rows; no rule sees a column that starts with `_`.
        checks: Rules with their value sets resolved; table rules among them have no flag.

    Returns:
        `Check.rule` -> flag, in the order of `checks`.

    Raises:
        SpecError: A rule names no such column, or cannot work on its type.
    """
    from expectations.engine import MeasuredEngine
    from expectations.failures import naming
    from expectations.suite import suite

    engine = MeasuredEngine(df)
    on_rows = [check for check in checks if check.expectation not in RULES or _on_rows(check)]
    flags = {}
    for declared in suite(on_rows, engine) if on_rows else ():
        with naming(declared.check):
            flags[declared.check.rule] = _flag(declared, engine)
    _analyse(df, flags, {check.rule: check for check in on_rows})
    return flags


def _on_rows(check: Check) -> bool:
    return RULES[check.expectation].kind == "row"


def _flag(declared: Declared, engine: MeasuredEngine) -> Column:
    from expectations.plan import UNIQUE, key_of

    count = declared.unexpected_count
    needed = count.metric_dependencies.get("metric_partial_fn", count).metric_dependencies
    broken, domain = engine.condition(needed["unexpected_condition"])
    rows = engine.filter_of(domain)
    if count.metric_name.startswith(UNIQUE):
        # Great Expectations counts after it has filtered; here rows outside the domain stay.
        same = Window.partitionBy(*key_of(domain))
        broken = F.count(F.when(rows, 1)).over(same) > 1
    return F.coalesce(rows & broken, F.lit(False))


def _analyse(df: DataFrame, flags: dict[str, Column], checks: dict[str, Check]) -> None:
    """Lets Spark resolve the flags, so that a type that does not fit is told now, by its rule."""
    from expectations.failures import naming

    try:
        df.select(*(flag.alias(f"f{i}") for i, flag in enumerate(flags.values())))
    except AnalysisException:
        for rule, flag in flags.items():
            with naming(checks[rule]):
                df.select(flag)
        raise

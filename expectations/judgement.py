"""The verdict on a batch: Great Expectations' own code judges, by numbers measured in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame

from expectations.failures import SPARK_ERRORS, naming, reason
from expectations.value_sets import among
from expectations.verdict import Verdict, verdict
from headrace.errors import ChecksFailed
from headrace.spec.model import Check

if TYPE_CHECKING:
    from expectations.engine import MeasuredEngine
    from expectations.suite import Declared


def judge(
    df: DataFrame, checks: Sequence[Check], *, flags: Mapping[str, Column] | None = None
) -> tuple[Verdict, ...]:
    """Great Expectations' verdict on each check, in their order, from at most two Spark queries.

    One aggregation serves all rules, and one grouped query those on uniqueness and distinct
    values. Medians and quantiles take a query of their own each; so does a broken rule on distinct
    values, to tell up to 20 of them. No row is brought here. Several threads may judge at once.

    Where the aggregation fails, Great Expectations computes every number its own way, rule by rule,
    so that the rule that cannot work on these rows is told by name.

    Args:
        df: The rows of the batch, best cached; no rule sees a column that starts with `_`.
        checks: Rules with `action` filled in and value sets resolved.
        flags: `Check.rule` -> a column of `df` that holds the rule's flag already, which spares
            measuring it.

    Raises:
        SpecError: A rule names no such column, or cannot work on its type.
        ChecksFailed: A rule could not be judged on these rows, so none of the verdicts stands.
    """
    if not checks:
        return ()
    from expectations.engine import MeasuredEngine
    from expectations.suite import suite

    engine = MeasuredEngine(df)
    declared = suite(checks, engine)
    rows = _measure(engine, declared, flags=flags or {})
    verdicts: list[Verdict] = []
    failed: dict[str, str] = {}
    for one in declared:
        try:
            verdicts.append(_verdict(one, engine, rows=rows))
        # Great Expectations raises errors of its own, of Spark's and of Python's.
        except Exception as error:
            failed[one.check.rule] = reason(error)
    if failed:
        raise _unjudged(failed, of=len(declared))
    return tuple(verdicts)


def warm_up() -> None:
    """Imports Great Expectations; worth a thread of its own while the JVM starts."""
    import expectations.plan
    import expectations.suite  # noqa: F401


def _measure(
    engine: MeasuredEngine, declared: Sequence[Declared], *, flags: Mapping[str, Column]
) -> int:
    """Fills in what the engine knows by one pass; returns the number of rows."""
    from expectations.plan import Plan

    held = [one for one in declared if one.check.rule in flags]
    plan = Plan(engine, {one.unexpected_count.id: flags[one.check.rule] for one in held})
    for one in declared:
        with naming(one.check):
            for metric in one.metrics.values():
                plan.add(metric)
    try:
        engine.known, rows = plan.measure()
    except SPARK_ERRORS:
        engine.known, rows = {}, _counted(engine.rows)
    return rows


def _counted(df: DataFrame) -> int:
    try:
        return df.count()
    except SPARK_ERRORS as error:  # a column of the rows fails, whatever the rules are
        told = f"no rule can be judged, since the rows cannot be computed: {reason(error)}"
        raise ChecksFailed(
            told,
            hint="mend what the columns of these rows are computed from",
        ) from error


def _verdict(one: Declared, engine: MeasuredEngine, *, rows: int) -> Verdict:
    from expectations.suite import runtime

    _tell_distinct(one, engine)
    judged = one.expectation.metrics_validate(
        metrics=engine.values(one.metrics.values()),
        runtime_configuration=runtime(),
        execution_engine=engine,
    )
    return verdict(one.check, success=bool(judged.success), result=judged.result, rows=rows)


def _tell_distinct(one: Declared, engine: MeasuredEngine) -> None:
    """Finds the distinct values that a rule lacks, where it lacks any.

    Great Expectations brings every distinct value to the driver for this. Its code is given only
    the rows that hold one of the wanted values, so that no more than these can come.
    """
    from expectations.engine import MeasuredEngine

    for name, metric in one.metrics.items():
        count = one.metrics.get(f"{name}.count")
        if count is None or count.id not in engine.known:
            continue
        if engine.known[count.id] == 0:
            engine.known[metric.id] = []
        elif name == "column.distinct_values.missing_from_column":
            wanted = among(
                metric.metric_domain_kwargs["column"], metric.metric_value_kwargs["value_set"]
            )
            engine.known |= MeasuredEngine(engine.rows.where(wanted)).values([metric])


def _unjudged(failed: Mapping[str, str], *, of: int) -> ChecksFailed:
    if len(failed) == of > 1 and len(set(failed.values())) == 1:
        told = f"no rule can be judged: {next(iter(failed.values()))}"
    else:
        told = "\n".join(f"rule {rule} cannot be judged: {why}" for rule, why in failed.items())
    return ChecksFailed(
        told, hint="mend the rule, or the type of its column; nothing was published"
    )

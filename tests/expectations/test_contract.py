"""Verdicts and flags are those of Great Expectations' own engine, for every supported rule."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import expectations
from headrace.spec.model import Check
from headrace.spec.rules import RULES, SQL_ARGUMENT

SCHEMA = (
    "id int, other int, code string, tail string, value double, whole bigint, at string, flag int"
)
ROWS = [
    (1, 1, "AA", "N101", 1.0, 10, "2013-01-01 05:00:00", 1),
    (2, 1, "UA", "N102", 2.5, 20, "2013-06-01 00:00:00", 1),
    (2, 3, "UA", None, -4.0, 20, "2013-06-01 00:00:00", 0),
    (None, 4, None, "X9", math.nan, None, None, 0),
    (5, None, "ZZ", "N1035", math.inf, 50, "2014-02-01 00:00:00", 1),
    (6, 6, "it's", "N101", None, 50, "2013-12-31 23:59:59", None),
    (None, None, "a\\b", "", 0.0, 3_000_000_000, "2012-12-31 00:00:00", 1),
]
CONDITIONS = ("flag = 1", "flag = 7", "id < 3 or code = 'ZZ'")

# Fields of an expectation that describe, store or tune it, and judge nothing. `condition_parser` is
# deprecated: a row condition is Spark SQL. `windows` belongs to a hosted service.
DESCRIPTIVE = {
    *("batch_id", "catch_exceptions", "condition_parser", "description", "id", "library_metadata"),
    *("meta", "notes", "rendered_content", "result_format", "severity", "windows"),
}
IGNORED = {"expect_column_pair_values_to_be_in_set": {SQL_ARGUMENT}}


def _cases() -> list[Check]:
    declared = yaml.safe_load(Path(__file__).with_name("cases.yaml").read_text())
    cases = [(name, arguments) for name, variants in declared.items() for arguments in variants]
    cases += [
        (name, {**variants[0], SQL_ARGUMENT: CONDITIONS[i % len(CONDITIONS)]})
        for i, (name, variants) in enumerate(declared.items())
        if SQL_ARGUMENT in RULES[name].arguments
    ]
    return [
        Check(expectation=name, arguments=arguments, action="warn", name=f"case_{i}")
        for i, (name, arguments) in enumerate(cases)
    ]


CHECKS = _cases()
ONE_EACH = [next(check for check in CHECKS if check.expectation == name) for name in RULES]

# pyspark leaves the socket of `collect` to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@dataclass(frozen=True)
class Sample:
    """Rows, and the cases that are tried on them."""

    rows: DataFrame
    checks: list[Check]

    def of(self, expectation: str) -> list[str]:
        """The names of the cases of one expectation."""
        return [check.rule for check in self.checks if check.expectation == expectation]


@pytest.fixture(scope="module", params=["mixed", "empty", "all null"])
def sample(request, spark):
    """All cases on the rows above, in two partitions; one of each on none, and on rows of nulls."""
    values = [(None,) * len(ROWS[0])] * 3 if request.param == "all null" else ROWS
    rows = spark.createDataFrame(values, SCHEMA).withColumn("at", F.col("at").cast("timestamp"))
    rows = rows.repartition(2, "id").where(F.lit(request.param != "empty")).cache()
    yield Sample(rows, CHECKS if request.param == "mixed" else ONE_EACH)
    rows.unpersist()


@pytest.fixture(scope="module")
def ours(sample):
    """Our verdicts, by rule."""
    return {verdict.rule: verdict for verdict in expectations.judge(sample.rows, sample.checks)}


@pytest.fixture(scope="module")
def theirs(sample):
    """The results of Great Expectations, by rule, by its public interface."""
    expectations.warm_up()  # so that its deprecated imports are silent here too
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_spark("spark", persist=False)
    whole = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("rows")
    batch = whole.get_batch({"dataframe": sample.rows})
    counts = {"result_format": "BASIC", "partial_unexpected_count": 0}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* deprecated as of GX Core 1.9", DeprecationWarning)
        warnings.filterwarnings("ignore", "Mean of empty slice|invalid value", RuntimeWarning)
        declared = [_configuration(check).to_domain_obj() for check in sample.checks]
        suite = gx.ExpectationSuite("all", expectations=declared)
        results = batch.validate(suite, result_format=counts).results
    return {result.expectation_config.meta["rule"]: result for result in results}


@pytest.fixture(scope="module")
def flagged(sample):
    """The number of rows that each flag is up for, by rule; None if the flag is null anywhere."""
    flags = expectations.row_flags(sample.rows, sample.checks)
    rows = sample.rows.select(*(flag.alias(rule) for rule, flag in flags.items())).collect()
    return {
        rule: None if any(row[rule] is None for row in rows) else sum(row[rule] for row in rows)
        for rule in flags
    }


def _configuration(check: Check) -> Any:
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    arguments = dict(check.arguments)
    if SQL_ARGUMENT in arguments:
        arguments["condition_parser"] = "spark"
    return ExpectationConfiguration(
        type=check.expectation, kwargs=arguments, meta={"rule": check.rule}
    )


def _told_by_us(verdict: expectations.Verdict) -> dict[str, Any]:
    return {
        "success": verdict.success,
        "rows": verdict.rows,
        "missing": verdict.missing,
        "unexpected": verdict.unexpected,
        "percent": verdict.unexpected_percent,
        "observed": verdict.observed,
    }


def _told_by_them(result: Any, rows: int) -> dict[str, Any]:
    found = result.result
    per_row = "element_count" in found
    observed = found.get("observed_value")
    return {
        "success": result.success,
        "rows": found.get("element_count", rows),
        "missing": found.get("missing_count") or 0 if per_row else 0,
        "unexpected": found["unexpected_count"] if per_row else found.get("unexpected_count"),
        "percent": found.get("unexpected_percent"),
        "observed": None if per_row or observed is None else str(observed),
    }


def test_every_supported_rule_has_cases():
    assert {check.expectation for check in CHECKS} == RULES.keys()


@pytest.mark.parametrize("name", RULES)
def test_arguments_of_a_rule_are_those_of_great_expectations(name):
    from expectations.gx import get_expectation_impl

    arguments = get_expectation_impl(name).__fields__.keys() - DESCRIPTIVE
    assert RULES[name].arguments == arguments - IGNORED.get(name, set())


@pytest.mark.parametrize("name", RULES)
def test_verdicts_are_those_of_great_expectations(name, ours, theirs, sample):
    found = {rule: _told_by_us(ours[rule]) for rule in sample.of(name)}
    rows = sample.rows.count()
    expected = {rule: _told_by_them(theirs[rule], rows) for rule in sample.of(name)}
    if name.startswith("expect_column_distinct_values_"):
        for rule in found:  # we tell which values; they were asked not to
            expected[rule]["observed"] = found[rule]["observed"]
    assert found == expected


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.kind == "row"])
def test_flags_are_up_for_the_rows_great_expectations_counts(name, flagged, theirs, sample):
    counts = {rule: flagged[rule] for rule in sample.of(name)}
    assert counts == {
        rule: theirs[rule].result["unexpected_count"] or 0 for rule in sample.of(name)
    }


def test_table_rules_have_no_flag(flagged, sample):
    on_rows = {check.rule for check in sample.checks if RULES[check.expectation].kind == "row"}
    assert flagged.keys() == on_rows

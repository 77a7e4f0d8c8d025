"""One suite judged by Great Expectations' own Spark engine and by ours, in turn, on the same rows.

    python -m benchmarks.one_pass --rows 1000000 --rounds 4

Prints wall and CPU seconds (of this process and its JVM) and Spark queries: of the first round, in
which the JVM still compiles, and the medians of the later ones. All verdicts must agree.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psutil
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

import expectations
from headrace.settings import Settings, engine_environment
from headrace.spec.model import Check
from spark_jobs.session import session, stop

RULES: list[tuple[str, dict[str, Any]]] = [
    ("expect_table_row_count_to_be_between", {"min_value": 1}),
    ("expect_column_values_to_not_be_null", {"column": "carrier"}),
    ("expect_column_values_to_not_be_null", {"column": "tailnum", "mostly": 0.9}),
    ("expect_column_values_to_be_in_set", {"column": "origin", "value_set": ["EWR", "JFK", "LGA"]}),
    ("expect_column_values_to_be_in_set", {"column": "carrier", "value_set": ["AA", "DL", "UA"]}),
    ("expect_column_values_to_match_regex", {"column": "tailnum", "regex": "^N[0-9]{5}$"}),
    ("expect_column_value_lengths_to_equal", {"column": "tailnum", "value": 6}),
    ("expect_column_values_to_be_between", {"column": "wind", "min_value": 0, "max_value": 60}),
    ("expect_column_values_to_be_between", {"column": "distance", "min_value": 1}),
    (
        "expect_column_values_to_be_between",
        {"column": "time_hour", "min_value": "2013-01-01T00:00:00"},
    ),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "arr", "column_B": "dep"}),
    ("expect_column_mean_to_be_between", {"column": "wind", "min_value": 0, "max_value": 60}),
    ("expect_column_max_to_be_between", {"column": "distance", "max_value": 5000}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["carrier", "flight", "time_hour"]}),
    ("expect_column_unique_value_count_to_be_between", {"column": "carrier", "max_value": 20}),
]

Judge = Callable[[], list[bool]]


@dataclass(frozen=True)
class Cost:
    """What one judgement took."""

    wall_s: float
    cpu_s: float
    queries: int


def flights(spark: SparkSession, rows: int) -> DataFrame:
    """Flights with some faults, the same at each call."""

    def number(salt: int, below: int) -> Column:
        return F.pmod(F.xxhash64("id", F.lit(salt)), F.lit(below)).cast("int")

    def text(salt: int, values: str) -> Column:
        return F.element_at(F.split(F.lit(values), " "), number(salt, len(values.split())) + 1)

    return spark.range(rows).select(
        text(1, "UA AA DL B6 WN EV MQ 9E").alias("carrier"),
        number(2, 6000).alias("flight"),
        text(3, "EWR JFK LGA").alias("origin"),
        F.when(number(4, 50) > 0, F.concat(F.lit("N"), number(5, 99_999))).alias("tailnum"),
        number(6, 4000).alias("distance"),
        F.when(number(7, 40) > 0, number(8, 9000) / 100).alias("wind"),
        number(9, 1440).alias("dep"),
        number(10, 1440).alias("arr"),
        F.timestamp_seconds(F.lit(1_356_998_400) + number(11, 31_536_000)).alias("time_hour"),
    )


def by_great_expectations(df: DataFrame, *, result_format: str) -> Judge:
    """Great Expectations' own engine; BASIC fetches samples of bad rows, BOOLEAN_ONLY does not."""
    expectations.warm_up()
    import great_expectations as gx
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    # The rows are in memory already; by default it would keep them there twice.
    source = context.data_sources.add_spark("spark", persist=False)
    whole = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("rows")
    declared = [
        ExpectationConfiguration(name, kwargs, meta={"place": i}).to_domain_obj()
        for i, (name, kwargs) in enumerate(RULES)
    ]
    suite = gx.ExpectationSuite("suite", expectations=declared)

    def judged() -> list[bool]:
        results = whole.get_batch({"dataframe": df}).validate(suite, result_format=result_format)
        in_order = sorted(
            results.results, key=lambda result: result.expectation_config.meta["place"]
        )
        return [bool(result.success) for result in in_order]

    return judged


def by_us(df: DataFrame) -> Judge:
    """Our engine."""
    checks = [
        Check(expectation=name, arguments=arguments, action="warn", name=f"rule_{i}")
        for i, (name, arguments) in enumerate(RULES)
    ]
    return lambda: [verdict.success for verdict in expectations.judge(df, checks)]


def measured(spark: SparkSession, judge: Judge) -> tuple[Cost, list[bool]]:
    """The cost of one call, and its verdicts."""
    store = spark._jsparkSession.sharedState().statusStore()  # noqa: SLF001 - no public way to it
    queries, cpu, wall = store.executionsCount(), _cpu_s(), time.monotonic()
    verdicts = judge()
    cost = Cost(time.monotonic() - wall, _cpu_s() - cpu, store.executionsCount() - queries)
    return cost, verdicts


def _cpu_s() -> float:
    here = psutil.Process()
    family = [here, *here.children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in family)


def main() -> None:
    """Runs the rounds, each way in turn, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=4)
    asked = parser.parse_args()
    engine_environment()
    spark = session(Settings(), app="benchmark")
    try:
        df = flights(spark, asked.rows).cache()
        df.count()
        ways = {
            "Great Expectations, with samples": by_great_expectations(df, result_format="BASIC"),
            "Great Expectations, verdicts only": by_great_expectations(
                df, result_format="BOOLEAN_ONLY"
            ),
            "ours": by_us(df),
        }
        costs: dict[str, list[Cost]] = {way: [] for way in ways}
        for _ in range(1 + asked.rounds):
            found = {}
            for way, judge in ways.items():
                cost, found[way] = measured(spark, judge)
                costs[way].append(cost)
            if len({tuple(verdicts) for verdicts in found.values()}) > 1:
                told = f"verdicts differ: {found}"
                raise SystemExit(told)
        Console().print(_table(costs, rows=asked.rows))
    finally:
        stop()


def _table(costs: dict[str, list[Cost]], *, rows: int) -> Table:
    table = Table(title=f"{len(RULES)} rules, {rows:,} rows in memory; medians")
    table.add_column("")
    for column in ("wall s", "CPU s", "CPU to ours", "queries", "first: wall s", "first: CPU s"):
        table.add_column(column, justify="right")
    ours = statistics.median(cost.cpu_s for cost in costs["ours"][1:])
    for way, (first, *later) in costs.items():
        cpu = statistics.median(cost.cpu_s for cost in later)
        table.add_row(
            way,
            f"{statistics.median(cost.wall_s for cost in later):.2f}",
            f"{cpu:.2f}",
            f"{cpu / ours:.1f}",
            str(later[-1].queries),
            f"{first.wall_s:.2f}",
            f"{first.cpu_s:.2f}",
        )
    return table


if __name__ == "__main__":
    main()

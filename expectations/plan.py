"""The numbers of a whole suite, from one aggregation and at most one grouped query.

Each metric that Great Expectations asks for is a count of rows under its own condition, its own
aggregate of a column, or a number over the groups of equal values. What is none of these is left to
Great Expectations: numbers made of other numbers, which take no query, and medians and quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from expectations.engine import MeasuredEngine
from expectations.gx import (
    IDDict,
    MetricConfiguration,
    convert_to_json_serializable,
)
from expectations.value_sets import among

UNIQUE = ("column_values.unique", "compound_columns.unique")
_DISTINCT = "column.distinct_values"
_ALL_ROWS = "all rows"
_LEFT = object()  # a value that Great Expectations is left to find
_TIMES = "_times"  # how many rows have the values of a group

Finish = Callable[[Mapping[Hashable, Any]], Any]


@dataclass
class _Group:
    """Rows of one domain, grouped by some columns, and the numbers wanted of the groups."""

    columns: tuple[str, ...]
    rows: Column
    numbers: dict[Hashable, Column] = field(default_factory=dict)

    def frame(self, df: DataFrame, index: int) -> DataFrame:
        """One row: the index, and the numbers in an array (so that groups can be united)."""
        counted = df.where(self.rows).groupBy(*self.columns).agg(F.count(F.lit(1)).alias(_TIMES))
        numbers = F.array(*(number.cast("bigint") for number in self.numbers.values()))
        return counted.agg(numbers.alias("numbers")).select(F.lit(index).alias("index"), "numbers")


class Plan:
    """What to measure for a suite.

    Args:
        engine: Great Expectations' engine, with the rows.
        flags: Columns that already hold the flags of a rule, by the id of its `.unexpected_count`.
    """

    def __init__(self, engine: MeasuredEngine, flags: Mapping[Any, Column]) -> None:
        self._engine = engine
        self._flags = flags
        self._columns: dict[Hashable, Column] = {}
        self._groups: dict[Hashable, _Group] = {}
        self._finish: dict[Any, Finish] = {}

    def add(self, metric: MetricConfiguration) -> None:
        """Takes in a metric, or those that it is made of."""
        if metric.id in self._finish:
            return
        name, needed = metric.metric_name, metric.metric_dependencies
        if name == "table.row_count":
            self._finish[metric.id] = self._count_of_rows(metric.metric_domain_kwargs)
        elif name.endswith(".unexpected_count"):
            self._finish[metric.id] = self._count_of_broken(metric)
        elif name.endswith(".filtered_row_count"):
            _, domain = self._engine.condition(needed["unexpected_condition"])
            self._finish[metric.id] = self._count_of_rows(domain)
        elif name.startswith(_DISTINCT) and name.endswith(".count"):
            self._finish[metric.id] = self._count_of_distinct(metric)
        elif name == "column.median":
            self._finish[metric.id] = self._median(metric.metric_domain_kwargs)
        elif "metric_partial_fn" in needed:
            aggregate = self._engine.aggregate(needed["metric_partial_fn"])
            self._finish[metric.id] = self._number(metric.id, aggregate)
        else:
            for dependency in needed.values():
                self.add(dependency)

    def measure(self) -> tuple[dict[Any, Any], int]:
        """Runs the queries; the values by metric id, and the number of all rows."""
        self._columns[_ALL_ROWS] = F.count(F.lit(1))
        values = {**self._aggregated(), **self._grouped()}
        found = {metric: finish(values) for metric, finish in self._finish.items()}
        known = {metric: value for metric, value in found.items() if value is not _LEFT}
        return known, values[_ALL_ROWS]

    def _number(self, key: Hashable, column: Column) -> Finish:
        self._columns[key] = column
        return lambda values: convert_to_json_serializable(values[key])

    def _count_of_rows(self, domain: Mapping[str, Any]) -> Finish:
        key = ("rows", IDDict(domain).to_id())
        if key not in self._columns:
            self._columns[key] = F.count(F.when(self._engine.filter_of(domain), 1))
        return lambda values: values[key]

    def _count_of_broken(self, metric: MetricConfiguration) -> Finish:
        aggregate = metric.metric_dependencies.get("metric_partial_fn")
        condition = (aggregate or metric).metric_dependencies["unexpected_condition"]
        broken, domain = self._engine.condition(condition)
        if metric.id in self._flags:
            count = self._number(metric.id, F.count(F.when(self._flags[metric.id], 1)))
        elif metric.metric_name.startswith(UNIQUE):
            repeated = F.sum(F.when(F.col(_TIMES) > 1, F.col(_TIMES)))
            count = self._of_groups(metric.id, key_of(domain), domain, repeated)
        else:
            rows = self._engine.filter_of(domain)
            count = self._number(metric.id, F.count(F.when(rows & broken, 1)))
        if aggregate is None:
            return count
        # Great Expectations takes a sum here, which is null where there are no rows.
        all_rows = self._count_of_rows(domain)
        return lambda values: count(values) if all_rows(values) else None

    def _count_of_distinct(self, metric: MetricConfiguration) -> Finish:
        domain = metric.metric_domain_kwargs
        column = domain["column"]
        wanted = metric.metric_value_kwargs.get("value_set") or ()
        counted = F.count(column)
        if metric.metric_name == f"{_DISTINCT}.not_in_set.count":
            counted = F.count(F.when(~among(column, wanted), 1))
        elif metric.metric_name == f"{_DISTINCT}.missing_from_column.count":
            counted = F.lit(len(wanted)) - F.count(F.when(among(column, wanted), 1))
        return self._of_groups(metric.id, (column,), domain, counted)

    def _median(self, domain: Mapping[str, Any]) -> Finish:
        """Left to Great Expectations, but for the median of no values, where numpy warns."""
        present = self._engine.filter_of(domain) & F.col(domain["column"]).isNotNull()
        key = ("values", domain["column"], IDDict(domain).to_id())
        self._columns[key] = F.count(F.when(present, 1))
        return lambda values: _LEFT if values[key] else math.nan

    def _of_groups(
        self, key: Hashable, columns: tuple[str, ...], domain: Mapping[str, Any], number: Column
    ) -> Finish:
        of = (columns, IDDict(domain).to_id())
        if of not in self._groups:
            self._groups[of] = _Group(columns, self._engine.filter_of(domain))
        self._groups[of].numbers[key] = F.coalesce(number, F.lit(0))
        return lambda values: values[key]

    def _aggregated(self) -> dict[Hashable, Any]:
        named = [column.alias(f"m{i}") for i, column in enumerate(self._columns.values())]
        return dict(zip(self._columns, self._engine.rows.agg(*named).collect()[0], strict=True))

    def _grouped(self) -> dict[Hashable, Any]:
        if not self._groups:
            return {}
        groups = list(self._groups.values())
        frames = [group.frame(self._engine.rows, i) for i, group in enumerate(groups)]
        return {
            key: number
            for row in reduce(DataFrame.unionAll, frames).collect()
            for key, number in zip(groups[row["index"]].numbers, row["numbers"], strict=True)
        }


def key_of(domain: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that a rule on uniqueness is about."""
    return tuple(domain.get("column_list") or [domain["column"]])

"""Great Expectations' Spark engine: it gives its conditions as columns, and takes known numbers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from expectations.gx import (
    IDDict,
    MetricConfiguration,
    MetricsCalculator,
    SparkDFBatchData,
    SparkDFExecutionEngine,
    get_metric_provider,
)
from expectations.value_sets import FEW, among

ROWS = "rows"  # the batch as rules see it
_WIDE = "wide"  # the same rows with every column
_FILTERS = "filters"  # the same schema, without rows
_SCHEMA = ("table.columns", "table.column_types")
_LAZY = (".condition", ".aggregate_fn", ".map")
_SAMPLES = ".unexpected_values"
_NOT_IN_SET = "column_values.not_in_set.condition"


@dataclass(frozen=True)
class _Filters:
    """Stands in for a DataFrame where only the filters put on it are wanted."""

    schema: StructType
    conditions: tuple[Column, ...] = ()

    def filter(self, condition: str | Column) -> _Filters:
        column = F.expr(condition) if isinstance(condition, str) else condition
        return _Filters(self.schema, (*self.conditions, column))


class MeasuredEngine(SparkDFExecutionEngine):
    """Great Expectations' engine over one batch, which takes known values before it computes.

    Samples of bad rows are never fetched: they stand in the quarantine table.

    Args:
        df: The rows; rules do not see columns that start with `_`.

    Attributes:
        known: Values measured beforehand, by metric id.
        rows: The rows with every column, and those that `within` added.
    """

    def __init__(self, df: DataFrame) -> None:
        super().__init__(persist=False, spark=df.sparkSession)
        self.known: dict[Any, Any] = {}
        self.rows = df
        self._filters: dict[Hashable, Column] = {}
        self._schema: dict[Any, Any] = {}
        visible = df.select(*visible_columns(df))
        self.load_batch_data(_FILTERS, SparkDFBatchData(self, _Filters(df.schema)))
        self.load_batch_data(ROWS, SparkDFBatchData(self, visible))

    def resolve_metrics(
        self,
        metrics_to_resolve: Iterable[MetricConfiguration],
        metrics: dict[Any, Any] | None = None,
        runtime_configuration: dict[str, Any] | None = None,
    ) -> dict[Any, Any]:
        """Answers what is known; Great Expectations computes the rest."""
        wanted = list(metrics_to_resolve)
        answered = {
            metric.id: self.known.get(metric.id, []) for metric in wanted if self._settled(metric)
        }
        rest = [metric for metric in wanted if metric.id not in answered]
        if rest:
            found = {**(metrics or {}), **answered}
            answered |= super().resolve_metrics(rest, found, runtime_configuration)
        return answered

    def values(self, metrics: Iterable[MetricConfiguration]) -> dict[Any, Any]:
        """The values by metric id; Great Expectations computes those that are not known."""
        wanted = list(metrics)
        settled = self.resolve_metrics([metric for metric in wanted if self._settled(metric)])
        rest = [metric for metric in wanted if metric.id not in settled]
        if rest:
            raising = {"catch_exceptions": False}
            settled |= MetricsCalculator(self).compute_metrics(rest, raising)[0]
        return {metric.id: settled[metric.id] for metric in wanted}

    def condition(self, metric: MetricConfiguration) -> tuple[Column, dict[str, Any]]:
        """Great Expectations' own condition of the rows that break a rule.

        Args:
            metric: A `.condition` from a dependency graph, so its own dependencies are known.

        Returns:
            The condition as a Spark column, and the domain whose rows it is meant for.
        """
        wanted = metric.metric_value_kwargs.get("value_set") or ()
        if len(wanted) <= FEW:
            column, compute, accessor = self._lazy(metric, {})
            return column, {**compute, **accessor}
        # The same condition, made fast; the domain is still Great Expectations'.
        _, compute, accessor = self._provided(metric, {}, value_set=wanted[:1])
        found = among(metric.metric_domain_kwargs["column"], wanted)
        broken = found if metric.metric_name == _NOT_IN_SET else ~found
        return broken, {**compute, **accessor}

    def aggregate(self, metric: MetricConfiguration) -> Column:
        """Great Expectations' own aggregate, over the rows of its domain, as a column of `rows`.

        Args:
            metric: An `.aggregate_fn` of one column, such as its mean. All of these ignore nulls,
                so rows outside the domain are left out by making their value null.
        """
        column: Column
        domain = dict(metric.metric_domain_kwargs)
        if domain.get("row_condition") is None:
            column, *_ = self._lazy(metric, {})
            return column
        name = f"_within_{len(self.rows.columns)}"
        inside = F.when(self.filter_of(domain), F.col(domain["column"]))
        self.rows = self.rows.withColumn(name, inside)
        self.load_batch_data(_WIDE, SparkDFBatchData(self, self.rows))
        column, *_ = self._lazy(metric, {"column": name, "batch_id": _WIDE, "row_condition": None})
        return column

    def filter_of(self, domain: Mapping[str, Any]) -> Column:
        """The filter that Great Expectations puts on the rows for a domain; it is never null."""
        key = IDDict(domain).to_id()
        if key not in self._filters:
            filters = self.get_domain_records({**domain, "batch_id": _FILTERS}).conditions
            if domain.get("row_condition") is not None:  # the others ask whether a value is null
                # After a null the next condition is evaluated, and may fail on such a row.
                filters = (F.coalesce(filters[0], F.lit(False)), *filters[1:])
            self._filters[key] = reduce(and_, filters) if filters else F.lit(True)
        return self._filters[key]

    def _settled(self, metric: MetricConfiguration) -> bool:
        return metric.id in self.known or metric.metric_name.endswith(_SAMPLES)

    def _lazy(self, metric: MetricConfiguration, domain: dict[str, Any]) -> Any:  # noqa: ANN401
        if metric.metric_name in _SCHEMA and not domain:
            if metric.id not in self._schema:
                self._schema[metric.id] = self._provided(metric, domain)
            return self._schema[metric.id]
        return self._provided(metric, domain)

    def _provided(
        self, metric: MetricConfiguration, domain: dict[str, Any], **values: object
    ) -> Any:  # noqa: ANN401 - a column and its domain, or what the schema holds
        provider_class, provider = get_metric_provider(metric.metric_name, self)
        needed = {
            name: self._lazy(dependency, domain)
            for name, dependency in metric.metric_dependencies.items()
            if dependency.metric_name in _SCHEMA or dependency.metric_name.endswith(_LAZY)
        }
        return provider(
            cls=provider_class,
            execution_engine=self,
            metric_domain_kwargs={
                name: domain.get(name, value) for name, value in metric.metric_domain_kwargs.items()
            },
            metric_value_kwargs={**metric.metric_value_kwargs, **values},
            metrics=needed,
            runtime_configuration={},
        )


def visible_columns(df: DataFrame) -> list[str]:
    """The columns that rules see: those that start with `_` are Headrace's own."""
    return [name for name in df.columns if not name.startswith("_")]

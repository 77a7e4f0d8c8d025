"""The Great Expectations rules a spec may declare: their own names and arguments.

Nothing is judged here. A rule that is not listed is refused by `validate`. Left out are rules
whose verdict depends on the order of rows (increasing, decreasing), that run a Python function
per row (JSON, strftime), that read other tables or whole queries, that need numbers of the batch
before they can look at a row (z-scores, outliers), and those that Great Expectations has not
written for Spark. A contract test holds this table equal to the fields of its classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

# A Spark SQL predicate: the rule judges only the rows for which it is true. Great Expectations has
# deprecated `condition_parser`, which names other languages for it, so no rule takes that one.
SQL_ARGUMENT = "row_condition"
# Columns that a row rule reads, so they must exist.
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")


@dataclass(frozen=True)
class Rule:
    """What a supported expectation judges, and the arguments it takes.

    Attributes:
        kind: `row` where single rows break it, and so can be quarantined; else `table`.
        arguments: Great Expectations' own names, without those that only describe a rule.
    """

    kind: Literal["row", "table"]
    arguments: frozenset[str]


_RANGE = ("min_value", "max_value")
_STRICT_RANGE = (*_RANGE, "strict_min", "strict_max")


def _column_row(*arguments: str) -> Rule:
    return Rule("row", frozenset({"column", "mostly", SQL_ARGUMENT, *arguments}))


def _pair_row(*arguments: str) -> Rule:
    shared = {"column_A", "column_B", "ignore_row_if", "mostly", SQL_ARGUMENT}
    return Rule("row", frozenset({*shared, *arguments}))


def _columns_row(*arguments: str) -> Rule:
    shared = {"column_list", "ignore_row_if", "mostly", SQL_ARGUMENT}
    return Rule("row", frozenset({*shared, *arguments}))


def _column_table(*arguments: str) -> Rule:
    return Rule("table", frozenset({"column", SQL_ARGUMENT, *arguments}))


def _table(*arguments: str) -> Rule:
    return Rule("table", frozenset(arguments))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        # one column, row by row
        "expect_column_values_to_not_be_null": _column_row(),
        "expect_column_values_to_be_null": _column_row(),
        "expect_column_values_to_be_in_set": _column_row("value_set"),
        "expect_column_values_to_not_be_in_set": _column_row("value_set"),
        "expect_column_values_to_be_between": _column_row(*_STRICT_RANGE),
        "expect_column_value_lengths_to_be_between": _column_row(*_STRICT_RANGE),
        "expect_column_value_lengths_to_equal": _column_row("value"),
        "expect_column_values_to_match_regex": _column_row("regex"),
        "expect_column_values_to_not_match_regex": _column_row("regex"),
        "expect_column_values_to_match_regex_list": _column_row("regex_list", "match_on"),
        "expect_column_values_to_not_match_regex_list": _column_row("regex_list"),
        "expect_column_values_to_be_unique": _column_row(),
        # several columns of a row
        "expect_column_pair_values_to_be_equal": _pair_row(),
        "expect_column_pair_values_a_to_be_greater_than_b": _pair_row("or_equal"),
        # Great Expectations takes a row condition here, and then does not apply it.
        "expect_column_pair_values_to_be_in_set": Rule(
            "row", _pair_row("value_pairs_set").arguments - {SQL_ARGUMENT}
        ),
        "expect_multicolumn_sum_to_equal": _columns_row("sum_total"),
        "expect_multicolumn_values_to_be_equal": _columns_row(),
        "expect_select_column_values_to_be_unique_within_record": _columns_row(),
        "expect_compound_columns_to_be_unique": _columns_row(),
        # a column as a whole
        "expect_column_min_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_max_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_mean_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_stdev_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_sum_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_median_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_quantile_values_to_be_between": _column_table(
            "quantile_ranges", "allow_relative_error"
        ),
        "expect_column_proportion_of_non_null_values_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_proportion_of_unique_values_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_unique_value_count_to_be_between": _column_table(*_STRICT_RANGE),
        "expect_column_distinct_values_to_be_in_set": _column_table("value_set"),
        "expect_column_distinct_values_to_contain_set": _column_table("value_set"),
        "expect_column_distinct_values_to_equal_set": _column_table("value_set"),
        # the schema
        "expect_column_values_to_be_of_type": Rule("table", _column_row("type_").arguments),
        "expect_column_values_to_be_in_type_list": Rule(
            "table", _column_row("type_list").arguments
        ),
        "expect_column_to_exist": _table("column", "column_index"),
        "expect_table_column_count_to_be_between": _table(*_RANGE),
        "expect_table_column_count_to_equal": _table("value"),
        "expect_table_columns_to_match_ordered_list": _table("column_list"),
        "expect_table_columns_to_match_set": _table("column_set", "exact_match"),
        # the number of rows
        "expect_table_row_count_to_be_between": _table(*_STRICT_RANGE, SQL_ARGUMENT),
        "expect_table_row_count_to_equal": _table("value", SQL_ARGUMENT),
    }
)

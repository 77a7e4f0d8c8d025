"""Which rows are sound: parsed, judged by the row rules, held against the keys that stand.

DataFrame in, DataFrame out; nothing is written. A row is bad if `_reason` is set (it does not
parse) or `_broken` is not empty (the rules it breaks); a `_duplicate` is neither bad nor new.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

import expectations
from headrace.errors import UsageError
from headrace.lake import NO_TABLE, Lake, Table
from headrace.spec.model import Action, Check, Source, ValuesOf
from spark_jobs import delta
from spark_jobs.parse import typed

LARGEST_VALUE_SET = 100_000
_VALUES_TOLD = 5  # longer value sets are not repeated in a row's reason
_PLACE = ["_unsound", "_file", "_row", "_file_sha256"]  # a file may come again mended
PARSE_RULE, CONFLICT_RULE = "_parse", "_conflict"


def flagged(
    lines: DataFrame,
    source: Source,
    *,
    headers: Collection[str],
    checks: Sequence[Check],
    actions: Collection[Action] = (Action.QUARANTINE,),
) -> DataFrame:
    """The typed rows of bronze lines, with `_reason` and `_broken`.

    Args:
        lines: Of bronze.
        source: What is declared.
        headers: The distinct `_columns` among the lines.
        checks: The rules of the source, their value sets resolved.
        actions: Only rules with one of these send a row to quarantine.
    """
    rows = typed(lines, source, headers=sorted(headers))
    flags = expectations.row_flags(rows, [rule for rule in checks if rule.action in actions])
    return rows.withColumn("_broken", _names(flags, F.col("_reason").isNull()))


def with_repeats(
    spark: SparkSession,
    rows: DataFrame,
    lake: Lake,
    name: str,
    *,
    source: Source,
    silver_version: int,
) -> DataFrame:
    """Adds `_duplicate`, and the conflict rule to `_broken`, for keys that stand already.

    All declared columns equal: a duplicate. Same key with other values: a conflict, and the row in
    silver, or the first sound one of the batch, stands. Where `on_conflict` is `latest`, it is a
    correction if it was known later: then both stand.
    """
    key = _key(source)
    parsed = rows.where(F.col("_reason").isNull())
    repeated = parsed.groupBy(*key).count().where("count > 1").select(*key)
    silver = None
    if silver_version != NO_TABLE:
        silver = delta.read_near(spark, lake.silver(name), parsed, key=key, version=silver_version)
        repeated = repeated.unionByName(
            silver.join(parsed.select(*key), key, "left_semi").select(*key)
        )
    if repeated.isEmpty():
        return rows.withColumn("_duplicate", F.lit(False))
    dated_by_us = source.on_conflict == "latest" and source.known_at is None
    later = _unlike_the_newest if dated_by_us else _later_ones
    judged = later(parsed, silver, repeated, source)
    joined = rows.join(judged, ["_file_sha256", "_row"], "left")
    conflict = F.coalesce("_conflict", F.lit(False))
    return (
        joined.withColumn(
            "_broken",
            F.when(conflict, F.array_append("_broken", F.lit(CONFLICT_RULE))).otherwise(
                F.col("_broken")
            ),
        )
        .withColumn("_duplicate", F.coalesce("_duplicate", F.lit(False)))
        .drop("_conflict")
    )


def _key(source: Source) -> list[str]:
    """The columns by which two rows are the same row: of corrections, the moment too."""
    corrected = source.on_conflict == "latest" and source.known_at
    return list(dict.fromkeys([*source.key, *([str(source.known_at)] if corrected else [])]))


def _suspects(
    parsed: DataFrame, silver: DataFrame | None, repeated: DataFrame, key: Sequence[str]
) -> DataFrame:
    """The rows whose key is repeated, of silver (`_origin` 0) and of the batch (1)."""
    suspects = parsed.join(repeated, list(key), "left_semi").withColumns(
        {"_origin": F.lit(1), "_unsound": F.size("_broken") > 0}
    )
    if silver is None:
        return suspects
    standing = silver.join(repeated, list(key), "left_semi").withColumns(
        {"_origin": F.lit(0), "_unsound": F.lit(False)}
    )
    columns = [c for c in standing.columns if c in suspects.columns]
    return standing.select(*columns).unionByName(suspects.select(*columns))


def _unlike_the_newest(
    parsed: DataFrame, silver: DataFrame | None, repeated: DataFrame, source: Source
) -> DataFrame:
    """Of corrections that are dated by their ingestion: those that say nothing new, or two things.

    A row equal to the newest that stands is a duplicate. Of the others of a batch the first sound
    one is the correction, if it was ingested later than what stands; one that equals it is a
    duplicate, any other a conflict.
    """
    whole = F.struct(*source.columns)
    of_key = Window.partitionBy(*source.key)
    newest_first = of_key.orderBy("_origin", F.desc("_ingested_at"))
    stands = F.first(F.when(F.col("_origin") == 0, whole)).over(newest_first)
    since = F.first(F.when(F.col("_origin") == 0, F.col("_ingested_at"))).over(newest_first)
    too_early = F.coalesce(F.col("_ingested_at") <= since, F.lit(False))
    told = _suspects(parsed, silver, repeated, source.key).withColumns(
        {
            "_whole": whole,
            "_told": F.coalesce(whole.eqNullSafe(stands), F.lit(False)),
            "_early": too_early,
        }
    )
    new = Window.partitionBy(*source.key, "_told").orderBy(*_PLACE)
    again = (F.col("_nth") > 1) & F.col("_whole").eqNullSafe(F.col("_first"))
    same = F.col("_told") | again
    return (
        told.where("_origin = 1")
        .withColumns({"_nth": F.row_number().over(new), "_first": F.first("_whole").over(new)})
        .where("_told or _nth > 1 or _early")
        .select("_file_sha256", "_row", same.alias("_duplicate"), (~same).alias("_conflict"))
    )


def _later_ones(
    parsed: DataFrame, silver: DataFrame | None, repeated: DataFrame, source: Source
) -> DataFrame:
    """Of the rows whose key is repeated, those that are not the first: duplicate or conflict."""
    key = _key(source)
    columns = list(source.columns)
    place = ["_origin", *_PLACE]
    suspects = _suspects(parsed, silver, repeated, key)
    first = F.first(F.struct(*columns)).over(Window.partitionBy(*key).orderBy(*place))
    nth = F.row_number().over(Window.partitionBy(*key).orderBy(*place))
    return (
        suspects.select(
            "_file_sha256",
            "_row",
            "_origin",
            nth.alias("_nth"),
            F.struct(*columns).eqNullSafe(first).alias("_same"),
        )
        .where("_origin = 1 and _nth > 1")
        .select(
            "_file_sha256",
            "_row",
            F.col("_same").alias("_duplicate"),
            (~F.col("_same")).alias("_conflict"),
        )
    )


def destinies() -> tuple[Column, Column, Column]:
    """Conditions for silver, quarantine and duplicates: exactly one holds for each row."""
    repeated = F.col("_duplicate")
    bad = ~repeated & (F.col("_reason").isNotNull() | (F.size("_broken") > 0))
    return ~repeated & ~bad, bad, repeated


def _names(flags: Mapping[str, Column], parsed: Column) -> Column:
    """The names of the flags that are up, for parsed rows; built only for rows that have one."""
    if not flags:
        return F.array().cast("array<string>")
    names = F.split(
        F.concat_ws(",", *(F.when(flag, F.lit(rule)) for rule, flag in flags.items())), ","
    )
    return F.when(parsed & reduce(or_, flags.values()), names).otherwise(
        F.array().cast("array<string>")
    )


def failed_rules() -> Column:
    """The names of the rules that a bad row breaks, as `_failed_rules`."""
    return (
        F.when(F.col("_reason").isNotNull(), F.array(F.lit(PARSE_RULE)))
        .otherwise(F.col("_broken"))
        .alias("_failed_rules")
    )


def reasons(checks: Sequence[Check]) -> Column:
    """Why a row is bad, in words, as `_reason`."""
    told = {rule.rule: _told(rule) for rule in checks}
    told[CONFLICT_RULE] = "another row of the same key, with other values, stands already"
    texts = F.create_map(*(F.lit(text) for pair in told.items() for text in pair))
    return F.coalesce(
        "_reason", F.array_join(F.transform("_broken", lambda rule: texts[rule]), "; ")
    )


def _told(rule: Check) -> str:
    said = {
        key: value
        for key, value in rule.arguments.items()
        if not (isinstance(value, list) and len(value) > _VALUES_TOLD)
    }
    arguments = ", ".join(f"{key}={value!r}" for key, value in said.items())
    return f"{rule.expectation}({arguments}) does not hold"


def with_values(rule: Check, lake: Lake, name: str) -> Check:
    """The rule with its value set read from the silver table it names, if it names one."""
    values = rule.arguments.get("value_set")
    if not isinstance(values, dict):
        return rule
    of = ValuesOf.model_validate(values)
    table = Table.if_exists(lake.silver(of.source))
    if table is None:
        message = f"rule {rule.rule} needs source {of.source}, which has no silver table yet"
        raise UsageError(
            message,
            source=name,
            hint=f"run with `{of.source}` first",
        )
    found = sorted(
        {value for value in table.arrow([of.column])[of.column].to_pylist() if value is not None}
    )
    if len(found) > LARGEST_VALUE_SET:
        message = f"rule {rule.rule}: {len(found):,} values are more than {LARGEST_VALUE_SET:,}"
        raise UsageError(
            message,
            source=name,
            hint="take a column with fewer values, or a look-up and a rule for its nulls",
        )
    return rule.model_copy(update={"arguments": {**rule.arguments, "value_set": found}})

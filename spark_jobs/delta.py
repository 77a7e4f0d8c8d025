"""Spark's half of the commit protocol: one write per unit, under the table's lock, read back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from headrace.errors import CommitConflict, EngineLost
from headrace.lake import Committed, Table, exclusive, next_version

_MAX_RECORDS_PER_FILE = 2_000_000


NO_TABLE = -1


def version_of(table: Path) -> int:
    """The newest version of a table, or `NO_TABLE`."""
    current = Table.if_exists(table)
    return NO_TABLE if current is None else current.version


def read(spark: SparkSession, table: Path, *, version: int | None = None) -> DataFrame:
    """A Delta table, at a version if one is given."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(table.as_posix())


def write(
    rows: DataFrame,
    table: Path,
    *,
    unit: str,
    partition_by: Sequence[str] = (),
    statistics_of: Sequence[str] = (),
    replace_where: str | None = None,
    recorded: int | None = None,
    repeatable: bool = False,
    seen: int | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Committed:
    """Commits rows as one unit; a unit that has committed is left as it is.

    Spark skips a write in silence if its transaction version is not above the recorded one, and two
    drivers on one disk can overwrite each other's commits: so the version is read, the write made
    and the outcome read back while this process holds the table's lock.

    Args:
        rows: What to write; nothing random or clock-dependent may be in it, since a task may run
            twice.
        table: The table's folder; made on the first commit.
        unit: From `headrace.lake.application_id`.
        partition_by: Partition columns, for the first commit.
        statistics_of: Columns whose bounds each file keeps in the log, for the first commit.
        replace_where: A predicate on partition columns: what it matches is replaced. Appends if
            None.
        recorded: With `repeatable`: the version the caller saw for `unit` when it decided; 0 for
            none.
        repeatable: The unit may commit again, if `recorded` is still what stands there.
        seen: The table's version that the rows were decided on; `NO_TABLE` for none.
        metadata: JSON values for people, in the commit under the key `headrace`.

    Raises:
        CommitConflict: Another run committed in between.
        EngineLost: Spark went away.
    """
    with exclusive(table):
        version = next_version(table, unit, recorded=recorded, repeatable=repeatable)
        if version is None:
            return Committed(Table(table).version, made=False)
        if seen is not None and seen != version_of(table):
            message = "the table changed since these rows were decided on"
            raise CommitConflict(message, table=table, hint="run again")
        writer = (
            rows.write.format("delta")
            .mode("append" if replace_where is None else "overwrite")
            .option("txnAppId", unit)
            .option("txnVersion", version)
            .option("maxRecordsPerFile", _MAX_RECORDS_PER_FILE)
            .option("userMetadata", json.dumps({"headrace": dict(metadata or {})}, default=str))
        )
        if replace_where is not None:
            writer = writer.option("replaceWhere", replace_where)
        if statistics_of:
            # Bounds of every column would cost more than the columns themselves.
            writer = writer.option("delta.dataSkippingStatsColumns", ",".join(statistics_of))
        if partition_by:
            writer = writer.partitionBy(*partition_by)
        try:
            writer.save(table.as_posix())
        except PySparkException as error:
            if "Concurrent" in type(error).__name__ or "DELTA_CONCURRENT" in str(error):
                message = f"the commit was refused: {error}"
                raise CommitConflict(message, table=table, hint="run again") from error
            raise
        except (Py4JError, ConnectionError) as error:
            message = (
                "Spark went away during the write; the table is as before or has the whole commit"
            )
            raise EngineLost(
                message,
                table=table,
                hint="run again: what is committed is not done twice",
            ) from error
        after = Table(table)
        if after.recorded(unit) != version:
            message = f"the commit of {unit} is not in the table"
            raise CommitConflict(message, table=table, hint="run again")
        return Committed(after.version, made=True)

"""Spark's half of the commit protocol: tasks write the data files, the driver commits them once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import Schema
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from headrace.errors import BalanceError, EngineLost, HeadraceError
from headrace.lake import (
    Committed,
    DataFile,
    StagedFile,
    Table,
    commit,
    next_version,
    stage_file,
    version_of,
)

_MOST_BYTES = 64 * 2**20  # of the rows of one data file, in memory, which a worker holds at a time
_STAGED = "path string, size bigint, rows bigint, partition string, statistics string"
_FEW_FILES = 16
_GLOB_PATHS = "__globPaths__"
_NO_SPACE = "No space left on device"


def read(
    spark: SparkSession,
    table: Path,
    *,
    version: int | None = None,
    batch: str | None = None,
    bounds: Mapping[str, tuple[Any, Any]] | None = None,
) -> DataFrame:
    """A Delta table, at a version if one is given; its files are held against the log first.

    Args:
        spark: The session.
        table: The table's folder.
        version: The newest if None.
        batch: Only its rows; files without them are not opened.
        bounds: Column -> least and greatest value, both included; other rows are left out, and
            files that the log tells to have none of them are not opened.

    Raises:
        CorruptArtifact: A data file is missing, or is not the one that was committed.
    """
    limits = {**(bounds or {}), **({"_batch": (batch, batch)} if batch else {})}
    return _rows(spark, Table.at(table, version), limits)


def read_near(
    spark: SparkSession,
    table: Path,
    others: DataFrame,
    *,
    key: Sequence[str],
    version: int | None = None,
) -> DataFrame:
    """The rows of a table that may have a key of the others, by the bounds of each key column.

    Of a table of few files all rows: to ask for the bounds would cost more.

    Raises:
        CorruptArtifact: A data file is missing, or is not the one that was committed.
    """
    opened = Table.at(table, version)
    if len(opened.files) <= _FEW_FILES:
        return _rows(spark, opened, {})
    ends = [F.struct(F.min(column), F.max(column)).alias(column) for column in key]
    bounds = {
        column: tuple(pair) for column, pair in others.agg(*ends).collect()[0].asDict().items()
    }
    if any(None in pair for pair in bounds.values()):
        return _rows(spark, opened, {}).limit(0)
    return _rows(spark, opened, bounds)


def _rows(spark: SparkSession, table: Table, bounds: Mapping[str, tuple[Any, Any]]) -> DataFrame:
    # The log is read once, by delta-rs: Delta's own reader takes a second or two of Spark jobs for
    # it, table by table. What that reader would be needed for, `Table` refuses.
    files = [file for file in table.files if _may_hold(file, bounds)]
    table.check(files)  # Spark verifies pages, not the footers that name their columns
    schema = StructType.fromJson(json.loads(table.delta.schema().to_json()))
    if not files:
        return spark.createDataFrame([], schema)
    reader = spark.read.schema(schema).option("basePath", table.path.as_posix())
    reader = reader.option(_GLOB_PATHS, "false")  # else `[` in a folder's name is a pattern
    rows = reader.parquet(*((table.path / file.path).as_posix() for file in files))
    quoted = ("`" + name.replace("`", "``") + "`" for name in schema.names)
    rows = rows.select(*quoted)  # partition columns came last
    for column, (least, greatest) in bounds.items():
        rows = rows.where(F.col(column).between(F.lit(least), F.lit(greatest)))
    return rows


def _may_hold(file: DataFile, bounds: Mapping[str, tuple[Any, Any]]) -> bool:
    """Whether a file may have rows within bounds; long texts are cut in the log, and not seen."""
    for column, (least, greatest) in bounds.items():
        if column == "_batch":
            if file.batch not in {None, least}:
                return False
            continue
        smallest = file.partition.get(column, file.least.get(column))
        largest = file.partition.get(column, file.greatest.get(column))
        if smallest is None or largest is None or isinstance(smallest, str):
            continue
        if largest < _comparable(least, largest) or smallest > _comparable(greatest, smallest):
            return False
    return True


def _comparable(bound: Any, held: Any) -> Any:  # noqa: ANN401 - any scalar of a column
    """A moment with or without a zone, as the log's values have it; Spark's are local to none."""
    if isinstance(bound, datetime) and isinstance(held, datetime):
        if held.tzinfo is None:
            return bound.astimezone(UTC).replace(tzinfo=None)
        return bound.astimezone(UTC)
    return bound


def write(
    rows: DataFrame,
    table: Path,
    *,
    unit: str,
    partition_by: str | None = None,
    statistics_of: Collection[str] = (),
    replace: Collection[object] | None = None,
    recorded: int | None = None,
    repeatable: bool = False,
    seen: int | None = None,
    expected: Mapping[str | None, int] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Committed:
    """Commits rows as one unit; a unit that has committed is left as it is.

    Args:
        rows: What to write; nothing random or clock-dependent may be in it, since a task may run
            twice. With `partition_by` each Spark partition must be sorted by that column.
        table: The table's folder; made on the first commit.
        unit: From `headrace.lake.application_id`.
        partition_by: The partition column, if the table has one.
        statistics_of: Columns whose bounds each file keeps in the log.
        replace: Values of the partition column whose rows are replaced. Appends if None.
        recorded: As for `headrace.lake.commit`, and so are `repeatable` and `seen`.
        repeatable: See there.
        seen: See there.
        expected: Value of the partition column, as text, or None -> rows that must be written.
        metadata: JSON values for people, in the commit under the key `headrace`.

    Raises:
        BalanceError: Other numbers of rows were written; nothing was committed.
        CommitConflict: Another run committed in between.
        EngineLost: Spark went away.
        HeadraceError: The disk is full.
    """
    if next_version(table, unit, recorded=recorded, repeatable=repeatable) is None:
        return Committed(version_of(table), made=False)  # no files for what is decided already
    staged = stage(rows, table, partition_by=partition_by, statistics_of=statistics_of)
    if expected is not None:
        _balanced(staged, table, expected, partition_by=partition_by)
    return commit(
        table,
        staged,
        schema=_arrow_schema(rows),
        unit=unit,
        partition_by=[partition_by] if partition_by else [],
        replace=None
        if replace is None
        else [(str(partition_by), "in", [str(value) for value in replace])],
        recorded=recorded,
        repeatable=repeatable,
        seen=seen,
        metadata={"headrace": json.dumps(dict(metadata or {}), default=str)},
    )


def _balanced(
    staged: Iterable[StagedFile],
    table: Path,
    expected: Mapping[str | None, int],
    *,
    partition_by: str | None,
) -> None:
    found: Counter[str | None] = Counter()
    for file in staged:
        found[file.partition[partition_by] if partition_by else None] += file.rows
    wrong = [
        f"{found[value]:,} for {expected.get(value, 0):,}" + (f" of {value}" if value else "")
        for value in sorted(found.keys() | expected.keys(), key=str)
        if found[value] != expected.get(value, 0)
    ]
    if wrong:
        message = f"rows to write and rows expected differ: {'; '.join(wrong[:5])}"
        raise BalanceError(
            message,
            table=table,
            hint="nothing was committed; run again, and if it stays, please report this defect",
        )


def _arrow_schema(rows: DataFrame) -> pa.Schema:
    """The columns of a table of these rows; Delta's schema is written as Spark's, all nullable."""
    nullable = StructType([StructField(f.name, f.dataType) for f in rows.schema])
    return pa.schema(Schema.from_json(nullable.json()))


def stage(
    rows: DataFrame, table: Path, *, partition_by: str | None, statistics_of: Collection[str]
) -> list[StagedFile]:
    """Writes rows as data files into a table's folder, in Spark's tasks; nothing is committed."""
    work = partial(_stage, table=table, partition_by=partition_by, statistics_of=statistics_of)
    try:
        found = rows.mapInArrow(work, _STAGED).collect()
    except (PySparkException, Py4JJavaError) as error:
        if _NO_SPACE not in str(error):
            raise
        message = "the disk is full"
        raise HeadraceError(
            message, table=table, hint="free space, then run again: nothing was committed"
        ) from error
    except (Py4JError, ConnectionError) as error:
        message = "Spark went away during the write; nothing of it was committed"
        raise EngineLost(message, table=table, hint="run again") from error
    return [
        StagedFile(row.path, row.size, row.rows, json.loads(row.partition), row.statistics)
        for row in found
    ]


def _stage(
    batches: Iterable[pa.RecordBatch],
    *,
    table: Path,
    partition_by: str | None,
    statistics_of: Collection[str],
) -> Iterator[pa.RecordBatch]:
    """Of one task: a file per value of the partition column, big ones in parts."""
    for value, rows in _files(batches, partition_by):
        file = stage_file(
            table,
            rows,
            partition={partition_by: value} if partition_by else None,
            statistics_of=statistics_of,
        )
        del rows
        pa.default_memory_pool().release_unused()  # the worker lives on, and serves other tasks
        told = [file.path, file.size, file.rows, json.dumps(dict(file.partition)), file.statistics]
        yield pa.RecordBatch.from_arrays(
            [pa.array([cell]) for cell in told],
            names=["path", "size", "rows", "partition", "statistics"],
        )


def _files(
    batches: Iterable[pa.RecordBatch], partition_by: str | None
) -> Iterator[tuple[date | str | None, pa.Table]]:
    """Cuts sorted rows where the partition column changes, and where a file would be too big."""
    held: list[pa.RecordBatch] = []
    size = 0  # of `held`, in bytes
    value: date | str | None = None
    for batch in batches:
        for part_value, part in _runs(batch, partition_by):
            if held and (part_value != value or size >= _MOST_BYTES):
                yield value, _emptied(held)
                size = 0
            held.append(part)
            size += part.nbytes
            value = part_value
    if held:
        yield value, _emptied(held)


def _emptied(held: list[pa.RecordBatch]) -> pa.Table:
    """The batches as a table, which alone holds them from now on."""
    rows = pa.Table.from_batches(held)
    held.clear()
    return rows


def _runs(
    batch: pa.RecordBatch, partition_by: str | None
) -> Iterator[tuple[date | str | None, pa.RecordBatch]]:
    """The parts of a batch with the same value of the partition column, without that column."""
    if not batch.num_rows:
        return
    if partition_by is None:
        yield None, batch
        return
    kept = batch.drop_columns([partition_by])
    start = 0
    runs = pc.run_end_encode(batch.column(partition_by))
    for value, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield value, kept.slice(start, end - start)
        start = end

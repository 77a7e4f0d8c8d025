"""The stage `ingest`: landing files become lines in bronze, one commit per batch."""

from __future__ import annotations

import argparse
import csv
import io
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from pyspark.errors import PythonException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace import command, errors, faults
from headrace.errors import HeadraceError, SchemaChanged, Transient
from headrace.lake import Lake, Table, application_id
from headrace.lake.formats import FORMATS
from headrace.lake.landing import Batch, Landing, LandingFile, register
from headrace.lake.lines import Split
from headrace.lake.stores import place
from headrace.plan import look_at
from headrace.settings import Settings
from headrace.spec.model import Pipeline, Source
from headrace.stage import Outcome, StageResult
from spark_jobs import delta
from spark_jobs.session import open_session

_BRONZE = (
    "_raw string, _columns string, _problem string, _file string, _file_sha256 string, "
    "_row bigint, _batch string"
)


def ingest(
    spark: SparkSession, lake: Lake, name: str, *, source: Source, landing: Landing, now: datetime
) -> StageResult:
    """Writes every pending batch of a source to bronze, line by line as it arrived.

    Running again leaves a batch that bronze holds as it is. Files that cannot be read are set aside
    and noted.

    Args:
        spark: The session.
        lake: Where bronze stands.
        name: Name of the source.
        source: Its declaration.
        landing: From `headrace.plan.look`.
        now: The `_ingested_at` of the rows.

    Raises:
        SchemaChanged: A header is not the declared one and the source does not say `adapt`.
        Transient: A file changed while it was read, or its store went away; nothing of its batch
            was written.
    """
    started = time.monotonic()
    faults.point("ingest", "before_read")
    for batch in landing.pending:
        _same_columns(name, source, batch.files)
    register(lake, name, landing, seen_at=now)
    faults.point("ingest", "after_read")
    made, rows = False, 0
    for batch in landing.pending:
        try:
            committed = delta.write(
                lines(spark, batch, source).withColumn("_ingested_at", F.lit(now)),
                lake.bronze(name),
                unit=application_id(name, "ingest", batch.id),
                statistics_of=["_batch"],
                metadata={"batch": batch.id, "files": len(batch.files)},
            )
        except PythonException as error:
            if told := _told_by_worker(error):
                raise told from error
            raise
        made = made or committed.made
        rows += Table.at(lake.bronze(name)).rows_by_batch([batch.id])[batch.id]
    return StageResult(
        name="ingest",
        subject=name,
        units=tuple(batch.id for batch in landing.pending),
        outcome=Outcome.DONE if made else Outcome.ALREADY_DONE,
        rows={"read": rows, "files": sum(len(batch.files) for batch in landing.pending)},
        seconds=time.monotonic() - started,
        tables={"bronze": bronze.version} if (bronze := Table.if_exists(lake.bronze(name))) else {},
        notes=(
            *(f"set aside {file.name}: {file.problem}" for file in landing.new_problems),
            *(f"{file} is still growing: the next run takes it" for file in landing.growing),
        ),
        detail={
            "set_aside": [
                {"file": file.name, "problem": file.problem} for file in landing.set_aside
            ]
        },
    )


def main() -> None:
    """Runs the stage from the command line."""
    parser = command.arguments(
        "spark_jobs.ingest", "Writes a source's new files to bronze.", of_a_source=True
    )

    def stage(
        pipeline: Pipeline, lake: Lake, settings: Settings, given: argparse.Namespace
    ) -> StageResult:
        landing = look_at(pipeline, lake, given.source)
        with open_session(settings) as spark:
            return ingest(
                spark,
                lake,
                given.source,
                source=pipeline.sources[given.source],
                landing=landing,
                now=datetime.now(UTC),
            )

    command.run(parser, stage)


def lines(spark: SparkSession, batch: Batch, source: Source) -> DataFrame:
    """The data lines of a batch's files, read in parallel; big files in parts."""
    parts = [
        {
            "path": split.path,
            "start": split.start,
            "end": split.end,
            "first_row": split.first_row,
            "columns": header_line(file.columns, source.delimiter),
            "file": file.name,
            "sha256": file.sha256,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
            "batch": batch.id,
            "format": source.format,
        }
        for file in batch.files
        for split in FORMATS[source.format].splits(file.path)
    ]
    schema = (
        "path string, start bigint, end bigint, first_row bigint, columns string, file string, "
        "sha256 string, size bigint, mtime_ns bigint, batch string, "
        "format string"
    )
    return spark.createDataFrame([tuple(part.values()) for part in parts], schema).mapInArrow(
        _read_parts, _BRONZE
    )


def header_columns(line: str, delimiter: str) -> tuple[str, ...]:
    """The column names that `_columns` of a bronze row holds."""
    return tuple(next(csv.reader([line], delimiter=delimiter)))


def header_line(columns: Sequence[str], delimiter: str) -> str:
    """The `_columns` of a bronze row."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="").writerow(columns)
    return text.getvalue()


def _read_parts(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
    for batch in batches:
        for part in batch.to_pylist():
            split = Split(part["path"], part["start"], part["end"], part["first_row"])
            for found in FORMATS[part["format"]].read(split):
                count = found.num_rows
                constants = [part["file"], part["sha256"]]
                yield pa.RecordBatch.from_arrays(
                    [
                        found["_raw"],
                        _repeat(part["columns"], count),
                        found["_problem"],
                        *(_repeat(value, count) for value in constants),
                        found["_row"],
                        _repeat(part["batch"], count),
                    ],
                    names=[
                        "_raw",
                        "_columns",
                        "_problem",
                        "_file",
                        "_file_sha256",
                        "_row",
                        "_batch",
                    ],
                )
            stat = place(part["path"]).stat()
            if (stat.st_size, stat.st_mtime_ns) != (part["size"], part["mtime_ns"]):
                message = "a landing file changed while it was read"
                raise Transient(message, file=part["file"], hint="run again")
    pa.default_memory_pool().release_unused()  # the worker lives on, and serves other tasks


def _told_by_worker(error: PythonException) -> HeadraceError | None:
    """The error of ours that a worker raised; Spark hands on its text alone."""
    told = re.search(r"^headrace\.errors\.(\w+): (.+)(?:\n  -> (.+))?", str(error), re.MULTILINE)
    if told is None:
        return None
    kind: type[HeadraceError] = getattr(errors, told[1])
    return kind(told[2], hint=told[3] or "")


def _repeat(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), count)


def _same_columns(name: str, source: Source, files: Sequence[LandingFile]) -> None:
    if source.format == "json":
        return  # each of its rows names its own: see `spark_jobs.parse`
    declared = list(source.columns)
    for file in files:
        if sorted(file.columns) == sorted(declared):
            continue
        if len(set(file.columns)) != len(file.columns):
            message = f"a column name stands twice in the header: {', '.join(file.columns)}"
            raise SchemaChanged(
                message,
                source=name,
                file=file.name,
                hint="deliver the file with each column named once",
            )
        if source.on_changed_columns == "adapt" and set(source.key) <= set(file.columns):
            continue
        message = "the columns are not the declared ones\n" + side_by_side(declared, file.columns)
        raise SchemaChanged(
            message,
            source=name,
            file=file.name,
            hint="mend the file, or the `schema` of the source, or say `on_changed_columns: adapt`",
        )


def side_by_side(declared: Sequence[str], found: Sequence[str]) -> str:
    """Two lists of columns as a small table; a missing or unknown one is marked."""
    names = [*declared, *(column for column in found if column not in declared)]
    width = max(map(len, [*names, "declared"]))
    lines = [f"    {'declared':<{width}}  in the file"]
    for column in names:
        left = column if column in declared else "-"
        right = column if column in found else "- (missing)"
        lines.append(
            f"    {left:<{width}}  {right}{'' if column in declared else '  (not declared)'}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

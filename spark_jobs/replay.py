"""The stage `replay`: rows in quarantine are judged again, by the rules and the schema as they are.

Silver first, then quarantine: a row that a killed run has brought to silver is found there, and
only leaves quarantine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace import faults
from headrace.lake import Lake, Table, application_id, digest
from headrace.spec.model import Action, Check, Pipeline
from headrace.stage import Outcome, StageResult
from spark_jobs import delta
from spark_jobs.ingest import header_line
from spark_jobs.judge import destinies, failed_rules, flagged, reasons, with_repeats, with_values
from spark_jobs.parse import POSITION

_PLACE = ["_file_sha256", "_row"]
_VERDICT = ["_failed_rules", "_reason"]
_CLOSED = (Action.QUARANTINE, Action.FAIL)  # a row that breaks such a rule does not pass


def replay(spark: SparkSession, lake: Lake, name: str, *, pipeline: Pipeline) -> StageResult:
    """Brings rows of published batches from quarantine to silver, where they pass now.

    They keep their place and get a batch of their own, by which the intervals they belong to are
    seen to be stale. A row that equals one in silver is dropped, and counted; the others stay, with
    the reason they have now. Running again finds nothing to do.

    Raises:
        CommitConflict: Silver or quarantine changed meanwhile; run again.
    """
    started = time.monotonic()
    faults.point("replay", "before_read")
    source = pipeline.sources[name]
    checks = [with_values(rule, lake, name) for rule in pipeline.checks.get(name, ())]
    quarantine, silver = Table.if_exists(lake.quarantine(name)), Table.if_exists(lake.silver(name))
    done = partial(StageResult, name="replay", subject=name)
    batches = published(name, quarantine, silver)
    if quarantine is None or silver is None or not batches:
        return done(units=(), outcome=Outcome.ALREADY_DONE, notes=("nothing is in quarantine",))
    declared = [part.model_dump(mode="json") for part in (source, *checks)]
    batch = digest("replay", declared, [file.path for file in quarantine.files])
    unit = application_id(name, "replay", batch)

    bad = delta.read(spark, quarantine.path, version=quarantine.version)
    bad = bad.where(F.col("_batch").isin(batches))
    rows = _judged(spark, lake, name, pipeline=pipeline, checks=checks, bad=bad, silver=silver)
    rows = rows.persist()
    try:
        faults.point("replay", "after_read")
        passing, failing, repeated = destinies()
        counts = {
            "read": bad.count(),
            "silver": rows.where(passing).count(),
            "duplicates": rows.where(repeated).count(),
        }
        if counts["silver"]:
            delta.write(
                rows.where(passing)
                .withColumn("_batch", F.lit(batch))
                .select(*source.columns, *POSITION),
                silver.path,
                unit=unit,
                statistics_of=["_batch", *source.key],
                recorded=silver.recorded(unit),
                repeatable=True,
                seen=silver.version,
                # Of the duplicates tells quarantine's commit, which is the one that drops them.
                metadata={"batch": batch, "read": counts["read"], "silver": counts["silver"]},
            )
        verdicts = rows.where(failing).select(
            *_PLACE, failed_rules(), reasons(checks).alias("_reason")
        )
        left = bad.drop(*_VERDICT).join(verdicts, _PLACE).select(*bad.columns)
        counts["quarantine"] = left.count()
        changed = counts["quarantine"] != counts["read"] or _differ(left, bad)
        if changed:
            delta.write(
                left.repartition("_batch").sortWithinPartitions("_batch", "_file", "_row"),
                quarantine.path,
                unit=unit,
                partition_by="_batch",
                replace=batches,
                recorded=quarantine.recorded(unit),
                repeatable=True,
                seen=quarantine.version,
                metadata={"batch": batch, **counts},
            )
    finally:
        rows.unpersist()
    return done(
        units=(batch,) if changed else (),
        outcome=Outcome.DONE if changed else Outcome.ALREADY_DONE,
        rows=counts,
        seconds=time.monotonic() - started,
        tables={"silver": Table(silver.path).version, "quarantine": Table(quarantine.path).version},
    )


def published(name: str, quarantine: Table | None, silver: Table | None) -> list[str]:
    """The batches in quarantine that silver holds: rows of others do not count yet."""
    if quarantine is None or silver is None:
        return []
    found = {file.batch for file in quarantine.files if file.batch is not None}
    return sorted(b for b in found if silver.recorded(application_id(name, "check", b)))


def _judged(
    spark: SparkSession,
    lake: Lake,
    name: str,
    *,
    pipeline: Pipeline,
    checks: Sequence[Check],
    bad: DataFrame,
    silver: Table,
) -> DataFrame:
    """Rows in quarantine and not in silver, from their lines in bronze, as they are judged now."""
    source = pipeline.sources[name]
    standing = delta.read(spark, silver.path, version=silver.version).select(*_PLACE)
    waiting = bad.select(*_PLACE, "_batch").join(standing, _PLACE, "left_anti")
    # A file of a batch that was never published may stand in bronze a second time.
    lines = delta.read(spark, lake.bronze(name)).join(waiting, [*_PLACE, "_batch"], "left_semi")
    headers = [row["_columns"] for row in lines.select("_columns").distinct().collect()]
    rows = flagged(
        lines,
        source,
        headers=headers or [header_line(list(source.columns), source.delimiter)],
        checks=checks,
        actions=_CLOSED,
    )
    return with_repeats(spark, rows, lake, name, source=source, silver_version=silver.version)


def _differ(left: DataFrame, bad: DataFrame) -> bool:
    told = [*_PLACE, *_VERDICT]
    return not left.select(*told).exceptAll(bad.select(*told)).isEmpty()

"""The stage `check`: bronze is parsed, judged and published, to silver or to quarantine.

Verdicts are kept before a batch is published (`publish`): no batch stands without them.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import expectations
from headrace import command, faults
from headrace.errors import ChecksFailed
from headrace.lake import (
    Lake,
    Table,
    append,
    application_id,
    version_of,
)
from headrace.lake.landing import Batch, Landing
from headrace.plan import look_at
from headrace.settings import Settings
from headrace.spec.model import Action, Pipeline
from headrace.stage import Outcome, StageResult
from spark_jobs import delta
from spark_jobs.ingest import header_line
from spark_jobs.judge import flagged, with_repeats, with_values
from spark_jobs.publish import Balance, balance, publish
from spark_jobs.session import open_session

_VERDICTS = pa.schema(
    [
        ("source", pa.string()),
        ("batch", pa.string()),
        ("run", pa.string()),
        ("rule", pa.string()),
        ("expectation", pa.string()),
        ("column", pa.string()),
        ("arguments", pa.string()),
        ("action", pa.string()),
        ("success", pa.bool_()),
        ("rows", pa.int64()),
        ("vacuous", pa.bool_()),
        ("missing", pa.int64()),
        ("unexpected", pa.int64()),
        ("observed", pa.string()),
        ("checked_at", pa.timestamp("us", "UTC")),
    ]
)


def check(
    spark: SparkSession,
    lake: Lake,
    name: str,
    *,
    pipeline: Pipeline,
    landing: Landing,
    run: str,
    now: datetime,
) -> StageResult:
    """Publishes every pending batch of a source.

    Running again leaves a published batch as it is. A batch whose table rules fail stays
    unpublished; later batches go on, and the failure is raised at the end.

    Raises:
        ChecksFailed: A rule with `action: fail` was broken.
        BalanceError: Rows in and out differ; nothing was published.
    """
    started = time.monotonic()
    source = pipeline.sources[name]
    checks = tuple(with_values(rule, lake, name) for rule in pipeline.checks.get(name, ()))
    done: dict[str, Balance] = {}
    verdicts: list[dict[str, Any]] = []
    failures: list[str] = []
    published = False
    faults.point("check", "before_read")
    for batch in _to_judge(lake, name, landing):
        seen = version_of(lake.silver(name))
        bronze = delta.read(spark, lake.bronze(name), batch=batch.id)
        headers = {header_line(file.columns, source.delimiter) for file in batch.files}
        parsed = flagged(bronze, source, headers=headers, checks=checks).persist()
        try:
            rows = with_repeats(spark, parsed, lake, name, source=source, silver_version=seen)
            judged = [
                asdict(verdict)
                for verdict in expectations.judge(rows.where(F.col("_reason").isNull()), checks)
            ]
            faults.point("check", "after_read")
            verdicts += [{"batch": batch.id, **verdict} for verdict in judged]
            _store(lake, name, judged, batch=batch.id, run=run, now=now)
            broken = [v for v in judged if v["action"] == Action.FAIL and not v["success"]]
            if broken:
                failures.append(f"batch {batch.id}: {', '.join(map(_told, broken))}")
            else:
                done[batch.id] = balance(rows, lake, name, batch=batch.id)
                committed = publish(
                    spark,
                    rows,
                    lake,
                    name,
                    source=source,
                    batch=batch.id,
                    checks=checks,
                    balance=done[batch.id],
                    seen=seen,
                )
                published = published or committed.made
        finally:
            parsed.unpersist()
    if failures:
        message = (
            "a rule with `action: fail` was broken, so the batch stays unpublished: "
            + "; ".join(failures)
        )
        raise ChecksFailed(
            message,
            source=name,
            table=lake.checks,
            hint="deliver a right file, or mend the rule, and run again; the report shows both",
        )
    totals = {
        field: sum(getattr(b, field) for b in done.values())
        for field in ("read", "silver", "quarantine", "duplicates")
    }
    return StageResult(
        name="check",
        subject=name,
        units=tuple(done),
        outcome=Outcome.DONE if published else Outcome.ALREADY_DONE,
        rows=totals,
        seconds=time.monotonic() - started,
        tables={
            layer: table.version
            for layer, path in (
                ("silver", lake.silver(name)),
                ("quarantine", lake.quarantine(name)),
            )
            if (table := Table.if_exists(path))
        },
        detail={
            "batches": {batch: asdict(counts) for batch, counts in done.items()},
            "verdicts": verdicts,
        },
    )


def main() -> None:
    """Runs the stage from the command line."""
    parser = command.arguments(
        "spark_jobs.check", "Judges and publishes a source's batches.", of_a_source=True
    )

    def stage(
        pipeline: Pipeline, lake: Lake, settings: Settings, given: argparse.Namespace
    ) -> StageResult:
        landing = look_at(pipeline, lake, given.source)
        with open_session(settings) as spark:
            return check(
                spark,
                lake,
                given.source,
                pipeline=pipeline,
                landing=landing,
                run=given.run,
                now=datetime.now(UTC),
            )

    command.run(parser, stage)


def _to_judge(lake: Lake, name: str, landing: Landing) -> list[Batch]:
    """Pending batches that stand in bronze and, in a stage that is tried again, not yet in silver.

    Without its bronze a batch would be published as if it had no rows.
    """
    bronze, silver = Table.if_exists(lake.bronze(name)), Table.if_exists(lake.silver(name))
    return [
        batch
        for batch in landing.pending
        if bronze is not None
        and bronze.recorded(application_id(name, "ingest", batch.id))
        and not (silver and silver.recorded(application_id(name, "check", batch.id)))
    ]


def _told(verdict: Mapping[str, Any]) -> str:
    """A rule that was broken, and how far."""
    if verdict["unexpected"] is not None:
        return f"{verdict['rule']} (unexpected: {verdict['unexpected']:,})"
    found = verdict["observed"]
    return f"{verdict['rule']} (found {found})" if found is not None else str(verdict["rule"])


def _store(
    lake: Lake,
    name: str,
    verdicts: Sequence[Mapping[str, Any]],
    *,
    batch: str,
    run: str,
    now: datetime,
) -> None:
    """Keeps the verdicts on a batch, before it is published: no batch stands without them."""
    if verdicts:
        rows = [
            {
                **{k: v for k, v in verdict.items() if k in _VERDICTS.names},
                "arguments": json.dumps(verdict["arguments"], default=str),
                "source": name,
                "batch": batch,
                "run": run,
                "checked_at": now,
            }
            for verdict in verdicts
        ]
        append(
            lake.checks,
            pa.Table.from_pylist(rows, _VERDICTS),
            unit=application_id(name, "verdicts", f"{batch}/{run}"),
        )


if __name__ == "__main__":
    main()

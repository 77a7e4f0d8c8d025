"""Judged rows become silver, or quarantine: first counted against bronze, then committed.

Quarantine comes first; silver publishes the batch, and its commit carries the balance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from headrace.errors import BalanceError
from headrace.lake import Committed, Lake, Table, application_id
from headrace.spec.model import Check, Source
from spark_jobs import delta
from spark_jobs.judge import destinies, failed_rules, reasons
from spark_jobs.parse import POSITION


@dataclass(frozen=True)
class Balance:
    """Where the rows of a batch went: `read` is the sum of the others."""

    read: int
    silver: int
    quarantine: int
    duplicates: int


def balance(rows: DataFrame, lake: Lake, name: str, *, batch: str) -> Balance:
    """Counts where each row of a batch goes, against the number of its lines in bronze.

    Raises:
        BalanceError: The sums differ.
    """
    kept, bad, repeated = destinies()
    row = rows.agg(
        *(
            F.count(F.when(where, 1)).alias(label)
            for label, where in (("silver", kept), ("quarantine", bad), ("duplicates", repeated))
        )
    ).collect()[0]
    read = Table.at(lake.bronze(name)).rows_by_batch([batch])[batch]
    found = Balance(
        read=read, silver=row["silver"], quarantine=row["quarantine"], duplicates=row["duplicates"]
    )
    if found.read != found.silver + found.quarantine + found.duplicates:
        message = f"rows in and out differ: {found}"
        raise BalanceError(
            message,
            source=name,
            batch=batch,
            hint="nothing was published; run again, and if it stays, please report this defect",
        )
    return found


def publish(
    spark: SparkSession,
    rows: DataFrame,
    lake: Lake,
    name: str,
    *,
    source: Source,
    batch: str,
    checks: Sequence[Check],
    balance: Balance,
    seen: int,
) -> Committed:
    """Commits the bad rows to quarantine, then the good ones, with the balance, to silver.

    What a run that was killed in between left in quarantine is replaced: the rules, or silver,
    may have changed since.

    Raises:
        CommitConflict: Silver is no longer at the version `seen`.
    """
    kept, bad, _ = destinies()
    unit = application_id(name, "check", batch)
    silver = Table.if_exists(lake.silver(name))
    if silver is not None and silver.recorded(unit):
        return Committed(silver.version, made=False)  # its quarantine stands, and stays
    before = Table.if_exists(lake.quarantine(name))
    left = before.recorded(unit) if before else None
    if balance.quarantine or left:
        raw = delta.read(spark, lake.bronze(name), batch=batch)
        delta.write(
            rows.where(bad)
            .join(raw.select("_file_sha256", "_row", "_raw"), ["_file_sha256", "_row"])
            .select("_raw", *POSITION, failed_rules(), reasons(checks).alias("_reason")),
            lake.quarantine(name),
            unit=unit,
            partition_by="_batch",
            replace=[batch] if left else None,
            recorded=left,
            repeatable=True,
            expected={batch: balance.quarantine},
            metadata={"batch": batch, "rows": balance.quarantine},
        )
    times = filter(None, [source.event_time, None if source.timeless else source.clock])
    return delta.write(
        rows.where(kept).select(*source.columns, *POSITION),
        lake.silver(name),
        unit=unit,
        statistics_of=list(dict.fromkeys(["_batch", *source.key, *times])),
        seen=seen,
        expected={None: balance.silver},
        metadata={"batch": batch, **asdict(balance)},
    )

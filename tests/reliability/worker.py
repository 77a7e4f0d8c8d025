"""What a process of its own does: it commits units one after the other, and says how each ended.

Kinds: `append` (a unit of bronze), `replace` (an interval of scores, again), `promote` (an alias),
`compact` (the small files of a table).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from headrace.errors import CommitConflict
from headrace.lake import Lake, Table, application_id, commit, stage_file
from headrace.lake.compact import FEWEST, compact, small_files
from headrace.models import registry
from headrace.models.registry import Alias

SCORES = pa.schema([("id", pa.int64()), ("score", pa.float64()), ("_interval", pa.date32())])
ROWS = pa.table({"id": [1, 2, 3], "text": ["a", "b", "c"]})


def append_unit(lake: Lake, number: int, owner: str) -> bool:
    """Appends three rows as the unit `number`."""
    del owner
    unit = application_id("weather", "ingest", f"batch{number}")
    table = lake.bronze("weather")
    return commit(table, [stage_file(table, ROWS)], schema=ROWS.schema, unit=unit).made


def replace_unit(lake: Lake, number: int, owner: str) -> bool:
    """Replaces the scores of day `number` by the owner's."""
    day, table = date(2014, 1, 1) + timedelta(days=number), lake.scores("flights")
    unit = application_id("flights", "score", day.isoformat())
    standing = Table.if_exists(table)
    recorded = (standing.recorded(unit) or 0) if standing else 0
    rows = pa.table({"id": [1, 2], "score": [float(ord(owner[0]))] * 2})
    return commit(
        table,
        [stage_file(table, rows, partition={"_interval": day})],
        schema=SCORES,
        unit=unit,
        partition_by=["_interval"],
        replace=[("_interval", "=", day.isoformat())] if recorded else None,
        recorded=recorded,
        repeatable=True,
    ).made


def promote_unit(lake: Lake, number: int, owner: str) -> bool:
    """Makes a model of the owner's champion of the pipeline `number`."""
    pipeline, now = f"flights{number}", datetime(2014, 1, 1, tzinfo=UTC)
    seen = registry.aliases(lake, pipeline)
    alias = Alias(
        pipeline=pipeline,
        alias=registry.CHAMPION,
        model=owner,
        moment=now,
        previous=None,
        decision="by hand",
        run=owner,
        decided_at=now,
    )
    registry.promote(lake, alias, seen=seen)
    return True


def compact_unit(lake: Lake, number: int, owner: str) -> bool:
    """Merges the small files of the table `number`, as they stood before."""
    del owner
    table = lake.silver(f"weather{number}")
    return compact(table, small_files(Table(table, 0))).made


def make_small_files(lake: Lake, number: int) -> None:
    """Makes the table `number` of eight small files, if it is not there."""
    table = lake.silver(f"weather{number}")
    if not Table.exists(table):
        files = [stage_file(table, ROWS) for _ in range(FEWEST)]
        unit = application_id("weather", "check", f"batch{number}")
        commit(table, files, schema=ROWS.schema, unit=unit)


KINDS = {
    "append": append_unit,
    "replace": replace_unit,
    "promote": promote_unit,
    "compact": compact_unit,
}


def main(
    root: Path, kind: str, units: range, owner: str, variables: Mapping[str, str], told: Connection
) -> None:
    """Tells `made`, `stood` or `refused` for each unit."""
    os.environ.update(variables)
    for number in units:
        try:
            made = KINDS[kind](Lake(root), number, owner)
            told.send("made" if made else "stood")
        except CommitConflict:
            told.send("refused")


if __name__ == "__main__":
    main(*GIVEN)  # noqa: F821 - put here by who runs this file

"""The scores of the run's intervals, aggregated from the scores table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import Lake, Table
from headrace.report.balance import table_at
from headrace.report.records import Record, Records
from headrace.spec.model import Pipeline


@dataclass(frozen=True)
class Day:
    """The scores of one interval.

    Attributes:
        interval: The interval.
        rows: Rows scored.
        mean: Mean score; None without rows.
        predicted: Share of rows predicted positive; None where predictions are not yes or no.
        observed: Share that turned out positive, of rows whose outcome the features table knows.
        known: Number of those rows.
    """

    interval: str
    rows: int
    mean: float | None
    predicted: float | None
    observed: float | None
    known: int


@dataclass(frozen=True)
class Scores:
    """The scores of the intervals that the score stage recorded."""

    record: Record
    days: list[Day]
    models: tuple[str, ...]
    problems: tuple[str, ...]


def scores(pipeline: Pipeline, lake: Lake, records: Records) -> Scores | None:
    """Scores per interval; None where no scoring is recorded."""
    record = records.of.get(("score", pipeline.name))
    if record is None:
        return None
    problems = _unequal(record.result.rows)
    try:
        table = table_at(lake.scores(pipeline.name), record.result.tables)
        columns = ["score", "prediction", "_model", "_interval"]
        rows = _of_intervals(table, columns, record.result.units)
    except (CorruptArtifact, UsageError) as error:
        return Scores(record, [], (), (*problems, f"scores cannot be read: {error}"))
    told = record.result.rows.get("scored")
    if told is not None and rows.num_rows != told:
        problems.append(f"the table holds {rows.num_rows:,} scores, not the {told:,} recorded")
    days = _days(rows, _observed(pipeline, lake, record))
    models = sorted(pc.unique(rows["_model"]).to_pylist())
    return Scores(record, days, tuple(models), tuple(problems))


def _unequal(rows: Mapping[str, int]) -> list[str]:
    if not {"read", "scored", "refused"} <= rows.keys():
        return []
    out = rows["scored"] + rows["refused"]
    return [] if rows["read"] == out else [f"{rows['read']:,} rows were read and {out:,} came out"]


def _of_intervals(table: Table | None, columns: list[str], units: tuple[str, ...]) -> pa.Table:
    if table is None:
        message = "there is no such table"
        raise UsageError(message)
    wanted = set(units)
    files = [file for file in table.files if str(file.partition["_interval"]) in wanted]
    return table.arrow(columns, files=files)


def _days(rows: pa.Table, observed: Mapping[str, tuple[float | None, int]]) -> list[Day]:
    kind = rows.schema.field("prediction").type
    yes_or_no = pa.types.is_boolean(kind) or pa.types.is_integer(kind)
    predicted = (
        pc.cast(rows["prediction"], pa.int64()) if yes_or_no else pa.nulls(len(rows), pa.int64())
    )
    grouped = pa.table(
        {"day": rows["_interval"], "score": rows["score"], "predicted": predicted}
    ).group_by("day")
    found = grouped.aggregate(
        [([], "count_all"), ("score", "mean"), ("predicted", "mean")]
    ).sort_by("day")
    return [
        Day(
            interval=str(row["day"]),
            rows=row["count_all"],
            mean=row["score_mean"],
            predicted=row["predicted_mean"],
            observed=observed.get(str(row["day"]), (None, 0))[0],
            known=observed.get(str(row["day"]), (None, 0))[1],
        )
        for row in found.to_pylist()
    ]


def _observed(
    pipeline: Pipeline, lake: Lake, record: Record
) -> dict[str, tuple[float | None, int]]:
    """Interval -> share that turned out positive, and number of rows whose outcome is known."""
    target = pipeline.target.name
    try:
        table = Table.if_exists(lake.gold(pipeline.name))
        if table is None or target not in table.schema.names:
            return {}
        rows = _of_intervals(table, [target, "_interval"], record.result.units)
    except (CorruptArtifact, UsageError):
        return {}
    outcome = pa.table({"day": rows["_interval"], "outcome": pc.cast(rows[target], pa.float64())})
    found = outcome.group_by("day").aggregate([("outcome", "mean"), ("outcome", "count")])
    return {
        str(row["day"]): (row["outcome_mean"], row["outcome_count"]) for row in found.to_pylist()
    }

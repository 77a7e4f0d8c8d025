"""The scores of the run's intervals, aggregated from the scores table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import Lake, Table
from headrace.models.algorithms.algorithm import Task
from headrace.report.balance import table_at
from headrace.report.records import Record, Records
from headrace.report.wording import figure, metric, percent
from headrace.spec.model import Pipeline, Target


@dataclass(frozen=True)
class Day:
    """The scores of one interval.

    Attributes:
        interval: The interval.
        rows: Rows scored.
        mean: Mean score; None without rows, and where values are predicted.
        predicted: Share of rows predicted true, or the mean of the values; None for classes.
        observed: Of rows whose outcome the features table knows: the share that turned out true,
            the mean of the values, or the share whose class was predicted right.
        known: Number of those rows.
    """

    interval: str
    rows: int
    mean: float | None
    predicted: float | None
    observed: float | None
    known: int


@dataclass(frozen=True)
class Series:
    """One figure of each interval.

    Attributes:
        kind: Which of `Day`; also its class in the style sheet.
        label: In the legend of the chart.
        heading: In the table.
        told: The figure as the table shows it.
    """

    kind: Literal["mean", "predicted", "observed"]
    label: str
    heading: str
    told: Callable[[float | None], str]

    def of(self, day: Day) -> float | None:
        """The figure of an interval."""
        value: float | None = getattr(day, self.kind)
        return value


@dataclass(frozen=True)
class Scores:
    """The scores of the intervals that the score stage recorded.

    Attributes:
        record: Of the stage.
        days: Interval by interval.
        models: Digests of the models that made them.
        problems: What does not add up.
        rows: `_interval` and `value` of each row: its score, or the value predicted; None where
            the table cannot be read.
    """

    record: Record
    days: list[Day]
    models: tuple[str, ...]
    problems: tuple[str, ...]
    rows: pa.Table | None = None


def series(target: Target) -> tuple[Series, ...]:
    """What the scores of a kind of target are told by."""
    name = target.name
    if target.task is Task.REGRESSION:
        end = f"mean of {name} in the end, where known"
        return (
            Series("predicted", f"mean of {name} as predicted", "Mean as predicted", figure),
            Series("observed", end, "Mean in the end", figure),
        )
    if target.task is Task.MULTICLASS:
        return (
            Series("mean", "mean probability of the class predicted", "Mean score", metric),
            Series("observed", "share predicted right, where known", "Predicted right", percent),
        )
    end = f"share {name} in the end, where known"
    return (
        Series("mean", "mean score", "Mean score", metric),
        Series("predicted", f"share predicted {name}", f"Predicted {name}", percent),
        Series("observed", end, f"{name.capitalize()} in the end", percent),
    )


def scores(pipeline: Pipeline, lake: Lake, records: Records) -> Scores | None:
    """Scores per interval; None where no scoring is recorded."""
    record = records.of.get(("score", pipeline.name))
    if record is None:
        return None
    problems = _unequal(record.result.rows)
    try:
        table = _standing(lake.scores(pipeline.name), record.result.tables)
        score = [] if pipeline.target.task is Task.REGRESSION else ["score"]
        columns = [*_key(pipeline), *score, "prediction", "_model", "_interval"]
        rows = _of_intervals(table, columns, record.result.units)
    except (CorruptArtifact, UsageError) as error:
        return Scores(record, [], (), (*problems, f"scores cannot be read: {error}"))
    told = record.result.rows.get("scored")
    if told is not None and rows.num_rows != told:
        problems.append(f"the table holds {rows.num_rows:,} scores, not the {told:,} recorded")
    days = _days(rows, _observed(pipeline, lake, record, rows), task=pipeline.target.task)
    models = sorted(pc.unique(rows["_model"]).to_pylist())
    value = rows[score[0] if score else "prediction"]
    of_rows = pa.table({"_interval": rows["_interval"], "value": value})
    return Scores(record, days, tuple(models), tuple(problems), of_rows)


def _unequal(rows: Mapping[str, int]) -> list[str]:
    if not {"read", "scored", "refused"} <= rows.keys():
        return []
    out = rows["scored"] + rows["refused"] + rows.get("held", 0)
    return [] if rows["read"] == out else [f"{rows['read']:,} rows were read and {out:,} came out"]


def _standing(path: Path, versions: Mapping[str, int]) -> Table:
    table = table_at(path, versions)
    if table is None:
        message = f"there is no table {path.parent.name}/{path.name}"
        raise UsageError(message, hint="`headrace run` makes it")
    return table


def _of_intervals(table: Table, columns: list[str], units: tuple[str, ...]) -> pa.Table:
    wanted = set(units)
    files = [file for file in table.files if str(file.partition["_interval"]) in wanted]
    return table.arrow(columns, files=files)


def _days(
    rows: pa.Table, observed: Mapping[str, tuple[float | None, int]], *, task: Task
) -> list[Day]:
    nothing = pa.nulls(len(rows), pa.float64())
    grouped = pa.table(
        {
            "day": rows["_interval"],
            "score": rows["score"] if "score" in rows.schema.names else nothing,
            "predicted": nothing
            if task is Task.MULTICLASS
            else pc.cast(rows["prediction"], pa.float64()),
        }
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


def _key(pipeline: Pipeline) -> list[str]:
    """What a prediction is held against its outcome by; classes only need it."""
    rows = pipeline.sources[pipeline.features.rows]
    return list(rows.key) if pipeline.target.task is Task.MULTICLASS else []


def _observed(
    pipeline: Pipeline, lake: Lake, record: Record, scored: pa.Table
) -> dict[str, tuple[float | None, int]]:
    """Interval -> `Day.observed`, and the number of rows whose outcome is known."""
    target, key = pipeline.target.name, _key(pipeline)
    try:
        table = Table.if_exists(lake.gold(pipeline.name))
        if table is None or target not in table.schema.names:
            return {}
        rows = _of_intervals(table, [*key, target, "_interval"], record.result.units)
    except (CorruptArtifact, UsageError):
        return {}
    if key:
        rows = rows.rename_columns([*key, "_outcome", "_interval"])
        rows = scored.select([*key, "prediction", "_interval"]).join(rows, [*key, "_interval"])
        outcome = pc.equal(rows["prediction"], rows["_outcome"])
    else:
        outcome = rows[target]
    numbers = pc.cast(outcome, pa.float64(), safe=False)
    finite = pc.if_else(pc.is_finite(numbers), numbers, None)
    found = pa.table({"day": rows["_interval"], "outcome": finite})
    found = found.group_by("day").aggregate([("outcome", "mean"), ("outcome", "count")])
    return {
        str(row["day"]): (row["outcome_mean"], row["outcome_count"]) for row in found.to_pylist()
    }

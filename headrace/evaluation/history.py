"""The table `evaluations`: metrics and decisions as rows, one commit for each training."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from headrace.lake import Committed, Lake, Table, append, application_id
from headrace.stage import StageResult

_MOMENT = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [
        ("pipeline", pa.string()),
        ("moment", _MOMENT),
        ("part", pa.string()),  # audit, validation, test, gain or decision
        ("role", pa.string()),  # algorithm, baseline, champion, winner or constant
        ("candidate", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("promoted", pa.bool_()),
        ("sentence", pa.string()),
        ("model", pa.string()),
        ("run", pa.string()),
        ("evaluated_at", _MOMENT),
        ("result", pa.string()),  # of the decision: the stage's whole result as JSON
    ]
)


def unit_of(pipeline: str, moment: str) -> str:
    """The application transaction id of a training."""
    return application_id(pipeline, "train", moment)


def recall(lake: Lake, pipeline: str, moment: str) -> StageResult | None:
    """The result of a training that was evaluated, or None; read without an engine.

    Args:
        lake: The lake.
        pipeline: Its name.
        moment: The day, ISO.
    """
    table = Table.if_exists(lake.evaluations)
    if table is None or not table.recorded(unit_of(pipeline, moment)):
        return None
    told = table.arrow(["pipeline", "part", "result"]).to_pylist()
    for row in told:
        if row["pipeline"] == pipeline and row["part"] == "decision":
            result = StageResult.from_json(json.loads(row["result"]))
            if result.units == (moment,):
                return result
    return None


@dataclass(frozen=True)
class Trained:
    """A training as it was recorded: by which run, and its result."""

    run: str
    result: StageResult


def trainings(lake: Lake, pipeline: str) -> list[Trained]:
    """Every training that was decided, by its moment, earliest first."""
    table = Table.if_exists(lake.evaluations)
    columns = ["pipeline", "part", "moment", "run", "result"]
    told = table.arrow(columns).to_pylist() if table else []
    decisions = [row for row in told if (row["pipeline"], row["part"]) == (pipeline, "decision")]
    decisions.sort(key=lambda row: row["moment"])
    return [
        Trained(row["run"], StageResult.from_json(json.loads(row["result"]))) for row in decisions
    ]


def newest(lake: Lake, pipeline: str) -> StageResult | None:
    """The result of the training with the latest moment, or None where none was evaluated."""
    decided = trainings(lake, pipeline)
    return decided[-1].result if decided else None


def asked(lake: Lake, pipeline: str) -> int:
    """How often the gate has decided about a challenger of this pipeline."""
    table = Table.if_exists(lake.evaluations)
    told = table.arrow(["pipeline", "part"]).to_pylist() if table else []
    return sum((row["pipeline"], row["part"]) == (pipeline, "decision") for row in told)


def keep(
    lake: Lake, result: StageResult, *, moment: datetime, run: str, evaluated_at: datetime
) -> Committed:
    """Writes the rows of a training, unless they stand there already.

    Args:
        lake: The lake.
        result: Of the stage `train`.
        moment: Training moment.
        run: The run that trained.
        evaluated_at: Now.
    """
    same = {"pipeline": result.subject, "moment": moment, "run": run, "evaluated_at": evaluated_at}
    rows = [{**same, **row} for row in _rows(result)]
    table = pa.Table.from_pylist(rows, schema=_SCHEMA)
    return append(lake.evaluations, table, unit=unit_of(result.subject, result.units[0]))


def keep_audit(
    lake: Lake,
    pipeline: str,
    findings: Sequence[Mapping[str, Any]],
    *,
    moment: datetime,
    run: str,
    evaluated_at: datetime,
) -> None:
    """Writes what the audit of a training found, allowed or not; nothing where it found nothing.

    Args:
        lake: The lake.
        pipeline: Its name.
        findings: As `Judgement.to_json` tells them.
        moment: Training moment.
        run: The run that audits; writing again in the same run changes nothing.
        evaluated_at: Now.
    """
    rows = [
        {
            "pipeline": pipeline,
            "moment": moment,
            "part": "audit",
            "role": finding["leak"],
            "candidate": ", ".join(finding["columns"]),
            "metric": "refused" if finding["allowed"] is None else "allowed",
            "sentence": finding["sentence"],
            "run": run,
            "evaluated_at": evaluated_at,
            "result": json.dumps(finding),
        }
        for finding in findings
    ]
    if rows:
        table = pa.Table.from_pylist(rows, schema=_SCHEMA)
        unit = application_id(pipeline, "audit", f"{moment:%Y-%m-%d}/{run}")
        append(lake.evaluations, table, unit=unit)


def audited(lake: Lake, pipeline: str, *, run: str) -> list[dict[str, Any]]:
    """The findings that the audits of a run wrote, oldest moment first."""
    table = Table.if_exists(lake.evaluations)
    if table is None:
        return []
    told = table.arrow(["pipeline", "run", "part", "moment", "result"]).to_pylist()
    mine = [
        row
        for row in told
        if (row["pipeline"], row["run"], row["part"]) == (pipeline, run, "audit")
    ]
    return [json.loads(row["result"]) for row in sorted(mine, key=lambda row: row["moment"])]


def _rows(result: StageResult) -> list[dict[str, Any]]:
    detail: Mapping[str, Any] = result.detail
    validation = [
        {
            "part": "validation",
            "role": entry["kind"],
            "candidate": entry["candidate"],
            "metric": metric,
            "value": value,
        }
        for entry in detail["leaderboard"]
        for metric, value in entry["validation"].items()
    ]
    test = [
        {
            "part": "test",
            "role": entry["role"],
            "candidate": entry["candidate"],
            "metric": metric,
            **interval,
        }
        for entry in detail["test"]
        for metric, interval in entry["metrics"].items()
    ]
    costs = [
        {
            "part": "test",
            "role": entry["role"],
            "candidate": entry["candidate"],
            "metric": "cost_per_1000",
            **entry["cost"],
        }
        for entry in detail.get("costs", {}).get("candidates", ())
    ]
    gain = {
        "part": "gain",
        "candidate": detail["gain"]["over"],
        **{name: detail["gain"][name] for name in ("metric", "value", "low", "high")},
    }
    decision = {
        "part": "decision",
        "candidate": detail["decision"]["shipped"],
        "promoted": detail["decision"]["promoted"],
        "sentence": detail["decision"]["sentence"],
        "model": detail["model"],
        "result": json.dumps(result.to_json()),
    }
    return [*validation, *test, *costs, gain, decision]

"""What the training stage recorded: leaderboard, test metrics with intervals, decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headrace.evaluation.metric import Metric
from headrace.report import wording
from headrace.report.records import Record, Records
from headrace.spec.model import Pipeline

_TITLES = {
    Metric.ROC_AUC: "ROC AUC",
    Metric.PR_AUC: "PR AUC",
    Metric.LOG_LOSS: "log loss",
    Metric.BRIER: "Brier score",
    Metric.ACCURACY: "accuracy",
    Metric.F1_MACRO: "macro F1",
    Metric.RMSE: "RMSE",
    Metric.MAE: "MAE",
    Metric.MEDIAN_AE: "median AE",
    Metric.R2: "R²",
}


@dataclass(frozen=True)
class Estimate:
    """A metric of one candidate with its interval."""

    candidate: str
    role: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Training:
    """The record of a training, in the words of the page.

    Attributes:
        record: The stage's record.
        metric: The metric that ranks.
        metrics: Every metric named, the ranking one first.
        leaderboard: Candidates, best validation first.
        estimates: Metric -> what the test part gave, in the order recorded.
        gain: Recorded gain of the winner, with its interval; empty where there is none.
        decision: Recorded decision of the gate.
        power: What gain the test part can show, and how long it should be; empty where not told.
        cautions: What to make of the winner's values: how it was chosen, and outer folds.
        model: Digest of the model that was registered.
        before: Moment and decision of earlier trainings in the same run.
    """

    record: Record
    metric: str
    metrics: tuple[str, ...]
    leaderboard: list[Mapping[str, Any]]  # JSON values as recorded
    estimates: dict[str, list[Estimate]]
    gain: Mapping[str, Any]
    decision: Mapping[str, Any]
    power: str
    cautions: tuple[str, ...]
    model: str
    before: list[tuple[str, str]]

    @property
    def moment(self) -> str:
        """The moment whose knowledge it was trained with."""
        return str(self.record.result.detail.get("moment") or "")


def title(metric: str) -> str:
    """The name of a metric for people."""
    known = _known(metric)
    return metric if known is None else _TITLES[known]


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better."""
    known = _known(metric)
    return known is None or known.greater_is_better


def told(value: float | None, metric: str, *, signed: bool = False) -> str:
    """A value of a metric: with four decimals, or four digits where it has a unit."""
    known = _known(metric)
    if known is None or not known.has_unit:
        return wording.metric(value, signed=signed)
    return f"{'+' if signed and (value or 0) > 0 else ''}{wording.figure(value)}"


def ranked(board: list[Mapping[str, Any]], metric: str) -> list[Mapping[str, Any]]:
    """Candidates as recorded, best validation first."""
    sign = -1 if higher_is_better(metric) else 1

    def rank(entry: Mapping[str, Any]) -> tuple[bool, float]:
        value = (entry.get("validation") or {}).get(metric)
        return value is None, sign * (value or 0.0)

    return sorted(board, key=rank)


def _known(metric: str) -> Metric | None:
    """The metric of that name; None for one that another version recorded."""
    return Metric(metric) if metric in set(Metric) else None


def training(pipeline: Pipeline, records: Records) -> Training | None:
    """The training the run did, or stands on; None where none is recorded."""
    record = records.of.get(("train", pipeline.name))
    if record is None or "leaderboard" not in record.result.detail:
        return None
    detail = record.result.detail
    metric = str(detail.get("metric") or pipeline.training.metric)
    board = detail["leaderboard"]
    tested = detail.get("test") or []
    named = [name for entry in board for name in entry.get("validation") or {}]
    named += [name for entry in tested for name in entry.get("metrics") or {}]
    metrics = tuple(dict.fromkeys([metric, *Metric, *named]))
    metrics = tuple(name for name in metrics if name in named)
    model = detail.get("model")
    return Training(
        record=record,
        metric=metric,
        metrics=metrics,
        leaderboard=ranked(board, metric),
        estimates={name: found for name in metrics if (found := _estimates(tested, name))},
        gain=detail.get("gain") or {},
        decision=detail.get("decision") or {},
        cautions=tuple(
            str(told["sentence"])
            for told in (detail.get("selection"), detail.get("nested"))
            if told and told.get("sentence")
        ),
        power=str((detail.get("power") or {}).get("sentence") or ""),
        model=model if isinstance(model, str) else "",
        before=[
            (str(one.detail.get("moment")), str((one.detail.get("decision") or {}).get("sentence")))
            for one in records.own
            if one.name == "train" and one.units and one != record.result
        ],
    )


def _estimates(tested: list[Mapping[str, Any]], metric: str) -> list[Estimate]:
    found = []
    for entry in tested:
        told = (entry.get("metrics") or {}).get(metric)
        if told and told.get("value") is not None:
            name, role = str(entry.get("candidate")), str(entry.get("role") or "")
            found.append(Estimate(name, role, told["value"], told.get("low"), told.get("high")))
    return found

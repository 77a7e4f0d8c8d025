"""A small pipeline, and a lake in which one run of it is recorded."""

import json
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace import profiles
from headrace.evaluation.costs import Costs, Decisions, confusion, constants, told
from headrace.evaluation.curves import curves
from headrace.evaluation.reliability import reliability
from headrace.lake import Lake, append, commit, stage_file
from headrace.models.target import Classes
from headrace.report.records import read_records
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, StageResult

BATCH = "b" * 32
MODEL = "m" * 32
DAYS = (date(2013, 12, 1), date(2013, 12, 2))
FIRST = date(2013, 11, 1)
Tell = Callable[..., StageResult]

RNG = np.random.default_rng(4)
SCORE = RNG.random(600)
Y = (RNG.random(600) < SCORE).astype(float)
BLOCKS = np.arange(600) // 30
COSTS = Costs.of({"false_positive": 1.0, "false_negative": 4.0}, Classes(), ())

SPAN = {"value": 0.1, "low": 0.05, "high": 0.15}
TOLD = {
    "importance": {
        "found": [
            {"features": ["hour", "<b>"], **SPAN, "goes_with": []},
            {"features": ["dest"], "value": 0.0, "low": None, "high": None, "goes_with": []},
        ],
        "rows": 6000,
        "of": 28618,
        "blocks": 31,
        "sentence": "hour counts most.",
    },
    "dependence": [
        {
            "feature": "hour",
            "output": "",
            "numeric": True,
            "values": [5.0, 23.0],
            "means": [SPAN, {"value": 0.3, "low": 0.2, "high": 0.4}],
            "average": 0.2,
            "sentence": "hour moves it.",
        },
        {
            "feature": "dest",
            "output": "late",
            "numeric": False,
            "values": ["<u>"],
            "means": [SPAN],
            "average": 0.2,
            "sentence": "dest moves it.",
        },
    ],
    "slices": {
        "found": [
            {
                "feature": "dest",
                "value": "LAX",
                "rows": 971,
                "mean": None,
                "metric": SPAN,
                "behind": SPAN,
                "chance": 0.01,
                "gain": {"value": -0.1, "low": -0.2, "high": -0.05},
                "worse": True,
            }
        ],
        "left_out": 1,
        "rows": 20000,
        "whole": SPAN,
        "sentence": "One is worse.",
    },
    "learning_curve": {
        "points": [{"rows": 100, "days": 5, **SPAN}, {"rows": 200, "days": 10, **SPAN}],
        "gain": SPAN,
        "rows": 100,
        "sentence": "More rows would help.",
    },
    "overfit": {
        "parts": {"train": SPAN},
        "baseline": {},
        "sentence": "No sign of overfitting.",
        "why_no_seeds": "a baseline is shipped",
    },
    "stability": {"verdict": "refused", "sentence": "With lag_7 at 5, a prediction is 1e+06."},
    "ranges": {"found": [], "warnings": ["month leaves the range of training"]},
    "not_told": [{"part": "attribution", "why": "no <rows>"}],
}


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "delays",
            "description": "Late <b>flights</b>?",
            "timezone": "America/New_York",
            "sources": {
                "flights": {
                    "path": "landing/flights/*.csv",
                    "schema": {"flight": "int", "time_hour": "timestamp"},
                    "key": ["flight"],
                    "event_time": "time_hour",
                },
                "arrivals": {
                    "path": "landing/arrivals/*.csv",
                    "schema": {"flight": "int", "delay": "int", "arrived_at": "timestamp"},
                    "key": ["flight"],
                    "event_time": "arrived_at",
                    "known_at": "arrived_at",
                },
            },
            "checks": {"flights": [{"expect_column_values_to_not_be_null": {"column": "flight"}}]},
            "features": {
                "rows": "flights",
                "at": "05:00 of the interval",
                "columns": {"hour": "hour(time_hour)"},
            },
            "target": {"name": "late", "of": "arrivals", "value": "delay > 15"},
            "split": {"kind": "time", "validation": "31 days", "test": "30 days"},
            "training": {"algorithms": ["lightgbm"], "first": "2013-12-01", "every": "30 days"},
        }
    )


@pytest.fixture
def tell(lake: Lake) -> Tell:
    """Writes a stage's record into a run; `at` is when, in seconds since 1970."""

    def write(name: str, subject: str, *, run: str = "r1", at: float = 1e9, **told: Any):
        path = lake.runs(run) / f"{told.pop('file', f'{name}-{subject}')}.json"
        result = StageResult(
            name=name, subject=subject, **{"units": (BATCH,), "outcome": Outcome.DONE, **told}
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result.to_json()), encoding="utf-8")
        os.utime(path, (at, at))
        return result

    return write


@pytest.fixture
def told_check(lake: Lake, tell: Tell) -> Tell:
    """Records the check of a source, and fills silver and quarantine as it tells."""

    def write(source: str, *, silver: int, quarantine=0, duplicates=0, **more: Any):
        counts = {"silver": silver, "quarantine": quarantine, "duplicates": duplicates}
        rows = {"read": more.pop("read", sum(counts.values())), **counts}
        in_silver = more.pop("in_silver", silver)
        columns = {"flight": range(in_silver), "_batch": [BATCH] * in_silver}
        append(lake.silver(source), pa.table(columns), unit=f"{source}/check/{BATCH}")
        verdicts = more.pop("verdicts", [])
        if quarantine:
            raw = more.pop("raw", "1,2")
            quarantined = pa.table(
                {
                    "_raw": [raw] * quarantine,
                    "_file": ["landing/f.csv"] * quarantine,
                    "_row": pa.array(range(quarantine, 0, -1), pa.int64()),
                    "_batch": [BATCH] * quarantine,
                    "_failed_rules": [["not_null_flight"]] * quarantine,
                    "_reason": [more.pop("reason", "flight is null")] * quarantine,
                }
            )
            append(lake.quarantine(source), quarantined, unit=f"{source}/quarantine/{BATCH}")
        detail = {"batches": {BATCH: rows}, "verdicts": verdicts}
        return tell("check", source, rows=rows, detail=detail, **more)

    return write


@pytest.fixture
def whole_run(lake: Lake, tell: Tell, told_check: Tell) -> str:
    """A run that did everything: ten flights, one of them in quarantine, scored on two days."""
    rule = {
        "rule": "column_values_to_not_be_null_flight",
        "expectation": "expect_column_values_to_not_be_null",
        "column": "flight",
        "action": "quarantine",
        "success": False,
        "rows": 10,
        "unexpected": 1,
        "observed": None,
    }
    for source in ("flights", "arrivals"):
        tell("ingest", source, rows={"read": 10})
    told_check("flights", silver=9, quarantine=1, verdicts=[rule])
    told_check("arrivals", silver=8, duplicates=2)
    tell("features", "delays", units=tuple(map(str, DAYS)), rows={"built": 9})
    tell("train", "delays", units=("2013-12-01",), detail=training_detail())
    score(lake, tell)
    return "r1"


def score(lake: Lake, tell: Tell, *, scored: int = 4) -> None:
    """Scores two flights on each of two days; every first one is predicted late."""
    schema = pa.schema(
        {
            "score": pa.float64(),
            "prediction": pa.bool_(),
            "_model": pa.string(),
            "_interval": pa.date32(),
        }
    )
    table = lake.scores("delays")
    for day in DAYS:
        rows = pa.table({"score": [0.75, 0.25], "prediction": [True, False], "_model": [MODEL] * 2})
        staged = stage_file(table, rows, partition={"_interval": day})
        commit(
            table, [staged], schema=schema, unit=f"delays/score/{day}", partition_by=["_interval"]
        )
    rows_told = {"read": scored, "scored": scored, "refused": 0}
    tell("score", "delays", units=tuple(map(str, DAYS)), rows=rows_told)


def training_detail() -> dict[str, Any]:
    """What a training leaves, as `StageResult.detail`."""
    interval = {"value": 0.71, "low": 0.70, "high": 0.72}
    board = [
        {"candidate": "class_prior", "kind": "baseline", "validation": {"roc_auc": 0.5}},
        {"candidate": "lightgbm", "kind": "algorithm", "validation": {"roc_auc": 0.7}, "trials": 6},
    ]
    return {
        "moment": "2013-12-01T05:00:00-05:00",
        "metric": "roc_auc",
        "leaderboard": board,
        "search": {
            "seconds": 12.5,
            "limit": 12.0,
            "algorithms": [
                {"candidate": "class_prior", "trials": 1, "planned": 1, "curve": [[1, 0.5, 0.5]]},
                {
                    "candidate": "lightgbm",
                    "trials": 6,
                    "planned": 9,
                    "failed": 1,
                    "stopped": 2,
                    "reused": 3,
                    "curve": [[1, 2.0, 0.6], [3, 5.0, 0.7]],
                },
            ],
        },
        "test": [{"candidate": "lightgbm", "role": "winner", "metrics": {"roc_auc": interval}}],
        "gain": {"metric": "roc_auc", "over": "class_prior", "value": 0.2, "low": 0.1, "high": 0.3},
        "decision": {"promoted": True, "shipped": "lightgbm", "sentence": "lightgbm is promoted."},
        "model": MODEL,
    }


def _looked_at(*, bent=False) -> dict[str, Any]:
    """What a training tells of calibration, costs and curves."""
    score = SCORE**3 if bent else SCORE
    decisions = {"lightgbm": Decisions("winner", score >= 0.2)}
    decisions |= constants(COSTS, Y, classes=2, rows=600)
    return {
        "calibration": {
            "candidate": "lightgbm",
            "asked": "platt",
            "method": "platt",
            "sentence": "Calibrated by platt on 600 rows of validation.",
            "test": {
                "as shipped": reliability(Y, score, blocks=BLOCKS, seed=7),
                "before": reliability(Y, SCORE**3, blocks=BLOCKS, seed=7),
            },
        },
        "costs": {
            "per_rows": 1000,
            "candidates": told(COSTS, Y, decisions, winner="lightgbm", blocks=BLOCKS, seed=7),
            "rules": {"lightgbm": {"threshold": 0.2}},
            "confusion": {"lightgbm": confusion(COSTS, Y, score >= 0.2)},
        },
        "curves": {"lightgbm": curves(Y, score, blocks=BLOCKS, seed=7)},
    }


@pytest.fixture
def looked_at() -> Callable[..., dict[str, Any]]:
    """Makes what a training tells of calibration, costs and curves."""
    return _looked_at


@pytest.fixture
def inspected_run(pipeline, lake, whole_run, tell):
    """The whole run, whose training tells of an inspection."""
    detail = read_records(pipeline, lake, run=whole_run).find("train", "delays").detail
    tell("train", "delays", units=("2013-12-01",), detail={**detail, "inspection": TOLD})
    return whole_run


@pytest.fixture
def shifted(lake, whole_run):
    """Gold of 30 days before the training, and two after, when `seats` is another."""
    rng, staged = np.random.default_rng(7), []
    for day in [FIRST + timedelta(n) for n in range(32)]:
        after = day >= date(2013, 12, 1)
        columns = {
            "flight": np.arange(100),
            "hour": rng.normal(size=100),
            "seats": rng.normal(size=100) + 5 * after,
            "carrier": rng.choice(["AA", "UA"], 100),
            "late": rng.random(100) > 0.5,
        }
        table = pa.table(columns)
        staged.append(stage_file(lake.gold("delays"), table, partition={"_interval": day}))
    schema = table.schema.append(pa.field("_interval", pa.date32()))
    commit(
        lake.gold("delays"), staged, schema=schema, unit="delays/gold/1", partition_by=["_interval"]
    )
    return whole_run


@pytest.fixture
def full_run(pipeline: Pipeline, lake: Lake, shifted: str, tell: Tell) -> str:
    """A run whose page has every section there is."""
    detail = read_records(pipeline, lake, run=shifted).find("train", "delays").detail
    scored = {"rows": 100, "percentiles": [place / 100 for place in range(101)]}
    more = {**_looked_at(), "inspection": TOLD, "scored": scored, "audit": {"findings": []}}
    tell("train", "delays", units=("2013-12-01",), detail={**detail, **more})
    rows = [
        {"statistic": "rows", "value": 10},
        {"column": "hour", "statistic": "type", "text": "int", "place": 0},
        {"column": "hour", "statistic": "missing", "value": 0, "rows": 10},
    ]
    at = datetime(2013, 12, 2, tzinfo=UTC)
    profiles.keep(lake, rows, table="silver/flights", version=0, profiled_at=at)
    return shifted

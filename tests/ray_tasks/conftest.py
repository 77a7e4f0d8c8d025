"""A small pipeline with a real signal and days that differ; its gold; a lake trained on it."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from headrace.lake import Lake, Table, application_id, commit, digest, stage_file
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from ray_tasks.train import train

FIRST = date(2013, 1, 1)
MOMENT = date(2013, 2, 20)  # 50 days before it, 10 from it on
DAYS, ROWS = 60, 60

DECLARED = {
    "name": "flights",
    "timezone": "America/New_York",
    "sources": {
        "schedule": {
            "path": "landing/schedule/*.csv",
            "schema": {"dest": "string", "number": "int", "hour": "int", "at": "timestamp"},
            "key": ["number", "at"],
            "event_time": "at",
        },
        "arrivals": {
            "path": "landing/arrivals/*.csv",
            "schema": {"number": "int", "at": "timestamp", "delay": "int", "landed": "timestamp"},
            "key": ["number", "at"],
            "event_time": "at",
            "known_at": "landed",
            "references": "schedule",
        },
    },
    "features": {
        "rows": "schedule",
        "at": "05:00",
        "columns": {"dest": "dest", "hour": "hour"},
        "history": {
            "wind": {"of": "arrivals", "value": "avg(delay)", "by": ["number"], "over": "7 days"}
        },
    },
    "target": {"name": "late", "of": "arrivals", "value": "delay > 15"},
    "split": {"validation": "10 days", "test": "10 days"},
    "training": {
        "algorithms": ["logistic_regression", "lightgbm"],
        "trials": 3,
        "seed": 7,
        "first": MOMENT.isoformat(),
        "every": "5 days",
    },
}


def gold_rows(day, *, signal=1.0, seed=0, wind=None, told=False, outcome=None):
    """The rows of a day: late by wind and by destination; one in 30 never arrives.

    `outcome` makes another target than `late`: a name, and a function of wind and destination.
    """
    rng = np.random.default_rng([seed, day.toordinal()])
    dest, hour = rng.integers(0, 4, ROWS), rng.integers(5, 24, ROWS)
    gusts = rng.normal(0, 1, ROWS)
    logit = rng.normal(-1, 0.3) + signal * (1.5 * gusts + 0.8 * (dest == 2))
    late = rng.random(ROWS) < 1 / (1 + np.exp(-logit))
    lost = rng.random(ROWS) < 1 / 30
    gusts = late + 0.1 * gusts if told else gusts
    name, values = ("late", late) if outcome is None else outcome(rng, gusts, dest)
    start = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    gusts = gusts if wind is None else np.where(np.arange(ROWS) == 0, wind, gusts)
    return pa.table(
        {
            "number": pa.array(range(ROWS), pa.int32()),
            "at": pa.array([start] * ROWS, pa.timestamp("us", "UTC")),
            "dest": np.array(list("ABCD"))[dest],
            "hour": pa.array(hour, pa.int32()),
            "wind": pa.array(gusts, pa.float64()),
            name: pa.array(values, mask=lost),
            "_target_known_at": pa.array(
                [start + timedelta(hours=9)] * ROWS, pa.timestamp("us", "UTC"), mask=lost
            ),
            "_fingerprint": [digest(day.isoformat(), signal, seed, wind, name)] * ROWS,
            "_labels": [digest(day.isoformat(), "labels")] * ROWS,
        }
    )


def write_gold(lake, days, *, halves=False, replace=False, few=ROWS, **of_rows):
    """Writes days of gold, as one file each or as two halves in the other order."""
    table, files = lake.gold("flights"), []
    for day in days:
        rows = gold_rows(day, **of_rows).slice(0, few)
        parts = [rows.slice(30), rows.slice(0, 30)] if halves else [rows]
        files += [stage_file(table, part, partition={"_interval": day}) for part in parts]
    unit = application_id("flights", "features", f"{days[0]} to {days[-1]}")
    stands = Table.if_exists(table)
    commit(
        table,
        files,
        schema=rows.schema.append(pa.field("_interval", pa.date32())),
        unit=unit,
        partition_by=["_interval"],
        replace=[("_interval", "=", days[0].isoformat())] if replace else None,
        recorded=stands.recorded(unit) if stands else 0,
        repeatable=True,
    )


@pytest.fixture(scope="session")
def declared():
    return DECLARED


@pytest.fixture(scope="session")
def pipeline():
    return Pipeline.model_validate(DECLARED)


@pytest.fixture(scope="session")
def days():
    return [FIRST + timedelta(days=n) for n in range(DAYS)]


@pytest.fixture(scope="session")
def moment():
    return MOMENT


@pytest.fixture(scope="session")
def gold():
    return write_gold


@pytest.fixture(scope="session")
def first_training(request, tmp_path_factory, pipeline, days):
    """A lake with gold and one training, and the result of the training; not to be changed."""
    request.getfixturevalue("ray_local")
    lake = Lake(tmp_path_factory.mktemp("trained") / "lake")
    write_gold(lake, days)
    return lake, train(pipeline, lake, Settings(lake=lake.root), moment=MOMENT, run="r1")


@pytest.fixture
def trained(first_training, lake):
    """A copy of the lake of `first_training`."""
    shutil.copytree(first_training[0].root, lake.root)
    return lake

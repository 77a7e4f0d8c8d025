"""A user's folder with a pipeline file and its landing files, for commands that start no engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flows.cli import main
from headrace.evaluation.metric import Metric
from headrace.intervals import SCORE_VERSION, features_due
from headrace.lake import Lake, Table, application_id, commit, stage_file
from headrace.models import registry
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from headrace.models.encoding import Encoding
from headrace.models.model import Model, Recipe
from headrace.spec import load
from headrace.spec.model import Pipeline
from ray_tasks.predict import Task, predict, schemas

_SOURCES = """
name: rides
timezone: UTC
sources:
  rides:
    path: landing/rides/*.csv
    schema: {id: int, line: string, leaves: timestamp}
    key: [id]
    event_time: leaves
  ends:
    path: landing/ends/*.csv
    schema: {id: int, leaves: timestamp, delay: int, ended: timestamp}
    key: [id]
    event_time: leaves
    known_at: ended
    references: rides
  lines:
    path: landing/lines/*.csv
    schema: {line: string, seats: int}
    key: [line]
    timeless: true
"""
PIPELINE = (
    _SOURCES
    + """checks:
  rides:
    - expect_column_values_to_be_in_set: {column: line, value_set: {source: lines, column: line}}
features:
  rows: rides
  at: 05:00 of the interval
  columns: {line: line}
target: {name: late, of: ends, value: delay > 15}
split: {kind: time, validation: 1 days, test: 1 days}
training: {algorithms: [logistic_regression], first: 2014-01-04, every: 31 days}
"""
)
LANDING = {
    "rides": "id,line,leaves\n1,red,2014-01-01 08:00:00\n",
    "ends": "id,leaves,delay,ended\n1,2014-01-01 08:00:00,20,2014-01-01 10:00:00\n",
    "lines": "line,seats\nred,50\n",
}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder, which is the working folder too."""
    for name in ("HEADRACE_LAKE", "PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("PYTHONSAFEPATH", "PREFECT_LOGGING_LEVEL"):
        monkeypatch.setenv(name, "1" if name.startswith("PYTHON") else "WARNING")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    for source, text in LANDING.items():
        path = tmp_path / "landing" / source / "a.csv"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        os.utime(path, (1.4e9, 1.4e9))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def headrace(folder: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process: exit code, output, errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        assert Path.cwd() == folder
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        words = capsys.readouterr()
        return int(stop.value.code or 0), words.out, words.err

    return call


# A small lake with two scores, laid down by hand: no engine is needed to look at it.

SCORED = (
    _SOURCES
    + """  weather:
    path: landing/weather/*.csv
    schema: {line: string, seen: timestamp, rain: double}
    key: [line, seen]
    event_time: seen
    known_at: seen
checks:
  rides:
    - expect_column_values_to_not_be_null: {column: line}
features:
  rows: rides
  at: 05:00 of the interval
  columns: {line: line}
  lookups: {lines: {on: [line], columns: [seats]}}
  latest: {weather: {on: [line], within: 6 hours, columns: [rain]}}
  history: {delay_7d: {of: ends, value: avg(delay), by: [line], over: 7 days}}
target: {name: late, of: ends, value: delay > 15}
split: {validation: 1 days, test: 1 days}
training: {algorithms: [logistic_regression], first: 2014-01-04, every: 31 days}
"""
)
DAY = date(2014, 1, 5)
LINES = {
    "rides": [
        "id,line,leaves",
        "1,red,2014-01-03T08:00:00Z",
        "2,red,2014-01-04T08:00:00Z",
        "3,blue,2014-01-04T09:00:00Z",
        "4,red,2014-01-05T08:00:00Z",
        "5,blue,2014-01-05T09:00:00Z",
    ],
    "ends": [
        "id,leaves,delay,ended",
        "1,2014-01-03T08:00:00Z,10,2014-01-03T10:00:00Z",
        "2,2014-01-04T08:00:00Z,20,2014-01-04T10:00:00Z",
        "3,2014-01-04T09:00:00Z,40,2014-01-04T11:00:00Z",
        "4,2014-01-05T08:00:00Z,50,2014-01-05T10:00:00Z",
    ],
    "lines": ["line,seats", "red,50", "blue,80"],
    "weather": [
        "line,seen,rain",
        "red,2014-01-04T20:00:00Z,9.0",
        "red,2014-01-05T00:00:00Z,1.0",
        "red,2014-01-05T04:00:00Z,2.0",
        "red,2014-01-05T06:00:00Z,3.0",
        "blue,2014-01-05T04:30:00Z,4.0",
    ],
}
FEATURES = {  # of the rides of DAY, as the pipeline tells them
    "id": pa.array([4, 5], pa.int32()),
    "line": ["red", "blue"],
    "seats": pa.array([50, 80], pa.int32()),
    "rain": [2.0, 4.0],
    "delay_7d": [15.0, 40.0],
    "late": [True, None],
}
_KINDS = {"int": pa.int32(), "string": pa.string(), "double": pa.float64()}
_MOMENT = pa.timestamp("us", "UTC")
_BATCHES = {name: f"{place:032x}" for place, name in enumerate(LINES, start=1)}


def _make(folder: Path, *, algorithm: str = "logistic_regression") -> tuple[Pipeline, Lake]:
    """A user's folder with the pipeline file and a lake in which the rides of DAY are scored."""
    (folder / "pipeline.yaml").write_text(SCORED)
    pipeline, lake = load(folder / "pipeline.yaml"), Lake(folder / "lake")
    for source in LINES:
        _publish(pipeline, lake, source)
    (interval,) = [each for each in features_due(pipeline, lake).missing if each.day == DAY]
    stamps = {"_fingerprint": [interval.fingerprint] * 2, "_labels": [interval.labels] * 2}
    known = pa.array([datetime(2014, 1, 5, 10, tzinfo=UTC), None], _MOMENT)
    rows = pa.table({**FEATURES, "_target_known_at": known, **stamps})
    schema = rows.schema.append(pa.field("_interval", pa.date32()))
    _commit(lake.gold("rides"), rows, "rides/features/gold", schema)
    model = _fitted(pipeline, algorithm)
    record = {
        "algorithm": algorithm,
        "moment": model.recipe.moment,
        "data": {"table": "gold/rides", "version": 0, "intervals": 1, "fingerprint": "d"},
        "features": model.signature,
        "libraries": {"numpy": np.__version__},
    }
    registry.store(lake, model, record)
    _champion(lake, model.digest)
    score(pipeline, lake, model.digest, rows.schema)
    return pipeline, lake


def score(pipeline: Pipeline, lake: Lake, model: str, gold: pa.Schema) -> None:
    """Scores DAY by the code that workers run, and commits it as the driver does."""
    table = Table(lake.gold("rides"))
    work = Task(
        root=lake.root,
        pipeline="rides",
        key=("id",),
        target=pipeline.target,
        model=model,
        day=DAY,
        gold_version=table.version,
        files=table.files,
        score_version=SCORE_VERSION,
        run="r1",
    )
    commit(
        lake.scores("rides"),
        [predict(work).scores],
        schema=schemas(gold, ("id",), pipeline.target).scores,
        unit=application_id("rides", "score", DAY.isoformat()),
        partition_by=["_interval"],
        metadata={"headrace": f'{{"gold": {table.version}}}'},
    )


def _publish(pipeline: Pipeline, lake: Lake, source: str) -> None:
    """The landing lines of a source in bronze and in silver."""
    header, *lines = LINES[source]
    names, columns = header.split(","), pipeline.sources[source].columns
    cells = list(zip(*(line.split(",") for line in lines), strict=True))
    placed: dict[str, Any] = {
        "_file": [f"{source}/a.csv"] * len(lines),
        "_file_sha256": ["f" * 64] * len(lines),
        "_row": list(range(2, len(lines) + 2)),
        "_batch": [_BATCHES[source]] * len(lines),
        "_ingested_at": pa.array([datetime(2014, 1, 6, tzinfo=UTC)] * len(lines), _MOMENT),
    }
    bronze = pa.table({"_raw": lines, **placed})
    _commit(lake.bronze(source), bronze, application_id(source, "ingest", _BATCHES[source]))
    typed = {name: _typed(texts, columns[name]) for name, texts in zip(names, cells, strict=True)}
    silver = pa.table({**typed, **placed})
    _commit(lake.silver(source), silver, application_id(source, "check", _BATCHES[source]))


def _typed(texts: tuple[str, ...], kind: str) -> pa.Array:
    if kind == "timestamp":
        return pa.array([datetime.fromisoformat(text) for text in texts], _MOMENT)
    return pa.array(texts).cast(_KINDS[kind])


def _commit(table: Path, rows: pa.Table, unit: str, schema: pa.Schema | None = None) -> None:
    partition: Mapping[str, date] = {} if schema is None else {"_interval": DAY}
    commit(
        table,
        [stage_file(table, rows, partition=partition)],
        schema=schema or rows.schema,
        unit=unit,
        partition_by=list(partition),
    )


def _fitted(pipeline: Pipeline, algorithm: str) -> Model:
    """A model of rides that the pipeline's are like."""
    dice = np.random.default_rng(7)
    count = 400
    like = pa.table(
        {
            "line": np.array(["red", "blue"])[dice.integers(0, 2, count)],
            "seats": pa.array(dice.integers(40, 90, count), pa.int32()),
            "rain": dice.normal(2, 1, count),
            "delay_7d": dice.normal(20, 9, count),
        }
    )
    entry = named(algorithm)
    encoding = Encoding.fit(like, pipeline.features.names, form=entry.needs.categories)
    late = np.asarray(like["delay_7d"]) + 5 * np.asarray(like["rain"]) > 30
    samples = Samples(encoding.matrix(like), late.astype(float), categorical=encoding.categorical)
    fitted = entry.fit(samples, entry.defaults, seed=7, validation=None, metric=Metric.ROC_AUC)
    moment = datetime.combine(DAY - timedelta(days=1), pipeline.features.at, tzinfo=UTC)
    recipe = Recipe("rides", "late", algorithm, {}, 7, moment.isoformat(), "d", "s")
    return Model(recipe, encoding, fitted.estimator)


def _champion(lake: Lake, model: str) -> None:
    moment = datetime(2014, 1, 4, 5, tzinfo=UTC)
    alias = registry.Alias(
        pipeline="rides",
        alias=registry.CHAMPION,
        model=model,
        moment=moment,
        previous=None,
        decision="it beats class_prior",
        run="r1",
        decided_at=moment,
    )
    registry.promote(lake, alias, seen=registry.aliases(lake, "rides"))


@pytest.fixture
def scored(folder: Path) -> Callable[..., tuple[Pipeline, Lake]]:
    """Puts a pipeline file and a lake into the user's folder in which the rides of DAY are scored.

    Given an algorithm, the scores are its.
    """
    return lambda algorithm="logistic_regression": _make(folder, algorithm=algorithm)


# Gold that an audit, or a training up to its audit, reads.


@pytest.fixture
def gold(folder: Path) -> Callable[..., None]:
    """Writes three days of rides to gold whose line is the target, or is not."""

    def write(*, told: bool) -> None:
        table, files = Lake(folder / "lake").gold("rides"), []
        for n in range(3):
            day, rng = date(2014, 1, 1) + timedelta(days=n), np.random.default_rng(n)
            late = rng.random(300) < 0.5
            line = late if told else rng.random(300) < 0.5
            known = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
            rows = pa.table(
                {
                    "id": pa.array(n * 300 + rng.permutation(300), pa.int32()),
                    "line": np.where(line, "red", "blue"),
                    "late": late,
                    "_target_known_at": pa.array([known] * 300, _MOMENT),
                    "_fingerprint": ["f"] * 300,
                    "_labels": ["l"] * 300,
                }
            )
            files.append(stage_file(table, rows, partition={"_interval": day}))
        schema = rows.schema.append(pa.field("_interval", pa.date32()))
        unit = application_id("rides", "features", "gold")
        commit(table, files, schema=schema, unit=unit, partition_by=["_interval"])

    return write


@pytest.fixture
def score_is_off(scored: Callable[..., tuple[Pipeline, Lake]]) -> Callable[[], tuple[float, float]]:
    """Scores the rides of DAY, then moves the first score by one bit; what it was, what it is."""

    def move() -> tuple[float, float]:
        place = scored()[1].scores("rides")
        rows = Table(place).arrow()
        right: float = rows["score"][0].as_py()
        off = float(np.nextafter(right, 1.0))
        score = pa.array([off, rows["score"][1].as_py()])
        changed = rows.set_column(rows.schema.get_field_index("score"), "score", score)
        commit(
            place,
            [stage_file(place, changed.drop(["_interval"]), partition={"_interval": DAY})],
            schema=rows.schema,
            unit="rides/score/again",
            partition_by=["_interval"],
            replace=[("_interval", "=", DAY.isoformat())],
            repeatable=True,
        )
        return right, off

    return move

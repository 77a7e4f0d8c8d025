"""What a worker does of the stage `score`: reads gold, predicts, writes files; commits nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import CorruptArtifact
from headrace.evaluation.inspection.ranges import Beyond, beyond
from headrace.evaluation.inspection.stability import too_far
from headrace.lake import DataFile, Lake, StagedFile, Table, digest, stage_file
from headrace.models import registry
from headrace.models.compiled import compiled
from headrace.models.model import Model
from headrace.spec.model import Target
from ray_tasks.scored import score_columns, score_fields

_INTERVAL = pa.field("_interval", pa.date32())
_REASON, _SCORING = pa.field("_reason", pa.string()), pa.field("_scoring", pa.int64())
_HELD = 4  # models and table versions that a worker keeps from task to task


@dataclass(frozen=True, kw_only=True)
class Task:
    """Some data files of one interval, to be scored by one model.

    Attributes:
        root: Of the lake.
        pipeline: The pipeline.
        key: Columns that name a row.
        target: What is predicted.
        model: Digest of the model.
        day: The interval.
        gold_version: Of the features that are read.
        files: Their data files.
        score_version: Goes into the fingerprint of the scores.
        run: Name of the run.
        scoring: Which scoring of the interval it is, from 1.
        compiled: Whether trees of LightGBM are compiled; see `headrace.models.compiled`.
    """

    root: Path
    pipeline: str
    key: tuple[str, ...]
    target: Target
    model: str
    day: date
    gold_version: int
    files: tuple[DataFile, ...]
    score_version: int
    run: str
    scoring: int = 1
    compiled: bool = False


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What became of a task.

    Attributes:
        read: Rows read.
        scored: Rows in `scores`.
        refused: Rows in `refusals`.
        held: Rows in `holds`.
        fingerprint: Of the scores.
        scores: Staged file of scores.
        refusals: Staged file of refused rows, if there are any.
        holds: Staged file of predictions that a person should look at before they are scores, if
            there are any.
        beyond: Features that leave the range of training.
    """

    read: int
    scored: int
    refused: int
    held: int
    fingerprint: str
    scores: StagedFile
    refusals: StagedFile | None
    holds: StagedFile | None
    beyond: tuple[Beyond, ...] = ()


class Schemas(NamedTuple):
    """The columns of what a scoring leaves, partition column included."""

    scores: pa.Schema
    refused: pa.Schema
    held: pa.Schema


def schemas(gold: pa.Schema, key: tuple[str, ...], target: Target) -> Schemas:
    """The columns of scores, of refused rows of features, and of held scores."""
    stamps = [pa.field(name, pa.string()) for name in ("_model", "_fingerprint", "_run")]
    scores = [*(gold.field(name) for name in key)]
    scores += score_fields(target.task, gold.field(target.name))
    refused = [field for field in gold if field.name not in {"_interval", "_fingerprint"}]
    return Schemas(
        pa.schema([*scores, *stamps, _INTERVAL]),
        pa.schema([*refused, _REASON, *stamps, _INTERVAL]),
        pa.schema([*scores, _REASON, _SCORING, *stamps, _INTERVAL]),
    )


def predict(task: Task) -> Predicted:
    """Scores the rows of a task and stages the files of its result."""
    gold = _gold(task.root, task.pipeline, task.gold_version)
    model = _model(task.root, task.pipeline, task.model, compile_trees=task.compiled)
    model.check(gold.schema)
    model.classes.check(task.target.task, model=task.model)
    rows = gold.arrow(files=task.files)
    stamp = pc.unique(rows.column("_fingerprint")).to_pylist()
    if len(stamp) != 1:
        message = f"the features of {task.day} have {len(stamp)} fingerprints"
        raise CorruptArtifact(
            message, table=gold.path, hint="`headrace backfill FILE --stale` builds them again"
        )
    stamps: dict[str, Any] = {
        "_model": task.model,
        "_fingerprint": digest(stamp[0], task.score_version),
        "_run": task.run,
        "_scoring": task.scoring,
    }
    sound, unsound = _parted(rows, model.refusals(rows))
    predicted = model.predict(sound)
    waiting = pa.nulls(len(predicted), pa.string())
    recent = model.record.get("target")
    if recent is not None:
        reasons, waiting = too_far(predicted, level=recent["level"], reach=recent["reach"])
        if reasons.null_count < len(reasons):
            kept = pc.is_null(reasons)
            predicted = predicted[kept.to_numpy(zero_copy_only=False)]
            waiting = waiting.filter(kept)
            sound, wild = _parted(sound, reasons)
            unsound = pa.concat_tables([unsound, wild])
    scored = sound.select(task.key)
    target = gold.schema.field(task.target.name)
    told = score_columns(predicted, model, target)
    for field, column in zip(score_fields(task.target.task, target), told, strict=True):
        scored = scored.append_column(field, column)
    scored, held = _parted(scored, waiting)
    lake, columns = Lake(task.root), schemas(gold.schema, task.key, task.target)

    def staged(table: Path, rows: pa.Table, schema: pa.Schema) -> StagedFile:
        return _staged(table, rows, stamps, schema, task.day)

    refused_to, held_to = lake.refused(task.pipeline), lake.held(task.pipeline)
    return Predicted(
        read=rows.num_rows,
        scored=scored.num_rows,
        refused=unsound.num_rows,
        held=held.num_rows,
        fingerprint=stamps["_fingerprint"],
        scores=staged(lake.scores(task.pipeline), scored, columns.scores),
        refusals=staged(refused_to, unsound, columns.refused) if unsound.num_rows else None,
        holds=staged(held_to, held, columns.held) if held.num_rows else None,
        beyond=tuple(beyond(sound, model.record.get("ranges", {}))),
    )


def _parted(rows: pa.Table, reasons: pa.Array) -> tuple[pa.Table, pa.Table]:
    """Rows without a reason, and those with one, which is a column of theirs."""
    every = reasons.null_count == len(reasons)  # then nothing is copied
    sound = rows if every else rows.filter(pc.is_null(reasons))
    unsound = rows.slice(0, 0) if every else rows.filter(pc.is_valid(reasons))
    return sound, unsound.append_column("_reason", reasons.drop_null())


def _staged(
    table: Path, rows: pa.Table, stamps: dict[str, Any], schema: pa.Schema, day: date
) -> StagedFile:
    columns = {name: rows.column(name) for name in rows.column_names}
    columns |= {
        name: pa.repeat(pa.scalar(value, schema.field(name).type), rows.num_rows)
        for name, value in stamps.items()
        if name in schema.names
    }
    names = [name for name in schema.names if name != _INTERVAL.name]
    written = pa.table(
        [columns[name] for name in names], schema=pa.schema([schema.field(name) for name in names])
    )
    return stage_file(table, written, partition={_INTERVAL.name: day})


@lru_cache(maxsize=_HELD)
def _gold(root: Path, pipeline: str, version: int) -> Table:
    return Table(Lake(root).gold(pipeline), version)


@lru_cache(maxsize=_HELD)
def _model(root: Path, pipeline: str, model: str, *, compile_trees: bool) -> Model:
    loaded = registry.load(Lake(root), pipeline, model)
    return compiled(loaded) if compile_trees else loaded

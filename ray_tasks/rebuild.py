"""Scores computed again from the recorded model and features, and compared to the last bit.

By the code that scores, in this process: Ray is not started.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace import held
from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import Lake, Table
from headrace.masking import Mask, masked
from headrace.models import registry
from headrace.models.compiled import compiled
from headrace.models.model import Model
from headrace.spec.model import Pipeline
from headrace.tracing import scored_from
from ray_tasks.scored import score_columns, score_fields

_HELD = 4  # models that are kept from interval to interval


@dataclass(frozen=True)
class Differing:
    """A cell that came out differently.

    Attributes:
        key: Of the row.
        column: `score`, `prediction`, `probabilities`, or a feature.
        recorded: What stands in the lake.
        again: What was computed now.
    """

    key: Mapping[str, Any]
    column: str
    recorded: Any  # a cell of any type
    again: Any

    def without(self, hidden: Collection[str]) -> Differing:
        """The same with the mask in place of what is hidden."""
        mask = Mask(frozenset(hidden))
        recorded, again = (mask.value(self.column, each) for each in (self.recorded, self.again))
        return Differing(masked(self.key, hidden), self.column, recorded, again)


@dataclass(frozen=True)
class Rebuilt:
    """What became of the scores of one interval.

    Attributes:
        interval: The day.
        model: Digest of the model.
        gold_version: Of the features.
        rows: How many scores were computed again.
        differing: The cells that are not equal to the last bit.
    """

    interval: date
    model: str
    gold_version: int
    rows: int
    differing: tuple[Differing, ...]


def rebuild(
    pipeline: Pipeline,
    lake: Lake,
    *,
    day: date,
    key: Mapping[str, Any] | None = None,
    compile_trees: bool = False,
) -> Rebuilt:
    """Computes the scores of an interval again, or the one of a key.

    Args:
        pipeline: Whose scores.
        lake: The lake.
        day: The interval.
        key: Column of the key -> value; all rows of the interval if None.
        compile_trees: As `HEADRACE_COMPILED_LIGHTGBM` says: scores are then equal to 1e-9 only.

    Raises:
        UsageError: The interval has no scores.
        CorruptArtifact: Scores and features are not of the same rows, or something is damaged.
    """
    names = pipeline.sources[pipeline.features.rows].key
    table = Table(lake.scores(pipeline.name))
    recorded = table.arrow(partitions={"_interval": [day]})
    if not recorded.num_rows:
        message = f"{pipeline.name} has no scores of {day}"
        raise UsageError(message, hint="`headrace plan --all` lists the intervals")
    model_digest, fingerprint = (_one(recorded, name, table) for name in ("_model", "_fingerprint"))
    gold, files = scored_from(pipeline, lake, day=day, fingerprint=fingerprint)
    model = _model(lake.root, pipeline.name, model_digest, compile_trees=compile_trees)
    rows = gold.arrow(files=files)
    sound = rows.filter(pc.is_null(model.refusals(rows)))
    sound = _less(sound, _apart(pipeline, lake, day), names)
    recorded, sound = (_placed(each, names) for each in (recorded, sound))
    if not recorded.select(names).equals(sound.select(names)):
        counts = f"{recorded.num_rows:,} scores and {sound.num_rows:,} rows of features"
        message = f"the {counts} of {day} are not of the same keys"
        raise CorruptArtifact(
            message,
            table=table.path,
            hint="`headrace verify` looks at the whole lake",
        )
    if key is not None:
        wanted = np.array([_has(row, key) for row in recorded.select(names).to_pylist()])
        recorded, sound = recorded.filter(pa.array(wanted)), sound.filter(pa.array(wanted))
    again = _predicted(pipeline, model, sound, gold.schema)
    return Rebuilt(
        day,
        model_digest,
        gold.version,
        recorded.num_rows,
        tuple(differing(recorded, again, names, again.column_names)),
    )


def scored_days(pipeline: Pipeline, lake: Lake) -> dict[date, int]:
    """Every interval with scores -> how many rows it has, by the log alone."""
    table = Table.if_exists(lake.scores(pipeline.name))
    days: dict[date, int] = {}
    for file in table.files if table else ():
        day = file.partition["_interval"]
        days[day] = days.get(day, 0) + (file.rows or 0)
    return dict(sorted(days.items()))


def differing(
    recorded: pa.Table, again: pa.Table, key: Sequence[str], columns: Sequence[str]
) -> list[Differing]:
    """The cells of two tables with the same rows that are not equal to the last bit."""
    found = []
    for column in columns:
        before, now = (
            _bits(table[column].cast(recorded.schema.field(column).type))
            for table in (recorded, again)
        )
        for place in np.flatnonzero([a != b for a, b in zip(before, now, strict=True)]):
            row = int(place)
            named = {name: recorded[name][row].as_py() for name in key}
            cells = (table[column][row].as_py() for table in (recorded, again))
            found.append(Differing(named, column, *cells))
    return found


def differing_features(
    recorded: pa.Table,
    again: pa.Table,
    names: Sequence[str],
    *,
    columns: Sequence[str],
    key: Mapping[str, Any] | None,
) -> list[Differing]:
    """The features of an interval that are not equal to the last bit.

    Args:
        recorded: Rows of gold.
        again: The same, computed again.
        names: The columns of the key.
        columns: The features.
        key: Column of the key -> value; all rows if None.

    Raises:
        CorruptArtifact: They are not of the same rows.
    """
    recorded, again = (_placed(each, names) for each in (recorded, again))
    before, now = (each.select(names).to_pylist() for each in (recorded, again))
    if before != now:
        message = f"gold has {len(before):,} rows, and silver gives {len(now):,} of other keys"
        raise CorruptArtifact(message, hint="`headrace verify` looks at the whole lake")
    if key is not None:
        wanted = pa.array([_has(row, key) for row in before])
        recorded, again = recorded.filter(wanted), again.filter(wanted)
    return differing(recorded, again, names, columns)


def _apart(pipeline: Pipeline, lake: Lake, day: date) -> list[pa.Table]:
    """The rows of an interval that were refused, or are held, and so are not among its scores."""
    tables = [lake.refused(pipeline.name)]
    if day in held.waiting(lake, pipeline.name):
        tables.append(lake.held(pipeline.name))
    standing = filter(None, map(Table.if_exists, tables))
    return [table.arrow(partitions={"_interval": [day]}) for table in standing]


def _less(rows: pa.Table, others: Sequence[pa.Table], key: Sequence[str]) -> pa.Table:
    """The rows whose key none of the others has."""
    gone = {tuple(row.values()) for each in others for row in each.select(key).to_pylist()}
    if not gone:
        return rows
    kept = [tuple(row.values()) not in gone for row in rows.select(key).to_pylist()]
    return rows.filter(pa.array(kept, pa.bool_()))


def _predicted(pipeline: Pipeline, model: Model, rows: pa.Table, schema: pa.Schema) -> pa.Table:
    target = schema.field(pipeline.target.name)
    fields = score_fields(pipeline.target.task, target)
    columns = score_columns(model.predict(rows), model, target)
    return pa.table(columns, schema=pa.schema(fields))


@lru_cache(maxsize=_HELD)
def _model(root: Path, pipeline: str, model: str, *, compile_trees: bool) -> Model:
    loaded = registry.load(Lake(root), pipeline, model)
    return compiled(loaded) if compile_trees else loaded


def _placed(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in key]).combine_chunks()


def _has(row: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
    return all(row[name] == value for name, value in key.items())


def _bits(column: pa.ChunkedArray) -> list[Any]:
    """Values that are equal where all bits are: a number that is not equals itself, 0 is not -0."""
    if pa.types.is_map(column.type):
        return [
            None if cell is None else [(name, _bit(value)) for name, value in cell]
            for cell in column.to_pylist()
        ]
    if pa.types.is_floating(column.type):
        return [_bit(value) for value in column.to_pylist()]
    cells: list[Any] = column.to_pylist()
    return cells


def _bit(value: float | None) -> bytes | None:
    return None if value is None else np.float64(value).tobytes()


def _one(rows: pa.Table, column: str, table: Table) -> str:
    found = pc.unique(rows[column]).to_pylist()
    if len(found) != 1:
        message = f"the scores of one interval have {len(found)} values of {column}"
        raise CorruptArtifact(message, table=table.path, hint="`headrace verify` tells more")
    return str(found[0])

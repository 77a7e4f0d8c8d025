"""Which features go together: from the profile of gold, else from some rows before the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import CorruptArtifact, UsageError
from headrace.evaluation.metrics import Floats, Integers
from headrace.lake import DataFile, Lake, Table
from headrace.profiles import Profile, Row
from headrace.report.heat import HeatMap, heat_map
from headrace.report.training import Training
from headrace.report.wording import count
from headrace.spec.model import Pipeline

MOST_ROWS, MOST_COLUMNS, MOST_TOLD = 50_000, 60, 10
_FEWEST_ROWS = 30  # that two columns have in common
_MEASURES = {"correlation": "Pearson's correlation", "cramers_v": "Cramér's V"}


@dataclass(frozen=True)
class Pairs:
    """The section of the page.

    Attributes:
        maps: A heat map for each measure that there is.
        strongest: Measure and row of the strongest pairs.
        source: Which rows they are of, for people.
    """

    maps: list[HeatMap]
    strongest: list[tuple[str, Row]]
    source: str


def pairs(
    pipeline: Pipeline, lake: Lake, profiles: Sequence[Profile], *, trained: Training | None
) -> Pairs | None:
    """The pairs of the features and the target; None where there are none to tell.

    Args:
        pipeline: What is declared.
        lake: The lake.
        profiles: The newest of each table; that of gold is taken, if it is there.
        trained: The training whose rows are looked at otherwise.
    """
    gold = f"gold/{pipeline.name}"
    wanted = {*pipeline.features.names, pipeline.target.name}
    for profile in profiles:
        found = [each for each in profile.pairs if {each[1]["column"], each[1]["key"]} <= wanted]
        if profile.table == gold and found:
            names = [column.name for column in profile.columns]
            rows = f"version {profile.version}: {count(profile.rows, 'row')}"
            return _drawn(names, found, f"From the profile of {gold}, {rows}.")
    if trained is None or not trained.moment:
        return None
    try:
        return _measured(pipeline, lake, before=trained.moment[:10])
    except (CorruptArtifact, UsageError):
        return None  # `headrace verify` says why; the page does without


def _drawn(names: Sequence[str], found: Sequence[tuple[str, Row]], source: str) -> Pairs | None:
    maps = [
        heat_map(measure, names, [row for each, row in found if each == measure])
        for measure in _MEASURES
    ]
    drawn = [one for one in maps if one.names]
    strongest = [(_MEASURES[measure], row) for measure, row in found[:MOST_TOLD]]
    return Pairs(drawn, strongest, source) if drawn else None


def _measured(pipeline: Pipeline, lake: Lake, *, before: str) -> Pairs | None:
    table = Table.if_exists(lake.gold(pipeline.name))
    if table is None:
        return None
    files = _some([one for one in table.files if _interval(one) < before])
    names = _numbers(pipeline, table)[:MOST_COLUMNS]
    if len(names) < 2 or not files:  # noqa: PLR2004  # a pair
        return None
    rows = table.arrow(names, files=files)
    values = np.column_stack(
        [pc.fill_null(pc.cast(rows[name], pa.float64()), np.nan).to_numpy() for name in names]
    )
    found, held = correlations(values)
    told: list[tuple[str, Row]] = [
        (
            "correlation",
            {
                "column": names[i],
                "key": names[j],
                "value": float(found[i, j]),
                "rows": int(held[i, j]),
            },
        )
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if held[i, j] >= _FEWEST_ROWS and np.isfinite(found[i, j])
    ]
    told.sort(key=lambda pair: -abs(pair[1]["value"]))
    of = count(len({_interval(one) for one in files}), pipeline.interval)
    source = (
        f"Of numbers alone, from {count(len(values), 'row')} of {of} before {before}; "
        "a profile of gold would be of all rows, and of categories too."
    )
    return _drawn(names, told, source)


def correlations(values: Floats) -> tuple[Floats, Integers]:
    """Pearson's correlation of each pair of columns, over the rows where both are finite.

    Args:
        values: Rows by columns.

    Returns:
        Columns by columns: the correlation, NaN where a column does not vary; and the rows.
    """
    import pandas as pd

    known = np.isfinite(values)
    found = pd.DataFrame(np.where(known, values, np.nan)).corr().to_numpy()
    held = known.astype(np.int64)
    return found, held.T @ held


def _some(files: Sequence[DataFile]) -> list[DataFile]:
    """Evenly taken files of about `MOST_ROWS` rows together."""
    ordered = sorted(files, key=_interval)
    step = -(-sum(one.rows or 0 for one in ordered) // MOST_ROWS) or 1
    return ordered[::step]


def _numbers(pipeline: Pipeline, table: Table) -> list[str]:
    """Features and target that are numbers, or true or false."""
    wanted = {*pipeline.features.names, pipeline.target.name}
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return [
        field.name
        for field in table.schema
        if field.name in wanted and any(is_one(field.type) for is_one in kinds)
    ]


def _interval(file: DataFile) -> str:
    return str(file.partition["_interval"])

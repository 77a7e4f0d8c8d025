"""`headrace features --sample`: features of a few rows, at a glance."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as Grid

from flows.options import ERR, OUT, next_step
from headrace.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 24  # characters of a value


def show(file: Path, settings: Settings, *, rows: int, as_json: bool) -> None:
    """Computes features of some of the newest rows, and prints what they are like.

    Raises:
        UsageError: Silver has no rows yet.
        FeatureError: A feature cannot be computed as it is declared.
    """
    from headrace.lake import Lake
    from headrace.spec import load

    pipeline, started = load(file), time.monotonic()
    # Not above: Spark and pyarrow take a second to load, and a wrong file is told before.
    from spark_jobs.features import sampled
    from spark_jobs.session import open_session

    with ERR.status("Spark computes the features of a sample"), open_session(settings) as spark:
        found = sampled(spark, Lake(settings.lake), pipeline=pipeline, rows=rows)
    if as_json:
        for row in found.to_pylist():
            OUT.file.write(json.dumps(row, default=str) + "\n")
        return
    names = [*pipeline.features.names, pipeline.target.name]
    OUT.print(_summary(found, names))
    days = found["_interval"]
    OUT.print(
        f"{found.num_rows:,} rows of {min(days.to_pylist())} to {max(days.to_pylist())} in "
        f"{time.monotonic() - started:.1f} s; nothing was written"
    )
    next_step(f"`headrace run {file}` builds them all; `--json` shows the rows")


def _summary(found: pa.Table, names: list[str]) -> Grid:
    import pyarrow.compute as pc
    from pyarrow import types

    grid = Grid(title="features of a sample")
    for column in ("feature", "type", "null", "values", "least", "median", "greatest", "example"):
        grid.add_column(column, overflow="fold")
    for name in names:
        column = found[name]
        present = column.drop_null()
        number = types.is_integer(column.type) or types.is_floating(column.type)
        ends, middle = ["", ""], ""
        if len(present) and not types.is_boolean(column.type):
            least_and_most = pc.min_max(present).as_py()
            ends = [_told(least_and_most[key]) for key in ("min", "max")]
        if len(present) and number:
            middle = _told(pc.quantile(present, 0.5)[0].as_py())
        grid.add_row(
            name,
            str(column.type),
            f"{column.null_count / max(found.num_rows, 1):.0%}",
            f"{pc.count_distinct(present).as_py():,}",
            ends[0],
            middle,
            ends[1],
            _told(present[0].as_py()) if len(present) else "[red]all null[/]",
        )
    return grid


def _told(value: object) -> str:
    text = f"{value:,.6g}" if isinstance(value, float) else str(value)
    return escape(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}...")

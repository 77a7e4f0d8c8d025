"""`headrace models`: the models of a pipeline, and which one is champion."""

from __future__ import annotations

import typer
from rich.table import Table as Grid

from flows.options import DEFAULT, OUT, AsJson, File, LakeFolder, emit, next_step, settings_of

app = typer.Typer()


@app.command()
def models(file: File = DEFAULT, lake: LakeFolder = None, as_json: AsJson = False) -> None:
    """Lists the models of a pipeline, newest last, and which one is champion.

    Example: `headrace models examples/flight_delays/pipeline.yaml`
    """
    from headrace.lake import Lake
    from headrace.models import registry
    from headrace.spec import load

    pipeline, place = load(file), Lake(settings_of(lake).lake)
    rows = registry.promotions(place, pipeline.name)
    if as_json:
        records = [registry.record(place, pipeline.name, row.model) for row in rows]
        pairs = zip(rows, records, strict=True)
        emit([{**vars(row), "algorithm": told["algorithm"]} for row, told in pairs])
        return
    if not rows:
        OUT.print("no model yet")
        next_step(f"`headrace run {file}`")
        return
    champion = registry.champion(place, pipeline.name, at=None)
    grid = Grid(title=f"models of {pipeline.name}")
    for column in ("", "model", "algorithm", "trained with what was known at"):
        grid.add_column(column, overflow="fold")
    for row in rows:
        star = "champion" if champion is not None and row.model == champion.model else ""
        algorithm = registry.record(place, pipeline.name, row.model)["algorithm"]
        grid.add_row(star, row.model[:12], algorithm, f"{row.moment:%Y-%m-%d %H:%M} UTC")
    OUT.print(grid)
    OUT.print(rows[-1].decision, soft_wrap=True)
    next_step("`headrace report --open` shows how the newest was judged")

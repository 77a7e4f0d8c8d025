"""`headrace plan`, `run`, `backfill` and the single stages: what is to do, and doing it."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Annotated

import typer

from flows import running, sampling
from flows.options import DEFAULT, OUT, AsJson, File, LakeFolder, emit, next_step, settings_of
from headrace.errors import UsageError
from headrace.stage import Outcome, StageName

app = typer.Typer()


@app.command()
def plan(
    file: File = DEFAULT,
    lake: LakeFolder = None,
    every: Annotated[bool, typer.Option("--all", help="One line per unit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Says what a run would do, and why. Starts no engine and changes nothing.

    Example: `headrace plan examples/flight_delays/pipeline.yaml`
    """
    from headrace.spec import load

    stages = running.planned(load(file), settings_of(lake))
    if as_json:
        emit([vars(stage) for stage in stages])
        return
    OUT.print(running.grid(stages, every=every))
    outcomes = Counter(stage.outcome for stage in stages)
    if outcomes[Outcome.MISSING] or outcomes[Outcome.WAITING]:
        next_step(f"`headrace run {file}`")
    elif outcomes[Outcome.STALE]:
        OUT.print(f"nothing new; {outcomes[Outcome.STALE]} stale")
        next_step(f"`headrace backfill {file} --stale`")
    else:
        OUT.print("nothing to do: everything is already done")
        next_step("`headrace report --open` shows the last run")


@app.command()
def run(
    file: File = DEFAULT,
    *,
    lake: LakeFolder = None,
    first: Annotated[StageName, typer.Option("--from", help="Start at this stage.")] = "ingest",
    only: Annotated[StageName | None, typer.Option(help="Run this stage alone.")] = None,
    require_promotion: Annotated[
        bool, typer.Option(help="Exit 3 if the gate refuses the new model.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Does what is missing, stage by stage from ingest to report; what is done is left alone.

    Example: `headrace run examples/flight_delays/pipeline.yaml`
    """
    running.run(
        file, lake, first=first, only=only, require_promotion=require_promotion, as_json=as_json
    )


@app.command()
def features(
    file: File = DEFAULT,
    lake: LakeFolder = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Only look at so many rows; nothing is written."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON document; of a sample its rows, one per line."),
    ] = False,
) -> None:
    """Builds the features that are missing, or shows those of a sample of the newest rows.

    Example: `headrace features examples/flight_delays/pipeline.yaml --sample 1000`
    """
    if sample is not None:
        sampling.show(file, settings_of(lake), rows=sample, as_json=as_json)
    else:
        running.run(file, lake, only="features", as_json=as_json)


@app.command()
def train(
    file: File = DEFAULT,
    lake: LakeFolder = None,
    require_promotion: Annotated[
        bool, typer.Option(help="Exit 3 if the gate refuses the new model.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Trains the models that are due. The same as `headrace run --only train`.

    Example: `headrace train examples/flight_delays/pipeline.yaml --require-promotion`
    """
    running.run(file, lake, only="train", require_promotion=require_promotion, as_json=as_json)


@app.command()
def score(file: File = DEFAULT, lake: LakeFolder = None, as_json: AsJson = False) -> None:
    """Scores the intervals that lack scores. The same as `headrace run --only score`.

    Example: `headrace score examples/flight_delays/pipeline.yaml`
    """
    running.run(file, lake, only="score", as_json=as_json)


@app.command()
def backfill(
    file: File = DEFAULT,
    *,
    lake: LakeFolder = None,
    start: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First interval.")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last interval.")
    ] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Also build stale features again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Fills missing intervals, features and scores; `--stale` also rebuilds changed features.

    Example: `headrace backfill pipeline.yaml --from 2013-12-01 --to 2013-12-07`
    """
    from headrace.intervals import features_due
    from headrace.lake import Lake
    from headrace.spec import load

    pipeline, settings = load(file), settings_of(lake)
    known = features_due(pipeline, Lake(settings.lake)).days
    low, high = (start.date() if start else date.min), (end.date() if end else date.max)
    if low > high:
        message = f"--from {low} is after --to {high}"
        raise UsageError(message, hint="swap them")
    days = [day for day in known if low <= day <= high]
    if not days:
        span = f"{known[0]} to {known[-1]}" if known else "none"
        message = "no interval between these days has rows"
        raise UsageError(
            message,
            intervals=span,
            hint="`headrace plan --all` lists them",
        )
    running.run(file, lake, first="features", days=days, stale=stale, as_json=as_json)

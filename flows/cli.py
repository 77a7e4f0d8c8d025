"""The `headrace` command; engines, Prefect too, are imported only where a command needs them."""

from __future__ import annotations

import os
import signal
import sys
import webbrowser
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.markup import escape
from rich.table import Table as Grid

# No engine and no pyarrow up here: `validate` and `--help` start at once.
from flows import (
    algorithms,
    audit,
    deploy,
    diff,
    errors,
    explain,
    export,
    mirror,
    new,
    profiles,
    quarantine,
    rebuild,
    sampling,
    temporary_server,
    upkeep,
)
from flows.options import (
    DEFAULT,
    ERR,
    EXIT_CODES,
    OUT,
    AsJson,
    File,
    LakeFolder,
    emit,
    settings_of,
)
from flows.progress import progress
from headrace import runs
from headrace.errors import UsageError
from headrace.settings import Settings, engine_environment
from headrace.stage import STAGES, Outcome, Stage, StageName

if TYPE_CHECKING:
    from headrace.spec.model import Pipeline

app = typer.Typer(
    name="headrace",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="One pipeline file, from landing files to scores in a Delta lake.\n\n"
    "Start with `headrace validate FILE`, look with `headrace plan FILE`, "
    "do with `headrace run FILE`.\n\n"
    f"Exit codes: {', '.join(f'{code} {meaning}' for code, meaning in EXIT_CODES.items())}.",
)

app.add_typer(quarantine.app, name="quarantine")
app.add_typer(upkeep.app)
app.add_typer(audit.app)
app.add_typer(profiles.app)
app.add_typer(algorithms.app)
app.add_typer(export.app)
app.add_typer(deploy.app)
app.add_typer(mirror.app)
app.add_typer(new.app)
app.add_typer(explain.app)
app.add_typer(rebuild.app)
app.add_typer(diff.app)
app.add_typer(errors.app)

_STOPPED = "stopped; what was committed stands, and the next run completes the rest"
INTERRUPTED, TERMINATED = 130, 143  # exit codes of a shell: 128 + the signal; typer's for Ctrl-C


@app.command()
def validate(file: File = DEFAULT, as_json: AsJson = False) -> None:
    """Reads a pipeline file and says everything that is wrong with it. Starts no engine.

    Example: `headrace validate examples/flight_delays/pipeline.yaml`
    """
    from headrace.spec import load
    from headrace.spec import validate as problems_of

    if as_json:
        problems = problems_of(file)
        emit({"valid": not problems, "problems": [vars(problem) for problem in problems]})
        if problems:
            raise typer.Exit(UsageError.exit_code)
        return
    pipeline = load(file)
    features = len(pipeline.features.names)
    rules = sum(map(len, pipeline.checks.values()))
    counts = {"source": len(pipeline.sources), "check": rules, "feature": features}
    told = ", ".join(f"{n} {noun}{'' if n == 1 else 's'}" for noun, n in counts.items())
    OUT.print(f"[green]valid[/]: pipeline {pipeline.name}, {told}")


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

    stages = _plan(load(file), settings_of(lake))
    if as_json:
        emit([vars(stage) for stage in stages])
        return
    OUT.print(_grid(stages, every=every))
    outcomes = Counter(stage.outcome for stage in stages)
    if outcomes[Outcome.MISSING] or outcomes[Outcome.WAITING]:
        OUT.print(f"next: `headrace run {file}`")
    elif outcomes[Outcome.STALE]:
        stale = outcomes[Outcome.STALE]
        OUT.print(f"nothing new; {stale} stale: `headrace backfill {file} --stale`")
    else:
        OUT.print("nothing to do: everything is already done")


@app.command()
def run(
    file: File = DEFAULT,
    lake: LakeFolder = None,
    first: Annotated[StageName, typer.Option("--from", help="Start at this stage.")] = "ingest",
    only: Annotated[StageName | None, typer.Option(help="Run this stage alone.")] = None,
    require_promotion: Annotated[
        bool, typer.Option(help="Exit 3 if the gate refuses the new model.")
    ] = False,
) -> None:
    """Does what is missing, stage by stage from ingest to report; what is done is left alone.

    Example: `headrace run examples/flight_delays/pipeline.yaml`
    """
    _run(file, lake, first=first, only=only, require_promotion=require_promotion)


@app.command()
def features(
    file: File = DEFAULT,
    lake: LakeFolder = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Only look at so many rows; nothing is written."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The sampled rows as JSON, one per line.")
    ] = False,
) -> None:
    """Builds the features that are missing, or shows those of a sample of the newest rows.

    Example: `headrace features examples/flight_delays/pipeline.yaml --sample 1000`
    """
    if sample is not None:
        sampling.show(file, settings_of(lake), rows=sample, as_json=as_json)
    elif as_json:
        message = "--json shows rows of a sample"
        raise UsageError(message, hint="add `--sample 1000`")
    else:
        _run(file, lake, only="features")


@app.command()
def train(
    file: File = DEFAULT,
    lake: LakeFolder = None,
    require_promotion: Annotated[
        bool, typer.Option(help="Exit 3 if the gate refuses the new model.")
    ] = False,
) -> None:
    """Trains the models that are due. The same as `headrace run --only train`.

    Example: `headrace train examples/flight_delays/pipeline.yaml --require-promotion`
    """
    _run(file, lake, only="train", require_promotion=require_promotion)


@app.command()
def score(file: File = DEFAULT, lake: LakeFolder = None) -> None:
    """Scores the intervals that lack scores. The same as `headrace run --only score`.

    Example: `headrace score examples/flight_delays/pipeline.yaml`
    """
    _run(file, lake, only="score")


@app.command()
def backfill(
    file: File = DEFAULT,
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
    _run(file, lake, first="features", days=days, stale=stale)


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
        OUT.print("no model yet; next: `headrace run`")
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


@app.command()
def report(
    lake: LakeFolder = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    index: Annotated[bool, typer.Option("--index", help="The list of all runs instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Says where the page of the last run is; each page leads to the list of all runs.

    Example: `headrace report --open`
    """
    from headrace.lake import Lake
    from headrace.report import latest, write_index

    place = Lake(settings_of(lake).lake)
    page = latest(place)
    if page is None:
        message = "there is no report yet"
        raise UsageError(message, hint="`headrace run FILE` writes one")
    if index:
        page = write_index(place)
    if as_json:
        emit({"run": page.stem, "page": page.as_posix()})
    else:
        OUT.print(page.as_posix(), soft_wrap=True)
    if show:
        webbrowser.open(page.as_uri())


@app.command()
def doctor(
    lake: LakeFolder = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Fetch missing or damaged jars, rebuild the archive.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Looks at Java, jars, versions, disk and memory, and says what to do about each finding.

    Example: `headrace doctor --repair`
    """
    from spark_jobs.doctor import diagnose

    settings = settings_of(lake)
    if repair:
        from spark_jobs.prepare import prepare

        with ERR.status("fetching jars and building the class-data archive, up to a minute"):
            prepare(settings)
    findings = diagnose(settings)
    grid = Grid()
    for column in ("", "what", "found", "what to do"):
        grid.add_column(column, overflow="fold")
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    for finding in findings:
        state = f"[{colours[finding.state]}]{finding.state}[/]"
        grid.add_row(state, finding.name, escape(finding.found), escape(finding.advice))
    failed = sum(finding.state == "fail" for finding in findings)
    if as_json:
        emit([vars(finding) for finding in findings])
    else:
        OUT.print(grid)
        told = "must be mended first" if failed else "next: `headrace validate FILE`"
        OUT.print(f"{failed} finding(s) {told}" if failed else told)
    if failed:
        raise typer.Exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits with its code."""
    engine_environment()
    # Spark's and Ray's workers start in the user's folder, which may have a `flows/` of its own.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    # Without a server to read them, Prefect's logs would repeat what is told here.
    quiet = "WARNING" if os.environ.get("PREFECT_API_URL") else "CRITICAL"
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", quiet)
    # An orderly end: Python's own would leave Prefect's temporary server running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        code = app(args=arguments, prog_name="headrace", standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    except Exception as error:  # what `tell` does not know is raised again
        code = errors.tell(error)
    if code in {INTERRUPTED, TERMINATED}:
        _stop(code)
    sys.exit(code or 0)


def _stop(code: int) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it is on its way already
    ERR.print(_STOPPED)
    if "prefect" in sys.modules:
        temporary_server.end()
    sys.stdout.flush()
    os._exit(code)  # without a wait for the threads of stages, whose engine is gone


def _plan(pipeline: Pipeline, settings: Settings, *, landing: bool = True) -> list[Stage]:
    from headrace import plan as planning
    from headrace.lake import Lake

    lake = Lake(settings.lake)
    return planning.plan(pipeline, lake, planning.look(pipeline, lake) if landing else {})


def _grid(stages: Sequence[Stage], *, every: bool) -> Grid:
    from headrace.lake.fingerprint import DIGEST_LENGTH

    grid = Grid()
    for column in ("stage", "of", "unit", "outcome", "why"):
        grid.add_column(column)
    counted = Counter((s.name, s.subject, s.outcome, s.why) for s in stages)
    shown: set[tuple[str, str, Outcome, str]] = set()
    for stage in stages:
        group = (stage.name, stage.subject, stage.outcome, stage.why)
        if not every and group in shown:
            continue
        shown.add(group)
        units = [s.unit for s in stages if (s.name, s.subject, s.outcome, s.why) == group]
        unit = (
            stage.unit
            if every or counted[group] == 1
            else f"{counted[group]}: {units[0]} to {units[-1]}"
        )
        grid.add_row(
            stage.name,
            stage.subject,
            unit[:12] if len(unit) == DIGEST_LENGTH else unit,
            str(stage.outcome),
            stage.why,
        )
    return grid


def _run(
    file: Path,
    lake: Path | None,
    *,
    first: StageName = STAGES[0],
    only: StageName | None = None,
    stale: bool = False,
    days: list[date] | None = None,
    require_promotion: bool = False,
) -> None:
    from flows.execution import Request, demand_promotion, opened
    from headrace.lake import Lake
    from headrace.spec import load

    settings, pipeline = settings_of(lake), load(file)
    wanted = {only} if only else set(STAGES[STAGES.index(first) :])
    stages = _plan(pipeline, settings, landing=bool(wanted & {"ingest", "check"}))
    outcomes = {Outcome.MISSING, Outcome.WAITING} | ({Outcome.STALE} if stale else set())
    todo = [stage for stage in stages if stage.name in wanted and stage.outcome in outcomes]
    if not todo and only != "report" and not os.environ.get("PREFECT_API_URL"):
        OUT.print(_grid([stage for stage in stages if stage.name in wanted], every=False))
        OUT.print("already done: nothing was run and nothing was written")
        if require_promotion:
            demand_promotion(pipeline, Lake(settings.lake))
        return
    request = Request(
        pipeline,
        settings,
        runs.new_name(),
        first,
        only,
        stale,
        None if days is None else tuple(days),
    )
    OUT.print(f"run {request.run}: {len(todo)} units to do; lake {settings.lake}", soft_wrap=True)
    # Opened here, so that Spark starts while Prefect does.
    with progress(OUT), opened(request) as (_, other):
        if other is not None and not require_promotion:
            outcome = str(other)
        else:
            from prefect import tags

            from flows.pipeline import pipeline as flow

            if not os.environ.get("PREFECT_API_URL"):
                temporary_server.in_its_own_session()
            with tags("headrace", pipeline.name):
                state = flow(
                    file=str(file),
                    run=request.run,
                    lake=str(settings.lake),
                    first=first,
                    only=only,
                    stale=stale,
                    days=days,
                    require_promotion=require_promotion,
                    return_state=True,
                )
            outcome = str(state.result())
    page = Lake(settings.lake).report(request.run)
    told = f"; the page of this run: {page}" if page.exists() else ""
    OUT.print(f"{outcome}{told}", soft_wrap=True)


if __name__ == "__main__":
    main()

"""The `headrace` command; engines, Prefect too, are imported only where a command needs them."""

from __future__ import annotations

import os
import signal
import sys
import webbrowser
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, NoReturn

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
    release,
    running,
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
    next_step,
    settings_of,
)
from headrace.errors import UsageError
from headrace.settings import engine_environment
from headrace.stage import Outcome, StageName

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
app.add_typer(release.app)
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
    next_step(f"`headrace plan {file}` tells what a run would do")


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
        if not show:
            next_step("`--open` shows it in the browser")
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
        if failed:
            OUT.print(f"{failed} finding(s) must be mended first")
            next_step("do what the last column says, then `headrace doctor` again")
        else:
            next_step("`headrace validate FILE`")
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
    # An orderly end: Python's own would leave engines running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    as_json = "--json" in (sys.argv[1:] if arguments is None else arguments)
    try:
        code = app(args=arguments, prog_name="headrace", standalone_mode=False)
    except SystemExit as stop:
        code = stop.code
    except Exception as error:  # what `tell` does not know is raised again
        code = errors.tell(error, as_json=as_json)
    if code in {INTERRUPTED, TERMINATED}:
        _stop(code)
    sys.exit(code or 0)


def _stop(code: int) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # it is on its way already
    ERR.print(_STOPPED)
    temporary_server.end()
    sys.stdout.flush()
    os._exit(code)  # without a wait for the threads of stages, whose engine is gone


if __name__ == "__main__":
    main()

"""`headrace rebuild`: scores computed again, and compared with the recorded ones, bit by bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from flows.keys import Asked, Interval, Words, asked
from flows.options import ERR, OUT, AsJson, LakeFolder, ShowPii, emit, next_step, settings_of
from flows.progress import counting
from headrace.errors import ScoreDiffers, UsageError

if TYPE_CHECKING:
    from headrace.lake import Lake
    from headrace.settings import Settings
    from headrace.spec.model import Pipeline
    from ray_tasks.rebuild import Differing, Rebuilt

app = typer.Typer()
_SHOWN = 5  # cells that are told one by one


@app.command()
def rebuild(
    words: Words = None,
    *,
    interval: Interval = None,
    every: Annotated[
        bool, typer.Option("--all", help="All scores, or all of the interval.")
    ] = False,
    features: Annotated[
        bool,
        typer.Option("--features", help="Also compute the features from silver again, by Spark."),
    ] = False,
    lake: LakeFolder = None,
    as_json: AsJson = False,
    show_pii: ShowPii = False,
) -> None:
    """Computes scores again from the recorded model and features; exit code 4 if a bit differs.

    Without `--features` the features are those that stand in gold, and no engine is started.
    Values of columns that the pipeline marks `pii` are hidden.

    Example: `headrace rebuild pipeline.yaml --all --interval 2013-12-01`
    """
    from headrace.lake import Lake
    from headrace.masking import hidden_of
    from headrace.spec import load
    from ray_tasks.rebuild import rebuild as rebuilt

    wanted, settings = asked(words, interval), settings_of(lake)
    pipeline, place = load(wanted.file), Lake(settings.lake)
    days, key = _chosen(pipeline, place, wanted, every=every)
    found: list[Rebuilt] = []
    with counting(ERR, "scores computed again", total=sum(days.values())) as counted:
        for day, rows in days.items():
            again = rebuilt(
                pipeline, place, day=day, key=key, compile_trees=settings.compiled_lightgbm
            )
            found.append(again)
            counted.advance(rows)
    differing = [each for again in found for each in again.differing]
    if features:
        differing += _features_again(pipeline, place, settings, found, key)
    rows = sum(again.rows for again in found)
    hidden = frozenset() if show_pii else hidden_of(pipeline, f"gold/{pipeline.name}")
    differing = [each.without(hidden) for each in differing]
    if as_json:
        emit(_document(found, differing, features=features))
    else:
        _print(found, differing, features=features)
    if differing:
        message = f"{len(differing):,} cells of {rows:,} scores came out differently"
        raise ScoreDiffers(
            message,
            pipeline=pipeline.name,
            hint="compare the libraries that `headrace explain` lists with those here",
        )
    if not as_json:
        next_step("nothing to do; `headrace verify` holds the whole lake against itself")


def _chosen(
    pipeline: Pipeline, lake: Lake, wanted: Asked, *, every: bool
) -> tuple[dict[date, int], Mapping[str, Any] | None]:
    """The intervals with their rows, and the key of the one score, if one is asked for."""
    from headrace.tracing import find
    from ray_tasks.rebuild import scored_days

    if every == bool(wanted.key):
        message = "it takes the key of a score, or --all" + (", not both" if every else "")
        raise UsageError(message, hint="`headrace rebuild --help` shows both")
    if not every:
        scored = find(pipeline, lake, wanted.key, interval=wanted.interval)
        if scored.is_held:
            message = f"it is held, and not among the scores: {scored.row['_reason']}"
            raise UsageError(message, hint=f"`headrace release {wanted.file}` lists what is held")
        return {scored.interval: 1}, scored.key
    days = scored_days(pipeline, lake)
    if wanted.interval is not None:
        days = {day: rows for day, rows in days.items() if day == wanted.interval}
    if not days:
        on = f" of {wanted.interval}" if wanted.interval else ""
        message = f"{pipeline.name} has no scores{on}"
        raise UsageError(message, lake=lake.root, hint="`headrace plan --all` lists the intervals")
    return days, None


def _features_again(
    pipeline: Pipeline,
    lake: Lake,
    settings: Settings,
    found: list[Rebuilt],
    key: Mapping[str, Any] | None,
) -> list[Differing]:
    """The features that come out differently from silver."""
    from headrace.lake import Table
    from ray_tasks.rebuild import differing_features
    from spark_jobs.rebuild import features_again
    from spark_jobs.session import open_session

    names = pipeline.sources[pipeline.features.rows].key
    different: list[Differing] = []
    with (
        ERR.status("Spark computes the features again"),
        open_session(settings) as spark,
    ):
        for each in found:
            gold = Table(lake.gold(pipeline.name), each.gold_version)
            recorded = gold.arrow(partitions={"_interval": [each.interval]})
            again = features_again(
                spark,
                lake,
                pipeline=pipeline,
                day=each.interval,
                fingerprint=recorded["_fingerprint"][0].as_py(),
            )
            columns = pipeline.features.names
            different += differing_features(recorded, again, names, columns=columns, key=key)
    return different


def _document(
    found: list[Rebuilt], differing: list[Differing], *, features: bool
) -> dict[str, Any]:
    return {
        "equal": not differing,
        "compared": ["scores", "features"] if features else ["scores"],
        "rows": sum(again.rows for again in found),
        "intervals": [
            {
                "interval": again.interval,
                "model": again.model,
                "gold_version": again.gold_version,
                "rows": again.rows,
            }
            for again in found
        ],
        "differing": [
            {**asdict(each), "recorded": repr(each.recorded), "again": repr(each.again)}
            for each in differing
        ],
    }


def _print(found: list[Rebuilt], differing: list[Differing], *, features: bool) -> None:
    from headrace.tracing.found import told

    models = sorted({again.model[:12] for again in found})
    rows, span = sum(again.rows for again in found), [again.interval for again in found]
    days = f"{span[0]}" if len(span) == 1 else f"{span[0]} to {span[-1]}"
    OUT.print(
        f"{rows:,} scores of {days} computed again, by {', '.join(models)}, from the features of "
        f"gold version {', '.join(sorted({str(again.gold_version) for again in found}))}",
        soft_wrap=True,
        highlight=False,
    )
    compared = "score, prediction and every feature" if features else "score and prediction"
    if not differing:
        OUT.print(f"[green]equal[/] to the last bit: {compared}")
    for each in differing[:_SHOWN]:
        OUT.print(
            f"[red]differs[/] {escape(told(each.key))}: {each.column} was "
            f"{escape(repr(each.recorded))}, and is {escape(repr(each.again))}",
            soft_wrap=True,
            highlight=False,
        )

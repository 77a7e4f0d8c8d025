"""`headrace deploy`: a pipeline on a Prefect server, by schedule and at the push of a button."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer

from flows.options import DEFAULT, OUT, AsJson, File, LakeFolder, emit, next_step, settings_of

app = typer.Typer()


class Collision(StrEnum):
    """What a second run does while one is at work, in Prefect's words."""

    ENQUEUE = "ENQUEUE"
    CANCEL_NEW = "CANCEL_NEW"


@app.command()
def deploy(
    file: File = DEFAULT,
    *,
    lake: LakeFolder = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the deployment; the pipeline's if not given.")
    ] = None,
    pool: Annotated[str, typer.Option(help="The work pool whose workers run it.")] = "headrace",
    create_pool: Annotated[
        bool, typer.Option("--create-pool", help="Make the pool (of processes) if there is none.")
    ] = False,
    paused: Annotated[
        bool | None,
        typer.Option(
            "--pause/--resume", help="Stop or go on with its schedule.", show_default=False
        ),
    ] = None,
    collision: Annotated[
        Collision, typer.Option(help="What a second run does meanwhile: wait, or give up.")
    ] = Collision.ENQUEUE,
    heartbeat: Annotated[
        bool, typer.Option(help="Have the server end runs that went silent for 90 s.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Puts a pipeline on the Prefect server of `PREFECT_API_URL`, or brings it up to date there.

    The deployment `headrace/<pipeline>` starts runs by `schedule.cron`, in the time zone of the
    pipeline, one at a time; its form in the browser starts others. The server keeps the absolute
    paths of file and lake: each worker of the pool must find both there. A changed pipeline file
    is read by the next run; a changed schedule needs this command again, which changes only what
    differs.

    Example: `headrace deploy pipeline.yaml --create-pool`
    """
    from flows import deployment as deployments
    from flows import lost_runs
    from headrace.spec import load

    wanted = deployments.wanted(
        load(file), file, lake=settings_of(lake).lake, name=name, pool=pool, collision=collision
    )
    with deployments.server() as client:
        applied = deployments.apply(client, wanted, paused=paused, create_pool=create_pool)
        watched = lost_runs.watch(client, wanted.name, applied.id) if heartbeat else False
    told = {
        "deployment": f"headrace/{wanted.name}",
        "id": applied.id,
        "outcome": applied.outcome,
        "changes": applied.changes,
        "schedule": wanted.schedule,
        "paused": applied.paused,
        "pool": wanted.pool,
        "file": wanted.parameters["file"],
        "lake": wanted.parameters["lake"],
        "version": wanted.version,
        "automation": "made" if watched else "unchanged" if heartbeat else "not asked for",
    }
    if as_json:
        emit(told)
    else:
        _print(told)


def _print(told: Mapping[str, Any]) -> None:
    OUT.print(f"{told['deployment']}: [green]{told['outcome']}[/]", highlight=False)
    for change in told["changes"]:
        OUT.print(f"  {change}", soft_wrap=True, highlight=False, markup=False)
    for what in ("file", "lake", "schedule", "version"):
        OUT.print(f"{what:9} {told[what]}", soft_wrap=True, highlight=False, markup=False)
    if told["paused"]:
        OUT.print("paused: `headrace deploy --resume` goes on with its schedule")
    next_step(
        f"`prefect worker start --pool {told['pool']}` where both paths are found, "
        f"and `prefect deployment run {told['deployment']}` to start a run now"
    )

"""What `--require-promotion` asks of the newest training: that its model became champion."""

from __future__ import annotations

from headrace import held
from headrace.errors import GateRefused
from headrace.evaluation import history
from headrace.lake import Lake
from headrace.spec.model import Pipeline


def demand_promotion(pipeline: Pipeline, lake: Lake) -> None:
    """Looks at the newest training, of whichever run.

    Raises:
        GateRefused: Its model was neither promoted nor, if it was held, released by a person since;
            or there was no training yet.
    """
    newest = history.newest(lake, pipeline.name)
    if newest is None:
        message = "no training has been decided yet"
        raise GateRefused(
            message, pipeline=pipeline.name, hint="`headrace plan` says what it lacks"
        )
    if newest.detail["decision"]["promoted"]:
        return
    unsteady = newest.detail.get("held", {}).get("model")
    waiting = [each for each in held.models(lake, pipeline.name) if each.unit == unsteady]
    if waiting and waiting[-1].release and waiting[-1].published:
        return
    hint = "nothing is broken, the champion stays; `headrace report` has the figures"
    if waiting:
        hint += f"; `headrace release FILE {unsteady[:12]}` releases it"
    raise GateRefused(
        newest.detail["decision"]["sentence"],
        pipeline=pipeline.name,
        trained=newest.units[0],
        hint=hint,
    )

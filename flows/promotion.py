"""What `--require-promotion` asks of the newest training: that its model became champion."""

from __future__ import annotations

from headrace.errors import GateRefused
from headrace.evaluation import history
from headrace.lake import Lake
from headrace.spec.model import Pipeline


def demand_promotion(pipeline: Pipeline, lake: Lake) -> None:
    """Looks at the newest training, of whichever run.

    Raises:
        GateRefused: Its model was not promoted, or there was no training yet.
    """
    newest = history.newest(lake, pipeline.name)
    if newest is None:
        message = "no training has been decided yet"
        raise GateRefused(
            message, pipeline=pipeline.name, hint="`headrace plan` says what it lacks"
        )
    if not newest.detail["decision"]["promoted"]:
        raise GateRefused(
            newest.detail["decision"]["sentence"],
            pipeline=pipeline.name,
            trained=newest.units[0],
            hint="nothing is broken, the champion stays; `headrace report` has the figures",
        )

"""Events on the Prefect server that automations can act upon: promotions and refusals."""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event
from prefect.settings import get_current_settings

from headrace.errors import HeadraceError
from headrace.stage import Outcome, StageResult

PROMOTED = "headrace.model.promoted"
REFUSED = "headrace.gate.refused"
UNPUBLISHED = "headrace.batch.unpublished"


def decided(result: StageResult, *, run: str) -> None:
    """What the gate made of a training; nothing where none was due."""
    decision = result.detail.get("decision")
    if result.outcome is not Outcome.DONE or not decision:
        return
    pipeline, model = result.subject, result.detail["model"]
    payload = {
        "sentence": decision["sentence"],
        "shipped": decision["shipped"],
        "model": model,
        "moment": result.detail["moment"],
        "gain": result.detail.get("gain"),
        "run": run,
    }
    if decision["promoted"]:
        _emit(PROMOTED, f"model.{pipeline}.{model}", pipeline, payload)
    else:
        _emit(REFUSED, f"pipeline.{pipeline}", pipeline, payload)


def unpublished(pipeline: str, source: str, error: HeadraceError, *, run: str) -> None:
    """A batch broke a rule with `action: fail`."""
    payload = {"source": source, "sentence": error.message, "hint": error.hint, "run": run}
    _emit(UNPUBLISHED, f"source.{pipeline}.{source}", pipeline, payload)


def _emit(event: str, resource: str, pipeline: str, payload: dict[str, Any]) -> None:
    """Sends an event; without a server that someone looks at, there is no one to tell.

    Prefect sends it in the background and never fails a run for it.
    """
    if not get_current_settings().api.url:
        return
    emit_event(
        event,
        resource={
            "prefect.resource.id": f"headrace.{resource}",
            "prefect.resource.name": resource.partition(".")[2],
            "headrace.pipeline": pipeline,
        },
        payload=payload,
    )

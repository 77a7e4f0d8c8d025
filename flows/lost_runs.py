"""Runs whose process and worker were both killed: the server ends them, as no one else would."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import AutomationCore

SILENCE_S = 90  # three signs of life that did not come


def watch(client: SyncPrefectClient, name: str, identity: str) -> bool:
    """Has the server end the runs of a deployment that went silent.

    Args:
        client: Of the server.
        name: Of the deployment.
        identity: Its id.

    Returns:
        Whether that is new; an automation of this name that differs is replaced.
    """
    automation = _lost(name, identity)
    standing = client.read_automations_by_name(automation.name)
    if any(_content(each) == _content(automation) for each in standing):
        return False
    if standing:
        client.update_automation(standing[0].id, automation)
    else:
        client.create_automation(automation)
    return True


def _lost(name: str, identity: str) -> AutomationCore:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    from flows.pipeline import ENDED_WELL

    # Prefect names the event of an end by the name of the state.
    ends = {f"prefect.flow-run.{end}" for end in ("Failed", "Cancelled", "Crashed", *ENDED_WELL)}
    heartbeat = "prefect.flow-run.heartbeat"
    return AutomationCore(
        name=f"headrace: lost runs of {name}",
        description=f"A run without a sign of life for {SILENCE_S} s has crashed.",
        trigger=EventTrigger(
            match={"prefect.resource.id": ["prefect.flow-run.*"]},  # lists, as it answers
            match_related={
                "prefect.resource.role": ["deployment"],
                "prefect.resource.id": [f"prefect.deployment.{identity}"],
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            after={heartbeat},
            expect={heartbeat, *ends},
            threshold=1,
            within=timedelta(seconds=SILENCE_S),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"no sign of life for {SILENCE_S} s: the next run completes the work",
            )
        ],
    )


def _content(automation: AutomationCore) -> dict[str, Any]:  # JSON values and sets of them
    content = automation.model_dump(exclude={"id": True, "trigger": {"id"}, "owner_resource": True})
    return {name: content[name] for name in ("description", "enabled", "trigger", "actions")}

"""Hooks of the flow: a run that fails or crashes is told to whom `HEADRACE_NOTIFY_URL` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.settings import Settings

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.flows import Flow


def failed(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Tells of a run that ended badly: its name, what is wrong, and where to look.

    Prefect logs an error of a hook and goes on. A process that was killed calls none: the
    automation that `headrace deploy` makes sees to that, and another can tell of it.
    """
    addresses = Settings().notify_url
    if addresses is None:
        return
    import apprise
    from prefect.utilities.urls import url_for

    teller = apprise.Apprise()
    for address in addresses.get_secret_value().split():
        teller.add(address)
    lines = [f"run {flow_run.name}", state.message or state.name or "", url_for(flow_run) or ""]
    if not teller.notify(
        title=f"{flow.name}: {(state.name or 'failed').lower()}: {flow_run.parameters.get('file')}",
        body="\n".join(filter(None, lines)),
        notify_type=apprise.NotifyType.FAILURE,
    ):
        message = f"{len(teller)} address(es) of HEADRACE_NOTIFY_URL, and not all could be told"
        raise ConnectionError(message)

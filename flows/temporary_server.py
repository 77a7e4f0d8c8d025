"""Prefect's temporary server, out of reach of the terminal's Ctrl-C."""

from __future__ import annotations

import subprocess
from functools import partial
from types import SimpleNamespace


def in_its_own_session() -> None:
    """Has Prefect start its temporary server in a session of its own.

    A terminal sends Ctrl-C to every process of its foreground group: a server that ends first
    leaves the run retrying calls to it for a minute. Prefect has no setting for this (3.8.8, in
    `SubprocessASGIServer._run_uvicorn_command`); the server is ended when this process ends.
    """
    from prefect.server.api import server

    started = partial(subprocess.Popen, start_new_session=True)
    own = SimpleNamespace(**{**vars(subprocess), "Popen": started})
    server.subprocess = own  # type: ignore[assignment,attr-defined]  # not for others to set


def end() -> None:
    """Ends Prefect's temporary servers, as the end of this process would."""
    from prefect.server.api.server import SubprocessASGIServer

    for server in [*SubprocessASGIServer._instances.values()]:  # noqa: SLF001 - as its exit does
        server.stop()

"""Prefect's temporary server, out of reach of the terminal's Ctrl-C, and not left behind.

    python -m flows.temporary_server PARENT COMMAND...

runs the command for as long as the parent lives, as no one ends it where that was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

_LOOK_S = 1.0
_LONGEST_STOP_S = 3  # after five Prefect kills this process, and would leave its child behind


def in_its_own_session() -> None:
    """Has Prefect start its temporary server in a session of its own.

    A terminal sends Ctrl-C to every process of its foreground group: a server that ends first
    leaves the run retrying calls to it for a minute. Prefect has no setting for this (3.8.8, in
    `SubprocessASGIServer._run_uvicorn_command`); the server is ended when this process ends.
    """
    from prefect.server.api import server

    def started(args: list[str], **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401 - Popen's own
        guarded = [sys.executable, "-P", "-m", __name__, str(os.getpid()), *args]
        return subprocess.Popen(guarded, **options, start_new_session=True)

    own = SimpleNamespace(**{**vars(subprocess), "Popen": started})
    server.subprocess = own  # type: ignore[assignment,attr-defined]  # not for others to set


def end() -> None:
    """Ends Prefect's temporary servers, as the end of this process would."""
    from prefect.server.api.server import SubprocessASGIServer

    for server in [*SubprocessASGIServer._instances.values()]:  # noqa: SLF001 - as its exit does
        server.stop()


def main() -> None:
    """Runs a command until it ends, this process is told to, or its parent is gone."""
    parent, *command = sys.argv[1:]
    process = subprocess.Popen(command)

    def stop(*_: object) -> None:
        process.terminate()
        signal.alarm(_LONGEST_STOP_S)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGALRM, lambda *_: process.kill())
    while True:
        with suppress(subprocess.TimeoutExpired):
            sys.exit(process.wait(_LOOK_S))
        if os.getppid() != int(parent):
            stop()
            sys.exit(process.wait())


if __name__ == "__main__":
    main()

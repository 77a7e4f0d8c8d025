"""A Prefect server of our own, for a run that no other is configured for; it ends with the run.

    python -P -m flows.temporary_server SOCKET PARENT

serves on an open socket for as long as the parent lives, as no one ends it where that was killed.

Prefect would start one itself, at its first call and after importing all of its server into this
process: some seconds later, and in reach of the terminal's Ctrl-C, which ends it before the run.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from headrace.errors import EngineLost

_LOOK_S = 1.0
_LONGEST_STOP_S = 3.0
_LOOPBACK = "127.0.0.1"
_API = "PREFECT_API_URL"
# What Prefect tells its own temporary server (3.8.8, `SubprocessASGIServer._run_uvicorn_command`).
_TEMPORARY = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}
_running: list[subprocess.Popen[bytes]] = []


def start() -> Callable[[], None]:
    """Starts a server for the calls of this process, if none is configured, and does not wait.

    It ends with this process, after what Prefect still sends at its end.

    Returns:
        Waits until there is an answer; raises EngineLost where there is none.
    """
    from prefect.settings import get_current_settings

    settings = get_current_settings()
    if settings.api.url or not settings.server.ephemeral.enabled:
        return lambda: None
    with socket.socket() as listening:
        listening.bind((_LOOPBACK, 0))
        listening.listen(socket.SOMAXCONN)  # calls from now on wait for the server
        handed = listening.fileno()
        command = [sys.executable, "-P", "-m", __name__, str(handed), str(os.getpid())]
        given = settings.to_environment_variables(exclude_unset=True)
        server = subprocess.Popen(
            command,
            env={**os.environ, **given, **_TEMPORARY},
            pass_fds=[handed],
            start_new_session=True,
        )
        url = f"http://{_LOOPBACK}:{listening.getsockname()[1]}/api"
    _running.append(server)
    atexit.register(end)
    _configure(url)
    limit = settings.server.ephemeral.startup_timeout_seconds
    return lambda: _answered(url, limit)


def end() -> None:
    """Ends the server, if one was started."""
    while _running:
        server = _running.pop()
        server.terminate()
        try:
            server.wait(_LONGEST_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _configure(url: str) -> None:
    from prefect.context import refresh_global_settings_context

    os.environ[_API] = url
    refresh_global_settings_context()
    del os.environ[_API]  # it is nobody else's


def _answered(url: str, limit: float) -> None:
    import httpx

    try:
        httpx.get(f"{url}/health", timeout=limit, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        message = f"Prefect's temporary server does not answer: {error}"
        hint = "what it says stands above; or set PREFECT_API_URL to a server of yours"
        raise EngineLost(message, hint=hint) from error


def main() -> None:
    """Serves until it is told to end, or its parent is gone."""
    import uvicorn

    handed, parent = map(int, sys.argv[1:])
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    application = "prefect.server.api.server:create_app"
    config = uvicorn.Config(application, factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=handed)])


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(0)  # its database is on disk, and no one reads it any more


if __name__ == "__main__":
    main()

"""Connecting to Ray: a local one is started here, a cluster is joined; nothing else does."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, chdir, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import psutil

from headrace.errors import EngineLost
from headrace.settings import Settings, engine_environment

LOCAL = "local"
_KILL_LIMIT_S = 5.0
# Under this name Ray hides its only switch that keeps a node on loopback. Its processes read it
# from the environment; this one may have read it already, at import.
_CLUSTER = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


@contextmanager
def connected(settings: Settings) -> Iterator[None]:
    """Holds a connection to Ray; one that stands already is used, and left standing.

    A local Ray listens on loopback only, asks for a token and has no dashboard.

    Args:
        settings: Address, cores and size of the object store.

    Raises:
        EngineLost: Ray did not start, or no cluster answers at the address.
    """
    local = settings.ray_address == LOCAL
    engine_environment()
    os.environ[_CLUSTER] = "0" if local else "1"
    if local:
        _ensure_token(settings.cache / "ray_token")
    import ray
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = not local
    if ray.is_initialized():
        yield
        return
    try:
        with _same_sigterm(), _not_in_the_users_folder(settings.cache):
            if local:
                ray.init(
                    num_cpus=settings.cores,
                    object_store_memory=int(settings.ray_object_store_gib * 2**30),
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _node_ip_address="127.0.0.1",
                )
            else:
                ray.init(
                    address=settings.ray_address, log_to_driver=False, logging_level=logging.ERROR
                )
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        message = f"Ray cannot be reached: {error}"
        raise EngineLost(
            message,
            address=settings.ray_address,
            hint="see HEADRACE_RAY_ADDRESS; `headrace doctor` looks at disk, memory and versions",
        ) from error
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        _kill()
        raise
    except BaseException:
        ray.shutdown()
        raise
    ray.shutdown()


def resources() -> dict[str, float]:
    """What the nodes of the connected Ray have together, by name: `CPU`, `object_store_memory`."""
    import ray

    found: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray types it not
    return found


def _kill() -> None:
    """Ends the local Ray as a whole, for a process that was asked to stop and ends next.

    Another of its threads may be at a call of Ray's, which would end the process at a shutdown.
    """
    from ray._private import worker

    node: Any = worker._global_node  # noqa: SLF001 - a shutdown in an orderly order is all that Ray has
    if node is None:
        return
    processes: list[psutil.Process] = []
    for _, started in node.live_processes():
        with suppress(psutil.Error):
            process = psutil.Process(started.pid)
            processes += [process, *process.children(recursive=True)]
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=_KILL_LIMIT_S)


@contextmanager
def _same_sigterm() -> Iterator[None]:
    """Puts this process's handler of SIGTERM back, which Ray replaces by ones that abort it."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _not_in_the_users_folder(folder: Path) -> AbstractContextManager[None]:
    """Where Python is asked to keep out of the working folder, Ray's workers must as well.

    Ray puts the folder that it is started in before all others on their path.
    """
    if not os.environ.get("PYTHONSAFEPATH"):
        return nullcontext()
    folder.mkdir(parents=True, exist_ok=True)
    return chdir(folder)


def _ensure_token(path: Path) -> None:
    """Has Ray use a token that only this user can read; Ray's own would be readable by all."""
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        part.replace(path)
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)

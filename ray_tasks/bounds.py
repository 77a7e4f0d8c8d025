"""Bounds of one trial in its own process: time, after which the process ends, and memory."""

from __future__ import annotations

import faulthandler
import re
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

_STATUS = Path("/proc/self/status")  # Linux only; elsewhere memory is not bounded
_LEAST_S = 0.05


@contextmanager
def bounded_time(seconds: float, *, end: float, told: Path) -> Iterator[None]:
    """Ends this process, whatever it is at, after so many seconds or at a moment of `time.time`.

    A thread of C does it, so that a library which never gives Python a turn is ended as well.

    Args:
        seconds: For what is done in the context.
        end: The moment.
        told: File that stays behind where the process was ended, and says at which line.
    """
    left = min(seconds, end - time.time())
    told.parent.mkdir(parents=True, exist_ok=True)
    with told.open("w") as file:
        faulthandler.dump_traceback_later(max(left, _LEAST_S), exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
    told.unlink(missing_ok=True)


@contextmanager
def bounded_memory(size: int) -> Iterator[None]:
    """Lets this process take so many bytes more than it has: more is a `MemoryError`.

    Shared memory, where the matrices stand, does not count.
    """
    held = _private_bytes()
    if held is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = held + size
    resource.setrlimit(
        resource.RLIMIT_DATA,
        (most if hard == resource.RLIM_INFINITY else min(most, hard), hard),
    )
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def share_of_node() -> int:
    """The bytes that Ray counts for work on this node, by its cores."""
    name = ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray types it not
    (node,) = (each for each in nodes if each["NodeID"] == name)
    return int(node["Resources"]["memory"] / node["Resources"].get("CPU", 1.0))


def _private_bytes() -> int | None:
    """What counts towards the limit: private memory that can be written."""
    if not _STATUS.exists():
        return None
    found = re.search(r"^VmData:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else None

"""What is wrong with this machine: versions, bytecode, disk, memory, and what would listen.

What Spark needs is looked at in `spark_jobs.doctor`. Nothing here starts an engine or imports one.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import Literal

import psutil
from packaging.requirements import Requirement

from headrace.settings import ENGINE_ENVIRONMENT, Settings

GIB = 2**30
LOOPBACK = ("127.0.0.1", "localhost", "::1")
State = Literal["ok", "warn", "fail"]

# Why a version outside the pins is not merely untested.
_KNOWN_BREAKS = {
    "delta-spark": "its jars must be the locked ones, and fit pyspark",
    "fastapi": "Prefect's server does not start, or refuses deployments, with later ones",
    "great-expectations": "the checks rest on its inner interfaces",
    "pandas": "pyspark does not support 3 fully",
    "pyspark": "the Delta jars are built for this one",
}
_TELEMETRY = (
    "RAY_USAGE_STATS_ENABLED",
    "DO_NOT_TRACK",
    "PREFECT_SERVER_ANALYTICS_ENABLED",
    "GX_ANALYTICS_ENABLED",
)
_SLOW_TO_COMPILE = ("great_expectations", "prefect", "pyspark", "ray")
_BESIDE_SPARK_GIB = 2.0
_DISK_WARN_GIB, _DISK_FAIL_GIB = 5.0, 1.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        state: `ok`, `warn` (it works, worse than it could) or `fail` (a run will fail).
        found: What is there.
        advice: What to do; empty when all is well.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Looks at installed versions, bytecode, disk, memory, and the environment of the engines."""
    return [
        *_versions(),
        _bytecode(),
        _disk("disk of the lake", settings.lake),
        _disk("disk of the cache", settings.cache),
        _memory(settings),
        _shared_memory(settings),
        *_environment(),
    ]


def installed(package: str) -> str | None:
    """Returns the version of an installed package, without importing it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _versions() -> list[Finding]:
    try:
        wanted = [Requirement(line) for line in requires("headrace") or ()]
    except PackageNotFoundError:
        advice = "install headrace, with `make demo` or pip"
        return [Finding("versions", "warn", "not known: headrace is not installed", advice)]
    here = [need for need in wanted if need.marker is None or need.marker.evaluate({"extra": ""})]
    unfit = [finding for need in here if (finding := _unfit(need))]
    return unfit or [Finding("versions", "ok", f"all {len(here)} packages within their pins")]


def _unfit(need: Requirement) -> Finding | None:
    present = installed(need.name)
    if present and need.specifier.contains(present, prereleases=True):
        return None
    why = f": {_KNOWN_BREAKS[need.name]}" if need.name in _KNOWN_BREAKS else ""
    found = f"{present or 'not installed'}, wanted {need.specifier}{why}"
    return Finding(
        f"version of {need.name}",
        "fail" if why or not present else "warn",
        found,
        f"`uv sync --locked`, or install '{need.name}{need.specifier}'",
    )


def _bytecode() -> Finding:
    name = "bytecode"
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        found = "PYTHONDONTWRITEBYTECODE is set: every import compiles anew"
        return Finding(name, "warn", found, "unset PYTHONDONTWRITEBYTECODE")
    origins = {name: getattr(find_spec(name), "origin", None) for name in _SLOW_TO_COMPILE}
    missing = [
        name
        for name, origin in origins.items()
        if origin and not Path(cache_from_source(origin)).exists()
    ]
    if missing:
        site = Path(origins[missing[0]] or "").parent.parent
        advice = f"{sys.executable} -m compileall -q -j 0 {site}"
        return Finding(name, "warn", f"not compiled: {', '.join(missing)}", advice)
    return Finding(name, "ok", "compiled")


def _disk(name: str, folder: Path) -> Finding:
    standing = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(standing, os.W_OK):
        return Finding(name, "fail", f"{standing} cannot be written", "choose another folder")
    free = shutil.disk_usage(standing).free / GIB
    found = f"{free:.1f} GiB free at {standing}"
    if free >= _DISK_WARN_GIB:
        return Finding(name, "ok", found)
    state: State = "fail" if free < _DISK_FAIL_GIB else "warn"
    return Finding(name, state, found, "free space, or set HEADRACE_LAKE or HEADRACE_CACHE")


def _memory(settings: Settings) -> Finding:
    needed = settings.spark_memory_gib + _BESIDE_SPARK_GIB
    available = psutil.virtual_memory().available / GIB
    limit = _container_limit_gib()
    if limit is not None:
        available = min(available, limit)
    found = f"{available:.1f} GiB available, a run may take {needed:.1f}"
    if available >= needed:
        return Finding("memory", "ok", found)
    advice = "close other programs, or set HEADRACE_SPARK_MEMORY_GIB lower"
    return Finding("memory", "warn", found, advice)


def _container_limit_gib() -> float | None:
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
    return None if text == "max" else int(text) / GIB


def _shared_memory(settings: Settings) -> Finding:
    name, shared = "shared memory", Path("/dev/shm")  # noqa: S108 - Ray's place, nothing is written
    free = shutil.disk_usage(shared).free / GIB if shared.exists() else 0.0
    found = f"{free:.1f} GiB free, Ray may take {settings.ray_object_store_gib:.1f}"
    if free >= settings.ray_object_store_gib:
        return Finding(name, "ok", found)
    return Finding(name, "warn", found, "in a container, start it with a larger --shm-size")


def _environment() -> Iterator[Finding]:
    listening = list(_listening())
    yield from listening or [Finding("network", "ok", "nothing is set to listen beyond loopback")]
    on = [
        name
        for name in _TELEMETRY
        if os.environ.get(name, "") not in ("", ENGINE_ENVIRONMENT[name])
    ]
    if on:
        found = f"switched on by {', '.join(on)}"
        yield Finding("telemetry", "warn", found, f"unset {' '.join(on)}")
    else:
        yield Finding("telemetry", "ok", "off")
    python = os.environ.get("PYSPARK_PYTHON") or sys.executable
    if python != sys.executable:
        found = f"PYSPARK_PYTHON is {python}, this is {sys.executable}"
        yield Finding("Python of Spark's workers", "warn", found, "unset PYSPARK_PYTHON")


def _listening() -> Iterator[Finding]:
    host = os.environ.get("PREFECT_SERVER_API_HOST", LOOPBACK[0])
    if host not in LOOPBACK and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        found = f"PREFECT_SERVER_API_HOST is {host}, without authentication"
        yield Finding("Prefect", "fail", found, "unset it, or set PREFECT_SERVER_API_AUTH_STRING")
    mode = os.environ.get("RAY_AUTH_MODE") or ENGINE_ENVIRONMENT["RAY_AUTH_MODE"]
    if mode != ENGINE_ENVIRONMENT["RAY_AUTH_MODE"]:
        found = f"RAY_AUTH_MODE is {mode}: whoever reaches Ray runs code in it"
        yield Finding("Ray", "fail", found, "unset RAY_AUTH_MODE")

"""The JVM's class-data archive: the classes of Spark and Delta as the JVM maps them.

Built once per Java and class path. It makes a start about a third shorter and is never needed:
where it is missing or stale, the JVM reads the jars.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from headrace.settings import Settings
from spark_jobs.jars import class_path, pyspark_folder
from spark_jobs.java import Java

LOG = logging.getLogger("headrace.setup")

_ARCHIVE, _BASE, _MADE_FOR = "spark.jsa", "base.jsa", "made-for"
_WORK = "building-"
_BUILD_LIMIT_S = 600


def archive(cache: Path, java: Java, jars: Sequence[Path]) -> Path:
    """Returns where the archive for this Java and these jars stands, or would stand."""
    spark = (pyspark_folder() / "jars").iterdir()
    seen = [f"{java.home} {java.version}"]
    for jar in [*jars, *sorted(spark)]:
        status = jar.stat()
        seen.append(f"{jar} {status.st_size} {status.st_mtime_ns}")
    key = hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]
    return cache / "class-data" / key / _ARCHIVE


def jvm_options(path: Path) -> list[str]:
    """Returns the options that make a JVM use the archive at `path`: none if it was not built."""
    if not path.exists():
        return []
    base = path.with_name(_BASE)
    files = f"{base}:{path}" if base.exists() else str(path)
    return [f"-XX:SharedArchiveFile={files}", "-Xshare:auto"]


def build(settings: Settings, java: Java) -> Path | None:
    """Builds the archive from a short training run (about half a minute), unless it is there.

    It appears whole or not at all: two processes may call this at once, and either may be killed.

    Returns:
        Its path, or None when it could not be built; the reason is logged.
    """
    path = archive(settings.cache, java, class_path(settings.cache, java))
    shelf = path.parent.parent
    shelf.mkdir(parents=True, exist_ok=True)
    with FileLock(shelf / ".lock"):
        for left_by_a_kill in shelf.glob(f"{_WORK}*"):
            shutil.rmtree(left_by_a_kill, ignore_errors=True)
        if path.exists():
            return path
        try:
            with tempfile.TemporaryDirectory(dir=shelf, prefix=_WORK) as work:
                _train(settings, java, Path(work) / "made")
                (Path(work) / "made").rename(path.parent)
        except (OSError, subprocess.SubprocessError) as problem:
            LOG.warning("no class-data archive was built, Spark starts slower: %s", problem)
            return None
        _discard_superseded(path.parent)
    return path


def _train(settings: Settings, java: Java, folder: Path) -> None:
    folder.mkdir()
    made_for = f"{pyspark_folder()}\n{java.home}\n"
    (folder / _MADE_FOR).write_text(made_for, encoding="utf-8")
    options = [f"-XX:ArchiveClassesAtExit={folder / _ARCHIVE}"]
    if not (java.home / "lib" / "server" / "classes.jsa").exists():
        # The wheel's Java comes without the archive of Java's own classes that ours builds upon.
        base = f"-XX:SharedArchiveFile={folder / _BASE}"
        subprocess.run(
            [java.executable, "-Xshare:dump", base],
            check=True,
            capture_output=True,
            timeout=_BUILD_LIMIT_S,
        )
        options.append(base)
    environment = {
        **os.environ,
        "HEADRACE_CACHE": str(settings.cache),
        "HEADRACE_SPARK_MASTER": "local",
    }
    command = [sys.executable, "-P", "-m", "spark_jobs.training_run", str(folder), *options]
    _run_group(command, environment, log=folder.with_name("log"))
    if not (folder / _ARCHIVE).exists():
        message = "the JVM wrote none at its exit"
        raise OSError(message)


def _run_group(command: list[str], environment: dict[str, str], *, log: Path) -> None:
    with log.open("w") as output:
        # A group of its own, so that a time-out takes the JVM down with its parent.
        child = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = child.wait(_BUILD_LIMIT_S)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
    if code:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        message = f"the training run ended with {code}: {''.join(last)}"
        raise OSError(message)


def _discard_superseded(kept: Path) -> None:
    mine = (kept / _MADE_FOR).read_text(encoding="utf-8")
    for made_for in kept.parent.glob(f"*/{_MADE_FOR}"):
        theirs = made_for.read_text(encoding="utf-8")
        gone = not all(Path(place).exists() for place in theirs.splitlines())
        if made_for.parent != kept and (gone or theirs == mine):
            shutil.rmtree(made_for.parent, ignore_errors=True)

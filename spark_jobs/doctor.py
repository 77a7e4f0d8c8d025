"""What is wrong with this machine, and what to do about it; nothing here starts an engine.

Java, the jars and the class-data archive are looked at here, the rest in `headrace.machine`.
"""

from __future__ import annotations

from pathlib import Path

from headrace.errors import SetupError
from headrace.machine import Finding, examine, installed
from headrace.settings import Settings
from spark_jobs import class_data, jars
from spark_jobs.java import Java, find_java

REPAIR = "headrace doctor --repair"


def diagnose(settings: Settings) -> list[Finding]:
    """Looks at all that a run needs: Java, jars, archive, versions, the machine."""
    try:
        java = find_java()
    except SetupError as missing:
        spark = [Finding("Java", "fail", missing.message, missing.hint)]
    else:
        spark = [_java(java), _jars(settings.cache), _archive(settings.cache, java), _delta()]
    return [*spark, *examine(settings)]


def _java(java: Java) -> Finding:
    found = f"{java.version} in {java.home}, from {java.origin}"
    if java.passed_over:
        advice = "nothing, or let JAVA_HOME name a Java 17 or 21"
        return Finding(
            "Java", "warn", f"{found}; passed over: {'; '.join(java.passed_over)}", advice
        )
    return Finding("Java", "ok", found)


def _jars(cache: Path) -> Finding:
    name, folder = "Delta jars", jars.folder(cache)
    if not folder.is_dir():
        return Finding(name, "warn", "not fetched yet; the first run does", REPAIR)
    if problems := jars.damage(folder):
        return Finding(name, "fail", f"{'; '.join(problems)} in {folder}", REPAIR)
    return Finding(name, "ok", f"{len(jars.locked())} with the locked digests in {folder}")


def _archive(cache: Path, java: Java) -> Finding:
    name, folder = "class-data archive", jars.folder(cache)
    paths = [folder / jar.file for jar in jars.locked()]
    if not all(path.is_file() for path in paths):
        return Finding(name, "warn", "not built: it needs the Delta jars", REPAIR)
    path = class_data.archive(cache, java, paths)
    if not path.exists():
        found = "not built for this Java and these jars: Spark starts slower"
        return Finding(name, "warn", found, REPAIR)
    return Finding(name, "ok", f"{path.stat().st_size // 2**20} MiB in {path.parent}")


def _delta() -> Finding:
    name, pyspark, package = "Delta and Spark", installed("pyspark"), installed("delta-spark")
    jar = next(jar for jar in jars.locked() if jar.name.startswith("delta-spark"))
    built_for = jar.name.removeprefix("delta-spark_").split("_")[0]
    found = f"pyspark {pyspark}, delta-spark {package}, jars of {jar.version} for Spark {built_for}"
    if package == jar.version and (pyspark or "").startswith(f"{built_for}."):
        return Finding(name, "ok", found)
    return Finding(name, "fail", found, "`uv sync --locked`: these three go together")

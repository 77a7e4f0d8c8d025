from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

from headrace.errors import CorruptArtifact, SetupError
from headrace.settings import Settings
from spark_jobs import jars
from spark_jobs.java import Java, find_java

NO_JAVA = Java(Path("/nowhere"), "17", "a test")
RESOLVES = """
import sys
from pathlib import Path
from spark_jobs.jars import resolved
from spark_jobs.java import find_java
resolved(Path(sys.argv[1]), find_java(), repair=True)
"""


@pytest.fixture
def cache(tmp_path):
    """A cache that holds the jars, and nothing else."""
    theirs = jars.resolved(Settings().cache, find_java())
    shutil.copytree(theirs, jars.folder(tmp_path))
    return tmp_path


def resolving(cache):
    return subprocess.Popen([sys.executable, "-P", "-c", RESOLVES, str(cache)])


def until(condition, *, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.01)


def test_the_locked_jars_go_with_the_installed_packages():
    delta = next(jar for jar in jars.locked() if jar.name.startswith("delta-spark"))

    assert delta.version == version("delta-spark")
    assert delta.name == f"delta-spark_{'.'.join(version('pyspark').split('.')[:2])}_2.13"


def test_no_locked_jar_is_one_that_spark_brings():
    spark = {path.name.rsplit("-", 1)[0] for path in (jars.pyspark_folder() / "jars").glob("*.jar")}

    assert not spark & {jar.name for jar in jars.locked()}


def test_jars_in_the_cache_need_neither_java_nor_network(cache):
    assert {path.parent for path in jars.class_path(cache, NO_JAVA)} == {jars.folder(cache)}


def test_a_damaged_jar_is_named_with_the_way_out(cache):
    jar = next(jars.folder(cache).glob("delta-storage-*.jar"))
    content = bytearray(jar.read_bytes())
    content[len(content) // 2] ^= 1
    jar.write_bytes(content)

    with pytest.raises(CorruptArtifact, match=f"Delta jar {jar.name} is damaged") as damaged:
        jars.class_path(cache, NO_JAVA)

    assert "headrace doctor --repair" in damaged.value.hint


def test_a_missing_jar_is_named_with_the_way_out(cache):
    jar = next(jars.folder(cache).glob("delta-kernel-api-*.jar"))
    jar.unlink()

    with pytest.raises(CorruptArtifact, match=f"Delta jar {jar.name} is missing") as missing:
        jars.class_path(cache, NO_JAVA)

    assert "headrace doctor --repair" in missing.value.hint


@pytest.mark.spark
def test_without_network_the_error_says_what_is_needed(tmp_path, monkeypatch):
    no_way = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9"
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", no_way)

    with pytest.raises(SetupError, match="could not be resolved") as unreachable:
        jars.class_path(tmp_path, find_java())

    assert "a Maven repository is needed once" in unreachable.value.hint
    assert not jars.folder(tmp_path).exists()


@pytest.mark.spark
def test_after_a_kill_two_processes_at_once_leave_whole_jars(tmp_path):
    killed = resolving(tmp_path)
    until(lambda: list(tmp_path.glob("jars/resolving-*/jars")), seconds=60)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not jars.folder(tmp_path).exists()

    both = [resolving(tmp_path), resolving(tmp_path)]

    assert [process.wait(200) for process in both] == [0, 0]
    assert jars.damage(jars.folder(tmp_path)) == []
    assert sorted(path.name for path in (tmp_path / "jars").iterdir()) == sorted(
        [".lock", jars.folder(tmp_path).name]
    )


@pytest.mark.spark
def test_repair_fetches_a_damaged_jar_beside_a_maven_folder_without_jars(cache, monkeypatch):
    home = cache / "home"
    for jar in jars.locked():
        poms = home / ".m2/repository" / jar.organisation.replace(".", "/") / jar.name / jar.version
        poms.mkdir(parents=True)
        (poms / f"{jar.name}-{jar.version}.pom").write_text("<project/>")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", f"-Duser.home={home}")
    next(jars.folder(cache).glob("delta-storage-*.jar")).write_bytes(b"half a jar")

    jars.resolved(cache, find_java(), repair=True)

    assert jars.damage(jars.folder(cache)) == []

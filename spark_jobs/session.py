"""The one way to get a Spark session: local or on a cluster, with every setting it relies on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from py4j.protocol import Py4JError
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from headrace.errors import SetupError
from headrace.settings import Settings, engine_environment
from spark_jobs import class_data, gateway, jars
from spark_jobs.java import find_java, java_home

_CONF = Path(__file__).parent / "conf"
_EXTENSION = "io.delta.sql.DeltaSparkSessionExtension"

# What every session has, here or on a cluster.
_ALWAYS = {
    "spark.sql.extensions": _EXTENSION,
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    # What a value means.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.sources.partitionOverwriteMode": "static",
    # Without page checksums about half of single flipped bits are silently wrong data.
    "spark.hadoop.parquet.page.write-checksum.enabled": "true",
    "spark.hadoop.parquet.page.verify-checksum.enabled": "true",
    # Tables are handed over to readers that refuse or misread these.
    "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
    "spark.databricks.delta.properties.defaults.columnMapping.mode": "none",
    "spark.databricks.delta.properties.defaults.enableTypeWidening": "false",
    "spark.databricks.delta.properties.defaults.enableVariantShredding": "false",
    "spark.databricks.delta.snapshotPartitions": "2",
    # A join with a table of some 300,000 narrow rows needs no shuffle of the other side. In memory
    # it is twenty times as large as estimated: 32 MiB came to 592 MiB, beyond a laptop's heap.
    "spark.sql.autoBroadcastJoinThreshold": "8m",
    # Files are named one by one: to look at each costs less here than a job that does.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Notes where in Python each column was made: a third of the cost of a suite of rules.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.scheduler.mode": "FAIR",
    "spark.scheduler.allocation.file": (_CONF / "fairscheduler.xml").as_uri(),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# A class-data archive that does not fit is not used; the JVM need not tell.
_QUIET = ["-Xlog:disable", "-Xlog:all=warning,cds*=off:stderr"]
_SHORT = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
# On few cores the collector's threads and the optimising compiler take the time of the work: the
# one that needs no threads, and a compiler that waits until code has proved hot (5 times its
# default). The example's first run takes a third less CPU time; ten times its rows no more.
_FEW_CORES = 4
_FRUGAL = [
    "-XX:+UseSerialGC",
    "-XX:Tier4InvocationThreshold=25000",
    "-XX:Tier4MinInvocationThreshold=3000",
    "-XX:Tier4CompileThreshold=75000",
    "-XX:Tier4BackEdgeThreshold=400000",
]


def session(settings: Settings, *, app: str = "headrace") -> SparkSession:
    """Returns the running session of this process, or starts one; end it with `stop()`.

    Where the JVM has died since, another is started.

    Args:
        settings: The Spark master, its cores and memory, and the cache folder.
        app: The name that Spark shows.

    Raises:
        SetupError: No Java or no Delta jars, or a session without Delta is running already.
        CorruptArtifact: A Delta jar in the cache is damaged.
    """
    found = running()
    if found is not None:
        if _EXTENSION not in (found.conf.get("spark.sql.extensions", None) or ""):
            message = "a Spark session without Delta is running in this process"
            raise SetupError(message, hint="stop it first, or take yours from spark_jobs.session")
        return found
    return start(settings, app=app)


@contextmanager
def open_session(settings: Settings) -> Iterator[SparkSession]:
    """Holds a session; one that runs already is used, and left running."""
    ours = running() is None
    try:
        yield session(settings)
    finally:
        if ours:
            stop()


def start(settings: Settings, *, app: str, jvm_options: Sequence[str] = ()) -> SparkSession:
    """Starts a session, with further options for its JVM."""
    engine_environment()
    java = find_java()
    os.environ["JAVA_HOME"] = str(java_home(java, settings.cache))
    # A SPARK_HOME of another Spark would start that one under our pyspark.
    os.environ["SPARK_HOME"] = str(jars.pyspark_folder())
    if is_local(settings):
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    class_path = jars.class_path(settings.cache, java)
    archive = class_data.archive(settings.cache, java, class_path)
    options = [*class_data.jvm_options(archive), *jvm_options]
    builder = SparkSession.builder.appName(app)
    for key, value in configuration(settings, class_path, jvm_options=options).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def configuration(
    settings: Settings, class_path: Sequence[Path], *, jvm_options: Sequence[str] = ()
) -> dict[str, str]:
    """Returns every Spark setting of a session."""
    logging = f'"-Dlog4j2.configurationFile={(_CONF / "log4j2.properties").as_uri()}"'
    options = [*_QUIET, *_tuning(settings), *jvm_options, logging]
    joined = ":".join(map(str, class_path))
    return {
        **_ALWAYS,
        "spark.driver.memory": f"{int(settings.spark_memory_gib * 1024)}m",
        "spark.driver.extraJavaOptions": " ".join(options),
        # On the class path of the JVM itself: an archive holds nothing that is loaded later.
        "spark.driver.extraClassPath": joined,
        "spark.executor.extraClassPath": joined,
        **(_local(settings) if is_local(settings) else _cluster(settings, class_path)),
    }


def _tuning(settings: Settings) -> list[str]:
    if settings.short_runs:
        return _SHORT
    return _FRUGAL if is_local(settings) and settings.cores <= _FEW_CORES else []


def is_local(settings: Settings) -> bool:
    """Tells whether Spark runs inside this process's JVM."""
    return settings.spark_master.startswith("local")


def running() -> SparkSession | None:
    """Returns the running session of this process, if there is one; starts nothing."""
    if gateway.is_lost():
        gateway.forget()
    try:
        return SparkSession.active()
    except PySparkRuntimeError:
        return None


def stop() -> None:
    """Stops the running session, if there is one, and its JVM, whose memory is free afterwards."""
    try:
        found = running()
        if found is not None:
            found.stop()
    except Py4JError:  # a signal came in the middle of a call: the answers are out of step
        gateway.terminate()
    gateway.end()


def _local(settings: Settings) -> dict[str, str]:
    master = settings.spark_master
    return {
        "spark.master": f"local[{settings.cores}]" if master == "local" else master,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(2 * settings.cores),
        "spark.default.parallelism": str(settings.cores),
        "spark.sql.warehouse.dir": (settings.cache / "spark-warehouse").as_uri(),
    }


def _cluster(settings: Settings, class_path: Sequence[Path]) -> dict[str, str]:
    # Executors fetch the jars from the driver, so their machines need no cache of ours.
    return {
        "spark.master": settings.spark_master,
        "spark.jars": ",".join(path.as_uri() for path in class_path),
    }

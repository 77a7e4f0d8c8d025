"""A short run of what the stages do with Spark: its classes go into the class-data archive."""

from __future__ import annotations

import sys
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from headrace.settings import Settings
from spark_jobs.session import start, stop

LINES = [f"{n % 9},2013-11-0{n % 9 + 1} 05:00:00,{n}.5,N{n % 50}" for n in range(200)]


def main() -> None:
    """Runs it: the first argument is a folder to write to, the others are options for the JVM."""
    folder, *jvm_options = sys.argv[1:]
    spark = start(Settings(), app="headrace training run", jvm_options=jvm_options)
    try:
        rehearse(spark, Path(folder).with_name("lake"))
    finally:
        stop()


def rehearse(spark: SparkSession, lake: Path) -> None:
    """Reads lines, parses, checks, windows, joins, and writes Delta tables below `lake`."""
    landing = lake / "landing.csv"
    lake.mkdir(parents=True, exist_ok=True)
    landing.write_text("\n".join(LINES), encoding="utf-8")
    table, slices = str(lake / "rows"), str(lake / "slices")
    rows = _parsed(spark.read.text(str(landing)))
    for mode in ("overwrite", "append"):
        rows.write.format("delta").mode(mode).option("txnAppId", "rows").option(
            "txnVersion", {"overwrite": 1, "append": 2}[mode]
        ).save(table)
    stored = spark.read.format("delta").load(table)
    _measured(stored).collect()
    _windowed(stored).write.format("delta").partitionBy("day").save(slices)
    spark.read.format("delta").option("versionAsOf", 0).load(slices).groupBy(
        "day"
    ).count().collect()
    stored.join(stored.select("key").distinct(), "key", "left_anti").toPandas()
    stored.limit(5).mapInArrow(lambda batches: batches, stored.schema).collect()


def _parsed(lines: DataFrame) -> DataFrame:
    fields = "key int, at timestamp, value double, name string, _bad string"
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": "_bad"}
    parsed = lines.select(
        F.from_csv("value", fields, options).alias("row"),
        F.sha2("value", 256).alias("digest"),
        F.col("_metadata.file_name").alias("file"),
    )
    return parsed.select("row.*", "digest", "file").filter(F.col("_bad").isNull()).drop("_bad")


def _measured(rows: DataFrame) -> DataFrame:
    return rows.groupBy("file").agg(
        F.count("*"),
        F.countDistinct("key", "at"),
        F.sum(F.when(F.col("value").between(0, 9), 1)),
        F.min("at"),
        F.max("value"),
        F.avg("value"),
        F.stddev("value"),
        F.sum(F.col("name").rlike("^N[0-9]+$").cast("int")),
    )


def _windowed(rows: DataFrame) -> DataFrame:
    before = Window.partitionBy("key").orderBy("at").rowsBetween(Window.unboundedPreceding, -1)
    week = Window.partitionBy("key").orderBy(F.unix_seconds("at")).rangeBetween(-604_800, -1)
    return rows.unionByName(rows.select("key", "at"), allowMissingColumns=True).select(
        "*",
        F.last("value", ignorenulls=True).over(before).alias("latest"),
        F.avg("value").over(week).alias("mean"),
        F.row_number().over(Window.partitionBy("key", "at").orderBy("digest")).alias("copy"),
        F.to_date(F.from_utc_timestamp("at", "America/New_York")).alias("day"),
    )


if __name__ == "__main__":
    main()

"""The target of rows: the outcome as it is known now, and since when."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
)

from headrace.errors import FeatureError
from headrace.models.algorithms.algorithm import Task
from spark_jobs.gold.refused import selected
from spark_jobs.gold.silver import Silver

_WHOLE: tuple[type[DataType], ...] = (ByteType, ShortType, IntegerType, LongType)
_TARGETS: dict[Task, tuple[type[DataType], ...]] = {
    Task.BINARY: (BooleanType,),
    Task.MULTICLASS: (StringType, *_WHOLE),
    Task.REGRESSION: (*_WHOLE, FloatType, DoubleType, DecimalType),
}


def with_target(rows: DataFrame, silver: Silver, *, keys: DataFrame) -> DataFrame:
    """Adds the target and `_target_known_at`; both null where the outcome is not in the lake.

    Args:
        rows: One per row of features, with its key.
        silver: Where the outcomes stand.
        keys: The same keys, cheaply read.

    Raises:
        FeatureError: The target's value is of no type that its task can have.
    """
    pipeline = silver.pipeline
    target, source = pipeline.target, pipeline.sources[pipeline.target.of]
    key = list(source.key)
    outcomes = silver.near(target.of, keys)
    if source.on_conflict == "latest":
        newest = Window.partitionBy(*key).orderBy(F.desc(source.clock))
        outcomes = outcomes.withColumn("_nth", F.row_number().over(newest)).where("_nth = 1")
    value = F.expr(target.value).alias(target.name)
    moment = F.col(str(source.known_at)).alias("_target_known_at")
    columns = [*map(F.col, key), value, moment]
    told = selected(outcomes, {"target.value": value}, pipeline, columns)
    found, fitting = told.schema[target.name].dataType, _TARGETS[target.task]
    if not isinstance(found, fitting):
        message = f"a {target.task} target cannot be of type {found.simpleString()}"
        hint = f"cast it; it may be {', '.join(kind().simpleString() for kind in fitting)}"
        raise FeatureError(message, at=pipeline.place("target.value"), hint=hint)
    return rows.join(told, key, "left")

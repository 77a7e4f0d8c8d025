"""The JVM behind pyspark: whether it still lives, its end, and what of it pyspark does not show.

There are no public names for these, so all use of private ones stands here.
"""
# ruff: noqa: SLF001

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from pyspark import SparkContext
from pyspark.sql import SparkSession

if TYPE_CHECKING:  # every session would load Spark ML
    from py4j.java_gateway import JavaObject
    from pyspark.ml.classification import DecisionTreeClassifier
    from pyspark.ml.regression import DecisionTreeRegressionModel
    from pyspark.sql import DataFrame

_END_LIMIT_S = 300
_TERMINATE_LIMIT_S = 20


def is_lost() -> bool:
    """Tells whether the JVM that this process started has died under it."""
    gateway = SparkContext._gateway
    return gateway is not None and gateway.proc is not None and gateway.proc.poll() is not None


def forget() -> None:
    """Drops what pyspark still holds of a JVM that died, so that another can start."""
    context = SparkContext._active_spark_context
    if context is not None:
        context._jsc = None  # there is nobody to tell
        context.stop()
    SparkSession._instantiatedSession = SparkSession._activeSession = None
    SparkContext._gateway = SparkContext._jvm = None


def terminate() -> None:
    """Ends the JVM by a signal, for when a call to it was cut short and no other can be made."""
    gateway = SparkContext._gateway
    if gateway is not None and gateway.proc is not None:
        gateway.proc.terminate()  # its shutdown hooks remove its temporary folders
        try:
            gateway.proc.wait(_TERMINATE_LIMIT_S)
        except subprocess.TimeoutExpired:
            gateway.proc.kill()
    forget()


def end() -> None:
    """Ends the JVM, if there is one, and waits until it is gone; its session must be stopped."""
    gateway = SparkContext._gateway
    if gateway is None:
        return
    gateway.shutdown()
    SparkContext._gateway = SparkContext._jvm = None
    if gateway.proc is not None:
        gateway.proc.stdin.close()
        # A training run writes its class-data archive at this moment.
        gateway.proc.wait(_END_LIMIT_S)


def root(model: DecisionTreeRegressionModel) -> JavaObject:
    """The root of a tree."""
    return model._call_java("rootNode")


def unmerged_root(estimator: DecisionTreeClassifier, rows: DataFrame, classes: int) -> JavaObject:
    """The root of the tree that an estimator grows, before leaves are merged.

    `fit` merges two leaves beside each other that say the same class, whatever their shares of it
    (SPARK-3159), which leaves few probabilities of a rare class. It has no switch for that; what it
    calls has one. To be removed when `fit` has one, too.
    """
    jvm: Any = rows.sparkSession._jvm  # names of Java
    estimator._transfer_params_to_java()
    java: Any = estimator._java_obj
    none = jvm.scala.Option.empty()
    told = _singleton(jvm.org.apache.spark.ml.util, "DatasetUtils")
    instances = told.extractInstances(java, rows._jdf, jvm.scala.Option.apply(classes))
    no_categories = _singleton(jvm.scala.collection.immutable, "Map").empty()
    strategy = java.getOldStrategy(no_categories, classes)
    trees = jvm.org.apache.spark.ml.tree.impl.RandomForest.run(
        instances, strategy, 1, "all", estimator.getSeed(), none, False, none
    )
    return trees[0].rootNode()


def _singleton(package: Any, name: str) -> Any:  # noqa: ANN401  # names of Java
    """An object of Scala."""
    return getattr(getattr(package, f"{name}$"), "MODULE$")

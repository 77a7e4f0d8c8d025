"""The JVM behind pyspark: whether it still lives, and its end.

pyspark has no public names for either, so all use of its private ones stands here.
"""
# ruff: noqa: SLF001

from __future__ import annotations

import subprocess

from pyspark import SparkContext
from pyspark.sql import SparkSession

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

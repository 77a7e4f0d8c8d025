"""What the columns of a table look like at one version: three Spark passes, kept as rows."""

from spark_jobs.profiling.stage import described, profile

__all__ = ["described", "profile"]

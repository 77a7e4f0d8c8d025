"""Rows of gold from silver: each form that a pipeline declares, joined in turn; writes nothing."""

from spark_jobs.gold.rows import gold_rows, stamps
from spark_jobs.gold.silver import Silver
from spark_jobs.gold.target import with_target

__all__ = ["Silver", "gold_rows", "stamps", "with_target"]

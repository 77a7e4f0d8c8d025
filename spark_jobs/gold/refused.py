"""What Spark refuses of a pipeline's expressions, told by its place in the pipeline file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame

from headrace.errors import FeatureError
from headrace.spec.model import Pipeline


def selected(
    rows: DataFrame, named: Mapping[str, Column], pipeline: Pipeline, columns: Sequence[Column]
) -> DataFrame:
    """The columns; where Spark refuses one that is declared, its place in the file is told.

    Args:
        rows: Where the columns come from.
        named: Path in the pipeline file -> the column that is declared there.
        pipeline: What is declared.
        columns: All that are wanted, those of `named` among them.

    Raises:
        FeatureError: Spark refuses one of `named`.
    """
    try:
        return rows.select(*columns)
    except AnalysisException as error:
        for path, column in named.items():
            try:
                rows.select(column)
            except AnalysisException as found:
                raise refused(pipeline, path, found) from error
        raise


def refused(pipeline: Pipeline, path: str, error: AnalysisException) -> FeatureError:
    """What Spark said of the expression at a path of the pipeline file."""
    said = str(error).strip().partition("\n")[0].partition("] ")
    message = f"Spark refuses the expression: {(said[2] or said[0]).partition('; line')[0]}"
    return FeatureError(message, at=pipeline.place(path), hint="mend it in the pipeline file")

"""The matrix of an encoding as a column of Spark: the same cells as `Encoding.matrix` makes."""

from __future__ import annotations

from pyspark.ml.feature import OneHotEncoder, StringIndexerModel, VectorAssembler
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.models import encoding
from headrace.models.encoding import Encoding, Kind
from headrace.models.shards import Shard

FEATURES, LABEL = "_features", "_label"
_NUMBER = "_number_"
_CODE = "_code_"


def usable(rows: DataFrame, shard: Shard) -> DataFrame:
    """The rows that can be learned from, as `Shard.batches` has them; each null or NaN is null."""
    kept = (F.col("_target_known_at") < F.lit(shard.known_before)) & F.col(shard.target).isNotNull()
    types = dict(rows.dtypes)
    for name in (*shard.features, shard.target):
        if types[name] in {"float", "double"}:
            kept &= F.coalesce(F.abs(F.col(name)) != F.lit(float("inf")), F.lit(True))
    if types[shard.target] in {"float", "double"}:
        kept &= ~F.isnan(shard.target)
    return rows.where(kept).select(*shard.features, shard.target)


def one_hot(rows: DataFrame, encoding: Encoding, *, label: Column) -> DataFrame:
    """Rows as `LABEL` and `FEATURES`, a sparse vector of the columns of `headrace`'s one-hot form.

    A text that the encoding does not know fails the job: the rows are those it was fitted on.

    Args:
        rows: From `usable`.
        encoding: Of the form `one_hot`, fitted on these rows.
        label: What is learned, as a number.
    """
    parts: list[str] = []
    made = rows.withColumn(LABEL, label)
    codes = []
    for place, column in enumerate(encoding.columns):
        if column.kind is Kind.CATEGORY and column.categories:
            indexed = StringIndexerModel.from_labels(
                list(column.categories),
                inputCol=column.name,
                outputCol=f"{_CODE}{place}",
                handleInvalid="keep" if column.missing else "error",
            )
            made = indexed.transform(made)
            codes.append(f"{_CODE}{place}")
            parts.append(f"{_CODE}{place}_vector")
            continue
        names = _numbers(column, place)
        made = made.withColumns(names)
        parts += [*names]
    if codes:
        vectors = [f"{code}_vector" for code in codes]
        widened = OneHotEncoder(inputCols=codes, outputCols=vectors, dropLast=False)
        made = widened.fit(made).transform(made)  # the indexers tell the sizes: no job
    assembled = VectorAssembler(inputCols=parts, outputCol=FEATURES).transform(made)
    return assembled.select(LABEL, FEATURES)


def _numbers(column: encoding.Column, place: int) -> dict[str, Column]:
    """The value of a number, standardised, and whether it is missing, where training had that."""
    value = F.lit(None).cast("double")
    if column.kind is Kind.NUMBER:
        value = F.col(column.name).cast("double")
        value = F.when(~F.isnan(value), value)
    scaled = (value - F.lit(column.mean)) / F.lit(column.scale)
    made = {f"{_NUMBER}{place}": F.coalesce(scaled, F.lit(0.0))}
    if column.kind is Kind.CATEGORY:  # never one but missing
        made = {}
    if column.missing:
        made[f"{_NUMBER}{place}_missing"] = value.isNull().cast("double")
    return made

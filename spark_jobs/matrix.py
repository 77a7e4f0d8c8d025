"""The matrix of an encoding as a column of Spark: the same cells as `Encoding.matrix` makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.ml.feature import OneHotEncoder, StringIndexerModel, VectorAssembler
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.models import encoding
from headrace.models.encoding import Encoding, Kind
from headrace.models.shards import Shard

FEATURES, LABEL = "_features", "_label"
_NUMBER = "_number_"
_CODE, _VECTOR = "_code_", "_vector"
MISSING = 1e300  # beyond every single, for trees


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
    made, codes = indexed(rows.withColumn(LABEL, label), encoding)
    found = cells(encoding, codes)
    for place, column in enumerate(encoding.columns):
        if place in codes:
            parts.append(f"{codes[place]}{_VECTOR}")
            continue
        names = _standardised(column, found[place], place=place)
        made = made.withColumns(names)
        parts += [*names]
    return assembled(widened(made, [*codes.values()])[0], parts)


def coded(rows: DataFrame, encoding: Encoding, *, label: Column) -> DataFrame:
    """Rows as `LABEL` and `FEATURES`, a dense vector of the columns that `sides` tells.

    Cells are rounded to singles, as scikit-learn's trees take them; a missing one is `MISSING`, or
    its negative.

    Args:
        rows: From `usable`.
        encoding: Of the form `codes`, fitted on these rows.
        label: What is learned, as a number.
    """
    made, codes = indexed(rows.withColumn(LABEL, label), encoding)
    found, parts = cells(encoding, codes), {}
    for number, (place, below) in enumerate(sides(encoding)):
        single = found[place].cast("float").cast("double")
        told = F.lit(f"{encoding.names[place]} has a number beyond those of single precision")
        sound = F.when(F.abs(single) == F.lit(float("inf")), F.raise_error(told)).otherwise(single)
        parts[f"{_NUMBER}{number}"] = F.coalesce(sound, F.lit(-MISSING if below else MISSING))
    return assembled(made.withColumns(parts), [*parts])


def sides(encoding: Encoding) -> list[tuple[int, bool]]:
    """Of each column of `coded`, the place of its feature, and whether missing is below all cells.

    A feature with missing cells has a column of each kind: a split of the one sends them to the
    right, of the other to the left.
    """
    places = range(len(encoding.columns))
    gaps = [place for place in places if encoding.columns[place].missing]
    return [*((place, False) for place in places), *((place, True) for place in gaps)]


def indexed(rows: DataFrame, encoding: Encoding) -> tuple[DataFrame, dict[int, str]]:
    """Rows with the code of each text, and the place of a feature to the column of its code.

    Such a column tells Spark its categories. Where texts are missing, there is one more, the last.
    A feature whose texts are all missing has no such column.
    """
    codes = {}
    for place, column in enumerate(encoding.columns):
        if column.kind is Kind.CATEGORY and column.categories:
            codes[place] = f"{_CODE}{place}"
            rows = StringIndexerModel.from_labels(
                list(column.categories),
                inputCol=column.name,
                outputCol=codes[place],
                handleInvalid="keep" if column.missing else "error",
            ).transform(rows)
    return rows, codes


def cells(encoding: Encoding, codes: Mapping[int, str]) -> dict[int, Column]:
    """The cell of each feature, by its place: a number, or the code of a text; null if missing.

    Args:
        encoding: Of either form.
        codes: From `indexed`.
    """
    found = {}
    for place, column in enumerate(encoding.columns):
        cell = F.lit(None).cast("double")
        if place in codes:
            cell = F.when(F.col(column.name).isNotNull(), F.col(codes[place]))
        elif column.kind is Kind.NUMBER:
            value = F.col(column.name).cast("double")
            cell = F.when(~F.isnan(value), value)
        found[place] = cell
    return found


def widened(rows: DataFrame, codes: Sequence[str]) -> tuple[DataFrame, list[str]]:
    """Rows with a vector of zeros and a one for each column of codes, and their names."""
    vectors = [f"{code}{_VECTOR}" for code in codes]
    if not codes:
        return rows, vectors
    encoder = OneHotEncoder(inputCols=[*codes], outputCols=vectors, dropLast=False)
    return encoder.fit(rows).transform(rows), vectors  # the indexers tell the sizes: no job


def assembled(rows: DataFrame, parts: Sequence[str]) -> DataFrame:
    """Rows as `LABEL` and `FEATURES`, the parts one after the other."""
    made = VectorAssembler(inputCols=[*parts], outputCol=FEATURES).transform(rows)
    return made.select(LABEL, FEATURES)


def _standardised(column: encoding.Column, value: Column, *, place: int) -> dict[str, Column]:
    """A number, standardised, and whether it is missing, where training had that."""
    made = {}
    if column.kind is Kind.NUMBER:  # else a text that is never one but missing
        scaled = (value - F.lit(column.mean)) / F.lit(column.scale)
        made[f"{_NUMBER}{place}"] = F.coalesce(scaled, F.lit(0.0))
    if column.missing:
        made[f"{_NUMBER}{place}_missing"] = value.isNull().cast("double")
    return made

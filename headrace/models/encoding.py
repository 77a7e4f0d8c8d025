"""Columns to matrix: fitted on training rows, stored as JSON, one code at training and scoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import FeatureError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headrace.evaluation.metrics import Floats
    from headrace.models.algorithms.algorithm import Matrix

Form = Literal["codes", "one_hot"]


class Kind(StrEnum):
    """How a feature enters the matrix."""

    CATEGORY = "category"  # texts
    NUMBER = "number"  # integers, floats, decimals; true and false as 1 and 0


@dataclass(frozen=True, kw_only=True)
class Column:
    """One feature, as training saw it. Null and NaN are missing, and so is an unknown text.

    Attributes:
        name: The feature.
        type: Its Arrow type.
        kind: How it enters the matrix.
        categories: Texts seen in training, sorted.
        mean: Of the values seen in training; stands in for a missing number in `one_hot`.
        scale: Their standard deviation; 1 where they do not vary.
        missing: Whether training had missing values.
    """

    name: str
    type: str
    kind: Kind
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    missing: bool = False

    @property
    def width(self) -> int:
        """How many columns of a `one_hot` matrix it has."""
        return (len(self.categories) if self.kind is Kind.CATEGORY else 1) + self.missing


@dataclass(frozen=True)
class Encoding:
    """Turns rows into a matrix, each row by itself.

    Attributes:
        form: `codes` or `one_hot`, as an algorithm needs it.
        columns: The features, in order.

    Example:
        >>> rows = pa.table({"dest": ["SFO", "BOS", None], "seats": [100, 200, 300]})
        >>> Encoding.fit(rows, ["dest", "seats"], form="codes").matrix(rows).tolist()
        [[1.0, 100.0], [0.0, 200.0], [nan, 300.0]]
    """

    form: Form
    columns: tuple[Column, ...]

    @classmethod
    def fit(cls, rows: pa.Table, names: Sequence[str], *, form: Form) -> Self:
        """Learns categories, means and scales.

        Args:
            rows: Training rows; every number finite or missing (see `refusals`).
            names: The features.
            form: `codes` or `one_hot`.

        Raises:
            FeatureError: A feature is of a type that has no place in a matrix.
        """
        return cls(form, tuple(_fitted(name, rows.column(name)) for name in names))

    @property
    def names(self) -> tuple[str, ...]:
        """The features, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Columns of the matrix that hold codes of categories; empty for `one_hot`."""
        if self.form == "one_hot":
            return ()
        return tuple(i for i, column in enumerate(self.columns) if column.kind is Kind.CATEGORY)

    def matrix(self, rows: pa.Table) -> Matrix:
        """The matrix of these rows: dense for `codes`, sparse for `one_hot`.

        Raises:
            UsageError: A feature is missing, or is text where training had numbers, or vice versa.
        """
        self._check(rows.schema)
        cells = [_cells(column, rows.column(column.name)) for column in self.columns]
        if self.form == "codes":
            dense = np.empty((rows.num_rows, len(cells)), dtype=np.float64)
            for place, values in enumerate(cells):
                dense[:, place] = values
            return dense
        return one_hot(self.columns, cells, rows=rows.num_rows)

    def to_json(self) -> dict[str, Any]:
        """The encoding as JSON values."""
        return {"form": self.form, "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """The encoding that `to_json` wrote."""
        columns = (
            Column(
                **{
                    **column,
                    "kind": Kind(column["kind"]),
                    "categories": tuple(column["categories"]),
                }
            )
            for column in value["columns"]
        )
        return cls(value["form"], tuple(columns))

    def _check(self, schema: pa.Schema) -> None:
        missing = [name for name in self.names if name not in schema.names]
        if missing:
            message = f"the model needs {', '.join(missing)}"
            raise UsageError(
                message,
                hint=f"give it rows with the columns {', '.join(self.names)}",
            )
        for column in self.columns:
            found = schema.field(column.name).type
            if not pa.types.is_null(found) and kind_of(column.name, found) is not column.kind:
                message = f"the model learned from {column.type}, and this is {found}"
                raise UsageError(
                    message,
                    column=column.name,
                    hint="give it the type it learned from, or train again",
                )


def spans(columns: Sequence[Column]) -> list[slice]:
    """Where the columns of each feature stand in a `one_hot` matrix."""
    ends = accumulate(column.width for column in columns)
    return [slice(start, end) for start, end in pairwise([0, *ends])]


def refusals(
    rows: pa.Table, names: Sequence[str], *, known: Sequence[str] = (), positive: Sequence[str] = ()
) -> pa.Array:
    """Why a row has no place in a matrix, or null for a row that has one.

    `infinite <feature>`; of some features also `missing <feature>` and `not above 0: <feature>`.

    Args:
        rows: Any rows that hold the features.
        names: The features.
        known: Those that must not be missing.
        positive: Those of `known` that must be above 0.
    """
    reasons: list[str] = []
    reason = np.full(rows.num_rows, -1, dtype=np.int64)

    def note(found: NDArray[np.bool_], told: str) -> None:
        reason[found & (reason < 0)] = len(reasons)
        reasons.append(told)

    for name in names:
        column = rows.column(name)
        if not pa.types.is_floating(column.type):
            continue
        infinite = pc.is_inf(column)
        if pc.any(infinite).as_py():  # null where every cell is
            note(pc.fill_null(infinite, False).to_numpy(), f"infinite {name}")
    for name in known:
        cells = numbers_of(rows.column(name))
        note(np.isnan(cells), f"missing {name}")
        if name in positive:
            note(cells <= 0, f"not above 0: {name}")
    if not reasons:
        return pa.nulls(rows.num_rows, pa.string())
    texts = pa.array([*reasons, None], pa.string())
    return texts.take(pa.array(np.where(reason < 0, len(reasons), reason)))


def kind_of(name: str, found: pa.DataType) -> Kind:
    """How a feature of an Arrow type enters the matrix.

    Raises:
        FeatureError: It has no place in one.
    """
    types = pa.types
    value = found.value_type if types.is_dictionary(found) else found
    if types.is_string(value) or types.is_large_string(value) or types.is_string_view(value):
        return Kind.CATEGORY
    if types.is_boolean(value) or types.is_integer(value):
        return Kind.NUMBER
    if types.is_floating(value) or types.is_decimal(value):
        return Kind.NUMBER
    message = f"a {found} cannot be a feature"
    raise FeatureError(
        message,
        column=name,
        hint="make a number or a text of it in `features`, such as hour(time_hour)",
    )


def _fitted(name: str, column: pa.ChunkedArray) -> Column:
    kind = kind_of(name, column.type)
    if kind is Kind.CATEGORY:
        texts = pc.unique(column.cast(pa.string())).drop_null()
        return Column(
            name=name,
            type=str(column.type),
            kind=kind,
            categories=tuple(sorted(texts.to_pylist())),
            missing=column.null_count > 0,
        )
    values = numbers_of(column)
    known = values[~np.isnan(values)]
    deviation = float(known.std()) if len(known) else 0.0
    return Column(
        name=name,
        type=str(column.type),
        kind=kind,
        mean=float(known.mean()) if len(known) else 0.0,
        scale=deviation if deviation > 0 else 1.0,
        missing=len(known) < len(values),
    )


def _cells(column: Column, values: pa.ChunkedArray) -> Floats:
    """A number, or the code of a category, per row; NaN where missing."""
    if column.kind is Kind.CATEGORY:
        known = pa.array(column.categories, pa.string())
        return numbers_of(pc.index_in(values.cast(pa.string()), value_set=known, skip_nulls=True))
    return numbers_of(values)


def numbers_of(column: pa.ChunkedArray) -> Floats:
    """A column of numbers, or of true and false, as floats; null is NaN."""
    whole = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    numbers: Floats = pc.fill_null(whole.cast(pa.float64(), safe=False), np.nan).to_numpy()
    return numbers


def one_hot(columns: Sequence[Column], cells: Sequence[Floats], *, rows: int) -> Matrix:
    """Columns of cells to a sparse matrix.

    Each feature fills at most one cell of a row: its value, its category, or its missing.

    Args:
        columns: The features.
        cells: Of each a number, or the code of a category, per row; NaN where missing.
        rows: How many rows there are.
    """
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # it ships no types

    place = np.empty((rows, len(columns)), dtype=np.int32)
    value = np.empty((rows, len(columns)), dtype=np.float64)
    width = 0
    for i, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        absent = np.isnan(cell)
        if column.kind is Kind.CATEGORY:
            place[:, i] = width + np.where(absent, len(column.categories), cell)
            value[:, i] = 1.0
        else:
            place[:, i] = width + absent
            value[:, i] = np.where(absent, 1.0, (cell - column.mean) / column.scale)
        if not column.missing:
            place[absent, i] = -1  # never seen missing: as an average row
        width += column.width
    kept = place >= 0
    ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return csr_matrix((value[kept], place[kept], ends), shape=(rows, width))

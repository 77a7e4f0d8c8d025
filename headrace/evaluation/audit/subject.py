"""What an audit looks at: a table, the roles of its columns, and which rows are in which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.metrics import Floats, Integers

_MOST = 1e100  # greater numbers count as this: their squares must have a place
SAMPLE_ROWS = 40_000  # of each part, where a look needs a model; drawn with the seed


@dataclass(frozen=True)
class Lookup:
    """Where columns of a look-up come from.

    Attributes:
        source: The timeless source.
        columns: The feature columns that it gives.
        by: Columns of the table that it is joined by; empty where they are not in the table.
        arrived: Column of the moment the lake first held what the row was given, where it is known.
    """

    source: str
    columns: tuple[str, ...]
    by: tuple[str, ...] = ()
    arrived: str | None = None


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns of a table are for.

    Attributes:
        target: True or false, or 1 or 0; a row without one is in no part.
        features: What a model learns from.
        key: What names a row.
        groups: What must not be in two parts, such as a patient.
        interval: The day or the moment that orders the rows in time.
        at: The moment of prediction of each row.
        known_at: Feature -> the column that says when its value was known.
        lookups: The look-ups.
        order: Row numbers and ids that say nothing but where a row stood; features or not.
        file_order: Whether the table's own order is that of a file, and to be judged.
        hidden: Columns whose values are not told.
    """

    target: str
    features: tuple[str, ...]
    key: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    interval: str | None = None
    at: str | None = None
    known_at: Mapping[str, str] = field(default_factory=dict)
    lookups: tuple[Lookup, ...] = ()
    order: tuple[str, ...] = ()
    file_order: bool = False
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Cells:
    """A column as numbers.

    Attributes:
        values: Numbers, or codes of categories; NaN where missing.
        is_category: Whether they are codes.
    """

    values: Floats
    is_category: bool

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        """The cells of any column; infinite values and lists count as missing."""
        types, found = pa.types, column.type
        if types.is_dictionary(found):
            column = column.cast(found.value_type)
            found = column.type
        if types.is_null(found) or types.is_nested(found):
            return cls(np.full(len(column), np.nan), is_category=False)
        if types.is_boolean(found):
            column = column.cast(pa.int8())
        elif types.is_timestamp(found):
            column = column.cast(pa.timestamp("us", found.tz)).cast(pa.int64())
        elif types.is_date(found):
            column = column.cast(pa.date32()).cast(pa.int32())
        elif not (types.is_integer(found) or types.is_floating(found) or types.is_decimal(found)):
            codes = column.combine_chunks().dictionary_encode().indices
            numbers = pc.fill_null(codes.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
            return cls(np.array(numbers, dtype=np.float64), is_category=True)
        numbers = pc.fill_null(column.cast(pa.float64(), safe=False), np.nan).to_numpy()
        finite = np.where(np.isfinite(numbers), np.clip(numbers, -_MOST, _MOST), np.nan)
        return cls(finite, is_category=False)


@dataclass(frozen=True)
class Subject:
    """A table made ready to be looked at.

    Attributes:
        table: The table.
        roles: Of its columns.
        y: 1.0 where the target is true, else 0.0; NaN where it is not known. Of a target of classes
            or of values: codes or values, until `questions` makes answers of them.
        train: Places of the training rows, in the order of time.
        later: Places of the rows of validation and test, in the order of time.
        cells: Column -> its cells, of all columns with a role.
        seed: Of whatever is drawn.
        value: The target as its aggregates are made of it, where that is not `y`.
    """

    table: pa.Table
    roles: Roles
    y: Floats
    train: Integers
    later: Integers
    cells: Mapping[str, Cells]
    seed: int
    value: Floats | None = None

    @classmethod
    def of(
        cls, table: pa.Table, roles: Roles, *, parts: Mapping[str, Sequence[int]], seed: int
    ) -> Self:
        """Makes a table ready; `parts` maps `train`, `validation` and `test` to places of rows."""
        lookups = [name for each in roles.lookups for name in (*each.columns, *each.by)]
        wanted = (*roles.features, *roles.key, *roles.groups, *roles.order, *lookups)
        cells = {name: Cells.of(table.column(name)) for name in dict.fromkeys(wanted)}
        time = Cells.of(table.column(roles.interval)).values if roles.interval else None
        y = Cells.of(table.column(roles.target)).values

        def placed(*names: str) -> Integers:
            each = [np.asarray(parts.get(name, ()), dtype=np.int64) for name in names]
            places = np.concatenate(each)
            places = places[~np.isnan(y[places])]
            return places if time is None else places[np.argsort(time[places], kind="stable")]

        return cls(table, roles, y, placed("train"), placed("validation", "test"), cells, seed)

    @cached_property
    def places(self) -> Integers:
        """The rows of all parts."""
        return np.concatenate([self.train, self.later])

    @property
    def has_both_classes(self) -> bool:
        """Whether the target is not the same in all rows."""
        return len(np.unique(self.y[self.places])) > 1

    @cached_property
    def row_ids(self) -> tuple[str, ...]:
        """Columns that number the rows: told so, or features of texts or integers, none twice."""
        return tuple(n for n in self.cells if n in self.roles.order or self._numbers_rows(n))

    def _numbers_rows(self, name: str) -> bool:
        values = self.cells[name].values
        if name not in self.roles.features or np.isnan(values).any() or len(values) == 0:
            return False
        if self.cells[name].is_category:
            texts = self.table.column(name).cast(pa.string())
            dated = pc.mean(pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\d")).as_py()
            return len(np.unique(values)) == len(values) and dated < 0.5  # noqa: PLR2004  # mostly
        if pa.types.is_integer(self.table.schema.field(name).type):
            spread = np.ptp(values) + 1
            return len(np.unique(values)) == len(values) and bool(spread <= 2 * len(values))
        return False

    def sampled(self, places: Integers, most: int = SAMPLE_ROWS) -> Integers:
        """At most so many of the places, in their order."""
        if len(places) <= most:
            return places
        rng = np.random.default_rng(self.seed)
        return places[np.sort(rng.choice(len(places), most, replace=False))]

"""Columns of any frame to numbers and categories; learned once, kept as JSON, the same each time.

Which columns are left out, and how dates and texts become numbers, is told in `Columns`.
"""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa

from headrace.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from headrace.evaluation.metrics import Floats

Kind = Literal["number", "category", "order", "moment"]

_MOST_CATEGORIES = 1_000  # of a column, the most frequent
_FEW_ROWS = 2  # a category of fewer rows tells nothing of others
_MOST = 1e30  # a number beyond is taken for it: XGBoost computes in single precision
_DAY_S = 86_400.0
_MOMENTS = ("days", "month", "weekday", "hour")


@dataclass(frozen=True)
class Source:
    """One column of a frame that is learned from.

    Attributes:
        label: `repr` of its label, and which of several with that label it is.
        kind: `number`: numbers, true and false, durations in seconds, texts that are all numbers.
            `category`: texts and whatever is no number. `order`: an ordered category, as its rank.
            `moment`: dates and times, as days since 1970, month, day of the week and hour.
        categories: The texts that are told apart, rarer ones are missing; or all ranks in order.
        parts: Of a moment: those that vary.
    """

    label: tuple[str, int]
    kind: Kind
    categories: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """What is learned from of a frame, by label, so the order of its columns does not matter.

    Left out: columns without two different values, those equal to an earlier one, and texts that
    hardly repeat. Missing: null, NaN, infinities, and categories that training did not have.
    """

    sources: tuple[Source, ...]

    @classmethod
    def learn(cls, frame: pd.DataFrame) -> Self:
        """Chooses the columns and how each is read."""
        sources, seen = [], set()
        for label, column in _labelled(frame):
            source = _learned(label, column)
            if source is None:
                continue
            content = b"".join(_bytes(part) for part in _read(source, column).values())
            if content not in seen:
                seen.add(content)
                sources.append(source)
        return cls(tuple(sources))

    def table(self, frame: pd.DataFrame) -> pa.Table:
        """The frame as columns of float64 and string named by number; missing is null.

        Raises:
            UsageError: A column that was learned from is not there.
        """
        held = dict(_labelled(frame))
        missing = [source.label[0] for source in self.sources if source.label not in held]
        if missing:
            message = f"the frame lacks {', '.join(missing)}"
            raise UsageError(message, hint="give it the columns that the model learned from")
        found: dict[str, Any] = {}
        for i, source in enumerate(self.sources):
            for part, values in _read(source, held[source.label]).items():
                found[f"{i}{part}"] = (
                    pa.array(values, pa.string(), from_pandas=True)
                    if source.kind == "category"
                    else pa.array(values, pa.float64(), mask=np.isnan(values))
                )
        return pa.table(found)

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON values."""
        return [asdict(source) for source in self.sources]

    @classmethod
    def from_json(cls, value: Sequence[dict[str, Any]]) -> Self:
        """What `to_json` wrote."""
        return cls(
            tuple(
                Source(
                    (each["label"][0], each["label"][1]),
                    each["kind"],
                    tuple(each["categories"]),
                    tuple(each["parts"]),
                )
                for each in value
            )
        )


def as_frame(rows: Any) -> pd.DataFrame:  # noqa: ANN401  # any table
    """A pandas frame of a pandas, polars or Arrow table, or of a two-dimensional array.

    Raises:
        UsageError: It is none of these.
    """
    import pandas as pd

    if isinstance(rows, pd.DataFrame):
        return rows
    if isinstance(rows, pd.Series):
        return rows.to_frame()
    if hasattr(rows, "to_arrow"):  # polars
        rows = rows.to_arrow()
    if isinstance(rows, pa.Table):
        # Arrow cannot hand over columns of one name twice under their names.
        names = rows.column_names
        frame: pd.DataFrame = rows.rename_columns([str(i) for i in range(len(names))]).to_pandas()
        frame.columns = pd.Index(names)
        return frame
    if hasattr(rows, "toarray"):
        rows = rows.toarray()
    values = np.asarray(rows)
    if values.ndim != 2:  # noqa: PLR2004  # rows and columns
        message = f"this is no table: {type(rows).__name__} of {values.ndim} dimensions"
        raise UsageError(message, hint="give a frame, a table, or rows by columns")
    return pd.DataFrame(values).infer_objects()


def _labelled(frame: pd.DataFrame) -> Iterator[tuple[tuple[str, int], pd.Series[Any]]]:
    count: dict[str, int] = {}
    for i, label in enumerate(frame.columns):
        name = repr(label)
        count[name] = count.get(name, -1) + 1
        yield (name, count[name]), frame.iloc[:, i]


def _learned(label: tuple[str, int], column: pd.Series[Any]) -> Source | None:
    """How a column is read; None where it tells nothing."""
    kind = _kind(column)
    if kind == "category":
        texts = _texts(column)
        found, rows = np.unique(texts[texts != None], return_counts=True)  # noqa: E711  # by element
        if len(found) < 2:  # noqa: PLR2004
            varies = len(found) == 1 and bool((texts == None).any())  # noqa: E711
            return Source(label, kind, tuple(found)) if varies else None
        often = np.argsort(-rows, kind="stable")[:_MOST_CATEGORIES]
        often = often[rows[often] >= _FEW_ROWS]
        kept = tuple(sorted(str(each) for each in found[often]))
        return Source(label, kind, kept) if kept else None
    ranks = tuple(map(_text, column.cat.categories)) if kind == "order" else ()
    source = Source(label, kind, ranks, _MOMENTS if kind == "moment" else ())
    read = _read(source, column)
    varying = tuple(part for part, values in read.items() if len(np.unique(values)) > 1)
    if not varying:
        return None
    return Source(label, kind, parts=varying) if kind == "moment" else source


def _kind(column: pd.Series[Any]) -> Kind:
    import pandas as pd

    types = pd.api.types
    found = column.dtype
    if isinstance(found, pd.CategoricalDtype):
        return "order" if found.ordered else "category"
    if types.is_datetime64_any_dtype(found) or isinstance(found, pd.PeriodDtype):
        return "moment"
    if types.is_numeric_dtype(found) or types.is_bool_dtype(found):
        return "category" if types.is_complex_dtype(found) else "number"
    return "number" if types.is_timedelta64_dtype(found) else _kind_of(column.dropna())


def _kind_of(known: pd.Series[Any]) -> Kind:
    """By the cells, of a column whose type says nothing."""
    import pandas as pd

    if len(known) == 0:
        return "category"
    if known.map(lambda each: isinstance(each, datetime.date | np.datetime64)).all():
        return "moment"
    parsed = pd.to_numeric(known.map(_plain), errors="coerce")
    return "number" if parsed.notna().all() else "category"


def _plain(value: object) -> object:
    """What `to_numeric` can read of a cell; anything but a number or a text is none."""
    if isinstance(value, Decimal | bool | np.bool_):
        return float(value)
    if isinstance(value, numbers.Real):
        return value
    return value if isinstance(value, str) else "no number"


def _read(source: Source, column: pd.Series[Any]) -> dict[str, Any]:
    """The column's values by part; a column without parts has one part of no name."""
    if source.kind == "category":
        texts = _texts(column)
        known = np.isin(texts.astype(str), source.categories) & (texts != None)  # noqa: E711
        return {"": np.where(known, texts, None)}
    if source.kind == "moment":
        return {part: values for part, values in _moments(column) if part in source.parts}
    if source.kind == "order":
        rank = {text: float(i) for i, text in enumerate(source.categories)}
        return {"": np.array([rank.get(text, np.nan) for text in _texts(column)])}
    return {"": _finite(column)}


def _finite(column: pd.Series[Any]) -> Floats:
    import pandas as pd

    types = pd.api.types
    if types.is_timedelta64_dtype(column.dtype):
        column = column.dt.total_seconds()
    elif isinstance(column.dtype, pd.CategoricalDtype) or not (
        types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype)
    ):
        column = pd.to_numeric(column.astype(object).map(_plain), errors="coerce")
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), np.clip(values, -_MOST, _MOST), np.nan)


def _moments(column: pd.Series[Any]) -> Iterator[tuple[str, Floats]]:
    import pandas as pd

    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    at = pd.to_datetime(column, errors="coerce", utc=True).dt.as_unit("us")
    absent = at.isna().to_numpy()
    micros = at.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    found = (micros / 1e6 / _DAY_S, at.dt.month, at.dt.dayofweek, at.dt.hour)
    for part, values in zip(_MOMENTS, found, strict=True):
        yield part, np.where(absent, np.nan, np.asarray(values, dtype=np.float64))


def _texts(column: pd.Series[Any]) -> Any:  # noqa: ANN401  # an array of texts and None
    """The cells as texts; a whole number is written without a point."""
    absent = column.isna().to_numpy()
    found = np.empty(len(column), dtype=object)
    found[:] = [
        None if gone else _text(value)
        for value, gone in zip(column.astype(object), absent, strict=True)
    ]
    return found


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).encode("utf-8", "replace").decode()


def _bytes(values: Any) -> bytes:  # noqa: ANN401  # an array
    if values.dtype == object:
        return "\0".join("" if each is None else f"={each}" for each in values).encode()
    return bytes(np.ascontiguousarray(values).tobytes())

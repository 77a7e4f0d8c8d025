"""A target column of a frame as numbers, and what kind of target it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import Task

if TYPE_CHECKING:
    import pandas as pd

    from headrace.evaluation.metrics import Floats

_FEW_VALUES = 20  # whole numbers with at most so many different values are taken for classes


def target_of(y: Any, task: str | None) -> tuple[Floats, tuple[Any, ...]]:  # noqa: ANN401  # any column
    """Values or codes of classes, NaN where missing; the labels of the classes, sorted."""
    import pandas as pd

    if isinstance(y, pd.DataFrame):
        y = y.iloc[:, 0]
    if hasattr(y, "to_pandas"):  # polars, Arrow
        y = y.to_pandas()
    column = y if isinstance(y, pd.Series) else pd.Series(np.asarray(y).reshape(-1))
    if task not in {None, "classification", "regression"}:
        message = f"no task {task!r}"
        raise UsageError(message, hint="there are classification and regression")
    if task is None:
        task = "classification" if _looks_like_classes(column) else "regression"
    if task == "regression":
        values = pd.to_numeric(column.astype(object), errors="coerce")
        return values.to_numpy(dtype=np.float64, na_value=np.nan), ()
    labels = column.dropna().astype(object).map(_label)
    kinds = {type(each) for each in labels}
    order = sorted(
        set(labels), key=None if len(kinds) == 1 else lambda each: (str(type(each)), str(each))
    )
    code = {label: float(i) for i, label in enumerate(order)}
    codes = np.full(len(column), np.nan)
    codes[column.notna().to_numpy()] = [code[label] for label in labels]
    return codes, tuple(order)


def task_of(classes: Sequence[Any]) -> Task:
    """The kind of target that these labels are of; none are of values."""
    if not classes:
        return Task.REGRESSION
    return Task.MULTICLASS if len(classes) > 2 else Task.BINARY  # noqa: PLR2004


def _looks_like_classes(column: pd.Series[Any]) -> bool:
    import pandas as pd

    types = pd.api.types
    if types.is_bool_dtype(column.dtype) or not types.is_numeric_dtype(column.dtype):
        return True
    known = column.dropna().to_numpy(dtype=np.float64)
    return bool((known == np.round(known)).all()) and len(np.unique(known)) <= _FEW_VALUES


def _label(value: Any) -> Any:  # noqa: ANN401  # a label
    """A label as JSON knows it."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)

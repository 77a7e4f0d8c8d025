"""Baselines that every model has to beat: what is so of all rows, a look-up, a column as it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from headrace.errors import TrainingError
from headrace.models.algorithms.algorithm import (
    Algorithm,
    Fitted,
    Matrix,
    Needs,
    Parameters,
    Samples,
    Task,
)

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers, Metric

_FEW = 64  # a number with at most so many values may be looked up by
_MOST_VALUES = 2_000  # of a category
_MOST_GROUPS = 200_000  # of a pair of columns
_SMOOTHING = (1, 10, 100)  # rows of the overall mean added to each group
_MOST_COLUMNS = 8  # of those that stand in for each other
_OF_THE_MEDIAN = ("mae", "median_ae")  # the metrics whose best constant is the median


def _fit_prior(
    train: Samples,
    parameters: Parameters,  # noqa: ARG001  # there are none
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    return Fitted({"prior": _priors(train)})


def _fit_median(
    train: Samples,
    parameters: Parameters,  # noqa: ARG001  # there are none
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    import numpy as np

    if train.weight is None:
        return Fitted({"prior": float(np.median(train.y))})
    order = np.argsort(train.y, kind="stable")
    seen = np.cumsum(train.weight[order])
    return Fitted({"prior": float(train.y[order][np.searchsorted(seen, seen[-1] / 2)])})


def _predict_prior(estimator: dict[str, Any], X: Matrix) -> Floats:
    import numpy as np

    prior = np.array(estimator["prior"], dtype=np.float64)
    return np.broadcast_to(prior, (X.shape[0], *prior.shape)).copy()


def _priors(train: Samples) -> float | list[float]:
    """The mean of the target; of classes the share of each."""
    import numpy as np

    if train.task is not Task.MULTICLASS:
        return float(np.average(train.y, weights=train.weight))
    rows = np.bincount(train.y.astype(np.int64), train.weight, train.classes)
    shares: list[float] = (rows / rows.sum()).tolist()
    return shares


def _fit_lookup(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """Means of the target by one or two columns, drawn to the overall mean where rows are few."""
    if validation is None:
        chosen: Mapping[str, Any] = parameters  # found by an earlier fit
        columns = tuple(chosen["columns"])
        values = {column: _values(train, column) for column in columns}
        return Fitted(_lookup(train, columns, values=values, smoothing=chosen["smoothing"]))
    from headrace.evaluation.metrics import measured

    few = _few(train)
    if not few:
        message = "no column has few enough values to be looked up by"
        raise TrainingError(
            message,
            hint=f"add a category, or a number with at most {_FEW} values, to the features",
        )

    def gain(columns: tuple[int, ...], smoothing: int) -> float:
        estimator = _lookup(train, columns, values=few, smoothing=smoothing)
        score = _predict_lookup(estimator, validation.X)
        found = measured(validation.y, score, validation.task)
        return metric.gain(found[metric], 0.0)

    most = _MOST_GROUPS // (train.classes if train.task is Task.MULTICLASS else 1)
    best = max(_choices(few, most=most), key=lambda columns: gain(columns, _SMOOTHING[1]))
    smoothing = max(_SMOOTHING, key=lambda smoothing: gain(best, smoothing))
    estimator = _lookup(train, best, values=few, smoothing=smoothing)
    return Fitted(estimator, found={"columns": list(best), "smoothing": smoothing})


def _fit_column(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """The columns of numbers that are nearer to the target than a constant is, the nearest first.

    Where the first is missing, the next one that is known is taken, and the constant last.
    """
    constant = _fit_median if metric in _OF_THE_MEDIAN else _fit_prior
    whole = constant(train, {}, seed=seed, validation=None, metric=metric)
    otherwise = float(whole.estimator["prior"])
    if validation is None:
        given: Mapping[str, Any] = parameters  # found by an earlier fit
        return Fitted({"columns": list(given.get("columns", ())), "otherwise": otherwise})
    from headrace.evaluation.metrics import measured

    def value(columns: list[int]) -> float:
        score = _predict_column({"columns": columns, "otherwise": otherwise}, validation.X)
        return measured(validation.y, score, validation.task)[metric]

    least = value([])
    gains = {
        column: metric.gain(value([column]), least)
        for column in range(train.X.shape[1])
        if column not in train.categorical
    }
    better = [column for column, gain in gains.items() if gain > 0]
    columns = sorted(better, key=lambda column: (-gains[column], column))[:_MOST_COLUMNS]
    return Fitted({"columns": columns, "otherwise": otherwise}, found={"columns": columns})


def _predict_column(estimator: dict[str, Any], X: Matrix) -> Floats:
    import numpy as np

    found = np.full(X.shape[0], estimator["otherwise"], dtype=np.float64)
    for column in reversed(estimator["columns"]):
        cells = np.asarray(X[:, column], dtype=np.float64)
        found = np.where(np.isnan(cells), found, cells)
    return found


def _values(train: Samples, column: int) -> Floats:
    import numpy as np

    return np.unique(np.asarray(train.X[:, column]))


def _few(train: Samples) -> dict[int, Floats]:
    """The values of those columns that have few enough."""
    values = {column: _values(train, column) for column in range(train.X.shape[1])}
    return {
        column: each
        for column, each in values.items()
        if len(each) <= (_MOST_VALUES if column in train.categorical else _FEW)
    }


def _choices(values: Mapping[int, Floats], *, most: int) -> list[tuple[int, ...]]:
    """Columns, then pairs of columns with few enough groups."""
    pairs = combinations(values, 2)
    return [
        *((column,) for column in values),
        *(pair for pair in pairs if len(values[pair[0]]) * len(values[pair[1]]) <= most),
    ]


def _lookup(
    train: Samples, columns: tuple[int, ...], *, values: Mapping[int, Floats], smoothing: int
) -> dict[str, Any]:
    """The look-up as JSON values; a missing value is a value of its own, at the end."""
    import numpy as np

    held = [values[column] for column in columns]
    group, size = _groups(held, train.X, columns)
    prior = np.array(_priors(train))
    rows = np.bincount(group, train.weight, minlength=size)[:size]
    hits = [np.bincount(group, each, size)[:size] for each in _summed(train)]
    means = [
        (one + smoothing * mean) / (rows + smoothing)
        for one, mean in zip(hits, prior.reshape(-1), strict=True)
    ]
    return {
        "columns": list(columns),
        "values": [
            [None if math.isnan(value) else value for value in each.tolist()] for each in held
        ],
        "means": np.stack(means, axis=-1).reshape(size, *prior.shape).tolist(),
        "prior": prior.tolist(),
    }


def _summed(train: Samples) -> Iterator[Floats]:
    """What a group sums up of each row: the target; or, for each class, whether it came."""
    targets = (
        (train.y == code for code in range(train.classes))
        if train.task is Task.MULTICLASS
        else (train.y,)
    )
    for target in targets:
        yield target * 1.0 if train.weight is None else target * train.weight


def _predict_lookup(estimator: dict[str, Any], X: Matrix) -> Floats:
    import numpy as np

    values = [np.array(each, dtype=np.float64) for each in estimator["values"]]
    group, _ = _groups(values, X, estimator["columns"])
    return np.array([*estimator["means"], estimator["prior"]], dtype=np.float64)[group]


def _groups(
    values: Sequence[Floats],
    X: Matrix,
    columns: Sequence[int],
) -> tuple[Integers, int]:
    """The group of each row, and their number; unknown values are in the group after the last."""
    import numpy as np

    group = np.zeros(X.shape[0], dtype=np.int64)
    known = np.ones(X.shape[0], dtype=bool)
    size = 1
    for each, column in zip(values, columns, strict=True):
        cells = np.asarray(X[:, column])
        place = np.minimum(np.searchsorted(each, cells), len(each) - 1)  # NaN sorts last
        known &= (each[place] == cells) | (np.isnan(each[place]) & np.isnan(cells))
        group = group * len(each) + place
        size *= len(each)
    group[~known] = size
    return group, size


CLASS_PRIOR = Algorithm(
    name="class_prior",
    title="Class prior",
    when_not="rows must be told apart: it gives each the same",
    tasks=frozenset({Task.BINARY, Task.MULTICLASS}),
    needs=Needs(categories="codes"),
    fit=_fit_prior,
    predict=_predict_prior,
    save_as="json",
    baseline=True,
    exports=("onnx",),
    source="the share of rows whose target is true, or of each class",
)

MEAN = Algorithm(
    name="mean",
    title="Mean of the target",
    when_not="rows must be told apart: it gives each the same",
    tasks=frozenset({Task.REGRESSION}),
    needs=Needs(categories="codes"),
    fit=_fit_prior,
    predict=_predict_prior,
    save_as="json",
    baseline=True,
    exports=("onnx",),
    source="the value with the least squared error",
)

MEDIAN = Algorithm(
    name="median",
    title="Median of the target",
    when_not="sums must come out right: of skewed values it is far from the mean",
    tasks=frozenset({Task.REGRESSION}),
    needs=Needs(categories="codes"),
    fit=_fit_median,
    predict=_predict_prior,
    save_as="json",
    baseline=True,
    exports=("onnx",),
    source="the value with the least absolute error",
)

BEST_LOOKUP = Algorithm(
    name="best_lookup",
    title="Best look-up by one or two columns",
    when_not="more than two columns count, or values are mostly new: it knows those it saw",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_fit_lookup,
    predict=_predict_lookup,
    save_as="json",
    baseline=True,
    exports=("onnx", "pmml", "sql"),
    source="Micci-Barreca 2001, A Preprocessing Scheme for High-Cardinality Categorical Attributes",
)

BEST_COLUMN = Algorithm(
    name="best_column",
    title="Best column as it is: of a lag, the naive or seasonal naive forecast",
    when_not="no feature is in the target's own units, such as a lag",
    tasks=frozenset({Task.REGRESSION}),
    needs=Needs(categories="codes"),
    fit=_fit_column,
    predict=_predict_column,
    save_as="json",
    baseline=True,
    exports=("onnx",),
    source="Hyndman and Athanasopoulos 2021, Forecasting: Principles and Practice, section 5.2",
)

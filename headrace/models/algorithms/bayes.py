"""Classifiers from the distribution of each class: naive Bayes, quadratic discriminant analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Matrix,
    Needs,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import (
    completed,
    dense,
    described,
    in_blocks,
    one_class,
    softmax,
)
from headrace.models.algorithms.space import choice, log_uniform, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_SMOOTHING = 1e-9  # of the largest variance, added to each
_LEAST = 1e-6  # variance along an axis of a class, of standardised columns


def _fit_naive(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Log shares of classes, categories and numbers; a missing cell says nothing of the class."""
    import numpy as np

    estimator = described(train)
    if one_class(estimator):
        return Fitted(estimator)
    kind, alpha = str(parameters["kind"]), float(str(parameters["alpha"]))
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    mass = np.column_stack([weight * (train.y == code) for code in estimator["present"]])
    totals = mass.sum(axis=0)
    numbers = [i for i in range(train.X.shape[1]) if i not in train.categorical]
    tables = [_table(train.X[:, i], mass, alpha) for i in train.categorical]
    found = {
        **estimator,
        "kind": kind,
        "prior": np.log(totals / totals.sum()),
        "categorical": list(train.categorical),
        "tables": tables,
        "numbers": numbers,
        **_of_numbers(np.array(train.X[:, numbers]), mass, kind, alpha),
    }
    return Fitted(found)


def _table(codes: Floats, mass: Floats, alpha: float) -> Floats:
    """Log share of each category in each class: categories by classes."""
    import numpy as np

    known = ~np.isnan(codes)
    size = int(codes[known].max(initial=-1)) + 1
    held = codes[known].astype(np.int64)
    counts = np.column_stack(
        [np.bincount(held, mass[known, c], size) for c in range(mass.shape[1])]
    )
    shares: Floats = np.log((counts + alpha) / (counts.sum(axis=0) + alpha * max(size, 1)))
    return shares


def _of_numbers(X: Floats, mass: Floats, kind: str, alpha: float) -> dict[str, Any]:
    """What each kind remembers of numbers: columns by classes."""
    import numpy as np

    known = ~np.isnan(X)
    cells = np.where(known, X, 0.0)
    seen = np.maximum(known.T @ mass, 1e-300)
    if kind == "gaussian":
        mean = (cells.T @ mass) / seen
        offset = np.where(known, X, np.nan)
        spread = [
            np.nansum((offset - mean[:, c]) ** 2 * mass[:, [c]], axis=0) / seen[:, c]
            for c in range(mass.shape[1])
        ]
        overall = [float(np.nanvar(column)) for column in X.T if not np.isnan(column).all()]
        return {"mean": mean, "variance": smoothed(np.column_stack(spread), overall=overall)}
    if kind == "bernoulli":
        middle = np.array(
            [0.0 if np.isnan(c).all() else (np.nanmin(c) + np.nanmax(c)) / 2 for c in X.T]
        )
        share = (((cells > middle) & known).T @ mass + alpha) / (seen + 2 * alpha)
        return {"threshold": middle, "high": np.log(share), "low": np.log1p(-share)}
    if (cells < 0).any():
        raise no_counts(kind)
    counts = cells.T @ mass
    if kind == "complement":  # Rennie et al. 2003
        counts = counts.sum(axis=1, keepdims=True) - counts
    shares = np.log((counts + alpha) / (counts + alpha).sum(axis=0))
    return {"loading": -shares if kind == "complement" else shares}


def smoothed(variance: Floats, *, overall: Sequence[float]) -> Floats:
    """Variances with a share of the largest of a column, so that none is 0.

    Args:
        variance: Columns by classes.
        overall: The variance of each column over all classes.
    """
    return variance + (_SMOOTHING * max(overall, default=0.0) or _SMOOTHING)


def no_counts(kind: str) -> UsageError:
    """Says that numbers are not what such a kind takes."""
    message = f"{kind} naive Bayes takes counts, and a number is below 0"
    return UsageError(message, hint="take `kind: gaussian`")


def _predict_naive(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Sums over columns one after the other, so that a row's has no part in its neighbours'."""
    import numpy as np

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))
    total = np.zeros((X.shape[0], len(estimator["present"])))
    total += 0.0 if estimator["kind"] == "complement" else estimator["prior"]
    for column, table in zip(estimator["categorical"], estimator["tables"], strict=True):
        codes = X[:, column]
        known = ~np.isnan(codes) & (codes < len(table))
        total[known] += table[codes[known].astype(np.int64)]
    for place, column in enumerate(estimator["numbers"]):
        cells = X[:, [column]]
        said = _said(estimator, place, np.where(np.isnan(cells), 0.0, cells))
        total += np.where(np.isnan(cells), 0.0, said)
    return completed(estimator, softmax(total))


def _said(estimator: Mapping[str, Any], place: int, cells: Floats) -> Floats:
    """Log likelihood of a column's cells in each class."""
    import numpy as np

    if estimator["kind"] == "gaussian":
        mean, variance = estimator["mean"][place], estimator["variance"][place]
        near: Floats = -0.5 * (np.log(2 * np.pi * variance) + (cells - mean) ** 2 / variance)
        return near
    if estimator["kind"] == "bernoulli":
        high = cells > estimator["threshold"][place]
        told: Floats = np.where(high, estimator["high"][place], estimator["low"][place])
        return told
    loaded: Floats = cells * estimator["loading"][place]
    return loaded


def _fit_quadratic(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Each class by its mean and the axes of its covariance, drawn to the unit one."""
    import numpy as np

    estimator = described(train)
    if one_class(estimator):
        return Fitted(estimator)
    drawn = float(str(parameters["reg_param"]))
    X = dense(train.X)
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    means, axes, constants = [], [], []
    for code in estimator["present"]:
        rows, mass = X[train.y == code], weight[train.y == code]
        mean = np.average(rows, axis=0, weights=mass)
        covariance = ((rows - mean).T * mass) @ (rows - mean) / mass.sum()
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum((1 - drawn) * values + drawn, _LEAST)
        means.append(mean)
        axes.append(vectors / np.sqrt(values))
        constants.append(np.log(mass.sum() / weight.sum()) - np.log(values).sum() / 2)
    found = {"mean": np.array(means), "axes": np.array(axes), "constant": np.array(constants)}
    return Fitted({**estimator, **found})


def _predict_quadratic(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    import numpy as np

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))

    def likelihood(block: Floats) -> Floats:
        away = [
            (((block - mean) @ axes) ** 2).sum(axis=1)
            for mean, axes in zip(estimator["mean"], estimator["axes"], strict=True)
        ]
        found: Floats = estimator["constant"] - np.column_stack(away) / 2
        return found

    return completed(estimator, softmax(in_blocks(likelihood, X)))


_CLASSES = frozenset({Task.BINARY, Task.MULTICLASS})
_KINDS = ("gaussian", "bernoulli", "multinomial", "complement")

NAIVE_BAYES = Algorithm(
    name="naive_bayes",
    title="Naive Bayes: Gaussian, Bernoulli, multinomial, complement",
    tasks=_CLASSES,
    needs=Needs(categories="codes"),
    fit=_fit_naive,
    predict=_predict_naive,
    save_as="skops",
    defaults={"kind": "gaussian", "alpha": 1.0},
    space={
        "kind": choice(*_KINDS[:2], beside=_KINDS[2:]),
        "alpha": log_uniform(1e-3, 10.0),
    },
    family=Family.BAYES,
    when_not="columns depend on each other and probabilities count",
    caveats=(
        "probabilities are too certain where columns say the same: calibrate before using them",
        "`kind: multinomial` and `complement` take counts, such as of words; `complement` heeds "
        "no share of the classes",
        "`alpha` smooths categories, and numbers of all kinds but `gaussian`",
    ),
    budget=Budget(rows=50_000_000, columns=100_000, cells=1_000_000_000),
    instead=("logistic_regression",),
    exports=("onnx",),
    engines=("spark",),
    licence="Apache-2.0",
    aliases=tuple(f"{kind}_naive_bayes" for kind in _KINDS),
    source="McCallum and Nigam 1998, A Comparison of Event Models for Naive Bayes",
)

QDA = Algorithm(
    name="qda",
    title="Quadratic discriminant analysis",
    tasks=_CLASSES,
    needs=Needs(categories="one_hot"),
    fit=_fit_quadratic,
    predict=_predict_quadratic,
    save_as="skops",
    defaults={"reg_param": 0.1},
    space={"reg_param": uniform(0.01, 1.0)},
    family=Family.BAYES,
    when_not="classes have fewer rows than columns: take lda",
    caveats=("a covariance per class: its size is the square of the columns",),
    budget=Budget(rows=5_000_000, columns=500, cells=500_000_000),
    instead=("lda", "logistic_regression"),
    aliases=("quadratic_discriminant_analysis",),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Hastie et al. 2009, The Elements of Statistical Learning, section 4.3",
)

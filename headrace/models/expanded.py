"""Linear models on more than the columns: splines of each number, or products of pairs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import (
    Fitted,
    Matrix,
    Parameters,
    Samples,
    Task,
)

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

Estimator = dict[str, Any]  # name to array, and JSON values under `settings`

_DEGREE = 3
_KNOTS = 6  # at quantiles of the training rows
_MOST_SPLINES = 250  # numbers; beyond, they enter as they are
_MOST_CATEGORIES = 100  # of a column, the most frequent
_MOST_PAIRED = 40  # columns that are multiplied with each other
_ITERATIONS = 200
_BLOCK = 256  # rows of a dense prediction, padded


def _numbers(train: Samples) -> list[int]:
    held = set(train.categorical)
    return [i for i in range(train.X.shape[1]) if i not in held]


def _categories(train: Samples) -> Any:  # noqa: ANN401  # an array of pairs
    pairs: list[tuple[int, int]] = []
    for column in train.categorical:
        codes = train.X[:, column]
        found, rows = np.unique(codes[~np.isnan(codes)], return_counts=True)
        kept = np.sort(np.argsort(-rows, kind="stable")[:_MOST_CATEGORIES])
        pairs += [(column, int(code)) for code in found[kept]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _ones(held: Mapping[str, Any], X: Floats) -> list[Any]:
    """A column per missing number and per category, as sparse matrices."""
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # it ships no types

    parts = [csr_matrix(np.isnan(X[:, held["missing"]]).astype(np.float64))]
    columns, codes = held["categories"].T
    parts += [
        csr_matrix((X[:, [column]] == codes[columns == column]).astype(np.float64))
        for column in np.unique(columns)
    ]
    return parts


def _learn_splines(train: Samples) -> Estimator:
    X, numbers = np.asarray(train.X), _numbers(train)
    center, scale = np.zeros(len(numbers)), np.ones(len(numbers))
    knots = np.full((len(numbers), _KNOTS), np.nan)
    for i, column in enumerate(numbers):
        known = X[~np.isnan(X[:, column]), column]
        if len(known) == 0:
            continue
        center[i], scale[i] = known.mean(), known.std() or 1.0
        places = np.unique(np.quantile(known, np.linspace(0, 1, _KNOTS)))
        if len(places) > 2 and len(numbers) <= _MOST_SPLINES:  # noqa: PLR2004  # a bend needs three
            knots[i, : len(places)] = places
    return {
        "numbers": np.array(numbers, dtype=np.int64),
        "center": center,
        "scale": scale,
        "knots": knots,
        "missing": np.array([i for i in numbers if np.isnan(X[:, i]).any()], dtype=np.int64),
        "categories": _categories(train),
    }


def _splines(held: Mapping[str, Any], X: Matrix) -> Matrix:
    """Cubic B-splines of each number, constant beyond the outer knots; a missing one is 0."""
    from scipy.interpolate import BSpline  # type: ignore[import-untyped]  # it ships no types
    from scipy.sparse import csr_matrix, hstack

    X = np.asarray(X)
    parts = []
    for i, column in enumerate(held["numbers"]):
        cells, absent = X[:, column], np.isnan(X[:, column])
        places = held["knots"][i][~np.isnan(held["knots"][i])]
        if len(places) == 0:
            z = np.where(absent, 0.0, (cells - held["center"][i]) / held["scale"][i])
            parts.append(csr_matrix(np.clip(z, -10, 10)[:, None]))
            continue
        inside = np.clip(np.where(absent, places[0], cells), places[0], places[-1])
        t = np.concatenate([[places[0]] * _DEGREE, places, [places[-1]] * _DEGREE])
        basis = BSpline.design_matrix(inside, t, _DEGREE).tocsr()
        parts.append(basis.multiply(~absent[:, None]).tocsr() if absent.any() else basis)
    return hstack([*parts, *_ones(held, X)], format="csr")


def _learn_products(train: Samples) -> Estimator:
    X, numbers = np.asarray(train.X), _numbers(train)
    values = X[:, numbers]
    center = np.zeros(len(numbers))
    factor = np.zeros(len(numbers))
    for i in range(len(numbers)):
        known = values[~np.isnan(values[:, i]), i]
        if len(known):
            center[i], spread = known.mean(), known.std()
            factor[i] = 1 / spread if spread > 0 else 0.0
    held: Estimator = {
        "numbers": np.array(numbers, dtype=np.int64),
        "center": center,
        "factor": factor,
        "missing": np.array([i for i in numbers if np.isnan(X[:, i]).any()], dtype=np.int64),
        "categories": _categories(train),
        "settings": {},
    }
    plain = _plain(held, X)
    held["paired"] = np.sort(np.argsort(-_signal(plain, train), kind="stable")[:_MOST_PAIRED])
    made = _paired(held, plain)
    held["mean"] = made.mean(axis=0)
    spread = made.std(axis=0)
    held["spread"] = np.where(spread > 1e-9, spread, 1.0)  # noqa: PLR2004  # rounding
    return held


def _signal(plain: Floats, train: Samples) -> Floats:
    """Share of each column's spread that lies between classes, or its squared correlation."""
    z = plain - plain.mean(axis=0)
    total = (z * z).sum(axis=0)
    if train.task is Task.REGRESSION:
        y = train.y - train.y.mean()
        between = (z.T @ y) ** 2 / max(float(y @ y), 1e-300)
    else:
        codes = train.y.astype(np.int64)
        rows = np.maximum(np.bincount(codes, minlength=2), 1)
        sums = np.zeros((len(rows), z.shape[1]))
        np.add.at(sums, codes, z)
        between = (sums**2 / rows[:, None]).sum(axis=0)
    share: Floats = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    return share


def _plain(held: Mapping[str, Any], X: Matrix) -> Floats:
    X = np.asarray(X)
    z = (X[:, held["numbers"]] - held["center"]) * held["factor"]
    clipped = np.where(np.isnan(z), 0.0, z / np.sqrt(1 + (z / 3) ** 2))
    found: Floats = np.hstack([clipped, *(part.toarray() for part in _ones(held, X))])
    return found


def _paired(held: Mapping[str, Any], plain: Floats) -> Floats:
    chosen = plain[:, held["paired"]]
    left, right = np.triu_indices(chosen.shape[1])
    return np.hstack([plain, chosen[:, left] * chosen[:, right]])


def _products(held: Mapping[str, Any], X: Matrix) -> Floats:
    found: Floats = (_paired(held, _plain(held, X)) - held["mean"]) / held["spread"]
    return found


def _fitted(
    train: Samples,
    validation: Samples | None,
    given: Mapping[str, Any],
    held: Estimator,
    expand: Callable[[Mapping[str, Any], Matrix], Matrix],
    *,
    grid: Sequence[float],
) -> Fitted:
    """Fits for each strength of the grid from strong to weak, until validation is worse twice."""
    made = expand(held, train.X)
    strengths = [given["C"]] if given["C"] else list(grid)
    fits = _ridge(made, train) if train.task is Task.REGRESSION else None
    worse = 0
    best: tuple[float, float, Any, Any] | None = None
    chance = None if fits else _Logistic(made, train)
    began = time.monotonic()  # its libraries are loaded
    seen: Matrix = expand(held, validation.X) if validation is not None else None
    for strength in strengths:
        coef, intercept = fits(strength) if fits else chance.fit(strength)  # type: ignore[union-attr]  # one of the two
        loss = 0.0
        if validation is not None:
            loss = _loss(seen @ coef + intercept, validation)
        if best is None or loss < best[0]:
            best, worse = (loss, strength, coef, intercept), 0
        else:
            worse += 1
        over = given["time_limit"] and time.monotonic() - began > given["time_limit"] / 2
        if worse == 2 or over:  # noqa: PLR2004
            break
    if best is None:  # a grid is never empty
        raise AssertionError
    _, strength, coef, intercept = best
    settings = {
        "task": str(train.task),
        "range": [float(train.y.min()), float(train.y.max())],
    }
    return Fitted(
        {**held, "coef": coef, "intercept": intercept, "settings": settings}, found={"C": strength}
    )


def _ridge(made: Matrix, train: Samples) -> Callable[[float], tuple[Floats, Floats]]:
    """Solutions for any strength, by one decomposition of the columns' products."""
    weight = np.ones(len(train.y)) if train.weight is None else np.asarray(train.weight)
    weight = weight / weight.sum()
    mean = np.asarray(made.T @ weight).ravel()
    level = float(weight @ train.y)
    spread = float(np.sqrt(weight @ (train.y - level) ** 2)) or 1.0
    y = (train.y - level) / spread
    scaled = made.multiply(weight[:, None]).tocsr() if hasattr(made, "tocsr") else None
    if scaled is None:
        scaled = made * weight[:, None]
    gram = made.T @ scaled
    gram = (gram.toarray() if hasattr(gram, "toarray") else gram) - np.outer(mean, mean)
    values, vectors = np.linalg.eigh(gram)
    along = vectors.T @ (np.asarray(scaled.T @ y).ravel() - mean * float(weight @ y))
    rows = len(y)

    def solved(strength: float) -> tuple[Floats, Floats]:
        coef = vectors @ (along / (np.maximum(values, 0) + 1 / (strength * rows))) * spread
        return coef[:, None], np.array([level - mean @ coef])

    return solved


class _Logistic:
    """Logistic regression along a path of strengths, each from where the last ended."""

    def __init__(self, made: Matrix, train: Samples) -> None:
        from sklearn.linear_model import LogisticRegression

        self._model = LogisticRegression(max_iter=_ITERATIONS, warm_start=True, tol=1e-4)
        self._made, self._train = made, train

    def fit(self, strength: float) -> tuple[Floats, Floats]:
        train = self._train
        there = np.unique(train.y).astype(np.int64)
        classes = max(train.classes, 2)
        if len(there) == 1:  # nothing to tell apart
            coef, intercept = np.zeros((self._made.shape[1], classes)), np.full(classes, -20.0)
            intercept[there] = 0.0
            return coef, intercept
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a path need not converge at each of its ends
            self._model.set_params(C=strength)
            self._model.fit(self._made, train.y, sample_weight=train.weight)
        coef, intercept = self._model.coef_, self._model.intercept_
        if len(there) == 2:  # noqa: PLR2004
            coef, intercept = np.vstack([-coef, coef]) / 2, np.array([-1, 1]) * intercept / 2
        every = np.zeros((classes, coef.shape[1]))
        every[there] = coef
        level = np.full(classes, float(intercept.min()) - 20.0)  # of a class without a row
        level[there] = intercept
        return every.T.copy(), level


def _softmax(out: Floats) -> Floats:
    e = np.exp(out - out.max(axis=1, keepdims=True))
    found: Floats = e / e.sum(axis=1, keepdims=True)
    return found


def _loss(out: Floats, validation: Samples) -> float:
    if validation.task is Task.REGRESSION:
        losses = (out[:, 0] - validation.y) ** 2
    else:
        hit = _softmax(out)[np.arange(len(out)), validation.y.astype(np.int64)]
        losses = -np.log(np.maximum(hit, 1e-7))
    return float(np.average(losses, weights=validation.weight))


def _read(estimator: Estimator, out: Floats) -> Floats:
    told = estimator["settings"]
    if told["task"] == Task.REGRESSION:
        values: Floats = np.clip(out[:, 0], *told["range"])
        return values
    chance = _softmax(out)
    return chance[:, 1].copy() if told["task"] == Task.BINARY else chance


def fit_splines(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,
    metric: Metric,  # noqa: ARG001  # log loss or squared error
) -> Fitted:
    """A line, or logistic regression, on cubic B-splines; validation chooses `C`."""
    given = {"C": None, "time_limit": None, **parameters}
    grid = (0.01, 0.1, 1.0, 10.0, 100.0)
    return _fitted(train, validation, given, _learn_splines(train), _splines, grid=grid)


def predict_splines(estimator: Estimator, X: Matrix) -> Floats:
    """Values, or probabilities; a row by itself, for the matrix is sparse."""
    return _read(estimator, _splines(estimator, X) @ estimator["coef"] + estimator["intercept"])


def fit_products(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,
    metric: Metric,  # noqa: ARG001  # log loss or squared error
) -> Fitted:
    """The same on products of pairs of columns."""
    given = {"C": None, "time_limit": None, **parameters}
    grid = (0.001, 0.01, 0.1, 1.0)
    return _fitted(train, validation, given, _learn_products(train), _products, grid=grid)


def predict_products(estimator: Estimator, X: Matrix) -> Floats:
    """In blocks of one size, padded: a row's sums do not depend on the rows beside it."""
    X = np.asarray(X)
    out = np.empty((len(X), len(estimator["intercept"])))
    for at in range(0, len(X), _BLOCK):
        size = min(_BLOCK, len(X) - at)
        block = np.zeros((_BLOCK, X.shape[1]))
        block[:size] = X[at : at + size]
        made = _products(estimator, block) @ estimator["coef"] + estimator["intercept"]
        out[at : at + size] = made[:size]
    return _read(estimator, out)

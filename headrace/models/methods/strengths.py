"""Ridge and logistic regression on columns that were made; validation chooses the strength."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Fitted, Matrix, Samples, Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

_ITERATIONS = 200


def fitted(
    train: Samples,
    validation: Samples | None,
    given: Mapping[str, Any],
    held: dict[str, Any],
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


def predicted(estimator: Mapping[str, Any], out: Floats) -> Floats:
    """Values, or probabilities, from margins."""
    told = estimator["settings"]
    if told["task"] == Task.REGRESSION:
        values: Floats = np.clip(out[:, 0], *told["range"])
        return values
    chance = _softmax(out)
    return chance[:, 1].copy() if told["task"] == Task.BINARY else chance


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

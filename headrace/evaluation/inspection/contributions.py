"""Shapley values: what each feature of a row adds to its prediction; they sum to it exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from headrace.evaluation.metrics import Floats
from headrace.models.algorithms.algorithm import Task
from headrace.models.model import Model

if TYPE_CHECKING:
    import lightgbm
    import xgboost

_BACKGROUND = 16  # rows that a sampled value is held against; half of them in reversed orders


@dataclass(frozen=True)
class Contributions:
    """Of each row and feature, and of each class where there are several.

    Attributes:
        features: The features, in the order of the second axis.
        values: Rows by features, or rows by features by classes.
        base: What is predicted where nothing is known of a row; one number, or one per class.
        scale: What they sum to: `margin`, which a link makes a probability of, or `prediction`.
        exact: Whether they are computed from the trees, or sampled.
    """

    features: tuple[str, ...]
    values: Floats
    base: Floats
    scale: Literal["margin", "prediction"]
    exact: bool

    @property
    def totals(self) -> Floats:
        """Base and contributions together: the prediction of each row, on its scale."""
        found: Floats = self.base + self.values.sum(axis=1)
        return found


def contributions(
    model: Model, rows: pa.Table, *, background: pa.Table, seed: int
) -> Contributions:
    """Shapley values of the features, as they are declared.

    LightGBM and XGBoost compute them from their trees exactly, on the scale of the margin, before
    any calibration (Lundberg et al. 2020, the path-dependent kind). Of any other model they are
    sampled on the scale of its prediction (Štrumbelj and Kononenko 2014, in orders and their
    reverses), against a few rows.

    Args:
        model: The model.
        rows: Rows to explain.
        background: Rows like those of training, for the sampled kind.
        seed: Of its samples.

    Example:
        `contributions(model, rows, background=rows, seed=7).totals` is `model.predict(rows)`, for a
        model whose values are sampled.
    """
    read = _READ.get(model.recipe.algorithm)
    if read is not None and not _linear_leaves(model):
        values = read(model.estimator, model.encoding.matrix(rows))
        return Contributions(model.encoding.names, values[:, :-1], values[0, -1], "margin", True)
    return _sampled(model, rows, background=background, seed=seed)


def _linear_leaves(model: Model) -> bool:
    """Whether LightGBM's leaves hold linear models, of which it computes no contributions."""
    return bool(model.recipe.parameters.get("linear_tree"))


def _of_lightgbm(booster: lightgbm.Booster, X: Floats) -> Floats:
    """Rows by features, and by classes where there are several; the base is the last feature."""
    found = np.asarray(booster.predict(X, pred_contrib=True, num_threads=1), dtype=np.float64)
    width = X.shape[1] + 1
    if found.shape[1] == width:
        return found
    return found.reshape(len(found), -1, width).transpose(0, 2, 1)


def _of_xgboost(booster: xgboost.Booster, X: Floats) -> Floats:
    """As of LightGBM."""
    import xgboost

    kinds = booster.feature_types or ["q"] * X.shape[1]
    data = xgboost.DMatrix(X, feature_types=kinds, enable_categorical=True, nthread=1)
    found = np.asarray(booster.predict(data, pred_contribs=True), dtype=np.float64)
    return found if found.ndim == 2 else found.transpose(0, 2, 1)  # noqa: PLR2004  # no classes


_READ: dict[str, Callable[[Any, Floats], Floats]] = {
    "lightgbm": _of_lightgbm,
    "xgboost": _of_xgboost,
}


def _sampled(model: Model, rows: pa.Table, *, background: pa.Table, seed: int) -> Contributions:
    """Walks from rows of the background to each row, feature by feature: the steps sum up."""
    names = model.encoding.names
    rng = np.random.default_rng(seed)
    few = min(_BACKGROUND, background.num_rows)
    places = rng.choice(background.num_rows, few, replace=False)
    steps = []
    starts = []
    order: Sequence[int] = ()
    for turn, place in enumerate(places.tolist()):
        order = order[::-1] if turn % 2 else rng.permutation(len(names)).tolist()
        walked = _walk(model, rows, background.slice(place, 1), names=names, order=order)
        moved = np.diff(walked, axis=0)
        ranks = np.argsort(order)
        steps.append(moved[ranks])
        starts.append(walked[0, 0])
    values = np.moveaxis(np.mean(steps, axis=0), 0, 1)
    return Contributions(names, values, np.mean(starts, axis=0), "prediction", False)


def _walk(
    model: Model, rows: pa.Table, start: pa.Table, *, names: Sequence[str], order: Sequence[int]
) -> Floats:
    """Steps by rows (by classes): predictions with ever more features of the row's own."""
    count = rows.num_rows
    columns = {}
    for step, place in enumerate(order):
        name = names[place]
        own = rows.column(name).combine_chunks()
        other = start.column(name).combine_chunks().take(pa.array(np.zeros(count, dtype=np.int64)))
        columns[name] = pa.chunked_array([other] * (step + 1) + [own] * (len(order) - step))
    table = pa.table({name: columns[name] for name in names})
    score = model.predict(table)
    shape = (len(order) + 1, count)
    return (
        score.reshape(*shape, -1) if model.classes.task is Task.MULTICLASS else score.reshape(shape)
    )

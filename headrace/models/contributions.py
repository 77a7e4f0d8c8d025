"""What each feature adds to one prediction, for models that tell it: linear ones, boosted trees.

Linear: coefficient times the feature's cells of the matrix. Trees: the path-dependent Shapley
values that LightGBM and XGBoost compute themselves (Lundberg et al. 2018, Consistent Individualized
Feature Attribution for Tree Ensembles). With the base they add up to the margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.linear.coefficients import log_exposure
from headrace.models.encoding import Kind, spans

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats
    from headrace.models.model import Model


@dataclass(frozen=True)
class Contributions:
    """What a prediction is made of.

    Attributes:
        by_feature: Feature -> what it adds.
        base: What is there before any feature.
        scale: What they add up to, such as `log odds`.
        of: The class they are of, where there are several.
    """

    by_feature: Mapping[str, float]
    base: float
    scale: str
    of: str | None = None


def contributions(model: Model, row: pa.Table) -> Contributions | None:
    """What each feature adds to the prediction of a row; None for models that do not tell.

    Args:
        model: The model.
        row: One row with its features.
    """
    several = model.classes.task is Task.MULTICLASS
    predicted = model.predict(row)
    place = int(predicted[0].argmax()) if several else 0
    parts = _parts(model, row, place)
    if parts is None:
        return None
    values, scale = parts
    names = model.encoding.names
    return Contributions(
        by_feature=dict(zip(names, map(float, values[:-1]), strict=True)),
        base=float(values[-1]),
        scale=scale,
        of=str(model.classes.labels[place]) if several else None,
    )


def _parts(model: Model, row: pa.Table, place: int) -> tuple[Floats, str] | None:
    """One number per feature, then the base; and what they add up to."""
    matrix, estimator = model.encoding.matrix(row), model.estimator
    scale = {
        Task.BINARY: "log odds",
        Task.MULTICLASS: "margin of the class",
        Task.REGRESSION: "value",
    }[model.classes.task]
    match model.recipe.algorithm:
        case "lightgbm":
            found = np.asarray(estimator.predict(matrix, pred_contrib=True, num_threads=1))
            return found.reshape(-1, len(model.encoding.names) + 1)[place], scale
        case "xgboost":
            return _of_xgboost(model, matrix)[place], scale
    if not _is_linear(estimator, matrix):
        return None
    coefficients = estimator["coef"]
    if coefficients.shape[1] > 1 and coefficients.shape[1] != model.classes.count:
        return None  # a class that training had no row of has no coefficients
    place = min(place, coefficients.shape[1] - 1)
    cells = np.asarray(matrix.todense())[0] * coefficients[:, place]
    if "exposure" in estimator:
        cells[estimator["exposure"][0]] += log_exposure(estimator, matrix)[0]
    sums = [cells[span].sum() for span in spans(model.encoding.columns)]
    scale = "log of the value" if estimator["link"] == "log" else scale
    return np.array([*sums, estimator["intercept"][place]]), scale


def _is_linear(estimator: Any, matrix: Any) -> bool:  # noqa: ANN401  # whatever a model keeps
    return (
        isinstance(estimator, Mapping)
        and estimator.get("link") in {"identity", "log", "softmax"}
        and hasattr(matrix, "todense")
        and estimator["coef"].shape[0] == matrix.shape[1]
    )


def _of_xgboost(model: Model, matrix: Any) -> Floats:  # noqa: ANN401  # a dense matrix
    import xgboost

    kinds = ["c" if c.kind is Kind.CATEGORY else "q" for c in model.encoding.columns]
    data = xgboost.DMatrix(matrix, feature_types=kinds, enable_categorical=True, nthread=1)
    found = model.estimator.predict(data, pred_contribs=True)
    return np.asarray(found, dtype=np.float64).reshape(-1, len(kinds) + 1)

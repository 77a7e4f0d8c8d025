"""Kernel values to some rows in place of those to all: kernel machines for more rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import (
    dense,
    described,
    one_class,
)
from headrace.models.algorithms.kernels.values import (
    STRENGTHS,
    TO_MEAN,
    fit_on_points,
    kernel,
    predict_expansion,
    variance,
)
from headrace.models.algorithms.linear.coefficients import ONE_HOT
from headrace.models.algorithms.space import log_int

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Metric


def _fit_nystroem(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Kernel values to some training rows stand for those to all of them."""
    import numpy as np

    if one_class(described(train)):
        return Fitted(described(train))
    given: dict[str, Any] = {**parameters}
    rows = train.X.shape[0]
    chosen = np.random.default_rng(seed).permutation(rows)[: given["n_components"]]
    points = np.array(dense(train.X[np.sort(chosen)]))
    gamma = (
        1 / (train.X.shape[1] * variance(train.X)) if given["gamma"] == "scale" else given["gamma"]
    )
    values, vectors = np.linalg.eigh(kernel(points, points, kernel="rbf", gamma=gamma))
    whitening = vectors / np.sqrt(np.maximum(values, 1e-12))
    return fit_on_points(train, points, whitening, gamma=float(gamma), strength=given["C"])


SVM_NYSTROEM = Algorithm(
    name="svm_nystroem",
    title="Kernel machine by Nystroem's approximation",
    tasks=frozenset(Task),
    needs=ONE_HOT,
    fit=_fit_nystroem,
    predict=predict_expansion,
    save_as="skops",
    defaults={"C": 1.0, "gamma": "scale", "n_components": 300},
    space={**STRENGTHS, "n_components": log_int(50, 1000)},
    family=Family.KERNELS,
    when_not="few rows: the exact kernel machine fits as fast",
    caveats=(TO_MEAN, "the kernel is `rbf`; the loss is logistic, or squared in a regression"),
    budget=Budget(rows=1_000_000, columns=2_000, cells=200_000_000),
    instead=("lightgbm",),
    exports=("onnx",),
    licence="BSD-3-Clause",
    source="Williams and Seeger 2001, Using the Nystroem Method to Speed Up Kernel Machines",
)

"""Entries whose methods are ours, of `models/methods`; nothing of them is loaded here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from headrace.models.algorithms.space import choice, integer, log_uniform, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric


@dataclass(frozen=True)
class _Fit:
    """A module's function that fits, loaded when it is called."""

    module: str
    name: str

    def __call__(
        self,
        train: Samples,
        parameters: Parameters,
        *,
        seed: int,
        validation: Samples | None,
        metric: Metric,
    ) -> Fitted:
        fit = getattr(import_module(self.module), self.name)
        found: Fitted = fit(train, parameters, seed=seed, validation=validation, metric=metric)
        return found


@dataclass(frozen=True)
class _Predict:
    """A module's function that predicts, loaded when it is called."""

    module: str
    name: str

    def __call__(self, estimator: Any, X: Matrix) -> Floats:  # noqa: ANN401  # its own
        found: Floats = getattr(import_module(self.module), self.name)(estimator, X)
        return found


SPLINE_LINEAR = Algorithm(
    name="spline_linear",
    title="Linear model on splines",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_Fit("headrace.models.methods.splines", "fit"),
    predict=_Predict("headrace.models.methods.splines", "predict"),
    save_as="arrays",
    defaults={"C": 1.0},
    space={"C": log_uniform(1e-3, 1e2)},
    family=Family.LINEAR,
    when_not="columns matter only together: take products of pairs, or boosting",
    caveats=(
        "beyond the outer knots a number's part stays as it is: no extrapolation",
        "more than 250 numbers enter as straight lines",
    ),
    budget=Budget(rows=2_000_000, columns=5_000, cells=200_000_000),
    instead=("logistic_regression", "lightgbm"),
    exports=("onnx",),
    source="Eilers, Marx 1996, Flexible Smoothing with B-splines and Penalties",
)

QUADRATIC = Algorithm(
    name="quadratic",
    title="Linear model on products of pairs of columns",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_Fit("headrace.models.methods.products", "fit"),
    predict=_Predict("headrace.models.methods.products", "predict"),
    save_as="arrays",
    defaults={"C": 0.01},
    space={"C": log_uniform(1e-4, 1.0)},
    family=Family.LINEAR,
    when_not="many columns or many rows: products of forty columns are made, and held densely",
    caveats=("of more than forty columns those are multiplied that tell most by themselves",),
    budget=Budget(rows=200_000, columns=5_000, cells=50_000_000),
    instead=("lightgbm",),
    exports=("onnx",),
    source="scikit-learn, PolynomialFeatures of degree 2",
)

GAUSSIAN_PROCESS_ARD = Algorithm(
    name="gaussian_process_ard",
    title="Gaussian process with learned length scales",
    tasks=frozenset({Task.REGRESSION}),
    needs=Needs(categories="one_hot"),
    fit=_Fit("headrace.models.methods.gaussian", "fit"),
    predict=_Predict("headrace.models.methods.gaussian", "predict"),
    save_as="arrays",
    defaults={"steps": 50},
    space={"steps": integer(10, 100)},
    family=Family.KERNELS,
    when_not="more than a thousand rows: time grows with their cube, times the steps",
    caveats=(
        "far from the rows it saw, a prediction returns to the mean; it stays within their range",
        "gives no interval yet; the model holds its training rows",
    ),
    budget=Budget(rows=5_000, columns=2_000, cells=2_000_000),
    instead=("gaussian_process", "svm_nystroem", "lightgbm"),
    exports=("onnx",),
    source="Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, chapter 5",
)

REALMLP = Algorithm(
    name="realmlp",
    title="Neural network (RealMLP)",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_Fit("headrace.models.methods.neural", "fit"),
    predict=_Predict("headrace.models.methods.neural", "predict"),
    save_as="arrays",
    defaults={"activation": "auto", "learning_rate": 0.04, "dropout": 0.15, "weight_decay": 0.02},
    space={
        "learning_rate": log_uniform(0.005, 0.2),
        "dropout": uniform(0.0, 0.4),
        "weight_decay": log_uniform(1e-3, 0.1),
        "activation": choice("auto", "selu", "mish"),
    },
    family=Family.NEURAL,
    when_not="fits must be quick, or a model must be read",
    caveats=(
        "numbers are rounded to single precision, and clipped smoothly beyond some spreads",
        "of a column's categories the hundred most frequent are told apart",
        "in a preset the time left shortens its schedule to what fits: such a fit need not come "
        "again alike",
    ),
    budget=Budget(rows=1_000_000, columns=5_000, cells=500_000_000),
    instead=("lightgbm",),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Holzmüller, Grinsztajn, Steinwart 2024, Better by Default: Strong Pre-Tuned MLPs and "
    "Boosted Trees on Tabular Data",
)

PRESET = Algorithm(
    name="preset",
    title="Preset of many models",
    tasks=frozenset(Task),
    needs=Needs(categories="codes"),
    fit=_Fit("headrace.models.presets.entry", "fit_entry"),
    predict=_Predict("headrace.models.presets.entry", "predict_entry"),
    save_as="preset",
    defaults={"preset": "best", "time_limit": 600.0},
    family=Family.ENSEMBLES,
    when_not="a model must be small, quick, or read; or the same on another machine",
    caveats=(
        "a fit that the time limit cut short need not come again alike",
        "in a pipeline its folds are runs of intervals, or of groups of `split.groups`; outside of "
        "one, rows are dealt at random",
    ),
    budget=Budget(rows=1_000_000, columns=5_000, cells=100_000_000),
    instead=("lightgbm",),
    source="Erickson et al. 2020, AutoGluon-Tabular, for bags of folds",
)

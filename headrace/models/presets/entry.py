"""A preset as an entry of the catalogue: samples in, a model of a matrix out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from headrace.models.algorithms.algorithm import Fitted, Matrix, Parameters, Samples, Task
from headrace.models.encoding import Encoding
from headrace.models.folds import dealt
from headrace.models.presets.bag import Bag, packed, unpacked
from headrace.models.presets.members import Preset, folds
from headrace.models.presets.prepared import cores_here, problem_of, rounds
from headrace.models.presets.problem import Problem
from headrace.models.presets.runner import run
from headrace.models.presets.workers import Worker

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric


@dataclass(frozen=True)
class OfMatrix:
    """A fitted preset that predicts rows of a matrix of `codes`.

    Attributes:
        encoding: From the matrix, as a table, to the members' matrices.
        bag: The estimators.
    """

    encoding: Encoding
    bag: Bag

    def predict(self, X: Matrix) -> Floats:
        """As `Algorithm.predict` of the task."""
        rows = len(X)
        table = as_table(X, self.encoding.categorical)
        found = self.bag.predict(
            {form: replace(self.encoding, form=form).matrix(table) for form in self.bag.forms}
            if rows
            else {},
            rows=rows,
        )
        return found[:, 1].copy() if self.bag.task is Task.BINARY else found

    def to_bytes(self) -> bytes:
        """One file, as `automl.Fitted.to_bytes`."""
        return packed({"encoding": self.encoding.to_json()}, self.bag)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote.

        Raises:
            CorruptArtifact: It is not that.
        """
        told, bag = unpacked(data)
        return cls(Encoding.from_json(told["encoding"]), bag)


def fit_matrix(
    train: Samples,
    *,
    preset: Preset,
    time_limit: float,
    seed: int,
    cores: int | None = None,
    workers: Callable[[Problem, int], Sequence[Worker]] | None = None,
) -> OfMatrix:
    """Fits a preset to samples of the form `codes`, blocks held out whole; see `automl.fit`."""
    began = time.monotonic()
    table = as_table(train.X, train.categorical)
    encoding = Encoding.fit(table, table.column_names, form="codes")
    rows, jobs = len(train.y), cores or cores_here()
    parts = dealt(
        train.y,
        train.task,
        min(folds(preset, rows, seconds=time_limit * jobs), rows),
        rounds=rounds(preset),
        seed=seed,
        blocks=train.blocks,
    )
    problem, chosen = problem_of(
        table,
        encoding,
        y=train.y,
        task=train.task,
        classes=max(train.classes, 2) if train.task is not Task.REGRESSION else 0,
        folds=parts,
        weight=train.weight,
        seed=seed,
        preset=preset,
    )
    found = run(problem, chosen, time_limit=time_limit, cores=jobs, began=began, workers=workers)
    return OfMatrix(encoding, found.bag)


def fit_entry(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,  # noqa: ARG001  # members are judged out of fold
    metric: Metric,  # noqa: ARG001  # log loss or squared error
) -> Fitted:
    """`fit_matrix` as an entry of the catalogue; of the rows of `train` alone."""
    given: dict[str, Any] = {"preset": "best", "time_limit": 600.0, **parameters}
    return Fitted(fit_matrix(train, seed=seed, **given))


def predict_entry(estimator: OfMatrix, X: Matrix) -> Floats:
    """What an entry of the catalogue predicts."""
    return estimator.predict(X)


def as_table(X: Matrix, categorical: Sequence[int]) -> pa.Table:
    """Codes of categories as texts that sort like them; missing as null."""
    held = set(categorical)
    columns: dict[str, Any] = {}
    for i in range(X.shape[1]):
        cells, absent = X[:, i], np.isnan(X[:, i])
        if i in held:
            texts = np.char.zfill(np.where(absent, 0, cells).astype(np.int64).astype(str), 9)
            columns[str(i)] = pa.array(texts.tolist(), pa.string(), mask=absent)
        else:
            columns[str(i)] = pa.array(cells, pa.float64(), mask=absent)
    return pa.table(columns)

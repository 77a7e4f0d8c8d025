"""Accuracy out of the box: a frame and its target in, a model out, within a time limit.

Example:
    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> model = fit(X, y, preset="quick", time_limit=20, seed=7)
    >>> model.predict_proba(X).shape
    (178, 3)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from headrace.errors import UsageError
from headrace.models.encoding import Encoding
from headrace.models.folds import dealt
from headrace.models.frame import Columns, as_frame
from headrace.models.labels import target_of, task_of
from headrace.models.presets.bag import Bag, packed, unpacked
from headrace.models.presets.members import PRESETS, Preset, folds
from headrace.models.presets.prepared import cores_here, problem_of, rounds
from headrace.models.presets.problem import Problem
from headrace.models.presets.runner import run
from headrace.models.presets.workers import Worker

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats


@dataclass(frozen=True)
class Fitted:
    """A fitted model of a frame.

    Attributes:
        columns: What is read of a frame.
        encoding: From there to matrices.
        bag: The estimators.
        classes: The labels of the classes, sorted; none for a regression.
        told: Of the fit: a line per member (seconds, out-of-fold loss, weight, error).
        held: Out-of-fold predictions of the training rows; not saved.
    """

    columns: Columns
    encoding: Encoding
    bag: Bag
    classes: tuple[Any, ...]  # labels as they were given
    told: tuple[Mapping[str, Any], ...] = ()
    held: Floats | None = None

    def predict_proba(self, X: Any) -> Floats:  # noqa: ANN401  # any table
        """Probability of each class, rows by classes in the order of `classes`.

        Raises:
            UsageError: It is a regression, or a column is missing.
        """
        if not self.classes:
            message = "a regression has no probabilities"
            raise UsageError(message, hint="use predict")
        return self._predicted(X)

    def predict(self, X: Any) -> Any:  # noqa: ANN401  # labels, or values
        """The most probable label, or the value, of each row.

        Raises:
            UsageError: A column is missing.
        """
        found = self._predicted(X)
        if not self.classes:
            return found
        labels = np.empty(len(self.classes), dtype=object)
        labels[:] = self.classes
        kinds = {type(each) for each in self.classes}
        if len(kinds) == 1 and kinds <= {int, float, bool, str}:
            labels = np.array(self.classes)
        return labels[found.argmax(axis=1)]

    def _predicted(self, X: Any) -> Floats:  # noqa: ANN401  # any table
        frame = as_frame(X)
        if len(frame) == 0 or not self.bag.members:
            return self.bag.predict({}, rows=len(frame))
        table = self.columns.table(frame)
        matrices = {
            form: replace(self.encoding, form=form).matrix(table) for form in self.bag.forms
        }
        return self.bag.predict(matrices, rows=len(frame))

    def to_bytes(self) -> bytes:
        """One file of native formats and JSON, without pickle; equal models give equal bytes."""
        manifest = {
            "columns": self.columns.to_json(),
            "encoding": self.encoding.to_json(),
            "classes": list(self.classes),
            "told": [dict(each) for each in self.told],
        }
        return packed(manifest, self.bag)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The model that `to_bytes` wrote.

        Raises:
            CorruptArtifact: It is not one.
        """
        told, bag = unpacked(data)
        return cls(
            columns=Columns.from_json(told["columns"]),
            encoding=Encoding.from_json(told["encoding"]),
            bag=bag,
            classes=tuple(told["classes"]),
            told=tuple(told["told"]),
        )

    def save(self, path: str | Path) -> None:
        """Writes `to_bytes` to a file."""
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote."""
        return cls.from_bytes(Path(path).read_bytes())


def fit(
    X: Any,  # noqa: ANN401  # any table
    y: Any,  # noqa: ANN401  # any column
    *,
    task: Literal["classification", "regression"] | None = None,
    preset: Preset = "best",
    time_limit: float = 600.0,
    cores: int | None = None,
    seed: int = 0,
    weight: Sequence[float] | None = None,
    groups: Sequence[Any] | None = None,
    split: Sequence[int] | None = None,
    workers: Callable[[Problem, int], Sequence[Worker]] | None = None,
) -> Fitted:
    """Fits a preset.

    A class prior's log loss is what the model has at most, out of fold: where nothing beats the
    prior, the prior is the model. A member that fails or hangs is left out, and told. The same
    arguments give the same model as long as no member was cut short by the time limit.

    Args:
        X: A pandas, polars or Arrow table, or rows by columns; see `frame.Columns` for what is
            read, what is missing, and what is left out.
        y: Labels or values, one per row; rows where it is missing (or, of a regression, infinite)
            are left out.
        task: None: texts, true and false, categories, and whole numbers of at most 20 different
            values are classes; all else is a regression.
        preset: `quick`, `good` or `best`.
        time_limit: Seconds for all of this; kept within a tenth.
        cores: Jobs at a time, one thread each; None: all there are.
        seed: Of folds and fits.
        weight: Of each row, not negative.
        groups: Rows of one group are never on both sides of a fold.
        split: The fold of each row, instead of folds that are dealt; -1: always learned from.
        workers: Where jobs run, instead of in processes beside.

    Raises:
        UsageError: There is no row with a target, or an argument makes no sense.
    """
    import pandas as pd

    began = time.monotonic()
    if preset not in PRESETS:
        message = f"no preset {preset!r}"
        raise UsageError(message, hint=f"there are {', '.join(PRESETS)}")
    frame = as_frame(X)
    target, classes = target_of(y, task)
    if len(frame) != len(target):
        message = f"{len(frame)} rows and {len(target)} targets"
        raise UsageError(message, hint="give a target per row")
    if not time_limit > 0:
        message = f"a time limit of {time_limit} seconds"
        raise UsageError(message, hint="give seconds above 0")
    weights, names, places = (
        _per_row(name, each, len(target))
        for name, each in (("weight", weight), ("groups", groups), ("split", split))
    )
    known = np.isfinite(target)
    if weights is not None:
        weights = weights.astype(np.float64)
        if not (np.isfinite(weights) & (weights >= 0)).all():
            message = "a weight is negative or not finite"
            raise UsageError(message, hint="weights are 0 or more")
        known &= weights > 0
    if not known.any():
        message = "no row has a target"
        raise UsageError(message, hint="look at the target and the weights")
    if not known.all():
        frame, target = frame[known], target[known]
    rows = np.flatnonzero(known)
    kind = task_of(classes)
    columns = Columns.learn(frame)
    table = columns.table(frame)
    encoding = Encoding.fit(table, table.column_names, form="codes")
    weights = None if weights is None else weights[rows]
    jobs = cores or cores_here()
    count = min(folds(preset, len(target), seconds=time_limit * jobs), len(target))
    grouped = None if names is None else pd.factorize(names[rows])[0]
    if places is not None:
        dealt_so = places[rows].astype(np.int64)[None, :]
    else:
        dealt_so = dealt(target, kind, count, rounds=rounds(preset), seed=seed, groups=grouped)
    problem, chosen = problem_of(
        table,
        encoding,
        y=target,
        task=kind,
        classes=len(classes),
        folds=dealt_so,
        weight=weights,
        seed=seed,
        preset=preset,
    )
    outcome = run(
        problem,
        chosen,
        time_limit=time_limit,
        cores=jobs,
        began=began,
        workers=workers,
    )
    return Fitted(columns, encoding, outcome.bag, classes, outcome.told, outcome.held)


def _per_row(name: str, given: Sequence[Any] | None, rows: int) -> Any:  # noqa: ANN401  # an array
    """An argument that has a value for each row, as an array."""
    if given is None:
        return None
    found = np.asarray(given)
    if found.shape != (rows,):
        message = f"{rows} rows and `{name}` of the shape {found.shape}"
        raise UsageError(message, hint=f"give `{name}` a value per row")
    return found

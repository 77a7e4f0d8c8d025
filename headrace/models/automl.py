"""Accuracy out of the box: a frame and its target in, a model out, within a time limit.

Example:
    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True, as_frame=True)
    >>> model = fit(X, y, preset="quick", time_limit=20, seed=7)
    >>> model.predict_proba(X).shape
    (178, 3)
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa

from headrace.errors import CorruptArtifact, UsageError
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Fitted as FittedEntry
from headrace.models.algorithms.algorithm import Matrix, Parameters, Samples, Task
from headrace.models.bag import Bag, Member
from headrace.models.encoding import Encoding
from headrace.models.folds import dealt
from headrace.models.formats import as_json
from headrace.models.frame import Columns, as_frame
from headrace.models.jobs import Problem, Worker
from headrace.models.presets import PRESETS, Preset, Profile, folds, members
from headrace.models.runner import ROUNDS, run
from headrace.models.zipped import unzipped, zipped

if TYPE_CHECKING:
    import pandas as pd

    from headrace.evaluation.metrics import Floats, Integers, Metric

_MANIFEST, _BAG = "manifest.json", "bag.zip"
_FEW_VALUES = 20  # whole numbers with at most so many different values are taken for classes


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
        return _packed(manifest, self.bag)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The model that `to_bytes` wrote.

        Raises:
            CorruptArtifact: It is not one.
        """
        told, bag = _unpacked(data)
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
    target, classes = _target(y, task)
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
    kind = _kind(classes)
    columns = Columns.learn(frame)
    table = columns.table(frame)
    encoding = Encoding.fit(table, table.column_names, form="codes")
    weights = None if weights is None else weights[rows]
    jobs = cores or _cores()
    count = min(folds(preset, len(target), seconds=time_limit * jobs), len(target))
    grouped = None if names is None else pd.factorize(names[rows])[0]
    if places is not None:
        dealt_so = places[rows].astype(np.int64)[None, :]
    else:
        dealt_so = dealt(target, kind, count, rounds=_rounds(preset), seed=seed, groups=grouped)
    problem, chosen = _problem(
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
        table = _as_table(X, self.encoding.categorical)
        found = self.bag.predict(
            {form: replace(self.encoding, form=form).matrix(table) for form in self.bag.forms}
            if rows
            else {},
            rows=rows,
        )
        return found[:, 1].copy() if self.bag.task is Task.BINARY else found

    def to_bytes(self) -> bytes:
        """One file, as `Fitted.to_bytes`."""
        return _packed({"encoding": self.encoding.to_json()}, self.bag)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote.

        Raises:
            CorruptArtifact: It is not that.
        """
        told, bag = _unpacked(data)
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
    """Fits a preset to samples of the form `codes`, their blocks held out whole; see `fit`."""
    began = time.monotonic()
    table = _as_table(train.X, train.categorical)
    encoding = Encoding.fit(table, table.column_names, form="codes")
    rows, jobs = len(train.y), cores or _cores()
    parts = dealt(
        train.y,
        train.task,
        min(folds(preset, rows, seconds=time_limit * jobs), rows),
        rounds=_rounds(preset),
        seed=seed,
        blocks=train.blocks,
    )
    problem, chosen = _problem(
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
) -> FittedEntry:
    """`fit_matrix` as an entry of the catalogue; of the rows of `train` alone."""
    given: dict[str, Any] = {"preset": "best", "time_limit": 600.0, **parameters}
    return FittedEntry(fit_matrix(train, seed=seed, **given))


def predict_entry(estimator: OfMatrix, X: Matrix) -> Floats:
    """What an entry of the catalogue predicts."""
    return estimator.predict(X)


def _as_table(X: Matrix, categorical: Sequence[int]) -> pa.Table:
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


def _rounds(preset: Preset) -> int:
    return ROUNDS if preset == "best" else 1


def _problem(
    table: pa.Table,
    encoding: Encoding,
    *,
    y: Floats,
    task: Task,
    classes: int,
    folds: Integers,
    weight: Floats | None,
    seed: int,
    preset: Preset,
) -> tuple[Problem, tuple[Member, ...]]:
    """What the members work on, and who they are."""
    learnable = encoding.columns and len(np.unique(y)) > 1 and _halves(folds[0])
    chosen = members(preset, _profile(task, encoding, y, classes)) if learnable else ()
    forms = sorted({named(member.algorithm).needs.categories for member in chosen})
    matrices = {form: replace(encoding, form=form).matrix(table) for form in forms}
    problem = Problem(
        matrices=matrices,
        y=y,
        categorical=encoding.categorical,
        task=task,
        classes=classes,
        folds=folds,
        weight=weight,
        seed=seed,
    )
    return problem, chosen


def _per_row(name: str, given: Sequence[Any] | None, rows: int) -> Any:  # noqa: ANN401  # an array
    """An argument that has a value for each row, as an array."""
    if given is None:
        return None
    found = np.asarray(given)
    if found.shape != (rows,):
        message = f"{rows} rows and `{name}` of the shape {found.shape}"
        raise UsageError(message, hint=f"give `{name}` a value per row")
    return found


def _halves(fold: Integers) -> bool:
    """Whether rows are held out, and others are left to learn from."""
    found = np.unique(fold)
    return len(found) > 1 and bool(found[-1] >= 0)


def _packed(manifest: Mapping[str, Any], bag: Bag) -> bytes:
    return zipped({_MANIFEST: as_json(manifest), _BAG: bag.to_bytes()})


def _unpacked(data: bytes) -> tuple[dict[str, Any], Bag]:
    try:
        files = unzipped(data)
        return json.loads(files[_MANIFEST]), Bag.from_bytes(files[_BAG])
    except (KeyError, TypeError, ValueError) as error:
        message = f"this is no fitted model: {error!r}"
        raise CorruptArtifact(message, hint="fit again") from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _target(y: Any, task: str | None) -> tuple[Floats, tuple[Any, ...]]:  # noqa: ANN401  # any column
    """Values or codes of classes, NaN where missing; the labels of the classes, sorted."""
    import pandas as pd

    if isinstance(y, pd.DataFrame):
        y = y.iloc[:, 0]
    if hasattr(y, "to_pandas"):  # polars, Arrow
        y = y.to_pandas()
    column = y if isinstance(y, pd.Series) else pd.Series(np.asarray(y).reshape(-1))
    if task not in {None, "classification", "regression"}:
        message = f"no task {task!r}"
        raise UsageError(message, hint="there are classification and regression")
    if task is None:
        task = "classification" if _looks_like_classes(column) else "regression"
    if task == "regression":
        values = pd.to_numeric(column.astype(object), errors="coerce")
        return values.to_numpy(dtype=np.float64, na_value=np.nan), ()
    labels = column.dropna().astype(object).map(_label)
    kinds = {type(each) for each in labels}
    order = sorted(
        set(labels), key=None if len(kinds) == 1 else lambda each: (str(type(each)), str(each))
    )
    code = {label: float(i) for i, label in enumerate(order)}
    codes = np.full(len(column), np.nan)
    codes[column.notna().to_numpy()] = [code[label] for label in labels]
    return codes, tuple(order)


def _looks_like_classes(column: pd.Series[Any]) -> bool:
    import pandas as pd

    types = pd.api.types
    if types.is_bool_dtype(column.dtype) or not types.is_numeric_dtype(column.dtype):
        return True
    known = column.dropna().to_numpy(dtype=np.float64)
    return bool((known == np.round(known)).all()) and len(np.unique(known)) <= _FEW_VALUES


def _label(value: Any) -> Any:  # noqa: ANN401  # a label
    """A label as JSON knows it."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)


def _kind(classes: Sequence[Any]) -> Task:
    if not classes:
        return Task.REGRESSION
    return Task.MULTICLASS if len(classes) > 2 else Task.BINARY  # noqa: PLR2004


def _profile(kind: Task, encoding: Encoding, target: Floats, classes: int) -> Profile:
    skew = 0.0
    if kind is Task.REGRESSION and target.min() > 0 and target.std() > 0:
        skew = float((((target - target.mean()) / target.std()) ** 3).mean())
    return Profile(
        task=kind,
        rows=len(target),
        columns=len(encoding.columns),
        width=sum(max(len(column.categories), 1) for column in encoding.columns),
        classes=classes,
        skew=skew,
    )

"""Members of an ensemble: entries of the catalogue, fitted by name, and what each predicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import (
    Budget,
    Family,
    Matrix,
    Needs,
    Parameters,
    Samples,
    Task,
)

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric
    from headrace.models.encoding import Column

CERTAIN = 1e-6  # the least probability that a log is taken of
CODES = Needs(categories="codes")
BUDGET = Budget(rows=5_000_000, columns=5_000, cells=500_000_000)


def members_of(parameters: Parameters, task: Task) -> list[str]:
    """The names of the members: those given, or three that differ."""
    given = parameters.get("of")
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and given:
        return [str(each) for each in given]
    linear = "ridge" if task is Task.REGRESSION else "logistic_regression"
    return ["lightgbm", "extra_trees", linear]


def fit_member(
    name: str,
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A fitted member, and what it found, under `name.`."""
    from headrace.models.algorithms import named

    entry = named(name)
    if entry.family is Family.ENSEMBLES or entry.baseline:
        message = f"{name} is no member of an ensemble"
        raise UsageError(message, hint="take algorithms that are neither baselines nor ensembles")
    own = {k.partition(".")[2]: v for k, v in parameters.items() if k.startswith(f"{name}.")}
    columns: list[Column] | None = None
    if entry.needs.categories == "one_hot":
        columns = _columns(train)
        train = _widened(train, columns)
        validation = None if validation is None else _widened(validation, columns)
    fitted = entry.fit(
        train, {**entry.defaults, **own}, seed=seed, validation=validation, metric=metric
    )
    member = {
        "algorithm": name,
        "columns": None if columns is None else [asdict(column) for column in columns],
        "estimator": fitted.estimator,
    }
    return member, {f"{name}.{key}": value for key, value in fitted.found.items()}


def fit_all(
    names: Sequence[str],
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All members, fitted on the same rows, and what they found."""
    members: list[dict[str, Any]] = []
    found: dict[str, Any] = {}
    for name in names:
        member, new = fit_member(
            name, train, parameters, seed=seed, validation=validation, metric=metric
        )
        members.append(member)
        found |= new
    return members, found


def predictions(members: Sequence[Mapping[str, Any]], X: Matrix) -> Iterator[Floats]:
    """Predictions of each member, from the matrix of codes.

    One-hot columns are made once for neighbours that share them.
    """
    from headrace.models.algorithms import named

    wide, made_of = X, None
    for member in members:
        told = member["columns"]
        if told is not None and told != made_of:
            wide, made_of = _wide(X, _read(told)), told
        yield named(member["algorithm"]).predict(member["estimator"], X if told is None else wide)


def of_classes(found: Floats) -> Floats:
    """Probabilities of all classes, from a binary prediction too."""
    import numpy as np

    return np.column_stack([1 - found, found]) if found.ndim == 1 else found


def _columns(train: Samples) -> list[Column]:
    """What one-hot columns need to know of a matrix of codes."""
    import numpy as np

    from headrace.models.encoding import Column, Kind

    found = []
    for place in range(train.X.shape[1]):
        cells = np.asarray(train.X[:, place])
        known = cells[~np.isnan(cells)]
        missing = len(known) < len(cells)
        if place in train.categorical:
            codes = tuple(str(code) for code in range(int(known.max(initial=-1)) + 1))
            found.append(
                Column(
                    name=str(place),
                    type="code",
                    kind=Kind.CATEGORY,
                    categories=codes,
                    missing=missing,
                )
            )
            continue
        deviation = float(known.std()) if len(known) else 0.0
        found.append(
            Column(
                name=str(place),
                type="number",
                kind=Kind.NUMBER,
                mean=float(known.mean()) if len(known) else 0.0,
                scale=deviation if deviation > 0 else 1.0,
                missing=missing,
            )
        )
    return found


def _wide(X: Matrix, columns: Sequence[Column]) -> Matrix:
    import numpy as np

    from headrace.models.encoding import Kind, one_hot

    cells = []
    for place, column in enumerate(columns):
        cell = np.asarray(X[:, place])
        if column.kind is Kind.CATEGORY:  # a code that the fitted rows had not is as missing
            cell = np.where(cell < len(column.categories), cell, np.nan)
        cells.append(cell)
    return one_hot(columns, cells, rows=X.shape[0])


def _widened(samples: Samples, columns: Sequence[Column]) -> Samples:
    return replace(samples, X=_wide(samples.X, columns), categorical=(), columns=())


def _read(columns: Sequence[Mapping[str, Any]]) -> list[Column]:
    from headrace.models.encoding import Column, Kind

    return [
        Column(**{**each, "kind": Kind(each["kind"]), "categories": tuple(each["categories"])})
        for each in columns
    ]

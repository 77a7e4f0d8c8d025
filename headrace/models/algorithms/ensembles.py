"""Ensembles of other entries: bagging, stacking, blending and weighted means.

Members are entries of the catalogue under their defaults; `name.parameter` gives one of them
another value, such as `lightgbm.num_leaves`. All take the matrix of codes; members that need
one-hot columns get them from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from headrace.errors import UsageError
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
from headrace.models.algorithms.estimators import (
    completed,
    converging,
    described,
    one_class,
    softmax,
    weighted,
)
from headrace.models.algorithms.space import integer, log_int, log_uniform, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers, Metric
    from headrace.models.encoding import Column

_CERTAIN = 1e-6  # the least probability that a log is taken of
_MOST_PICKS = 50  # of a weighted ensemble


def _members(parameters: Parameters, task: Task) -> list[str]:
    """The names of the members: those given, or three that differ."""
    given = parameters.get("of")
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and given:
        return [str(each) for each in given]
    linear = "ridge" if task is Task.REGRESSION else "logistic_regression"
    return ["lightgbm", "extra_trees", linear]


def _fit_member(
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
    return replace(samples, X=_wide(samples.X, columns), categorical=())


def _predictions(members: Sequence[Mapping[str, Any]], X: Matrix) -> Iterator[Floats]:
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


def _read(columns: Sequence[Mapping[str, Any]]) -> list[Column]:
    from headrace.models.encoding import Column, Kind

    return [
        Column(**{**each, "kind": Kind(each["kind"]), "categories": tuple(each["categories"])})
        for each in columns
    ]


def _fit_bagging(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """One member on each of several draws of the rows; the first finds for all."""
    import numpy as np

    given: dict[str, Any] = {**parameters}
    (name,) = _members({"of": given["of"]}, train.task)
    draw = np.random.default_rng(seed)
    rows = len(train.y)
    size = max(1, round(given["max_samples"] * rows))
    members: list[dict[str, Any]] = []
    found: dict[str, Any] = {}
    for number in range(given["n_estimators"]):
        part = train.take(np.sort(draw.integers(0, rows, size)))
        member, new = _fit_member(
            name,
            part,
            {**given, **found},
            seed=seed + number,
            validation=validation if number == 0 else None,
            metric=metric,
        )
        found |= new
        members.append(member)
    weights = [1 / len(members)] * len(members)
    return Fitted({**_told(train), "members": members, "weights": weights}, found=found)


def _told(train: Samples) -> dict[str, Any]:
    return {"task": str(train.task), "classes": train.classes, "present": []}


def _predict_mean(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """The weighted mean of the members, added in their order."""
    weighed = [
        weight * found
        for found, weight in zip(
            _predictions(estimator["members"], X), estimator["weights"], strict=True
        )
    ]
    total: Floats = weighed[0]
    for each in weighed[1:]:
        total = total + each
    return total


def _fit_weighted(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """Members are picked, again and again, as each pick makes validation better.

    Source: Caruana et al. 2004, Ensemble Selection from Libraries of Models.
    """
    names = _members(parameters, train.task)
    members, found = _all(names, train, parameters, seed=seed, validation=validation, metric=metric)
    picks: Any = parameters.get("picks") or [1] * len(members)
    if validation is not None:
        parts = list(_predictions(members, validation.X))
        picks = _picked(parts, validation)
        found["picks"] = picks
    held = [(member, pick) for member, pick in zip(members, picks, strict=True) if pick]
    estimator = {
        **_told(train),
        "members": [member for member, _ in held],
        "weights": [pick / sum(picks) for _, pick in held],
    }
    return Fitted(estimator, found=found)


def _all(
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
        member, new = _fit_member(
            name, train, parameters, seed=seed, validation=validation, metric=metric
        )
        members.append(member)
        found |= new
    return members, found


def _picked(parts: Sequence[Floats], validation: Samples) -> list[int]:
    """How often each member is picked, up to where validation was best."""
    picks, chosen = [0] * len(parts), [0] * len(parts)
    total, best = parts[0] * 0.0, float("inf")
    for count in range(1, _MOST_PICKS + 1):
        losses = [_loss((total + part) / count, validation) for part in parts]
        place = losses.index(min(losses))
        picks[place] += 1
        total = total + parts[place]
        if losses[place] < best - 1e-9:
            best, chosen = losses[place], list(picks)
    return chosen


def _loss(found: Floats, samples: Samples) -> float:
    """Log loss, or the squared error of a regression."""
    import numpy as np

    if samples.task is Task.REGRESSION:
        return float(np.average((samples.y - found) ** 2, weights=samples.weight))
    whole = np.column_stack([1 - found, found]) if found.ndim == 1 else found
    share = whole[np.arange(len(samples.y)), samples.y.astype(np.int64)]
    return float(np.average(-np.log(np.maximum(share, _CERTAIN)), weights=samples.weight))


def _fit_stacking(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """A line, or logistic regression, on what members say of rows they were not fitted on.

    Folds are runs of blocks; without them of neighbouring rows, so that a day or a group stays
    together where rows are in its order. Source: Wolpert 1992, Stacked Generalization.
    """
    import numpy as np

    from headrace.models.folds import runs

    folds = min(int(str(parameters["folds"])), len(train.y))
    held = np.array_split(np.arange(len(train.y)), folds)
    if train.blocks is not None:
        run = runs(train.blocks, folds)
        held = [np.flatnonzero(run == each) for each in range(run.max() + 1)]
    return _stacked(train, parameters, held, seed=seed, validation=validation, metric=metric)


def _fit_blending(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    """As stacking, on the last rows alone, which members of a first fit have not seen."""
    import numpy as np

    rows = len(train.y)
    first = min(rows - 1, rows - round(float(str(parameters["held"])) * rows))
    held = [np.arange(max(first, 0), rows)]
    return _stacked(train, parameters, held, seed=seed, validation=validation, metric=metric)


def _stacked(
    train: Samples,
    parameters: Parameters,
    held: Sequence[Integers],
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,
) -> Fitted:
    import numpy as np

    names = _members(parameters, train.task)
    members, found = _all(names, train, parameters, seed=seed, validation=validation, metric=metric)
    given = {**parameters, **found}
    places = np.concatenate(held)
    said = []
    for part in held:
        others = np.setdiff1d(np.arange(len(train.y)), part)
        if not len(others):
            message = "too few rows to hold some out"
            raise UsageError(message, hint="take more rows, or no ensemble")
        fitted, _ = _all(
            names, train.take(others), given, seed=seed, validation=None, metric=metric
        )
        said.append(_said(fitted, train.X[part], train.task))
    judged = train.take(places)
    estimator = {**described(judged), "members": members}
    if one_class(estimator):
        return Fitted(estimator, found=found)
    estimator |= _judge(np.concatenate(said), judged, float(str(parameters["C"])))
    return Fitted(estimator, found=found)


def _said(members: Sequence[Mapping[str, Any]], X: Matrix, task: Task) -> Floats:
    """What members say: values, or logs of probabilities of each class against the first."""
    import numpy as np

    columns = []
    for found in _predictions(members, X):
        if task is Task.REGRESSION:
            columns.append(found[:, None])
            continue
        whole = np.column_stack([1 - found, found]) if found.ndim == 1 else found
        logs = np.log(np.clip(whole, _CERTAIN, None))
        columns.append(logs[:, 1:] - logs[:, :1])
    return np.hstack(columns)


def _judge(said: Floats, train: Samples, strength: float) -> dict[str, Any]:
    """Ridge or logistic regression on what members say, as coefficients."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression, Ridge

    with converging():
        if train.task is Task.REGRESSION:
            model = Ridge(alpha=1 / (2 * strength), positive=True)
        else:
            model = LogisticRegression(C=strength, max_iter=500)
        model.fit(said, train.y, **weighted(train))
    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    return {"coef": coef, "intercept": np.atleast_1d(np.asarray(model.intercept_))}


def _predict_stacked(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Sums over members one after the other, so that a row's has no part in its neighbours'."""
    import numpy as np

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))
    said = _said(estimator["members"], X, Task(estimator["task"]))
    total = np.repeat(estimator["intercept"][None, :], X.shape[0], axis=0)
    for column, slopes in zip(said.T, estimator["coef"].T, strict=True):
        total = total + column[:, None] * slopes
    if estimator["task"] == Task.REGRESSION:
        return completed(estimator, total)
    two = total.shape[1] == 1
    return completed(estimator, softmax(np.hstack([np.zeros_like(total), total]) if two else total))


_ALL = frozenset(Task)
_CODES = Needs(categories="codes")
_COST = "costs as much as all its members"
_BUDGET = Budget(rows=5_000_000, columns=5_000, cells=500_000_000)

BAGGING = Algorithm(
    name="bagging",
    title="Bagging of any entry",
    tasks=_ALL,
    needs=_CODES,
    fit=_fit_bagging,
    predict=_predict_mean,
    save_as="ensemble",
    defaults={"of": "decision_tree", "n_estimators": 30, "max_samples": 1.0},
    space={"n_estimators": log_int(10, 100), "max_samples": uniform(0.3, 1.0)},
    family=Family.ENSEMBLES,
    when_not="the member is steady by itself, such as a line: its mean is the same line",
    caveats=(_COST, "`of` names the entry, `decision_tree` where nothing is said"),
    budget=_BUDGET,
    instead=("random_forest", "lightgbm"),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Breiman 1996, Bagging Predictors",
)

STACKING = Algorithm(
    name="stacking",
    title="Stacking of entries",
    tasks=_ALL,
    needs=_CODES,
    fit=_fit_stacking,
    predict=_predict_stacked,
    save_as="ensemble",
    defaults={"folds": 4, "C": 1.0},
    space={"folds": integer(3, 10), "C": log_uniform(1e-2, 1e2)},
    family=Family.ENSEMBLES,
    when_not="one member is far ahead, or the model must be read",
    caveats=(
        "costs as much as all its members, once per fold and once more",
        "outside of a pipeline rows of one group must be neighbours, or a fold tells of another",
        "`of` lists the entries: lightgbm, extra_trees and a linear one where nothing is said",
    ),
    budget=_BUDGET,
    instead=("lightgbm",),
    aliases=("stacked_generalisation",),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Wolpert 1992, Stacked Generalization",
)

BLENDING = Algorithm(
    name="blending",
    title="Blending of entries",
    tasks=_ALL,
    needs=_CODES,
    fit=_fit_blending,
    predict=_predict_stacked,
    save_as="ensemble",
    defaults={"held": 0.2, "C": 1.0},
    space={"held": uniform(0.1, 0.4), "C": log_uniform(1e-2, 1e2)},
    family=Family.ENSEMBLES,
    when_not="rows are few: stacking holds out each of them once",
    caveats=(
        "costs twice as much as all its members",
        "the last rows are held out: of rows in the order of time, the newest",
        "`of` lists the entries: lightgbm, extra_trees and a linear one where nothing is said",
    ),
    budget=_BUDGET,
    instead=("stacking", "lightgbm"),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Toescher et al. 2009, The BigChaos Solution to the Netflix Grand Prize",
)

WEIGHTED_ENSEMBLE = Algorithm(
    name="weighted_ensemble",
    title="Weighted mean of entries",
    tasks=_ALL,
    needs=_CODES,
    fit=_fit_weighted,
    predict=_predict_mean,
    save_as="ensemble",
    defaults={"of": []},
    family=Family.ENSEMBLES,
    when_not="one member is far ahead, or the model must be read",
    caveats=(
        _COST,
        "weights are found on validation, which is then no longer unseen",
        "`of` lists the entries: lightgbm, extra_trees and a linear one where nothing is said",
    ),
    budget=_BUDGET,
    instead=("lightgbm",),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Caruana et al. 2004, Ensemble Selection from Libraries of Models",
)

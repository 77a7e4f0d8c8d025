"""A judge over members: it learns from what they say of rows they were not fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import (
    Algorithm,
    Family,
    Fitted,
    Matrix,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.ensembles.members import (
    BUDGET,
    CERTAIN,
    CODES,
    fit_all,
    members_of,
    of_classes,
    predictions,
)
from headrace.models.algorithms.estimators import (
    completed,
    converging,
    described,
    one_class,
    softmax,
    weighted,
)
from headrace.models.algorithms.space import integer, log_uniform, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers, Metric


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

    names = members_of(parameters, train.task)
    members, found = fit_all(
        names, train, parameters, seed=seed, validation=validation, metric=metric
    )
    given = {**parameters, **found}
    places = np.concatenate(held)
    said = []
    for part in held:
        others = np.setdiff1d(np.arange(len(train.y)), part)
        if not len(others):
            message = "too few rows to hold some out"
            raise UsageError(message, hint="take more rows, or no ensemble")
        fitted, _ = fit_all(
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
    for found in predictions(members, X):
        if task is Task.REGRESSION:
            columns.append(found[:, None])
            continue
        logs = np.log(np.clip(of_classes(found), CERTAIN, None))
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


STACKING = Algorithm(
    name="stacking",
    title="Stacking of entries",
    tasks=frozenset(Task),
    needs=CODES,
    fit=_fit_stacking,
    predict=_predict_stacked,
    save_as="ensemble",
    defaults={"folds": 4, "C": 1.0},
    optional={"of": []},
    space={"folds": integer(3, 10), "C": log_uniform(1e-2, 1e2)},
    family=Family.ENSEMBLES,
    when_not="one member is far ahead, or the model must be read",
    caveats=(
        "costs as much as all its members, once per fold and once more",
        "outside of a pipeline rows of one group must be neighbours, or a fold tells of another",
        "`of` lists the entries: lightgbm, extra_trees and a linear one where nothing is said",
    ),
    budget=BUDGET,
    instead=("lightgbm",),
    aliases=("stacked_generalisation", "stacked_generalization"),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Wolpert 1992, Stacked Generalization",
)

BLENDING = Algorithm(
    name="blending",
    title="Blending of entries",
    tasks=frozenset(Task),
    needs=CODES,
    fit=_fit_blending,
    predict=_predict_stacked,
    save_as="ensemble",
    defaults={"held": 0.2, "C": 1.0},
    optional={"of": []},
    space={"held": uniform(0.1, 0.4), "C": log_uniform(1e-2, 1e2)},
    family=Family.ENSEMBLES,
    when_not="rows are few: stacking holds out each of them once",
    caveats=(
        "costs twice as much as all its members",
        "the last rows are held out: of rows in the order of time, the newest",
        "`of` lists the entries: lightgbm, extra_trees and a linear one where nothing is said",
    ),
    budget=BUDGET,
    instead=("stacking", "lightgbm"),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Toescher et al. 2009, The BigChaos Solution to the Netflix Grand Prize",
)

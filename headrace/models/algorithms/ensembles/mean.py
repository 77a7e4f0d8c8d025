"""Weighted means of members: bagging, and a mean whose weights are found on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
    fit_member,
    members_of,
    of_classes,
    predictions,
)
from headrace.models.algorithms.space import log_int, uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_MOST_PICKS = 50  # of a weighted ensemble
_COST = "costs as much as all its members"


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
    (name,) = members_of({"of": given["of"]}, train.task)
    draw = np.random.default_rng(seed)
    rows = len(train.y)
    size = max(1, round(given["max_samples"] * rows))
    members: list[dict[str, Any]] = []
    found: dict[str, Any] = {}
    for number in range(given["n_estimators"]):
        part = train.take(np.sort(draw.integers(0, rows, size)))
        member, new = fit_member(
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
    names = members_of(parameters, train.task)
    members, found = fit_all(
        names, train, parameters, seed=seed, validation=validation, metric=metric
    )
    picks: Any = parameters.get("picks") or [1] * len(members)
    if validation is not None:
        parts = list(predictions(members, validation.X))
        picks = _picked(parts, validation)
        found["picks"] = picks
    held = [(member, pick) for member, pick in zip(members, picks, strict=True) if pick]
    estimator = {
        **_told(train),
        "members": [member for member, _ in held],
        "weights": [pick / sum(picks) for _, pick in held],
    }
    return Fitted(estimator, found=found)


def _predict_mean(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """The weighted mean of the members, added in their order."""
    weighed = [
        weight * found
        for found, weight in zip(
            predictions(estimator["members"], X), estimator["weights"], strict=True
        )
    ]
    total: Floats = weighed[0]
    for each in weighed[1:]:
        total = total + each
    return total


def _told(train: Samples) -> dict[str, Any]:
    return {"task": str(train.task), "classes": train.classes, "present": []}


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
    share = of_classes(found)[np.arange(len(samples.y)), samples.y.astype(np.int64)]
    return float(np.average(-np.log(np.maximum(share, CERTAIN)), weights=samples.weight))


BAGGING = Algorithm(
    name="bagging",
    title="Bagging of any entry",
    tasks=frozenset(Task),
    needs=CODES,
    fit=_fit_bagging,
    predict=_predict_mean,
    save_as="ensemble",
    defaults={"of": "decision_tree", "n_estimators": 30, "max_samples": 1.0},
    space={"n_estimators": log_int(10, 100), "max_samples": uniform(0.3, 1.0)},
    family=Family.ENSEMBLES,
    when_not="the member is steady by itself, such as a line: its mean is the same line",
    caveats=(_COST, "`of` names the entry, `decision_tree` where nothing is said"),
    budget=BUDGET,
    instead=("random_forest", "lightgbm"),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Breiman 1996, Bagging Predictors",
)

WEIGHTED_ENSEMBLE = Algorithm(
    name="weighted_ensemble",
    title="Weighted mean of entries",
    tasks=frozenset(Task),
    needs=CODES,
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
    budget=BUDGET,
    instead=("lightgbm",),
    exports=("onnx",),
    licence="Apache-2.0",
    source="Caruana et al. 2004, Ensemble Selection from Libraries of Models",
)

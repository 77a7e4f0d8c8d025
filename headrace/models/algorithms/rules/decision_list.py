"""A decision list of our own: rule by rule the segment that differs most from the rest."""

from __future__ import annotations

from collections.abc import Iterator
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
from headrace.models.algorithms.estimators import described
from headrace.models.algorithms.rules.conditions import (
    CODES,
    Condition,
    Rows,
    holds,
    predict_rules,
    rule_of,
)
from headrace.models.algorithms.space import integer, log_int

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Booleans, Metric

_CHANCE = 3.0  # standard errors that a segment must differ by, since many are tried
_BEAM = 12  # conditions that are tried in pairs


def _fit_list(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Rule by rule the segment that differs most from the rest; its rows are then set aside."""
    import numpy as np

    given: dict[str, Any] = {**parameters}
    estimator = described(train)
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    mass = (weight * train.y)[:, None]
    if train.task is not Task.REGRESSION:
        mass = np.column_stack([weight * (train.y == code) for code in estimator["present"]])
    left = Rows(np.asarray(train.X), train.categorical, mass, weight)
    overall = mass.sum(axis=0) / weight.sum()
    rules: list[dict[str, Any]] = []
    while len(rules) < given["max_rules"]:
        when = _best(left, least=given["min_samples"], bins=given["bins"], most=given["max_terms"])
        if when is None:
            break
        inside = holds(when, left.X)
        rules.append(rule_of(when, left.of(inside), overall))
        left = left.of(~inside)
    otherwise = rule_of([], left, overall)
    told = {"categorical": list(train.categorical), "columns": train.X.shape[1]}
    return Fitted({**estimator, **told, "rules": rules, "otherwise": otherwise})


def _best(rows: Rows, *, least: int, bins: int, most: int) -> list[Condition] | None:
    """The conditions, one or more together, whose rows differ most from the others."""
    size = len(rows.weight)
    if size < 2 * least:
        return None
    ranked = []
    for condition in _conditions(rows, bins):
        inside = holds([condition], rows.X)
        if least <= inside.sum() <= size - least:
            ranked.append((_gain(rows, inside), [condition], inside))
    ranked.sort(key=lambda each: -each[0])
    single = beam = ranked[:_BEAM]
    for _ in range(most - 1):
        wider = []
        for _, when, inside in beam:
            for _, (condition,), other in single:
                both = inside & other
                if condition not in when and least <= both.sum() < inside.sum():
                    wider.append((_gain(rows, both), [*when, condition], both))
        beam = sorted(wider, key=lambda each: -each[0])[:_BEAM]
        ranked = sorted([*ranked, *beam], key=lambda each: -each[0])
    return ranked[0][1] if ranked and ranked[0][0] > 0 else None


def _gain(rows: Rows, inside: Booleans) -> float:
    """How far the means of the two sides are apart, in units of what chance gives; 0 within it."""
    import numpy as np

    a, b = rows.weight[inside].sum(), rows.weight[~inside].sum()
    one, other = rows.mass[inside].sum(axis=0) / a, rows.mass[~inside].sum(axis=0) / b
    share = rows.weight[:, None]
    mean = rows.mass.sum(axis=0) / (a + b)
    spread = ((rows.mass / share - mean) ** 2 * share).sum(axis=0) / (a + b)
    error = np.sqrt(np.maximum(spread, 1e-300) * (1 / a + 1 / b))
    apart = float(np.max(np.abs(one - other) / error)) if spread.max() > 0 else 0.0
    return apart if apart > _CHANCE else 0.0


def _conditions(rows: Rows, bins: int) -> Iterator[Condition]:
    import numpy as np

    for column in range(rows.X.shape[1]):
        cells = rows.X[:, column]
        known = ~np.isnan(cells)
        if not known.all():
            if column not in rows.categorical:
                yield [column, "missing", None]
            if not known.any():
                continue
        if column in rows.categorical:
            yield from _sets(column, cells[known].astype(np.int64), rows.of(known), bins)
        else:
            cuts = np.unique(np.quantile(cells[known], np.arange(1, bins) / bins, method="lower"))
            for cut in cuts.tolist():
                yield [column, "<=", cut]
                yield [column, ">", cut]


def _sets(column: int, codes: Any, rows: Rows, bins: int) -> Iterator[Condition]:  # noqa: ANN401  # integers
    """The categories with the highest, and with the lowest, mean of each output."""
    import numpy as np

    mass = np.bincount(codes, rows.weight)
    seen = np.flatnonzero(mass)
    for output in range(rows.mass.shape[1]):
        mean = np.bincount(codes, rows.mass[:, output])[seen] / mass[seen]
        order = seen[np.argsort(mean, kind="stable")]
        reached = np.cumsum(mass[order]) / mass.sum()
        ends = np.unique(np.searchsorted(reached, np.arange(1, bins) / bins) + 1)
        for end in ends[ends < len(order)].tolist():
            yield [column, "in", sorted(order[:end].tolist())]
            yield [column, "in", sorted(order[end:].tolist())]


DECISION_LIST = Algorithm(
    name="decision_list",
    title="Decision list",
    tasks=frozenset(Task),
    needs=CODES,
    fit=_fit_list,
    predict=predict_rules,
    save_as="json",
    defaults={"max_rules": 8, "min_samples": 30, "bins": 10, "max_terms": 2},
    space={
        "max_rules": integer(3, 12),
        "min_samples": log_int(10, 500),
        "bins": integer(4, 20),
        "max_terms": integer(1, 3),
    },
    family=Family.RULES,
    when_not="accuracy counts more than reading the rules",
    caveats=(
        "rules are tried in order, and the first that a row meets decides",
        "found greedily: another list may be better",
    ),
    budget=Budget(rows=2_000_000, columns=500, cells=100_000_000),
    instead=("decision_tree",),
    exports=("onnx", "pmml", "sql"),
    licence="Apache-2.0",
    source="Rivest 1987, Learning Decision Lists",
)

"""What errors cost, as a pipeline declares it: its type, and whether it fits the kind of target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from headrace.models.algorithms.algorithm import Task
from headrace.spec.problems import listed, shown, unknown

FALSE_POSITIVE, FALSE_NEGATIVE, OVER, UNDER = "false_positive", "false_negative", "over", "under"
KEYS = {Task.BINARY: (FALSE_POSITIVE, FALSE_NEGATIVE), Task.REGRESSION: (OVER, UNDER)}

_MOST = 1e12


def _cost(value: object) -> float | dict[str, float]:
    if isinstance(value, dict):
        return {str(told): _number(each) for told, each in value.items()}
    return _number(value)


def _number(value: object) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(value, int | float) and number and 0 <= value <= _MOST:
        return float(value)
    message = f"a cost is a number from 0 to {_MOST:,.0f}, not {shown(value)}"
    raise ValueError(message)


Cost = Annotated[
    float | dict[str, float],
    PlainValidator(_cost),
    PlainSerializer(lambda value: value, return_type=float | dict[str, float]),
]
Costs = dict[str, Cost]


def cost_problems(
    costs: Mapping[str, float | dict[str, float]], task: Task
) -> Iterator[tuple[str | None, str]]:
    """What does not fit the kind of target: the key, or None for the costs as a whole, and why.

    Which classes there are, only the data can tell.
    """
    if task is Task.MULTICLASS:
        yield from _of_classes(costs)
        return
    keys = KEYS[task]
    for key in costs:
        if key not in keys:
            yield key, unknown(f"such cost of a {task} target", key, keys)
        elif isinstance(costs[key], dict) or not costs[key]:
            yield key, f"must be a number above 0, not {shown(costs[key])}"
    missing = [key for key in keys if key not in costs]
    if missing and set(costs) <= set(keys):  # a stranger may be the one that is missing
        yield None, f"lacks {listed(missing)}: a {task} target costs {' and '.join(keys)}"


def _of_classes(costs: Mapping[str, float | dict[str, float]]) -> Iterator[tuple[str | None, str]]:
    if not costs:
        yield None, "must name at least one class, such as {late: 5}"
    for came, cost in costs.items():
        if isinstance(cost, dict) and cost.get(came):
            yield came, f"{came} decided as {came} is right, and costs 0"
    if costs and not any(_above_zero(cost) for cost in costs.values()):
        yield None, "must have a cost above 0: errors that cost nothing decide nothing"


def _above_zero(cost: float | dict[str, float]) -> bool:
    return any(cost.values()) if isinstance(cost, dict) else cost > 0

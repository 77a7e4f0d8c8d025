"""What is decided of a prediction, given what errors cost; kept as JSON with the model.

Rules are chosen in `headrace.evaluation.costs`; here they are applied, each row by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

THRESHOLD = 0.5  # without costs, a prediction is true from this score on

Decided = Any  # an array of truths, of codes of classes, or of values


@dataclass(frozen=True)
class ClassRule:
    """Decides for the class whose expected cost is least.

    Of true and false that is a threshold: with costs of a false positive and a false negative,
    and probabilities that are true, it would stand at fp / (fp + fn).

    Source: Elkan 2001, The foundations of cost-sensitive learning.

    Attributes:
        costs: A row for each class that came, a column for each that is decided for.
        threshold: From which score on the decision is true; None where there are other classes.
    """

    costs: tuple[tuple[float, ...], ...]
    threshold: float | None = None

    def __post_init__(self) -> None:
        count = len(self.costs)
        right = all(len(row) == count and row[code] == 0 for code, row in enumerate(self.costs))
        if not right or not all(_is_cost(each) for row in self.costs for each in row):
            message = "costs are a square of numbers, 0 where the decision is right"
            raise ValueError(message)
        at = self.threshold
        if at is not None and not (_is_cost(at) and at <= 1 and count == 2):  # noqa: PLR2004  # true, false
            message = "a threshold is one from 0 to 1, of true and false"
            raise ValueError(message)

    def __call__(self, predicted: Floats) -> Decided:
        """Truths, or codes of classes: of equal costs the first."""
        if self.threshold is not None:
            return predicted >= self.threshold
        return expected(predicted, np.array(self.costs)).argmin(axis=1)

    def to_json(self) -> dict[str, Any]:
        """The rule as JSON values."""
        return {"costs": [list(row) for row in self.costs], "threshold": self.threshold}


@dataclass(frozen=True)
class ValueRule:
    """Adds to a value what makes errors on the cheaper side more often.

    Attributes:
        over: What one unit too much costs.
        under: What one unit too little costs.
        offset: What is added.
    """

    over: float
    under: float
    offset: float

    def __post_init__(self) -> None:
        sound = all(_is_cost(each) and each > 0 for each in (self.over, self.under))
        if not (sound and _is_cost(abs(self.offset))):
            message = "costs of too much and too little are above zero, all numbers finite"
            raise ValueError(message)

    def __call__(self, predicted: Floats) -> Decided:
        """Values."""
        return predicted + self.offset

    def to_json(self) -> dict[str, Any]:
        """The rule as JSON values."""
        return {"over": self.over, "under": self.under, "offset": self.offset}


Rule = ClassRule | ValueRule


def decided(predicted: Floats, task: Task, rule: Rule | None) -> Decided:
    """What a model decides: truths, codes of classes, or values.

    Without a rule: true from `THRESHOLD` on; the likeliest class, of equals the first; the value.
    """
    if rule is not None:
        return rule(predicted)
    if task is Task.REGRESSION:
        return predicted
    return predicted >= THRESHOLD if task is Task.BINARY else predicted.argmax(axis=1)


def expected(predicted: Floats, costs: Floats) -> Floats:
    """Expected cost of deciding for each class (rows, classes), the same in a batch of any size."""
    terms = (predicted[:, [came]] * costs[came] for came in range(len(costs)))
    total: Floats = reduce(np.add, terms)
    return total


def rule_from_json(value: Mapping[str, Any], task: Task, *, classes: int) -> Rule:
    """The rule that `to_json` wrote, of a model of so many classes.

    Raises:
        KeyError, TypeError, ValueError: It did not.
    """
    if task is Task.REGRESSION:
        return ValueRule(value["over"], value["under"], value["offset"])
    rule = ClassRule(tuple(tuple(row) for row in value["costs"]), value["threshold"])
    if (rule.threshold is None) == (task is Task.BINARY):
        message = "true and false are decided by a threshold, classes by their costs"
        raise ValueError(message)
    if len(rule.costs) != classes:
        message = f"costs of {len(rule.costs)} classes do not fit {classes}"
        raise ValueError(message)
    return rule


def _is_cost(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(value) and value >= 0

"""Costs of errors: the rule that makes them least on validation, and what rules cost on test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.errors import TrainingError
from headrace.evaluation.metrics import Floats, Integers
from headrace.evaluation.resamples import Resamples, beyond_noise, folds
from headrace.models.algorithms.algorithm import Task
from headrace.models.decision import ClassRule, Decided, Rule, ValueRule
from headrace.models.target import Classes, Label
from headrace.spec.costs import FALSE_NEGATIVE, FALSE_POSITIVE, OVER, UNDER, Cost
from headrace.spec.problems import near

ROWS = 1000  # costs are told per so many rows
_MOST_CUTS = 10_000  # thresholds that are tried; more rows are cut at quantiles
_MOST_CLASSES = 20  # of a confusion matrix that is told


@dataclass(frozen=True)
class Costs:
    """What each error costs.

    Attributes:
        task: The kind of target.
        labels: Classes in the order of their codes; those that a model has not learned last.
        matrix: A row for each of them as it came, a column for each as decided; empty for values.
        over: Of a value: what one unit too much costs.
        under: What one unit too little costs.
    """

    task: Task
    labels: tuple[Label, ...] = ()
    matrix: tuple[tuple[float, ...], ...] = ()
    over: float = 0.0
    under: float = 0.0

    @classmethod
    def of(cls, declared: Mapping[str, Cost], classes: Classes, labels: Sequence[Label]) -> Costs:
        """What a pipeline declares: an error between classes that it does not name costs 1.

        Args:
            declared: `target.costs`.
            classes: What is predicted.
            labels: All classes of the rows, those of no training row last.

        Raises:
            TrainingError: A class is named that no row has.
        """
        if classes.task is Task.REGRESSION:
            return cls(classes.task, over=_number(declared[OVER]), under=_number(declared[UNDER]))
        if classes.task is Task.BINARY:
            wrong, missed = _number(declared[FALSE_POSITIVE]), _number(declared[FALSE_NEGATIVE])
            return cls(classes.task, (False, True), ((0.0, wrong), (missed, 0.0)))
        place = {str(label): code for code, label in enumerate(labels)}
        matrix = 1.0 - np.eye(len(labels))
        for came, cost in declared.items():
            row = matrix[_found(came, place)]
            if isinstance(cost, Mapping):
                for told, each in cost.items():
                    row[_found(told, place)] = each
            else:
                row[:] = cost
        np.fill_diagonal(matrix, 0.0)
        return cls(classes.task, tuple(labels), tuple(map(tuple, matrix.tolist())))

    def known(self, count: int) -> tuple[tuple[float, ...], ...]:
        """The square of the classes that a model has learned."""
        return tuple(row[:count] for row in self.matrix[:count])

    def each(self, y: Floats, decision: Decided) -> Floats:
        """The cost of each row.

        Args:
            y: 1.0 where true, codes of `labels`, or values.
            decision: Truths, codes of `labels`, or values.
        """
        if self.task is Task.REGRESSION:
            off = np.asarray(decision, dtype=np.float64) - y
            return np.where(off > 0, self.over * off, -self.under * off)
        matrix = np.array(self.matrix)
        # A champion may decide for a class that no row has: that costs as the worst error does.
        every = np.column_stack([matrix, matrix.max(axis=1)])
        code = np.minimum(np.asarray(decision, dtype=np.int64), len(matrix))
        cost: Floats = every[y.astype(np.int64), code]
        return cost


def rule_of(costs: Costs, y: Floats, predicted: Floats, *, blocks: Integers) -> Rule:
    """The rule for a model, chosen on validation.

    True and false: the threshold of theory, fp / (fp + fn), or that of least cost on validation
    where such a one, chosen on four fifths of the blocks and judged on the rest in turn, costs less
    by more than one standard error. Classes: the least expected cost. Values:
    the offset of least cost, a quantile of what was missed (Koenker and Bassett 1978).

    Args:
        costs: What errors cost.
        y: Of validation: 1.0 where true, codes of classes, or values.
        predicted: Probability of true, rows by the classes of the model, or values.
        blocks: Block of each row.
    """
    if costs.task is Task.REGRESSION:
        share = costs.under / (costs.over + costs.under)
        offset = float(np.quantile(y - predicted, share, method="inverted_cdf"))
        return ValueRule(costs.over, costs.under, offset)
    if costs.task is Task.MULTICLASS:
        return ClassRule(costs.known(predicted.shape[1]))
    return ClassRule(costs.matrix, _threshold(costs, y, predicted, blocks=blocks))


def _threshold(costs: Costs, y: Floats, score: Floats, *, blocks: Integers) -> float:
    (_, wrong), (missed, _) = costs.matrix
    theory = wrong / (wrong + missed)
    decision = np.zeros(len(y), dtype=bool)
    for part in folds(blocks) or ():
        decision[part] = score[part] >= _cheapest(costs, y[~part], score[~part], theory=theory)
    of_theory, of_search = (costs.each(y, each) for each in (score >= theory, decision))
    if not beyond_noise(of_theory, of_search, blocks=blocks):
        return theory
    return _cheapest(costs, y, score, theory=theory)


def _cheapest(costs: Costs, y: Floats, score: Floats, *, theory: float) -> float:
    """The threshold of least cost, midway between two scores; of equals the one nearest theory."""
    (_, wrong), (missed, _) = costs.matrix
    cuts = np.unique(score)
    if len(cuts) > _MOST_CUTS:
        cuts = np.unique(np.quantile(cuts, np.linspace(0, 1, _MOST_CUTS), method="lower"))
    cuts = np.concatenate([cuts[:1], (cuts[1:] + cuts[:-1]) / 2, [1.0]])
    rising = np.sort(score[y > 0]), np.sort(score[y == 0])
    below = [np.searchsorted(each, cuts, side="left") for each in rising]
    cost = missed * below[0] + wrong * (len(rising[1]) - below[1])
    least = cuts[cost <= cost.min() * (1 + 1e-12)]
    return float(least[np.abs(least - theory).argmin()])


@dataclass(frozen=True)
class Decisions:
    """What a candidate decides on the test part.

    Attributes:
        role: `winner`, `baseline`, `champion`, or `constant`: the same for every row.
        decision: Truths, codes of the classes of `Costs`, or values.
    """

    role: str
    decision: Decided


def constants(costs: Costs, y: Floats, *, classes: int, rows: int) -> dict[str, Decisions]:
    """Decisions without a model, by name: doing nothing, and the cheapest that is always the same.

    Args:
        costs: What errors cost.
        y: Of validation, by which the cheapest is chosen.
        classes: How many a model has learned.
        rows: Of the test part.
    """
    if costs.task is Task.REGRESSION:
        share = costs.under / (costs.over + costs.under)
        value = float(np.quantile(y, share, method="inverted_cdf"))
        return {f"always {value:.4g}": Decisions("constant", np.full(rows, value))}
    if costs.task is Task.BINARY:
        return {
            "always false": Decisions("constant", np.zeros(rows, dtype=bool)),
            "always true": Decisions("constant", np.ones(rows, dtype=bool)),
        }
    total = [costs.each(y, np.full(len(y), code)).sum() for code in range(classes)]
    code = int(np.argmin(total))
    return {f"always {costs.labels[code]}": Decisions("constant", np.full(rows, code))}


def told(
    costs: Costs,
    y: Floats,
    candidates: Mapping[str, Decisions],
    *,
    winner: str,
    blocks: Integers,
    seed: int,
) -> list[dict[str, Any]]:
    """What each candidate costs per 1,000 rows, and what the winner saves over it, as JSON values.

    Intervals are of whole blocks drawn again, the same ones for all candidates.

    Args:
        costs: What errors cost.
        y: Of the test part.
        candidates: Name to what it decides there.
        winner: The one that is held against the others.
        blocks: Block of each row.
        seed: Of the resamples.
    """
    resamples, rows = Resamples.of(blocks, seed=seed), np.ones(len(y))
    cost = {name: ROWS * costs.each(y, each.decision) for name, each in candidates.items()}

    def interval(values: Floats) -> dict[str, float]:
        return vars(resamples.ratio(values, rows))

    return [
        {
            "candidate": name,
            "role": each.role,
            "cost": interval(cost[name]),
            "saved": None if name == winner else interval(cost[name] - cost[winner]),
        }
        for name, each in candidates.items()
    ]


def confusion(costs: Costs, y: Floats, decision: Decided) -> dict[str, Any] | None:
    """Rows by what came and what was decided, as JSON values; None of values, or many classes."""
    labels = [
        str(label).lower() if label in {True, False} else str(label) for label in costs.labels
    ]
    codes = np.minimum(np.asarray(decision, dtype=np.int64), len(labels))
    if not 0 < len(labels) <= _MOST_CLASSES:
        return None
    if len(codes) and codes.max() == len(labels):
        labels = [*labels, "another"]
    count = len(labels)
    rows = np.bincount(y.astype(np.int64) * count + codes, minlength=count * count)
    return {"labels": labels, "rows": rows.reshape(count, count).tolist()}


def _found(name: str, place: Mapping[str, int]) -> int:
    if name not in place:
        message = f"`target.costs` names a class {name!r} that no row has{near(name, place)}"
        raise TrainingError(message, hint="name classes as they are in the target's column")
    return place[name]


def _number(value: object) -> float:
    return float(value)  # type: ignore[arg-type]  # the spec holds it to be one

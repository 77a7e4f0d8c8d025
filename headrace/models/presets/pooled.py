"""What became of the members of a preset, and the bag that they make."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.presets.bag import Bag, Member, Part
from headrace.models.presets.job import ALL_ROWS, Done, Job
from headrace.models.presets.pool import Pool, log_loss, pool_chances, pool_values
from headrace.models.presets.problem import Problem

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

_LIGHT = 0.005  # of all weight: a member below is left out


@dataclass
class Tally:
    """What became of a member in one round.

    Attributes:
        member: The member.
        round: The partition into folds.
        waiting: Folds that are not begun.
        done: Fold to result.
        error: Why it is left out, or empty.
        running: How many jobs are at work.
        most: Core-seconds that it may take; None before it is begun.
    """

    member: Member
    round: int
    waiting: list[int]
    done: dict[int, Done] = field(default_factory=dict)
    error: str = ""
    running: int = 0
    most: float | None = None

    @property
    def whole(self) -> bool:
        """Whether every job was done."""
        return not self.waiting and not self.running and not self.error

    @property
    def seconds(self) -> float:
        """Of all its jobs, one after another."""
        return sum(each.seconds for each in self.done.values())


@dataclass(frozen=True)
class Outcome:
    """A fitted preset and what is to be told of it.

    Attributes:
        bag: The model.
        held: Its predictions of each row, out of fold; the pool's weights have seen the rows.
        told: A line per member and round: name, round, seconds, loss, weight, error.
        seconds: Of the whole.
    """

    bag: Bag
    held: Floats
    told: tuple[Mapping[str, object], ...]
    seconds: float


def worth(problem: Problem, tallies: Sequence[Tally]) -> list[Member]:
    """Members that more rounds may help, the heaviest first."""
    whole = _whole(tallies)
    if not whole:
        return []
    pool = _pool(problem, [_held(problem, each) for each in whole.values()])
    weights = dict(zip(whole, pool.weights, strict=False))
    chosen = [
        each[0].member
        for name, each in whole.items()
        if each[0].member.repeats and weights[name] > _LIGHT
    ]
    return sorted(chosen, key=lambda member: -weights[member.name])


def pooled(problem: Problem, tallies: Sequence[Tally], began: float) -> Outcome:
    """The bag of what was fitted; the prior where that is not better out of fold."""
    whole = _whole(tallies)
    base = np.asarray(prior(problem))
    rows, regression = len(problem.y), problem.task is Task.REGRESSION
    constant = np.full(rows, base[0]) if regression else np.tile(base, (rows, 1))
    held = {name: _held(problem, each) for name, each in whole.items()}
    kept = list(whole)
    pool, combined = Pool(np.ones(1)), constant
    if kept:
        pool = _pool(problem, [held[name] for name in kept])
        heavy = pool.weights[: len(kept)] > _LIGHT * pool.weights.sum()
        if not heavy.all() and heavy.any():
            kept = [name for name, stays in zip(kept, heavy, strict=True) if stays]
            pool = _pool(problem, [held[name] for name in kept])
        chosen = [held[name] for name in kept]
        combined = pool.values(chosen) if regression else pool.chances([*chosen, constant])
        if not _loss(problem, combined) < _loss(problem, constant):
            kept, pool, combined = [], Pool(np.ones(1)), constant
    parts, files = [], {}
    for name in kept:
        for tally in whole[name]:
            for fold, found in sorted(tally.done.items()):
                if found.file:
                    file = Job(tally.member, tally.round, fold, 0.0).name
                    parts.append(Part(name, file, found.factor))
                    files[file] = found.file
    bag = Bag(
        task=problem.task,
        members=tuple(whole[name][0].member for name in kept),
        parts=tuple(parts),
        pool=pool,
        prior=prior(problem),
        range=problem.range,
        files=files,
        limits=problem.limits if any(whole[name][0].member.clip for name in kept) else None,
    )
    weights = dict(zip(kept, pool.weights.tolist(), strict=False))
    told = [
        {
            "member": tally.member.name,
            "round": tally.round,
            "seconds": round(tally.seconds, 2),
            "loss": _loss(problem, held[tally.member.name]) if tally.whole else None,
            "weight": round(weights.get(tally.member.name, 0.0), 4),
            "error": tally.error or ("" if tally.whole else "no time was left"),
        }
        for tally in tallies
    ]
    return Outcome(bag, combined, tuple(told), time.monotonic() - began)


def prior(problem: Problem) -> tuple[float, ...]:
    """The share of each class, by Laplace's rule, or the mean."""
    if problem.task is Task.REGRESSION:
        return (float(np.average(problem.y, weights=problem.weight)),)
    classes = problem.classes
    counts = np.bincount(problem.y.astype(np.int64), problem.weight, classes)
    return tuple(((counts + 1e-3) / (counts.sum() + 1e-3 * classes)).tolist())


def _whole(tallies: Sequence[Tally]) -> dict[str, list[Tally]]:
    """Member to its whole rounds."""
    found: dict[str, list[Tally]] = {}
    for tally in tallies:
        if tally.whole:
            found.setdefault(tally.member.name, []).append(tally)
    return found


def _held(problem: Problem, tallies: Sequence[Tally]) -> Floats:
    """Out-of-fold predictions of a member: the mean of its rounds; none of rows never held out."""
    rows = len(problem.y)
    regression = problem.task is Task.REGRESSION
    total = np.zeros(rows if regression else (rows, max(problem.classes, 2)))
    for tally in tallies:
        for fold, found in tally.done.items():
            if fold != ALL_ROWS and found.held is not None:
                total[problem.folds[tally.round] == fold] += found.held
    total[~_judged(problem)] = np.nan
    return total / len(tallies)


def _judged(problem: Problem) -> Any:  # noqa: ANN401  # a mask
    """Rows that were held out once."""
    return problem.folds[0] >= 0


def _pool(problem: Problem, held: Sequence[Floats]) -> Pool:
    rows = _judged(problem)
    y, weight = problem.y[rows], None if problem.weight is None else problem.weight[rows]
    held = [each[rows] for each in held]
    if problem.task is Task.REGRESSION:
        return pool_values(held, y, weight=weight)
    constant = np.tile(np.asarray(prior(problem)), (len(y), 1))
    return pool_chances([*held, constant], y.astype(np.int64), weight=weight)


def _loss(problem: Problem, found: Floats) -> float:
    """Log loss, or mean squared error."""
    rows = _judged(problem)
    y, weight = problem.y[rows], None if problem.weight is None else problem.weight[rows]
    if problem.task is Task.REGRESSION:
        return float(np.average((found[rows] - y) ** 2, weights=weight))
    return log_loss(found[rows], y.astype(np.int64), weight)

"""Fits a preset within a time limit: members by folds as jobs on all cores, then the pool."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.bag import Bag, Member, Part
from headrace.models.jobs import ALL_ROWS, Beside, Done, Here, Job, Problem, Worker
from headrace.models.pool import Pool, log_loss, pool_chances, pool_values

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

ROUNDS = 4  # partitions into folds, at most
_SHORT_S = 10.0  # a limit below pays for no processes beside
_KEPT = 0.95  # of the limit goes into fits
_SHARE = 0.35  # of all time, for one member at most
_FAIR = 3.0  # times an equal share of what is left, for one member at most
_LEAST_S = 0.4  # for a fit; a member with less is not begun, unless all time is short, too
_LEAST = 0.02  # of all time
_GRACE_S = 5.0  # beyond twice its time, before a job is given up
_FINISH_S = 0.2  # of each fit's end: reading what was predicted
_POOL_S = 0.6  # at least, for what follows the last fit
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


def run(
    problem: Problem,
    members: Sequence[Member],
    *,
    time_limit: float,
    cores: int,
    began: float,
    workers: Callable[[Problem, int], Sequence[Worker]] | None = None,
) -> Outcome:
    """Fits the members, and pools those that help.

    Args:
        problem: Rows and folds; a round of repeated fits per partition.
        members: In the order in which they are fitted.
        time_limit: Seconds from `began` to the end of this function.
        cores: Jobs at a time.
        began: A time of `time.monotonic`.
        workers: Makes as many workers as asked for, instead of processes beside.
    """
    end = began + time_limit
    stop = min(began + time_limit * _KEPT, end - _POOL_S)
    with tempfile.TemporaryDirectory(prefix="headrace-") as scratch:
        if workers is not None:
            held = list(workers(problem, cores))
        elif time_limit < _SHORT_S:
            held = [Here(problem)]
        else:
            problem.save(Path(scratch))
            held = [Beside(Path(scratch)) for _ in range(cores)]
        import scipy.optimize  # type: ignore[import-untyped]  # noqa: F401  # the pool must not wait for it

        try:
            schedule = _Schedule(problem, members, held, stop=stop)
            schedule.work()
            for extra in range(1, len(problem.folds)):
                chosen = _worth(problem, schedule.tallies)
                if not chosen or not schedule.time_for(chosen):
                    break
                schedule.add(chosen, extra)
                schedule.work()
        finally:
            for worker in held:
                worker.close()
    return _pooled(problem, schedule.tallies, began)


class _Schedule:
    """Hands jobs to workers, member by member, as long as time is left."""

    def __init__(
        self,
        problem: Problem,
        members: Sequence[Member],
        workers: Sequence[Worker],
        *,
        stop: float,
    ) -> None:
        self._problem, self._workers, self._stop = problem, workers, stop
        whole = max(stop - time.monotonic(), 0.0)
        self._most = whole * len(workers) * _SHARE  # core-seconds of a member
        self._least = min(_LEAST_S, whole * _LEAST)  # seconds of a fit
        self._lock = threading.Lock()
        self.tallies: list[Tally] = []
        self.add(members, 0)

    def add(self, members: Sequence[Member], turn: int) -> None:
        """Puts a round of these at the end."""
        found = np.unique(self._problem.folds[turn])
        folds = found[found >= 0].tolist()
        for member in members:
            jobs = [*folds, ALL_ROWS] if member.refit else folds
            self.tallies.append(Tally(member, turn, list(jobs)))

    def work(self) -> None:
        """Does what can be done in time."""
        threads = [threading.Thread(target=self._serve, args=(w,)) for w in self._workers[1:]]
        for thread in threads:
            thread.start()
        self._serve(self._workers[0])
        for thread in threads:
            thread.join()

    def time_for(self, members: Sequence[Member]) -> bool:
        """Whether one of them could be fitted once more."""
        left = (self._stop - time.monotonic()) * len(self._workers)
        names = {member.name for member in members}
        return any(t.whole and t.member.name in names and t.seconds < left for t in self.tallies)

    def _serve(self, worker: Worker) -> None:
        while worker.ready(until=self._stop) and (found := self._next()) is not None:
            tally, job, until = found
            result = worker.run(job, until=until)
            with self._lock:
                tally.running -= 1
                tally.done[job.fold] = result
                if result.error and not tally.error:
                    tally.error = result.error

    def _next(self) -> tuple[Tally, Job, float] | None:
        with self._lock:
            now = time.monotonic()
            for tally in self.tallies:
                if tally.error or not tally.waiting:
                    continue
                seconds = self._allowed(tally, now)
                if seconds is None:
                    continue
                fold = tally.waiting.pop(0)
                tally.running += 1
                until = min(self._stop, now + 2 * seconds + _GRACE_S)
                return tally, Job(tally.member, tally.round, fold, seconds), until
            return None

    def _allowed(self, tally: Tally, now: float) -> float | None:
        """Seconds for the next job of a member; None where it cannot be done in time."""
        cores, left = len(self._workers), self._stop - now - _FINISH_S
        jobs = len(tally.waiting) + len(tally.done) + tally.running
        turns = -(-(len(tally.waiting) + tally.running) // cores)
        if tally.most is None:
            fair = _FAIR * left * cores / sum(t.most is None and not t.error for t in self.tallies)
            most = min(self._most, fair)
            if min(left / turns, most / jobs) <= self._least:
                tally.error = "no time was left"
            for earlier in self.tallies:
                again = earlier.whole and earlier.member.name == tally.member.name
                if again and earlier.seconds / cores > left:
                    tally.error = "no time was left"
            if tally.error:
                return None
            tally.most = most
        seconds = min(left / turns, tally.most / jobs)
        if seconds <= 0:
            tally.error = "no time was left"
            return None
        return seconds


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


def prior(problem: Problem) -> tuple[float, ...]:
    """The share of each class, by Laplace's rule, or the mean."""
    if problem.task is Task.REGRESSION:
        return (float(np.average(problem.y, weights=problem.weight)),)
    classes = problem.classes
    counts = np.bincount(problem.y.astype(np.int64), problem.weight, classes)
    return tuple(((counts + 1e-3) / (counts.sum() + 1e-3 * classes)).tolist())


def _pool(problem: Problem, held: Sequence[Floats]) -> Pool:
    rows = _judged(problem)
    y, weight = problem.y[rows], None if problem.weight is None else problem.weight[rows]
    held = [each[rows] for each in held]
    if problem.task is Task.REGRESSION:
        return pool_values(held, y, weight=weight)
    constant = np.tile(np.asarray(prior(problem)), (len(y), 1))
    return pool_chances([*held, constant], y.astype(np.int64), weight=weight)


def _worth(problem: Problem, tallies: Sequence[Tally]) -> list[Member]:
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


def _loss(problem: Problem, found: Floats) -> float:
    """Log loss, or mean squared error."""
    rows = _judged(problem)
    y, weight = problem.y[rows], None if problem.weight is None else problem.weight[rows]
    if problem.task is Task.REGRESSION:
        return float(np.average((found[rows] - y) ** 2, weights=weight))
    return log_loss(found[rows], y.astype(np.int64), weight)


def _pooled(problem: Problem, tallies: Sequence[Tally], began: float) -> Outcome:
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

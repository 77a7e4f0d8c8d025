"""Fits a preset within a time limit: members by folds as jobs on all cores, then the pool."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from headrace.models.presets.bag import Member
from headrace.models.presets.job import ALL_ROWS, Job
from headrace.models.presets.pooled import Outcome, Tally, pooled, worth
from headrace.models.presets.problem import Problem
from headrace.models.presets.workers import Beside, Here, Worker

ROUNDS = 4  # partitions into folds, at most
_MOST_BYTES = 25_000_000  # of a member's files in a round; of a larger one there are no further
_SHORT_S = 10.0  # a limit below pays for no processes beside
_KEPT = 0.95  # of the limit goes into fits
_SHARE = 0.35  # of all time, for one member at most
_FAIR = 3.0  # times an equal share of what is left, for one member at most
_LEAST_S = 0.4  # for a fit; a member with less is not begun, unless all time is short, too
_LEAST = 0.02  # of all time
_GRACE_S = 5.0  # beyond twice its time, before a job is given up
_FINISH_S = 0.2  # of each fit's end: reading what was predicted
_POOL_S = 0.6  # at least, for what follows the last fit


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
                chosen = schedule.small(worth(problem, schedule.tallies))
                if not chosen or not schedule.time_for(chosen):
                    break
                schedule.add(chosen, extra)
                schedule.work()
        finally:
            for worker in held:
                worker.close()
    return pooled(problem, schedule.tallies, began)


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

    def small(self, members: Sequence[Member]) -> list[Member]:
        """Those whose files of one round are no burden: 26 classes make hundreds of megabytes."""
        large = {
            tally.member.name
            for tally in self.tallies
            if sum(len(done.file) for done in tally.done.values()) > _MOST_BYTES
        }
        return [member for member in members if member.name not in large]

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

"""Gives the next trial of all algorithms, and takes what became of it, by way of `plan`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from headrace.evaluation.metric import Metric
from ray_tasks.journal import Journal
from ray_tasks.plan import Plan
from ray_tasks.rungs import Job

LOG = logging.getLogger("headrace.run")
_RESULT = (
    "gain",
    "values",
    "found",
    "by_block",
    "seconds",
    "cpu",
    "error",
)  # of what a trial hands over
_JUDGED = ("values", "error")  # a result that has neither was not begun: the search had ended
_LOST_NODES = 2  # a trial is started again when its node goes away
_EARLY_S = 0.3  # before its limit a search begins nothing more, and its trials end themselves
_ROOM = 2.0  # times its own limit of time
_TELL_S = 2.0  # between two looks at the progress


@dataclass(frozen=True)
class Limits:
    """When trials are ended.

    Attributes:
        began: A time of `time.time`.
        search: Seconds from then on for the whole search, or None.
        trial: Seconds for one trial at a rung.
    """

    began: float
    search: float | None = None
    trial: float = math.inf

    @property
    def end(self) -> float:
        """The moment at which the search ends, of `time.time`."""
        return math.inf if self.search is None else self.began + self.search

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return time.time() - self.began


FINISHED: Final = "finished"


class Suggestions:
    """Gives the trials of several plans; while one waits, another goes on.

    The plan that has had the least time comes first, so that a limit finds each of them tried.

    Args:
        plans: Equal ones in the order in which they are asked.
        limits: When trials are ended.
        states: Folder, seen by all nodes, for estimators that a later rung goes on from.
        journal: Results of an earlier search of the same problem.
        nodes: Names of the nodes that are alive.
        metric: What gains are of.
    """

    def __init__(
        self,
        plans: Sequence[Plan],
        *,
        limits: Limits,
        states: Path,
        journal: Journal | None = None,
        nodes: Callable[[], frozenset[str]] = frozenset,
        metric: Metric = Metric.ROC_AUC,
    ) -> None:
        self._judged_by = metric
        self._plans, self._limits = plans, limits
        self._states, self._journal, self._nodes = states, journal, nodes
        self._alive = nodes()
        self._running: dict[str, _Started] = {}
        self._again: list[_Started] = []
        self._told = 0.0

    @property
    def left(self) -> float:
        """Seconds until the search ends; none, and nothing begins any more."""
        return max(self._limits.end - _EARLY_S - time.time(), 0.0)

    def suggest(self, trial_id: str) -> dict[str, Any] | Literal["finished"] | None:
        """The next trial, as `trial` takes it; None to wait, or FINISHED."""
        while self.left:
            started = self._next()
            if started is None:
                return FINISHED if all(plan.is_done for plan in self._plans) else None
            plan, job = started.plan, started.job
            given = (plan.algorithm.name, plan.parameters[job.number])
            shares = list(plan.shares[: job.rung + 1])
            known = self._journal.recall(*given, shares) if self._journal else None
            if known is not None:
                plan.reused += 1
                self._end(plan, job, known)
                continue
            self._running[trial_id] = started
            return {
                "algorithm": given[0],
                "parameters": dict(given[1]),
                "number": job.number,
                "shares": shares,
                "states": str(self._states) if len(plan.shares) > 1 else "",
                "is_last": job.rung == len(plan.shares) - 1,
                "end": self._limits.end,
                "told": str(self._told_of(started)),
                "seconds": self._seconds(started),
            }
        return FINISHED

    def on_trial_complete(
        self,
        trial_id: str,
        result: Mapping[str, Any] | None = None,
        error: bool = False,
    ) -> None:
        """Notes a result; an error, or a gain that is not finite, is a failed trial.

        Without a result the trial's process has ended: with its node, which starts it again; by the
        limit of the search; or by itself, which is never tried again.
        """
        started = self._running.pop(trial_id)
        plan, job = started.plan, started.job
        if not error and result is not None and not result.keys().isdisjoint(_JUDGED):
            told = {name: result[name] for name in _RESULT if name in result}
            if self._journal:
                self._journal.keep(
                    plan.algorithm.name,
                    plan.parameters[job.number],
                    list(plan.shares[: job.rung + 1]),
                    result=told,
                )
            self._end(plan, job, told)
        elif not self.left:
            plan.stop(job)
        elif self._lost_node(started):
            plan.running.add(job)
            self._again.append(started)
        else:
            plan.errors.append(
                f"it took longer than its limit of {self._seconds(started):g} s"
                if self._has_hung(started)
                else "its process ended: out of memory, or a crash of the library"
            )
            plan.end(job, None, seconds=self._limits.elapsed)
        self._tell()

    def _seconds(self, started: _Started) -> float:
        """What a trial may take; one that has a limit of its own, as a preset, twice that."""
        own = started.plan.parameters[started.job.number].get("time_limit", 0.0)
        return max(self._limits.trial, _ROOM * float(str(own or 0.0)))

    def _told_of(self, started: _Started) -> Path:
        """The file that a trial leaves which was ended by its limit."""
        job = started.job
        return self._states / f"{started.plan.algorithm.name}-{job.number}-{job.rung}.ended"

    def _has_hung(self, started: _Started) -> bool:
        told = self._told_of(started)
        return told.exists() and told.stat().st_size > 0

    def _next(self) -> _Started | None:
        if self._again:
            again = self._again.pop()
            return _Started(again.plan, again.job, self._alive, again.lost)
        for plan in sorted(self._plans, key=lambda plan: (bool(plan.parameters), plan.seconds)):
            job = plan.next()
            if job is not None:
                return _Started(plan, job, self._alive, 0)
        return None

    def _end(self, plan: Plan, job: Job, result: Mapping[str, Any]) -> None:
        if "error" in result:
            plan.errors.append(result["error"])
        good = math.isfinite(result["gain"])
        plan.end(job, result if good else None, seconds=self._limits.elapsed)

    def _lost_node(self, started: _Started) -> bool:
        """Whether a node has gone away since the trial began, which may have been its own."""
        self._alive = self._nodes()
        if started.alive <= self._alive or started.lost == _LOST_NODES:
            return False
        started.lost += 1
        return True

    def _tell(self) -> None:
        """Says how far it is, now and then; see `flows/progress.py`."""
        elapsed = self._limits.elapsed
        if elapsed - self._told < _TELL_S:
            return
        self._told = elapsed
        done, total = sum(p.ended for p in self._plans), sum(p.total for p in self._plans)
        points = [(p.curve[-1].gain, p.algorithm.name) for p in self._plans if p.curve]
        best = ""
        if points:
            gain, name = max(points)
            value = gain if self._judged_by.greater_is_better else -gain
            best = f", best so far {self._judged_by} {value:.4g} by {name}"
        LOG.info("%d / %d trials%s", done, total, best, extra={"ongoing": "train"})


@dataclass
class _Started:
    plan: Plan
    job: Job
    alive: frozenset[str]
    lost: int

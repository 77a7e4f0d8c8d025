"""The trials of one algorithm: which there are, what became of them, which is the best so far."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from headrace.models.algorithms.algorithm import Algorithm, Parameters
from ray_tasks.rungs import LEVELS, Asha, Brackets, Job, Order
from ray_tasks.sampling import Sampler
from ray_tasks.tuning import Tuning


class Point(NamedTuple):
    """The best gain after so many ended trials, so many seconds after the search began."""

    trials: int
    seconds: float
    gain: float


class Plan:
    """The trials of one algorithm: its defaults, other known points, then what the sampler draws.

    Args:
        algorithm: What is tuned; one without a search space has the one trial.
        tuning: How many trials, and how.
        seed: Of what is drawn.
        starts: Points to try right after the defaults, best first; those of the portfolio follow.
    """

    def __init__(
        self,
        algorithm: Algorithm,
        tuning: Tuning,
        seed: int,
        starts: Sequence[Parameters] = (),
    ) -> None:
        self.algorithm = algorithm
        most = tuning.trials if algorithm.space else 1
        kind = tuning.rungs(most) if algorithm.space else "none"
        self._starts = _distinct(algorithm, starts)[:most]
        own_seed = (seed + zlib.crc32(algorithm.name.encode())) % 2**32
        drawn = max(most - len(self._starts), 1)
        self._sampler = Sampler(algorithm.space, tuning.sampler, seed=own_seed, most=drawn)
        self.total = min(most, len(self._starts) + self._sampler.size)
        self.shares = LEVELS[kind]
        self._order: Order = (
            Asha(self.total, len(self.shares))
            if kind == "asha"
            else Brackets(self.total, len(self.shares), learns=tuning.sampler == "tpe")
        )
        self.parameters: list[Parameters] = []
        self.results: dict[Job, Mapping[str, Any] | None] = {}  # None: it failed
        self.errors: list[str] = []
        self.curve: list[Point] = []
        self.reused = 0
        self.running: set[Job] = set()
        self.stopped: set[int] = set()

    @property
    def is_done(self) -> bool:
        """Whether all trials have ended."""
        return self._order.is_done

    @property
    def seconds(self) -> float:
        """Of all fits that have ended."""
        return math.fsum(result["seconds"] for result in self.results.values() if result)

    @property
    def failed(self) -> set[int]:
        """Trials that failed at one rung or another."""
        return {job.number for job, result in self.results.items() if result is None}

    @property
    def best(self) -> Job | None:
        """The job with the best gain, of trials that did not fail; the first of equals."""
        good = {
            job: result for job, result in self.results.items() if job.number not in self.failed
        }
        return max(sorted(good), key=lambda job: good[job]["gain"], default=None)  # type: ignore[index]  # none failed

    def next(self) -> Job | None:
        """A job to run, or None while there is nothing to do but wait."""
        job = self._order.next()
        if job is None:
            return None
        if job.number == len(self.parameters):
            self._learn(job)
            is_start = job.number < len(self._starts)
            drawn = self._starts[job.number] if is_start else self._sampler.ask()
            self.parameters.append({**self.algorithm.defaults, **drawn})
        self.running.add(job)
        return job

    def end(self, job: Job, result: Mapping[str, Any] | None, *, seconds: float) -> None:
        """Notes what a job came to, so many seconds after the search began; None is a failure."""
        self.running.discard(job)
        self.results[job] = result
        self._order.end(job, None if result is None else result["gain"])
        best = self.best
        if best is None:
            return
        gain = float(cast("Mapping[str, Any]", self.results[best])["gain"])
        if not self.curve or gain > self.curve[-1].gain:
            self.curve.append(Point(self.ended, round(seconds, 2), gain))

    def stop(self, job: Job) -> None:
        """Notes that a job was ended by the limit of the search; its lower rungs still count."""
        self.running.discard(job)
        self.stopped.add(job.number)

    @property
    def ended(self) -> int:
        """How many trials have a result and are not at work."""
        return len({job.number for job in self.results} - {job.number for job in self.running})

    def _learn(self, job: Job) -> None:
        for lesson in self._order.lessons(job):
            result = self.results[lesson]
            if result is not None:
                self._sampler.tell(
                    self.parameters[lesson.number],
                    result["gain"],
                    rung=lesson.rung,
                    is_last=lesson.rung == len(self.shares) - 1,
                )


def _distinct(algorithm: Algorithm, starts: Sequence[Parameters]) -> list[Parameters]:
    """The defaults, what is given, and the portfolio; each once, and only points of the space."""
    space, found = algorithm.space, [dict(algorithm.defaults)]
    for start in (*starts, *algorithm.portfolio):
        point = {name: start[name] for name in space if name in start}
        whole = {**algorithm.defaults, **point}
        if whole not in found and all(point[name] in space[name] for name in point):
            found.append(whole)
    return cast("list[Parameters]", found)

"""Which trials go on to more rounds, trees or rows: in synchronous rungs, or by ASHA.

Sources: Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification (successive halving);
Li et al. 2020, A System for Massively Parallel Hyperparameter Tuning (ASHA).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

Kind = Literal["none", "rungs", "asha"]
ETA = 3  # of so many trials one goes on, with so many times as much
LEVELS = {"none": (1.0,), "rungs": (1 / 9, 1 / 3, 1.0), "asha": (1 / 9, 1 / 3, 1.0)}
_WINDOW = 4  # trials without rungs that do not wait for each other: fixed, whatever the cores
_BRACKETS = 2  # of rungs that do not wait for each other


class Job(NamedTuple):
    """A trial at a rung."""

    number: int
    rung: int


class Order(Protocol):
    """Gives out the jobs of one algorithm."""

    def next(self) -> Job | None:
        """A job to run now; None while it waits for others, or where there is none left."""

    def lessons(self, job: Job) -> list[Job]:
        """What is to be learned before the parameters of a new trial are drawn: ended jobs."""

    def end(self, job: Job, gain: float | None) -> None:
        """Notes what a job came to; None for a failure."""

    @property
    def is_done(self) -> bool:
        """Whether all jobs have ended."""


@dataclass
class _Bracket:
    numbers: list[int]
    rung: int = 0
    given: int = 0
    gains: dict[Job, float | None] = field(default_factory=dict)
    is_done: bool = False


class Brackets:
    """Synchronous rungs: brackets of trials, of which one in three goes on to the next rung.

    A bracket begins when all but the newest before it have ended, and learns from just those, so
    that nothing depends on which trial ends first. Without rungs a bracket is one trial.

    Args:
        trials: How many in all.
        rungs: How many levels a trial can reach.
        learns: Whether a later trial depends on what became of an earlier one.
    """

    def __init__(self, trials: int, rungs: int, *, learns: bool) -> None:
        self._trials, self._rungs = trials, rungs
        self._size = ETA ** (rungs - 1)
        window = _BRACKETS if rungs > 1 else _WINDOW
        self._window = window if learns else trials
        self._rungs = rungs
        self._brackets = [
            _Bracket(list(range(start, min(start + self._size, trials))))
            for start in range(0, trials, self._size)
        ]
        self._ended = 0  # brackets, one after the other
        self._learned = 0

    @property
    def is_done(self) -> bool:
        """Whether all brackets have ended."""
        return self._ended == len(self._brackets)

    def next(self) -> Job | None:
        """The next job of the first bracket that has one and may begin."""
        for bracket in self._brackets[self._ended : self._ended + self._window]:
            if bracket.given < len(bracket.numbers):
                bracket.given += 1
                return Job(bracket.numbers[bracket.given - 1], bracket.rung)
        return None

    def lessons(self, job: Job) -> list[Job]:
        """The brackets that this one has waited for, and that were not learned before."""
        until = max(job.number // self._size - self._window + 1, self._learned)
        learned = self._brackets[self._learned : until]
        self._learned = until
        return [job for bracket in learned for job in _highest(bracket.gains)]

    def end(self, job: Job, gain: float | None) -> None:
        """Notes a gain; once a rung has ended, its best third goes on."""
        bracket = self._brackets[job.number // self._size]
        bracket.gains[job] = gain
        self._rise(bracket)
        while not self.is_done and self._brackets[self._ended].is_done:
            self._ended += 1

    def _rise(self, bracket: _Bracket) -> None:
        if any(Job(number, bracket.rung) not in bracket.gains for number in bracket.numbers):
            return
        gains = {number: bracket.gains[Job(number, bracket.rung)] for number in bracket.numbers}
        good = [number for number, gain in gains.items() if gain is not None]
        if not good or bracket.rung == self._rungs - 1:
            bracket.is_done = True
            return
        good.sort(key=lambda number: -(gains[number] or 0.0))  # stable: the earlier of equals
        bracket.numbers = sorted(good[: max(1, len(bracket.numbers) // ETA)])
        bracket.rung, bracket.given = bracket.rung + 1, 0


class Asha:
    """Asynchronous rungs: nothing waits, so which trials go on depends on the timing.

    Args:
        trials: How many in all.
        rungs: How many levels a trial can reach.
    """

    def __init__(self, trials: int, rungs: int) -> None:
        self._trials, self._rungs = trials, rungs
        self._given = 0
        self._running = 0
        self._gains: dict[Job, float | None] = {}
        self._risen: set[Job] = set()
        self._news: list[Job] = []

    @property
    def is_done(self) -> bool:
        """Whether nothing runs and nothing is left to run."""
        return not self._running and self._given == self._trials and self._promotable() is None

    def next(self) -> Job | None:
        """A trial that may go on, from the highest rung down; else a new one."""
        job = self._promotable()
        if job is not None:
            self._risen.add(job)
            self._running += 1
            return Job(job.number, job.rung + 1)
        if self._given == self._trials:
            return None
        self._given += 1
        self._running += 1
        return Job(self._given - 1, 0)

    def lessons(self, job: Job) -> list[Job]:
        """Whatever has ended meanwhile."""
        del job
        news, self._news = self._news, []
        return news

    def end(self, job: Job, gain: float | None) -> None:
        """Notes a gain, which may be learned from at once."""
        self._running -= 1
        self._gains[job] = gain
        if gain is not None:
            self._news.append(job)

    def _promotable(self) -> Job | None:
        for rung in range(self._rungs - 2, -1, -1):
            ended = [job for job in self._gains if job.rung == rung]
            good = [(-gain, job) for job in ended if (gain := self._gains[job]) is not None]
            for _, job in sorted(good)[: len(ended) // ETA]:
                if job not in self._risen:
                    return job
        return None


def _highest(gains: Mapping[Job, float | None]) -> list[Job]:
    """Each trial's highest rung that has a gain, in order of number."""
    found: dict[int, Job] = {}
    for job, gain in gains.items():
        if gain is not None and (job.number not in found or job.rung > found[job.number].rung):
            found[job.number] = job
    return [found[number] for number in sorted(found)]

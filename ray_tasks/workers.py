"""Processes of Ray that serve the trials of a search one after another, one core each.

Not Ray Tune's reuse of actors: it hands an actor that is free again to the trial whose own is still
starting, and drops the latter. So short trials stay on one core, and a process starts for each: 40
trials of a second on two cores took 1.8 times the processor time of their fits (Ray 2.60).
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import ray

from headrace.errors import EngineLost
from ray_tasks import cluster
from ray_tasks.suggest import FINISHED, Suggestions
from ray_tasks.trial import Problem, Trial

Handle = Any  # of a process; Ray types it by the class, whose methods then lack `remote`
LOG = logging.getLogger("headrace.run")
_ENDED = (  # the process of a trial is gone, and with it that trial alone
    ray.exceptions.RayActorError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.OutOfMemoryError,
    ray.exceptions.NodeDiedError,
)
_LOOK_S = 1.0
_ANSWER_S = 30.0  # a free worker that says nothing for so long is taken to be gone
_TELL_S = 30.0  # without a core for so long, it says so
_BROKEN = 5  # workers in a row that ended while they started


class Workers:
    """As many workers as Ray has cores, and no more than there is to do; they start at once.

    Ended by `close`, or at the end of the context.

    Args:
        most: How many trials there will be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._starting: dict[ray.ObjectRef[Any], Handle] = {}
        self._free: list[Handle] = []
        self._busy: dict[ray.ObjectRef[Any], tuple[Handle, str]] = {}
        self._broken = 0
        self._fill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends them, whatever they are at."""
        busy = [worker for worker, _ in self._busy.values()]
        for worker in (*self._starting.values(), *self._free, *busy):
            _end(worker)
        self._starting, self._free, self._busy = {}, [], {}

    def run(
        self, suggestions: Suggestions, problem: ray.ObjectRef[Problem], *, memory: int | None
    ) -> None:
        """Calls trials as they are suggested, until there are none left.

        Args:
            suggestions: Gives trials, and takes what became of them.
            problem: What they work on.
            memory: Bytes that a trial may take beside it; None: a core's share of its node.

        Raises:
            EngineLost: No worker starts.
        """
        number, at_work = 0, time.monotonic()
        while True:
            self._fill()
            given: object = None
            while self._has_free(suggestions.left) and isinstance(
                given := suggestions.suggest(str(number)), dict
            ):
                worker = self._free.pop()
                # In a list, or Ray would read it before each call.
                begun = worker.run.remote([problem], given, memory)
                self._busy[begun] = (worker, str(number))
                number += 1
            if not suggestions.left:
                self._stop(suggestions)
            if not self._busy and (given == FINISHED or not suggestions.left):
                for worker in self._free:
                    worker.forget.remote()
                return
            if self._busy:
                at_work = time.monotonic()
            elif time.monotonic() - at_work > _TELL_S:
                LOG.info("the search waits for a core of Ray", extra={"ongoing": "train"})
                at_work = time.monotonic()
            self._wait(suggestions)

    def _wait(self, suggestions: Suggestions) -> None:
        """Takes what has ended or started, or looks again after a while."""
        waited_for = [*self._busy, *self._starting]
        if not waited_for:
            time.sleep(_LOOK_S)
            return
        done, _ = ray.wait(waited_for, num_returns=1, timeout=min(_LOOK_S, suggestions.left))
        for reference in done:
            if reference in self._starting:
                self._started(reference)
            else:
                self._ended(reference, suggestions)

    def _has_free(self, left: float) -> bool:
        """Whether a worker that lives is free; one that ended while it waited costs no trial."""
        while self._free and left:
            try:
                ray.get(self._free[-1].ready.remote(), timeout=min(_ANSWER_S, left))
            except (*_ENDED, ray.exceptions.GetTimeoutError):
                _end(self._free.pop())
            else:
                return True
        return False

    def _fill(self) -> None:
        """Starts workers where there are cores for them: on nodes that have joined, say."""
        resources = cluster.resources()
        wanted = min(self._most, max(int(resources.get("CPU", 1.0)), 1))
        for _ in range(wanted - len(self._starting) - len(self._free) - len(self._busy)):
            worker: Handle = _PROCESS.remote()
            self._starting[worker.ready.remote()] = worker

    def _stop(self, suggestions: Suggestions) -> None:
        """Ends the trials that are under way."""
        busy, self._busy = self._busy, {}
        for worker, trial in busy.values():
            _end(worker)
            suggestions.on_trial_complete(trial, error=True)

    def _started(self, reference: ray.ObjectRef[Any]) -> None:
        worker = self._starting.pop(reference)
        try:
            ray.get(reference)
        except _ENDED as error:
            self._broken += 1
            if self._broken == _BROKEN:
                message = f"workers of Ray end while they start: {error}"
                raise EngineLost(
                    message, hint="`headrace doctor` looks at disk, memory and versions"
                ) from error
            return
        self._broken = 0
        self._free.append(worker)

    def _ended(self, reference: ray.ObjectRef[Any], suggestions: Suggestions) -> None:
        worker, trial = self._busy.pop(reference)
        try:
            result = ray.get(reference)
        except _ENDED:
            _end(worker)
            suggestions.on_trial_complete(trial, error=True)
        except ray.exceptions.RayTaskError as error:  # before it came to its fit
            self._free.append(worker)
            told = f"{type(error.cause).__name__}: {error.cause}"
            suggestions.on_trial_complete(trial, {"gain": math.nan, "error": told})
        else:
            self._free.append(worker)
            suggestions.on_trial_complete(trial, result)


class _Worker:
    """One process."""

    def __init__(self) -> None:
        self._trial: tuple[ray.ObjectRef[Problem], Trial] | None = None

    def ready(self) -> None:
        """Returns once the process has started."""

    def forget(self) -> None:
        """Lets go of the last problem, whose matrices the object store can then drop."""
        self._trial = None

    def run(
        self, problem: list[ray.ObjectRef[Problem]], given: dict[str, Any], memory: int | None
    ) -> dict[str, Any]:
        """One trial; a problem is read once for all trials that work on it."""
        (reference,) = problem
        if self._trial is None or self._trial[0] != reference:
            self._trial = (reference, Trial(ray.get(reference), memory))
        return self._trial[1].run(given)


_PROCESS: Any = ray.remote(num_cpus=1)(_Worker)


def _end(worker: Handle) -> None:
    with suppress(ray.exceptions.RayError, ValueError):
        ray.kill(worker)

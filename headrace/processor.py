"""Processor time of this process and all that it started, shared out among stages at work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_EVERY_S = 0.5  # a process that ends is counted as far as it was seen last


@dataclass
class Spent:
    """What a stage has taken so far, in processor seconds."""

    seconds: float = 0.0


class Processes:
    """Processor seconds of this process and its descendants since they began.

    The JVM and a local Ray are descendants, and so are their workers. What ended still counts.
    """

    def __init__(self) -> None:
        import psutil

        self._process, self._error = psutil.Process(), psutil.Error
        self._seen: dict[tuple[int, float], float] = {}  # process and when it began -> seconds

    def __call__(self) -> float:
        """The sum so far; it never falls."""
        with suppress(self._error):
            for process in (self._process, *self._process.children(recursive=True)):
                with suppress(self._error), process.oneshot():  # it may end meanwhile
                    times = process.cpu_times()
                    self._seen[process.pid, process.create_time()] = times.user + times.system
        return sum(self._seen.values())


class Meter:
    """Shares processor time out among the stages at work, in equal parts where there are several.

    So the stages of a run never add up to more than was spent. Between stages nothing is counted:
    the start of an engine belongs to none.

    Args:
        read: Processor seconds so far.
    """

    def __init__(self, read: Callable[[], float] | None = None) -> None:
        self._read = read or Processes()
        self._lock = threading.Lock()
        self._at_work: list[Spent] = []
        self._before = 0.0

    @contextmanager
    def stage(self) -> Iterator[Spent]:
        """Counts what is spent until the end of the block; what it yields holds it by then."""
        spent, ended = Spent(), threading.Event()
        with self._lock:
            self._share()
            self._at_work.append(spent)
        watch = threading.Thread(target=self._watch, args=(ended,), name="processor", daemon=True)
        watch.start()
        try:
            yield spent
        finally:
            ended.set()
            watch.join()
            with self._lock:
                self._share()
                self._at_work.remove(spent)

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(_EVERY_S):
            with self._lock:
                self._share()

    def _share(self) -> None:
        now = self._read()
        for each in self._at_work:
            each.seconds += (now - self._before) / len(self._at_work)
        self._before = now

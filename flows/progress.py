"""What long work is doing: stages of a run, or rows that are counted, with the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

LOG = logging.getLogger("headrace.run")


class _Lines(logging.Handler):
    def __init__(self, console: Console, status: Status) -> None:
        super().__init__(logging.INFO)
        self.console, self.status = console, status
        self.started = time.monotonic()
        self.active: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        ongoing = getattr(record, "ongoing", None)
        if ongoing is not None:  # of a stage that takes long: for the eye alone
            self.status.update(f"{ongoing}: {escape(text)}")
            return
        unit = f"{getattr(record, 'stage', '')} {getattr(record, 'subject', '')}"
        if text.endswith("started"):
            self.active[unit] = None
        else:
            self.active.pop(unit, None)
            self.console.print(
                f"{time.monotonic() - self.started:6.1f} s  {escape(text)}",
                soft_wrap=True,
                highlight=False,
            )
        self.status.update(", ".join(self.active) or "working")


@contextmanager
def progress(console: Console) -> Iterator[None]:
    """Shows the stages of a run on the console for as long as the context lasts."""
    with console.status("starting") as status:
        handler = _Lines(console, status)
        before = LOG.level, LOG.propagate
        LOG.addHandler(handler)
        LOG.setLevel(logging.INFO)
        LOG.propagate = False
        try:
            yield
        finally:
            LOG.removeHandler(handler)
            LOG.level, LOG.propagate = before


_QUIET_S = 2.0  # work that is done by then says nothing
_EACH_S = 10.0  # between lines, where there is no terminal


class Counting:
    """Tells how many of some rows are done, and how long the rest takes at that pace.

    Nothing within the first two seconds; then one line that is written over on a terminal, and a
    line each ten seconds elsewhere.
    """

    def __init__(self, console: Console, what: str, *, total: int) -> None:
        self._console, self._what, self._total = console, what, total
        self._done = 0
        self._started = self._told = time.monotonic()
        self._status = console.status("") if console.is_terminal else None

    def advance(self, rows: int) -> None:
        """Counts rows that were done since."""
        self._done += rows
        now = time.monotonic()
        if now - self._started < _QUIET_S or not 0 < self._done < self._total:
            return
        left = (now - self._started) * (self._total - self._done) / self._done
        text = f"{self._what}: {self._done:,} of {self._total:,} rows, about {left:.0f} s left"
        if self._status is not None:
            self._status.start()
            self._status.update(text)
        elif now - self._told >= _EACH_S:
            self._told = now
            self._console.print(text, soft_wrap=True, highlight=False)

    def close(self) -> None:
        """Takes the line away."""
        if self._status is not None:
            self._status.stop()


@contextmanager
def counting(console: Console, what: str, *, total: int) -> Iterator[Counting]:
    """Counts rows for as long as the context lasts."""
    counted = Counting(console, what, total=total)
    try:
        yield counted
    finally:
        counted.close()

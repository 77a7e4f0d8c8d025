"""What long work is doing: stages of a run, or rows that are counted, with the time left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from headrace.ongoing import LOG

_QUIET_S = 2.0  # work that is done by then says nothing
_EACH_S = 10.0  # between lines, where there is no terminal


class Pace:
    """How many of some rows are done, and how long the rest takes at that pace.

    Args:
        total: Rows in all.
        done: Rows that were done before the clock began.
    """

    def __init__(self, total: int, *, done: int = 0) -> None:
        self.done, self._total, self._before = done, total, done
        self._started = self._told = time.monotonic()

    def text(self) -> str:
        """Rows done, rows in all, seconds left; nothing while it cannot be told, or at the end."""
        seconds, fresh = time.monotonic() - self._started, self.done - self._before
        if seconds < _QUIET_S or fresh <= 0 or self.done >= self._total:
            return ""
        left = seconds * (self._total - self.done) / fresh
        return f"{self.done:,} of {self._total:,} rows, about {left:,.0f} s left"

    def is_due(self) -> bool:
        """Whether a line is due where there is no terminal; it then counts as told."""
        now = time.monotonic()
        if now - self._told < _EACH_S:
            return False
        self._told = now
        return True


class _Lines(logging.Handler):
    def __init__(self, console: Console, status: Status) -> None:
        super().__init__(logging.INFO)
        self.console, self.status = console, status
        self.started = time.monotonic()
        self.active: dict[str, None] = {}
        self.paces: dict[str, Pace] = {}

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        ongoing = getattr(record, "ongoing", None)
        if ongoing is not None:
            self._tell(ongoing, text, record)
            return
        unit = f"{getattr(record, 'stage', '')} {getattr(record, 'subject', '')}"
        if text.endswith("started"):
            self.active[unit] = None
        else:
            self.active.pop(unit, None)
            self._line(text)
        self.status.update(", ".join(self.active) or "working")

    def _tell(self, stage: str, text: str, record: logging.LogRecord) -> None:
        """Of a stage that takes long: for the eye; of its rows also a line now and then."""
        total = getattr(record, "total", None)
        if total is None:
            self.status.update(f"{stage}: {escape(text)}")
            return
        done = getattr(record, "done", 0)
        if done == 0:
            self.paces.pop(stage, None)
        pace = self.paces.setdefault(stage, Pace(total, done=done))
        pace.done = done
        told = f"{stage}: {pace.text() or text}"
        self.status.update(told)
        if not self.console.is_terminal and pace.text() and pace.is_due():
            self._line(told)

    def _line(self, text: str) -> None:
        self.console.print(
            f"{time.monotonic() - self.started:6.1f} s  {escape(text)}",
            soft_wrap=True,
            highlight=False,
        )


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


class Counting:
    """Tells how many of some rows are done, and how long the rest takes at that pace.

    Nothing within the first two seconds; then one line that is written over on a terminal, and a
    line each ten seconds elsewhere.
    """

    def __init__(self, console: Console, what: str, *, total: int) -> None:
        self._console, self._what, self._pace = console, what, Pace(total)
        self._status = console.status("") if console.is_terminal else None

    def advance(self, rows: int) -> None:
        """Counts rows that were done since."""
        self._pace.done += rows
        text = self._pace.text()
        if not text:
            return
        if self._status is not None:
            self._status.start()
            self._status.update(f"{self._what}: {text}")
        elif self._pace.is_due():
            self._console.print(f"{self._what}: {text}", soft_wrap=True, highlight=False)

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

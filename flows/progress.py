"""What a run is doing: lines and, on a terminal, a spinner, from the log events of the stages."""

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

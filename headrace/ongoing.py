"""How far a stage is, told to whoever watches the run; `flows/progress.py` shows it."""

from __future__ import annotations

import logging
import time

LOG = logging.getLogger("headrace.run")
_EACH_S = 2.0  # between two words on the same rows


class Rows:
    """Counts the rows of a stage, and tells now and then how many are done.

    Made when the work itself begins, after the stage's engine has started.

    Args:
        stage: The stage, such as `score`.
        total: Rows in all; of 0 nothing is told, since they are not known before.
    """

    def __init__(self, stage: str, total: int) -> None:
        self._stage, self._total, self._done = stage, total, 0
        self._told = time.monotonic()
        self._tell()

    def advance(self, rows: int) -> None:
        """Counts rows that were done since."""
        self._done += rows
        now = time.monotonic()
        if now - self._told >= _EACH_S:
            self._told = now
            self._tell()

    def _tell(self) -> None:
        if self._total:
            text = f"{self._done:,} of {self._total:,} rows"
            more = {"ongoing": self._stage, "done": self._done, "total": self._total}
            LOG.info(text, extra=more)

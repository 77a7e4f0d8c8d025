"""Where every table and file of a lake stands; nothing is read or written here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import UsageError


@dataclass(frozen=True)
class Lake:
    """The folder layout of a lake.

    Args:
        root: The lake's folder; it need not exist yet.

    Example:
        >>> Lake(Path("/lake")).silver("weather").as_posix()
        '/lake/silver/weather'
    """

    root: Path

    def bronze(self, source: str) -> Path:
        """Every line of the source as it arrived."""
        return self.root / "bronze" / source

    def silver(self, source: str) -> Path:
        """Typed rows that parsed and passed their checks."""
        return self.root / "silver" / source

    def quarantine(self, source: str) -> Path:
        """Rows that did not, with the rules they broke."""
        return self.root / "quarantine" / source

    def gold(self, pipeline: str) -> Path:
        """Features and target, partitioned by `_interval`."""
        return self.root / "gold" / pipeline

    def scores(self, pipeline: str) -> Path:
        """Scores, partitioned by `_interval`."""
        return self.root / "scores" / pipeline

    def refused(self, pipeline: str) -> Path:
        """Rows of features that could not be scored, with the reason."""
        return self.root / "refused" / pipeline

    def held(self, pipeline: str) -> Path:
        """Forecasts that wait for a named person, partitioned by `_interval`."""
        return self.root / "held" / pipeline

    @property
    def releases(self) -> Path:
        """Who released what was held, when and why; see `headrace.held`."""
        return self.root / "releases"

    @property
    def files(self) -> Path:
        """The landing files seen, and the batch of each."""
        return self.root / "files"

    @property
    def cache(self) -> Path:
        """What was worked out of data files, which never change; it may be deleted at any time."""
        return self.root / "cache"

    @property
    def checks(self) -> Path:
        """Verdicts of checks as rows."""
        return self.root / "checks"

    @property
    def evaluations(self) -> Path:
        """Metrics of candidates and decisions of the gate as rows."""
        return self.root / "evaluations"

    @property
    def profiles(self) -> Path:
        """What the columns of tables look like, as rows; see `headrace.profiles`."""
        return self.root / "profiles"

    @property
    def aliases(self) -> Path:
        """Which model is champion, since when; the newest row of a pipeline and alias holds."""
        return self.root / "aliases"

    @property
    def claims(self) -> Path:
        """Which run works on which unit; see `headrace.lake.claims`."""
        return self.root / "claims"

    def models(self, pipeline: str) -> Path:
        """One folder per model, named by its digest."""
        return self.root / "models" / pipeline

    def searches(self, pipeline: str) -> Path:
        """Finished trials of trainings that have not ended; a file goes when its training ends."""
        return self.root / "searches" / pipeline

    def runs(self, run: str) -> Path:
        """Stage results and logs of one execution."""
        return self.root / "runs" / _plain(run)

    def report(self, run: str) -> Path:
        """The page of one execution."""
        return self.root / "reports" / f"{_plain(run)}.html"


def _plain(run: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,127}", run):
        message = f"{run[:80]!r} cannot be the name of a run"
        raise UsageError(message, hint="letters, digits, _ . : + -, and no more than 128")
    return run

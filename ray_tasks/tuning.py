"""What a search may spend, and how it spends it, from a pipeline's `training`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from headrace.spec import training as spec
from ray_tasks import rungs, sampling

_RUNGS_FROM = 18  # trials of an algorithm: two brackets; with fewer, each has all it may have
TRIAL_LIMIT_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """The effort of a search.

    Attributes:
        trials: Per algorithm that has a search space.
        sampler: How parameters are drawn.
        scheduler: `none`, `rungs` (synchronous) or `asha`; None: rungs, where trials are many.
        time_limit: Seconds for the whole search; None: as long as the trials take.
        trial_limit: Seconds for a trial at a rung, after which it is taken to hang.
        memory: Bytes that a trial may take beside the matrices; None: a core's share of its node.
    """

    trials: int
    sampler: sampling.Kind = "tpe"
    scheduler: rungs.Kind | None = None
    time_limit: float | None = None
    trial_limit: float = TRIAL_LIMIT_S
    memory: int | None = None

    @classmethod
    def of(cls, training: spec.Training) -> Self:
        """As a pipeline declares it."""
        limit = training.search_time_limit
        return cls(
            trials=training.trials,
            sampler=training.sampler,
            scheduler=training.scheduler,
            time_limit=None if limit is None else limit.total_seconds(),
            trial_limit=training.trial_time_limit.total_seconds(),
        )

    def rungs(self, trials: int) -> rungs.Kind:
        """How so many trials of one algorithm are ended early."""
        if self.scheduler is not None:
            return self.scheduler
        return "rungs" if trials >= _RUNGS_FROM else "none"

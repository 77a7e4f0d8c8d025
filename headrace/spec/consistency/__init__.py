"""Whether the parts of a pipeline fit together: one file for each section of it."""

from __future__ import annotations

from pathlib import Path

from headrace.spec.consistency.checks import checks_problems
from headrace.spec.consistency.features import features_problems
from headrace.spec.consistency.sources import sources_problems
from headrace.spec.consistency.target import target_problems
from headrace.spec.consistency.training import training_problems
from headrace.spec.parts import Parts
from headrace.spec.problems import Findings

__all__ = ["consistency_problems"]


def consistency_problems(parts: Parts, *, folder: Path) -> Findings:
    """All that does not fit, in no order; parts of a wrong shape are passed over."""
    yield from sources_problems(parts, folder=folder)
    yield from checks_problems(parts)
    yield from features_problems(parts)
    yield from target_problems(parts)
    yield from training_problems(parts)

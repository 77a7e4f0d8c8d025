"""What surrounds a search: where it is kept while it runs, what it begins with, what is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.lake import Lake, digest
from headrace.models import provenance, registry
from headrace.models.algorithms.algorithm import Parameters
from headrace.models.registry import Aliases
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline
from ray_tasks.examples import Examples

if TYPE_CHECKING:
    from ray_tasks.search import Searched


def journal(lake: Lake, pipeline: Pipeline, examples: Examples, *, moment: date) -> Path:
    """The file of finished trials of this very search: its rows, spec, code and libraries."""
    depends = (
        digest_of(pipeline),
        examples.data,
        provenance.sources(),
        provenance.libraries(),
    )
    return lake.searches(pipeline.name) / f"{moment}-{digest(*depends)}.jsonl"


def starts(
    lake: Lake, pipeline: Pipeline, aliases: Aliases, *, moment: date
) -> dict[str, list[Parameters]]:
    """What the champion of the time before was fitted with, to be tried first."""
    alias = aliases.champion(before=pipeline.at(moment).astimezone(UTC))
    if alias is None:
        return {}
    record = registry.record(lake, pipeline.name, alias.model)
    return {record["algorithm"]: [record["parameters"]]}


def told(pipeline: Pipeline, searched: Sequence[Searched], *, seconds: float) -> dict[str, Any]:
    """What the search came to, as JSON values; `curve` is of (trials, seconds, best value)."""
    declared, metric = pipeline.training, pipeline.training.metric
    limit = declared.search_time_limit
    return {
        "seconds": round(seconds, 2),
        "limit": None if limit is None else limit.total_seconds(),
        "sampler": declared.sampler,
        "scheduler": declared.scheduler,
        "algorithms": [
            {
                "candidate": each.algorithm.name,
                "trials": each.trials,
                "planned": each.planned,
                "failed": each.failed,
                "stopped": each.stopped,
                "reused": each.reused,
                "fits": each.fits,
                "cpu_seconds": round(each.cpu, 3),
                "curve": [
                    [at.trials, at.seconds, at.gain if metric.greater_is_better else -at.gain]
                    for at in each.curve
                ],
            }
            for each in searched
        ],
    }


def cut(pipeline: Pipeline, searched: Sequence[Searched]) -> tuple[str, ...]:
    """Says of a search that its limit came first."""
    cut = [
        f"{each.algorithm.name} after {each.trials} of {each.planned} trials"
        for each in searched
        if each.is_cut
    ]
    limit = pipeline.training.search_time_limit
    if not cut or limit is None:
        return ()
    return (f"the search was cut at its limit of {limit.total_seconds():g} s: {', '.join(cut)}",)


def without(searched: Sequence[Searched]) -> tuple[str, ...]:
    """Says of an algorithm that it has no candidate, and why."""
    return tuple(
        f"{each.algorithm.name} has no candidate: "
        + ("; ".join(each.errors) or "no trial of it ended in time")
        for each in searched
        if not each.values
    )

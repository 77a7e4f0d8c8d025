"""The target: a source whose rows belong to rows of features, and become known."""

from __future__ import annotations

from headrace.models.algorithms.algorithm import Task
from headrace.spec.costs import cost_problems
from headrace.spec.expressions import Gives, parse
from headrace.spec.model import Target
from headrace.spec.parts import Parts
from headrace.spec.problems import Findings, Loc, unknown

_GIVES: dict[Task, Gives] = {
    Task.BINARY: "boolean",
    Task.MULTICLASS: "class",
    Task.REGRESSION: "number",
}
_NEEDED = {"known_at": "when a target is known", "event_time": "which interval it belongs to"}


def target_problems(parts: Parts) -> Findings:
    """What does not fit in `target`; its name is held against those of the features."""
    target, at = parts.target, ("target", "of")
    if target is None:
        return
    yield from _costs(target)
    if target.of not in parts.sources:
        yield at, unknown("source", target.of, parts.sources)
        return
    value: Loc = ("target", "value")
    source, columns = parts.sources[target.of], parts.columns(target.of)
    for problem in parse(
        target.value, columns, gives=_GIVES[target.task], where=target.of
    ).problems:
        yield value, problem
    if source is None:
        return
    for field, why in _NEEDED.items():
        if getattr(source, field) is None:
            yield at, f"{target.of} has no `{field}`, so it cannot be told {why}"
    moved = source.on_conflict == "latest" and source.event_time not in source.key
    if source.event_time and moved:
        yield (
            at,
            f"{target.of} may be corrected, so its `event_time` must be in its key: a correction "
            "could move a target to another interval",
        )
    right = source.references is None or parts.about(target.of) is not None
    if right and parts.rows in parts.sources and parts.rows not in {target.of, source.references}:
        yield at, f"{target.of} needs `references: {parts.rows}`, by which a row finds its target"


def _costs(target: Target) -> Findings:
    for key, problem in (
        cost_problems(target.costs, target.task) if target.costs is not None else ()
    ):
        yield ("target", "costs", *([key] if key else [])), problem

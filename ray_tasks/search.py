"""The search on Ray: trials of all algorithms side by side; nothing is decided here."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray

from headrace.errors import EngineLost, TrainingError
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms.algorithm import Algorithm, Parameters
from headrace.models.model import Model
from ray_tasks import cluster
from ray_tasks.folded import Fold, matrices
from ray_tasks.journal import Journal
from ray_tasks.plan import Plan, Point
from ray_tasks.suggest import Limits, Suggestions
from ray_tasks.trial import Problem
from ray_tasks.tuning import Tuning
from ray_tasks.workers import Workers

_STORE_SHARE = 0.8  # of the object store, for the matrices


@dataclass(frozen=True)
class Searched:
    """The trials of one algorithm, and the best of them: the earlier one of equals.

    Attributes:
        algorithm: The algorithm.
        parameters: What the best trial was fitted with, and what it found on validation.
        values: Metric to value of the best trial on validation; empty if all trials failed.
        trials: How many were begun.
        failed: How many of them ended in an error, or with a metric that is not finite.
        seconds: Of all fits together.
        planned: How many there would have been without a limit of time.
        stopped: How many were under way at the limit; a rung that was judged before it counts.
        reused: Results of an earlier search of the same problem; a trial has one per rung.
        cpu: Processor seconds of all fits together, those of an earlier search included.
        fits: How many results there are: a trial has one per rung.
        curve: The best gain so far: whenever it rose.
        by_block: The metric of each result, in each block that it was judged on.
        model: The model, where it is fitted on all training rows already; else None.
        errors: Why trials failed, each reason once.
    """

    algorithm: Algorithm
    parameters: Parameters
    values: Mapping[Metric, float]
    trials: int
    failed: int
    seconds: float
    planned: int = 1
    stopped: int = 0
    reused: int = 0
    cpu: float = 0.0
    fits: int = 1
    curve: tuple[Point, ...] = ()
    by_block: tuple[tuple[float, ...], ...] = ()
    model: Model | None = None
    errors: tuple[str, ...] = ()

    @property
    def is_cut(self) -> bool:
        """Whether the limit of time came before the last trial ended."""
        return self.stopped > 0 or self.trials < self.planned


def shared(problem: Problem) -> tuple[ray.ObjectRef[Problem], Problem]:
    """Puts the problem into the object store: its reference, and the same read from there.

    Whoever drops the problem as given holds its matrices once, not twice.

    Raises:
        TrainingError: The matrices do not fit.
    """
    _check_size(problem)
    reference = ray.put(problem)
    return reference, ray.get(reference)


def search(
    problem: Problem,
    *,
    reference: ray.ObjectRef[Problem],
    workers: Workers,
    tuning: Tuning,
    storage: Path,
    starts: Mapping[str, Sequence[Parameters]] | None = None,
    journal: Journal | None = None,
    alone: bool = True,
) -> list[Searched]:
    """Tries each algorithm with its defaults, and a tuned one many times.

    Each trial has one thread, and there are as many at a time as cores. Equal arguments give equal
    results, whatever the timing and the number of cores, but for ASHA and where time was limited.

    Args:
        problem: What to fit, and to judge on.
        reference: The same in the object store, from `shared`.
        workers: Where trials run.
        tuning: How many trials, and how.
        storage: Folder for estimators that a later rung goes on from, seen by all nodes; removed
            afterwards.
        starts: Name of an algorithm to points that are tried right after its defaults.
        journal: Results of an earlier search of the same problem; those of this one are added.
        alone: Whether these are all candidates there are; if not, all of them may fail but for one
            baseline, which every candidate is held against.

    Returns:
        One entry per algorithm, in the order of `problem.algorithms`.

    Raises:
        TrainingError: All trials of baselines, or all others, failed or were cut by the limit.
        EngineLost: Ray went away.
    """
    limits = Limits(time.time(), tuning.time_limit, tuning.trial_limit)
    known = starts or {}
    plans = [
        Plan(entry, tuning, problem.seed, known.get(entry.name, ()))
        for entry in problem.algorithms.values()
    ]
    suggestions = Suggestions(
        plans,
        limits=limits,
        states=storage / "states",
        journal=journal,
        nodes=_nodes,
        metric=problem.metric,
    )
    try:
        workers.run(suggestions, reference, memory=tuning.memory)
    except ray.exceptions.RayError as error:
        message = f"the search ended early: {error}"
        raise EngineLost(message, hint="run again") from error
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    searched = [_best(plan) for plan in plans]
    for baseline in (True, False) if alone else (True,):
        tried = [each for each in searched if each.algorithm.baseline is baseline]
        if tried and not any(each.values for each in tried):
            raise _nothing(plans, tuning)
    return searched


def _nodes() -> frozenset[str]:
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray types it not
    return frozenset(node["NodeID"] for node in nodes if node["Alive"])


def _nothing(plans: Sequence[Plan], tuning: Tuning) -> TrainingError:
    """Why there is no model."""
    reasons = sorted({reason for plan in plans for reason in plan.errors})
    if not reasons and tuning.time_limit is not None:
        message = f"no trial ended within the limit of {tuning.time_limit:g} s"
        return TrainingError(message, hint="raise `training.search_time_limit`")
    message = f"every trial failed: {'; '.join(reasons) or 'no metric was finite'}"
    hint = "mend what it names in `features` or `training`, or leave the algorithm out"
    return TrainingError(message, hint=hint)


def _best(plan: Plan) -> Searched:
    best = plan.best
    ended = None if best is None else plan.results[best]
    parameters: Parameters = {}
    values: Mapping[Metric, float] = {}
    if best is not None and ended is not None:
        parameters = {**plan.parameters[best.number], **json.loads(ended["found"])}
        told = json.loads(ended["values"])
        values = {Metric(name): value for name, value in told.items()}
    results = [result for result in plan.results.values() if result is not None]
    last = {
        job.number: result
        for job, result in sorted(plan.results.items())
        if result is not None and job.number not in plan.failed
    }
    return Searched(
        algorithm=plan.algorithm,
        parameters=parameters,
        values=values,
        trials=len(plan.parameters),
        failed=len(plan.failed),
        seconds=sum(result["seconds"] for result in results),
        planned=plan.total,
        stopped=len(plan.stopped),
        reused=plan.reused,
        cpu=sum(result["cpu"] for result in results),
        fits=len(plan.results),
        curve=tuple(plan.curve),
        by_block=tuple(tuple(json.loads(result["by_block"])) for result in last.values()),
        errors=tuple(sorted(set(plan.errors))),
    )


def _check_size(problem: Problem) -> None:
    """Refuses matrices that the object store would have to spill to disk."""
    given = Fold(problem.train, problem.validation, np.zeros(0, dtype=np.int64))
    needed = sum(_bytes(matrix) for matrix in matrices((given, *problem.folds)))
    resources = cluster.resources()
    held = resources.get("object_store_memory", 0.0) * _STORE_SHARE
    if needed > held:
        message = (
            f"the matrices take {needed / 2**30:.1f} GiB, and Ray's object store has room for "
            f"{held / 2**30:.1f}"
        )
        raise TrainingError(
            message,
            hint="raise HEADRACE_RAY_OBJECT_STORE_GIB, or use fewer features",
        )


def _bytes(matrix: Any) -> int:  # noqa: ANN401  # a numpy array or a sparse matrix
    if hasattr(matrix, "indptr"):
        return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)
    return int(matrix.nbytes)

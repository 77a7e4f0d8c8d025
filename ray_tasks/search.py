"""The search on Ray Tune: trials of all algorithms side by side; nothing is decided here."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune

from headrace.errors import EngineLost, TrainingError
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms.algorithm import Algorithm, Parameters
from headrace.models.model import Model
from ray_tasks.suggest import Plan, Suggestions
from ray_tasks.trial import Problem, Trial

_LOST_NODES = 2  # a trial is started again when its node goes away
# No CSV, JSON and TensorBoard files per trial; no tables on the terminal.
_QUIET = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}
_STORE_SHARE = 0.8  # of the object store, for the matrices


@dataclass(frozen=True)
class Searched:
    """The trials of one algorithm, and the best of them: the earlier one of equals.

    Attributes:
        algorithm: The algorithm.
        parameters: What the best trial was fitted with, and what it found on validation.
        values: Metric to value of the best trial on validation; empty if all trials failed.
        trials: How many there were.
        failed: How many of them ended in an error, or with a metric that is not finite.
        seconds: Of all fits together.
        model: The model, where it is fitted on all training rows already; else None.
    """

    algorithm: Algorithm
    parameters: Parameters
    values: Mapping[Metric, float]
    trials: int
    failed: int
    seconds: float
    model: Model | None = None


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
    problem: Problem, *, reference: ray.ObjectRef[Problem], trials: int, storage: Path
) -> list[Searched]:
    """Tries each algorithm with its defaults, and a tuned one `trials` times in all.

    Each trial has one thread, and there are as many at a time as cores. Equal arguments give equal
    results, whatever the timing and the number of cores.

    Args:
        problem: What to fit, and to judge on.
        reference: The same in the object store, from `shared`.
        trials: Per algorithm that has a search space.
        storage: Folder for Tune's own files, seen by all nodes; removed afterwards.

    Returns:
        One entry per algorithm, in the order of `problem.algorithms`.

    Raises:
        TrainingError: All trials but those of baselines failed.
        EngineLost: Ray went away.
    """
    plans = [Plan(entry, trials, problem.seed) for entry in problem.algorithms.values()]
    os.environ.update(_QUIET)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(Trial, problem=[reference]), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=Suggestions(plans),
            num_samples=sum(plan.total for plan in plans),
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(storage),
            verbose=0,
            failure_config=tune.FailureConfig(max_failures=_LOST_NODES),
        ),
    )
    try:
        results = tuner.fit()
    except (ray.exceptions.RayError, tune.TuneError) as error:
        message = f"the search ended early: {error}"
        raise EngineLost(message, hint="run again") from error
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    searched = [_best(plan) for plan in plans]
    tried = [each for each in searched if not each.algorithm.baseline]
    if tried and not any(each.values for each in tried):
        # fit() itself does not raise, neither for lost trials nor for failed ones.
        reasons = {str(error).strip().splitlines()[-1] for error in results.errors}
        reasons |= {reason for plan in plans for reason in plan.errors}
        message = f"every trial failed: {'; '.join(sorted(reasons)) or 'no metric was finite'}"
        raise TrainingError(
            message,
            hint="see the parameters and the features",
        )
    return searched


def _best(plan: Plan) -> Searched:
    ended = {
        number: result for number, result in sorted(plan.results.items()) if result is not None
    }
    best = max(ended, key=lambda number: ended[number]["gain"], default=None)
    return Searched(
        algorithm=plan.algorithm,
        parameters={}
        if best is None
        else {**plan.parameters[best], **json.loads(ended[best]["found"])},
        values=(
            {}
            if best is None
            else {Metric(name): value for name, value in json.loads(ended[best]["values"]).items()}
        ),
        trials=len(plan.results),
        failed=len(plan.results) - len(ended),
        seconds=sum(result["seconds"] for result in ended.values()),
    )


def _check_size(problem: Problem) -> None:
    """Refuses matrices that the object store would have to spill to disk."""
    needed = sum(
        _bytes(part.X) for parts in (problem.train, problem.validation) for part in parts.values()
    )
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray types it not
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

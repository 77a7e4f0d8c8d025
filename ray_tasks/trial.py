"""One trial at a rung: a fit, or one per fold, and its metrics on validation."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from headrace.evaluation.metrics import Metric, measured
from headrace.models.algorithms.algorithm import Algorithm, Parameters, Samples, Task
from headrace.models.algorithms.threads import one_thread
from headrace.models.encoding import Form
from ray_tasks.bounds import bounded_memory, bounded_time, share_of_node
from ray_tasks.folded import Fold, mean_of, together
from ray_tasks.growth import Growth

ENDING_S = 0.2  # before the end of its search a trial ends itself


@dataclass(frozen=True)
class Problem:
    """What every trial works on; it stands in the object store once.

    Attributes:
        algorithms: Name to entry.
        train: Form of matrix to training rows.
        validation: Form of matrix to validation rows.
        metric: What is judged by, and stopped early by.
        seed: Of every fit and of the suggestions.
        folds: What a trial is judged on, by its mean; `train` and `validation` where it is empty.
    """

    algorithms: Mapping[str, Algorithm]
    train: Mapping[Form, Samples]
    validation: Mapping[Form, Samples]
    metric: Metric
    seed: int
    folds: tuple[Fold, ...] = ()

    @property
    def judged_on(self) -> tuple[Fold, ...]:
        """The folds, one at least."""
        if self.folds:
            return self.folds
        rows = next(iter(self.validation.values()))
        one_block = np.zeros(len(rows.y), dtype=np.int64)
        return (Fold(self.train, self.validation, one_block),)


class Trial:
    """Fits and judges on one problem, one trial after another.

    Args:
        problem: As it stands in shared memory.
        memory: Bytes that a trial may take beside it; None: a core's share of its node.
    """

    def __init__(self, problem: Problem, memory: int | None) -> None:
        self._problem = problem
        self._memory = share_of_node() if memory is None else memory

    def run(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """One trial, as `suggest` gives it; an error of its fit is a result too."""
        if given["end"] <= time.time():
            return {"gain": math.nan}  # the search has ended meanwhile
        try:
            with (
                bounded_time(
                    given["seconds"], end=given["end"] - ENDING_S, told=Path(given["told"])
                ),
                bounded_memory(self._memory),
            ):
                return self._judged(given)
        except Exception as error:  # whatever a library raises for parameters it cannot use
            return {"gain": math.nan, "error": f"{type(error).__name__}: {error}"}

    def _judged(self, given: Mapping[str, Any]) -> dict[str, Any]:
        problem, start, cpu = self._problem, time.perf_counter(), time.process_time()
        algorithm = problem.algorithms[given["algorithm"]]
        form = algorithm.needs.categories
        each: list[Mapping[Metric, float]] = []
        found: list[Parameters] = []
        by_block: list[float] = []
        for number, fold in enumerate(problem.judged_on):
            validation = fold.validation[form]
            growth = Growth(
                algorithm,
                given["parameters"],
                fold.train[form],
                _of_known_classes(validation),
                problem.metric,
                problem.seed,
                _state(given, number),
            )
            with one_thread():
                fitted = growth.fitted(given["shares"], is_last=given["is_last"])
                score = algorithm.predict(fitted.estimator, validation.X)
            if not np.isfinite(score).all():
                return {"gain": math.nan, "error": "predictions are not finite"}
            each.append(measured(validation.y, score, validation.task))
            found.append(fitted.found)
            by_block += fold.by_block(form, score, problem.metric)
        values = mean_of(each)
        return {
            "gain": problem.metric.gain(values[problem.metric], 0.0),
            "values": json.dumps(values),
            "found": json.dumps(together(found)),
            "by_block": json.dumps(by_block),
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - cpu,
        }


def _state(given: Mapping[str, Any], fold: int) -> Path | None:
    """Where the estimators of a fold stand for later rungs."""
    folder = Path(given["states"]) if given["states"] else None
    return folder / f"{given['algorithm']}-{given['number']}-{fold}" if folder else None


def _of_known_classes(samples: Samples) -> Samples:
    """The rows whose class training had: to a fit there are no others, and judged are all."""
    if samples.task is not Task.MULTICLASS:
        return samples
    known = samples.y < samples.classes
    return samples if known.all() else samples.take(known)

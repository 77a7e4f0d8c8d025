"""One trial at a rung: a fit, or one per fold, in an actor that serves one after another."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.tune import Trainable
from threadpoolctl import threadpool_limits

from headrace.evaluation.metrics import Metric, measured
from headrace.models.algorithms.algorithm import Algorithm, Parameters, Samples, Task
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


class Trial(Trainable):
    """One fit and its metrics on validation; the actor serves one trial after another."""

    def setup(  # type: ignore[override]  # `with_parameters` adds what Ray's own type leaves out
        self,
        config: dict[str, Any],
        *,
        problem: Sequence[ray.ObjectRef[Problem]],
        memory: int | None,
    ) -> None:
        """Reads the problem from shared memory; by reference, or Ray would store it once more."""
        del config
        (reference,) = problem
        self._problem = ray.get(reference)
        self._memory = share_of_node() if memory is None else memory

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Ready for another trial."""
        del new_config
        return True

    def step(self) -> dict[str, Any]:
        """Fits and judges; an error of the fit is a failed trial, and is not tried again."""
        given = self.config
        if given["end"] <= time.time():
            return {"gain": math.nan, "done": True}  # the search has ended meanwhile
        try:
            with (
                bounded_time(
                    given["seconds"], end=given["end"] - ENDING_S, told=Path(given["told"])
                ),
                bounded_memory(self._memory),
            ):
                return self._judged()
        except Exception as error:  # whatever a library raises for parameters it cannot use
            return {"gain": math.nan, "error": f"{type(error).__name__}: {error}", "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        """Nothing to keep: a trial is one step, and one that was lost starts again."""
        del checkpoint_dir
        return {}

    def load_checkpoint(self, checkpoint: dict[str, Any] | None) -> None:
        """Nothing was kept."""
        del checkpoint

    def _judged(self) -> dict[str, Any]:
        problem, start, cpu = self._problem, time.perf_counter(), time.process_time()
        algorithm = problem.algorithms[self.config["algorithm"]]
        form = algorithm.needs.categories
        each: list[Mapping[Metric, float]] = []
        found: list[Parameters] = []
        by_block: list[float] = []
        for number, fold in enumerate(problem.judged_on):
            validation = fold.validation[form]
            growth = Growth(
                algorithm,
                self.config["parameters"],
                fold.train[form],
                _of_known_classes(validation),
                problem.metric,
                problem.seed,
                self._state(number),
            )
            with threadpool_limits(1):
                fitted = growth.fitted(self.config["shares"], is_last=self.config["is_last"])
                score = algorithm.predict(fitted.estimator, validation.X)
            if not np.isfinite(score).all():
                return {"gain": math.nan, "error": "predictions are not finite", "done": True}
            each.append(measured(validation.y, score, validation.task))
            found.append(fitted.found)
            by_block += fold.by_block(form, score, problem.metric)
        values = mean_of(each)
        return {
            "gain": problem.metric.gain(values[problem.metric], 0.0),
            # As texts: Tune flattens nested results, and drops those that are empty.
            "values": json.dumps(values),
            "found": json.dumps(together(found)),
            "by_block": json.dumps(by_block),
            "seconds": time.perf_counter() - start,
            "cpu": time.process_time() - cpu,
            "done": True,
        }

    def _state(self, fold: int) -> Path | None:
        """Where its estimators of a fold stand for later rungs."""
        given = self.config
        folder = Path(given["states"]) if given["states"] else None
        return folder / f"{given['algorithm']}-{given['number']}-{fold}" if folder else None


def _of_known_classes(samples: Samples) -> Samples:
    """The rows whose class training had: to a fit there are no others, and judged are all."""
    if samples.task is not Task.MULTICLASS:
        return samples
    known = samples.y < samples.classes
    return samples if known.all() else samples.take(known)

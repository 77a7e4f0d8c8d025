"""What the boosting libraries have in common: when a fit ends, and what their entries say.

Portfolios: `r...` and Large are of TabRepo's zero-shot portfolio (Salinas and Erickson 2024, as in
AutoGluon 1.0), TD are tuned defaults (Holzmueller et al. 2024, Better by Default). Digits are cut,
and a value beyond our space is drawn to its edge.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import Parameters, Resource, Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Metric

PATIENCE = 25  # rounds without a better validation metric
_ENDLESS = 2**31 - 1  # of them
ROUNDS = Resource("rounds", "n_estimators")
FLAT = "outside of the data it saw, a prediction stays at the nearest leaf's: no extrapolation"
SMALL = "hundreds of rows: a linear model, a forest or a kernel is as good and steadier"


@dataclass(frozen=True)
class Names:
    """What a library calls what is asked of it.

    Attributes:
        fixed: Arguments that no fit changes.
        objectives: Of each task.
        metrics: Of each task our metric to the library's; the first stands for one that it lacks.
        metric: The argument that names the metric.
    """

    fixed: Mapping[str, Any]
    objectives: Mapping[Task, str]
    metrics: Mapping[Task, Mapping[str, str]]
    metric: str

    def arguments(
        self, task: Task, classes: int, parameters: Parameters, *, seed: int, metric: Metric
    ) -> dict[str, Any]:
        """What the library is given, under its own names, and ours of `ours`."""
        several = {"num_class": classes} if task is Task.MULTICLASS else {}
        return {
            **self.fixed,
            "objective": self.objectives[task],
            **parameters,
            "seed": seed,
            self.metric: metric_named(self.metrics, task, metric),
            **several,
        }


def metric_named(names: Mapping[Task, Mapping[str, str]], task: Task, metric: Metric) -> str:
    """What stops a library early; a metric that it lacks is stood for by the first of the task."""
    of_task = names[task]
    return of_task.get(str(metric), next(iter(of_task.values())))


def ours(given: dict[str, Any]) -> tuple[int, float]:
    """Takes patience and the moment to end at, of `time.monotonic`, out of the parameters.

    Two parameters of any library are ours: `early_stopping_rounds`, where 0 or less boosts all
    rounds and then takes the best of them, and `time_limit`, in seconds, which ends a fit that has
    validation early, so that it need not come again alike.
    """
    limit = given.pop("time_limit", None)
    patience = int(given.pop("early_stopping_rounds", PATIENCE))
    return patience if patience > 0 else _ENDLESS, time.monotonic() + limit if limit else math.inf

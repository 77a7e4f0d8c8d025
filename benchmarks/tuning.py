"""Measures what a search costs beside its fits: the platform's own on Ray, and plain Optuna.

    .venv/bin/python -P -m benchmarks.tuning [--rounds 3] [--trials 40] [--rows 20000]

Both tune LightGBM on the same rows, in turn. Processor seconds are of all processes, Ray's own too,
without its start; useful ones are those of the fits. `idle` is wall x cores - useful, which a busy
machine makes meaningless: then trust the processor seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headrace.evaluation.metrics import Metric, measured
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from headrace.processor import Meter
from headrace.settings import Settings
from ray_tasks.cluster import connected

if TYPE_CHECKING:
    from ray_tasks.trial import Problem

LIGHTGBM = named("lightgbm")
SEED = 7


@dataclass
class Spent:
    """Wall and processor seconds of a piece of work, and what its fits had of them."""

    wall: float = 0.0
    cpu: float = 0.0
    useful: float = 0.0
    best: float = 0.0
    trials: int = 0

    def line(self, cores: int) -> dict[str, float]:
        """As figures to print."""
        return {
            "wall_s": round(self.wall, 1),
            "cpu_s": round(self.cpu, 1),
            "useful_cpu_s": round(self.useful, 1),
            "beside_fits_per_useful": round(self.cpu / self.useful - 1, 3),
            "idle_per_useful": round(self.wall * cores / self.useful - 1, 3),
            "trials": self.trials,
            "best": round(self.best, 5),
        }


@contextmanager
def spending() -> Iterator[Spent]:
    """Measures this process and all below it, those that end meanwhile to their last look."""
    spent, began = Spent(), time.monotonic()
    with Meter().stage() as taken:
        yield spent
        spent.wall = time.monotonic() - began
    spent.cpu = taken.seconds


def rows(count: int, seed: int) -> Samples:
    """Rows of twenty numbers with a signal in four of them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(count, 20))
    signal = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(3 * X[:, 3])
    return Samples(X, (signal + rng.normal(size=count) > 0).astype(float))


def by_ray(problem: Problem, trials: int, **options: str | float) -> Spent:
    """The platform's own search."""
    from ray_tasks.search import search, shared
    from ray_tasks.tuning import Tuning
    from ray_tasks.workers import Workers

    reference, held = shared(problem)
    with tempfile.TemporaryDirectory() as folder, spending() as spent, Workers(trials) as workers:
        tuning = Tuning(trials=trials, **options)  # type: ignore[arg-type]  # names of samplers and schedulers
        storage = Path(folder) / "search"
        (found,) = search(
            held, reference=reference, workers=workers, tuning=tuning, storage=storage
        )
    spent.useful, spent.best = found.cpu, found.values[Metric.ROC_AUC]
    spent.trials = found.trials
    return spent


def by_optuna(problem: Problem, trials: int) -> Spent:
    """The same fits, one after the other in this process."""
    import optuna

    from ray_tasks.sampling import distribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {name: distribution(each) for name, each in LIGHTGBM.space.items()}
    train, validation = problem.train["codes"], problem.validation["codes"]
    spent = Spent()

    def value(trial: optuna.trial.Trial) -> float:
        began = time.process_time()
        drawn = {name: trial._suggest(name, each) for name, each in space.items()}  # noqa: SLF001  # by distribution
        fitted = LIGHTGBM.fit(
            train,
            {**LIGHTGBM.defaults, **drawn},
            seed=SEED,
            validation=validation,
            metric=Metric.ROC_AUC,
        )
        score = LIGHTGBM.predict(fitted.estimator, validation.X)
        found = measured(validation.y, score, validation.task)[Metric.ROC_AUC]
        spent.useful += time.process_time() - began
        return found

    sampler = optuna.samplers.TPESampler(seed=SEED)
    began, cpu = time.monotonic(), time.process_time()
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(value, n_trials=trials)
    spent.wall, spent.cpu = time.monotonic() - began, time.process_time() - cpu
    spent.best, spent.trials = study.best_value, trials
    return spent


def main() -> None:
    """Runs both in turn, and prints a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of the limited search")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(lake=Path(folder) / "lake")
        with connected(settings):
            from ray_tasks.trial import Problem

            problem = Problem(
                {LIGHTGBM.name: LIGHTGBM},
                train={"codes": rows(given.rows, 0)},
                validation={"codes": rows(given.rows // 3, 1)},
                metric=Metric.ROC_AUC,
                seed=SEED,
            )
            ways: dict[str, tuple[int, Callable[[], Spent]]] = {
                "ray": (settings.cores, lambda: by_ray(problem, given.trials, scheduler="none")),
                "optuna": (1, lambda: by_optuna(problem, given.trials)),
                "ray, rungs": (
                    settings.cores,
                    lambda: by_ray(problem, given.trials, scheduler="rungs"),
                ),
                f"ray, limited to {given.limit:g} s": (
                    settings.cores,
                    lambda: by_ray(problem, 10_000, scheduler="none", time_limit=given.limit),
                ),
            }
            for _ in range(given.rounds):
                for name, (cores, run) in ways.items():
                    told = {"way": name, **run().line(cores)}
                    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()

"""Asks the promotion gate about challengers whose worth is known: equal ones, and better ones.

`python -P -m benchmarks.gate [--rounds 1000]` draws days of rows with luck of their own, two models
that share most of what they know, and lets the gate decide: how often it promotes an equal (A/A),
and how often one that is better by a point of AUC, at the length that the power calculation calls
sufficient after a look at a few days.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import beta
from threadpoolctl import threadpool_limits

from headrace.evaluation.gate import Decision, decide
from headrace.evaluation.intervals import RESAMPLES, judged
from headrace.evaluation.metrics import Floats, Integers, Metric, measured
from headrace.models.algorithms.algorithm import Task

METRICS = {Task.BINARY: Metric.ROC_AUC, Task.REGRESSION: Metric.RMSE}
BETTER = 0.617  # of `World.better`: one point of AUC
LENGTHS = (5, 7, 20, 30)
LARGE = 1_000_000  # rows that tell the true gain


@dataclass(frozen=True)
class World:
    """What days are drawn from.

    Attributes:
        task: What is predicted.
        rows: Rows of a usual day.
        uneven: Whether two days in seven have a fifth of the rows.
        memory: Correlation of a day's luck with that of the day before.
        luck: Spread, over days, of the logarithm of a model's own noise.
        better: By how much the challenger's own noise is less, of its logarithm.
    """

    task: Task = Task.BINARY
    rows: int = 100
    uneven: bool = False
    memory: float = 0.0
    luck: float = 0.2
    better: float = 0.0

    def days(self, count: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Integers]:
        """The target, the scores of challenger and champion, and the day of each row."""
        sizes = np.full(count, self.rows)
        if self.uneven:
            sizes[np.arange(count) % 7 >= 5] //= 5  # noqa: PLR2004  # a weekend
        day = np.repeat(np.arange(count), sizes)
        total = len(day)
        known, shared = rng.normal(0, 1, total), rng.normal(0, 0.8, total)
        weather = rng.normal(0, 0.5, count)[day]
        signal = 1.5 * known + weather
        new, old = (
            known + shared + np.exp(self._luck(count, rng)[day] - less) * rng.normal(0, 0.45, total)
            for less in (self.better, 0.0)
        )
        if self.task is Task.REGRESSION:
            y = signal + rng.normal(0, 1, total)
            return y, 1.5 * new, 1.5 * old, day
        y = (rng.random(total) < 1 / (1 + np.exp(1 - signal))).astype(np.float64)
        return y, 1 / (1 + np.exp(1 - new)), 1 / (1 + np.exp(1 - old)), day

    def _luck(self, count: int, rng: np.random.Generator) -> Floats:
        drawn = rng.normal(0, self.luck, count)
        for today in range(1, count):
            fresh = np.sqrt(1 - self.memory**2) * drawn[today]
            drawn[today] = self.memory * drawn[today - 1] + fresh
        return drawn

    @property
    def gain(self) -> float:
        """How much better the challenger truly is."""
        days, rng = LARGE // self.rows, np.random.default_rng(1)
        y, new, old, _ = replace(self, memory=0.0).days(days, rng)
        metric = METRICS[self.task]
        value, over = (measured(y, score, self.task)[metric] for score in (new, old))
        return metric.gain(value, over)


def decided(
    world: World, days: int, *, seed: Sequence[int], resamples: int = RESAMPLES
) -> Decision:
    """What the gate says of one challenger over so many days."""
    y, new, old, day = world.days(days, np.random.default_rng(seed))
    found = judged(
        y,
        {"new": new, "old": old},
        blocks=day,
        seed=seed[0],
        task=world.task,
        resamples=resamples,
    )
    metric = METRICS[world.task]
    return decide(found, challenger="new", baseline="old", champion=None, metric=metric)


def promoted_equals(world: World, days: int, *, rounds: int, resamples: int) -> str:
    """How many equal challengers are promoted."""
    found = (decided(world, days, seed=(n, days), resamples=resamples) for n in range(rounds))
    return f"{share(sum(each.promoted for each in found), rounds)} promoted"


def promoted_when_enough(world: World, pilot: int, *, rounds: int, resamples: int) -> str:
    """How many better challengers are promoted over as many days as a pilot calls sufficient."""
    promoted, lengths = 0, []
    for n in range(rounds):
        enough = decided(world, pilot, seed=(n, pilot, 1), resamples=resamples).power.enough
        if enough is None:
            continue  # not promoted: nothing was called sufficient
        lengths.append(enough)
        promoted += decided(world, enough, seed=(n, pilot, 2), resamples=resamples).promoted
    low, middle, high = np.quantile(lengths, [0.1, 0.5, 0.9])
    return f"{share(promoted, rounds)} promoted over {middle:.0f} days ({low:.0f} to {high:.0f})"


def share(count: int, of: int) -> str:
    """A share with its exact interval of 95 % (Clopper and Pearson 1934)."""
    low = 0.0 if count == 0 else float(beta.ppf(0.025, count, of - count + 1))
    high = 1.0 if count == of else float(beta.ppf(0.975, count + 1, of - count))
    return f"{count / of:.1%} ({low:.1%} to {high:.1%})"


def simulations(rounds: int, resamples: int) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each simulation's name, and what runs it and tells its result."""
    worlds = {
        "binary": World(),
        "binary, weekends": World(uneven=True),
        "binary, days remember 0.5": World(memory=0.5),
        "regression": World(task=Task.REGRESSION),
    }
    for name, world in worlds.items():
        for days in LENGTHS if name == "binary" else (20,):

            def equal(world: World = world, days: int = days) -> str:
                return promoted_equals(world, days, rounds=rounds, resamples=resamples)

            yield f"equal, {name}, {days} days", equal
    better = World(rows=300, better=BETTER)
    for pilot in LENGTHS[:3]:

        def shown(pilot: int = pilot) -> str:
            return promoted_when_enough(better, pilot, rounds=rounds, resamples=resamples)

        yield f"better by {better.gain:.4f} of AUC, after {pilot} days", shown


def main() -> None:
    """Prints a line for each simulation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="challengers of each simulation")
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--only", default="", metavar="TEXT", help="simulations named so")
    given = parser.parse_args()
    with threadpool_limits(1):
        for name, simulated in simulations(given.rounds, given.resamples):
            if given.only in name:
                started = time.process_time()
                told = simulated()
                print(f"{name}: {told}; {time.process_time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()

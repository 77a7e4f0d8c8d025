"""Points of a search space, drawn by Optuna: by what was learned, at random, or on a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import count
from typing import Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from headrace.models.algorithms.algorithm import Parameters
from headrace.models.algorithms.space import Choice, Dimension, Range, Scalar

Kind = Literal["tpe", "random", "grid"]
_STARTUP = 8  # observations before TPE draws anything else than at random


class Sampler:
    """Draws points; equal calls in equal order give equal points.

    Args:
        space: What is searched.
        kind: `tpe` (Bergstra et al. 2011), `random`, or `grid`.
        seed: Of what is drawn.
        most: How many points will be drawn at most; a grid is made as fine as they allow.
    """

    def __init__(self, space: Mapping[str, Dimension], kind: Kind, *, seed: int, most: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._distributions = {name: distribution(each) for name, each in space.items()}
        grid = _grid(space, most) if kind == "grid" else {}
        self.size = math.prod(len(values) for values in grid.values()) if grid else most
        samplers: dict[str, optuna.samplers.BaseSampler] = {
            "tpe": optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTUP),
            "random": optuna.samplers.RandomSampler(seed=seed),
            "grid": optuna.samplers.GridSampler(grid, seed=seed),
        }
        self._study = optuna.create_study(direction="maximize", sampler=samplers[kind])

    def ask(self) -> Parameters:
        """A point; what it learns from is told by `tell`."""
        return self._study.ask(self._distributions).params

    def tell(self, parameters: Parameters, gain: float, *, rung: int, is_last: bool) -> None:
        """Learns what a point is worth at a rung; a point at a lower rung counts for less.

        A point that is not of the space, such as a default beyond it, teaches nothing.
        """
        params = {name: parameters.get(name) for name in self._distributions}
        if any(
            value is None and not isinstance(self._distributions[name], CategoricalDistribution)
            for name, value in params.items()
        ):
            return
        try:
            observed = optuna.trial.create_trial(
                params=params,
                distributions=self._distributions,
                value=gain,
                intermediate_values={rung: gain},
                state=TrialState.COMPLETE if is_last else TrialState.PRUNED,
            )
        except ValueError:
            return
        self._study.add_trial(observed)


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension in the words of Optuna."""
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.kind == "integer":
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _grid(space: Mapping[str, Dimension], most: int) -> dict[str, list[Scalar]]:
    """The finest grid of at most so many points; two values of each range at the least."""
    coarse = {name: _values(each, 2) for name, each in space.items()}
    for steps in count(3):
        fine = {name: _values(each, steps) for name, each in space.items()}
        points = math.prod(len(values) for values in fine.values())
        if points > most or fine == coarse:
            return coarse
        coarse = fine
    raise AssertionError  # `count` does not end


def _values(dimension: Dimension, steps: int) -> list[Scalar]:
    """A choice's values, or so many of a range, evenly spaced, its ends included."""
    if isinstance(dimension, Choice):
        return list(dimension.values)
    found = [_at(dimension, step / (steps - 1)) for step in range(steps)]
    return list(dict.fromkeys(found))


def _at(dimension: Range, share: float) -> Scalar:
    low, high = dimension.low, dimension.high
    value = low * (high / low) ** share if dimension.log else low + (high - low) * share
    value = min(max(value, low), high)
    return round(value) if dimension.kind == "integer" else value

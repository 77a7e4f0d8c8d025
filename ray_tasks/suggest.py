"""Which parameters to try next, by Optuna in synchronous batches; trials are run in `search`."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState
from ray.tune.search import Searcher

from headrace.models.algorithms.algorithm import Algorithm, Parameters
from headrace.models.algorithms.space import Choice, Dimension

BATCH = 3  # suggestions at a time: fixed, so that neither timing nor the number of cores matters


class Plan:
    """The trials of one algorithm: its defaults first, then batches that learn from all before.

    Within a batch nothing is learned, so no suggestion depends on which trial ends first.

    Args:
        algorithm: What is tuned; one without a search space has the one trial.
        trials: How many in all.
        seed: Of the suggestions.
    """

    def __init__(self, algorithm: Algorithm, trials: int, seed: int) -> None:
        self.algorithm = algorithm
        self.total = trials if algorithm.space else 1
        self.parameters: list[Parameters] = []
        self.results: dict[int, Mapping[str, Any] | None] = {}  # None: it failed
        self.errors: list[str] = []
        self._distributions = {name: _distribution(each) for name, each in algorithm.space.items()}
        self._asked: dict[int, optuna.trial.Trial] = {}
        self._next = 0
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        own_seed = (seed + zlib.crc32(algorithm.name.encode())) % 2**32
        sampler = optuna.samplers.TPESampler(seed=own_seed, n_startup_trials=BATCH)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)

    @property
    def finished(self) -> bool:
        """Whether all trials have been given out."""
        return self._next == self.total

    def suggest(self) -> int | None:
        """The number of a trial to run, or None while a batch is under way."""
        if self.finished:
            return None
        if self._next == len(self.parameters):
            if len(self.results) < len(self.parameters):
                return None
            self._learn()
            self._ask()
        self._next += 1
        return self._next - 1

    def _ask(self) -> None:
        start = len(self.parameters)
        for number in range(start, min(start + BATCH, self.total)):
            if number == 0:
                self.parameters.append(self.algorithm.defaults)
                continue
            trial = self._study.ask(self._distributions)
            self._asked[number] = trial
            self.parameters.append({**self.algorithm.defaults, **trial.params})

    def _learn(self) -> None:
        """Tells Optuna the batch that has ended, in the order of its numbers."""
        for number in range(len(self.parameters) - BATCH, len(self.parameters)):
            if number < 0:
                return  # before the first batch
            result = self.results[number]
            if number == 0:
                if result is not None:
                    self._study.add_trial(self._defaults_as_trial(result["gain"]))
            elif result is None:
                self._study.tell(self._asked[number], state=TrialState.FAIL)
            else:
                self._study.tell(self._asked[number], result["gain"])

    def _defaults_as_trial(self, gain: float) -> optuna.trial.FrozenTrial:
        return optuna.trial.create_trial(
            params={name: self.algorithm.defaults[name] for name in self._distributions},
            distributions=self._distributions,
            value=gain,
        )


class Suggestions(Searcher):
    """Gives Tune the trials of several plans; while one waits for its batch, another goes on.

    Args:
        plans: In the order in which they are asked.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        super().__init__(metric="gain", mode="max")
        self._plans = plans
        self._running: dict[str, tuple[Plan, int]] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """The next trial as Tune's configuration, None to wait, or FINISHED."""
        for plan in self._plans:
            number = plan.suggest()
            if number is not None:
                self._running[trial_id] = plan, number
                given = {"algorithm": plan.algorithm.name, "number": number}
                return {**given, "parameters": dict(plan.parameters[number])}
        if all(plan.finished for plan in self._plans):
            return cast("dict[str, Any]", Searcher.FINISHED)  # Ray's own type leaves it out
        return None

    def on_trial_complete(
        self,
        trial_id: str,
        result: Mapping[str, Any] | None = None,
        error: bool = False,  # Ray's signature
    ) -> None:
        """Notes a result; an error, or a gain that is not finite, is a failed trial."""
        plan, number = self._running.pop(trial_id)
        failed = error or result is None or not math.isfinite(result.get("gain", math.nan))
        plan.results[number] = None if failed else result
        if result is not None and "error" in result:
            plan.errors.append(result["error"])

    def set_search_properties(self, *_: object, **__: object) -> bool:
        """Metric and direction are given already."""
        return True

    def save_to_dir(self, *_: object, **__: object) -> None:
        """Keeps nothing: an interrupted search starts again."""


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(dimension.values)
    if dimension.kind == "integer":
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)

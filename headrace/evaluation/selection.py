"""What is left of the best trial's value when one counts how many were looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.evaluation.intervals import RESAMPLES
from headrace.evaluation.metric import Metric
from headrace.evaluation.metrics import Floats

FEWEST_BLOCKS = 5
_FALSE = 0.025  # of equal challengers are promoted: one side of an interval of 95 %


@dataclass(frozen=True)
class Selection:
    """How the winner was chosen.

    Attributes:
        trials: How many results were looked at.
        value: The winner's, on the rows that it was chosen on.
        optimism: By how much that is better than what to expect; None where it cannot be told.
        expected: The value without it.
        asked: How often the pipeline's gate was asked, this time included.
        metric: Of the values.
    """

    trials: int
    value: float
    optimism: float | None
    expected: float | None
    asked: int
    metric: Metric

    @property
    def sentence(self) -> str:
        """The same for people."""
        form = ".4g" if self.metric.has_unit else ".4f"
        told = f"The winner is the best of {self.trials:,} trials"
        if self.trials == 1:
            told = "The winner is the only trial"
        if self.expected is not None:
            told += (
                f": its {self.metric} of {self.value:{form}} on validation is chosen, and "
                f"{self.expected:{form}} is to be expected of it"
            )
        if self.asked > 1:
            chance = 1 - (1 - _FALSE) ** self.asked
            told += (
                f". The gate was asked {self.asked:,} times so far: were no challenger better, one "
                f"at least would be promoted with a chance of {chance:.0%}"
            )
        return f"{told}."

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**vars(self), "metric": str(self.metric), "sentence": self.sentence}


def selection(
    by_block: Sequence[Sequence[float]],
    *,
    value: float,
    metric: Metric,
    asked: int,
    seed: int,
    resamples: int = RESAMPLES,
) -> Selection:
    """The optimism of the best value, by a bootstrap of the choice itself.

    Blocks of the rows that trials were judged on are drawn with replacement; the trial that is best
    in those drawn is judged on those left out (Tsamardinos, Greasidou and Borboudakis 2018,
    Bootstrapping the out-of-sample predictions for efficient and accurate cross-validation). What
    the best trial of all has above the mean of that is the optimism, and none if it has nothing.

    Args:
        by_block: The metric of each trial, in each block; blocks where one is not finite are left
            out.
        value: Of the best trial.
        metric: Of all values.
        asked: How often the gate was asked.
        seed: Of the resamples.
        resamples: How many to draw.
    """
    values: Floats = np.asarray(by_block, dtype=np.float64)
    gains = metric.gain(values, np.zeros(1))
    trials = len(by_block)
    defined = np.isfinite(gains).all(axis=0) if trials else np.zeros(0, dtype=np.bool_)
    blocks = int(defined.sum())
    if blocks < FEWEST_BLOCKS:
        return Selection(trials, value, None, None, asked, metric)
    gains = gains[:, defined]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=resamples)
    left = (drawn == 0).astype(np.float64)
    some = left.any(axis=1)
    best = gains[(drawn[some] @ gains.T).argmax(axis=1)]
    judged = (left[some] * best).sum(axis=1) / left[some].sum(axis=1)
    optimism = max(0.0, float(gains.mean(axis=1).max() - judged.mean()))
    sign = 1 if metric.greater_is_better else -1
    return Selection(trials, value, optimism, value - sign * optimism, asked, metric)

"""How long a test part must be to show a gain, by the spread of the gain that was seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.special import (  # type: ignore[import-untyped]  # it ships no types
    chdtri,
    nctdtr,
    ndtr,
    ndtri,
    stdtrit,
)

from headrace.evaluation.intervals import LEVEL
from headrace.evaluation.metric import Metric

POWER = 0.8
ASSURED = 0.8  # how surely the spread is no greater than it is taken for
FEWEST_BLOCKS = 5  # an interval over fewer days tells nothing
_MOST_BLOCKS = 1_000_000
_NORMAL = 200  # blocks from which Student's t is a normal distribution


@dataclass(frozen=True)
class Power:
    """What a test part can show.

    Attributes:
        gain: The gain asked for.
        enough: Units of test that would show it with a chance of `POWER`; None beyond a million.
        have: Units that there are.
        smallest: The gain that they show with that chance.
        unit: What is counted: `day`, `group` or `row`.
        metric: Of the gains.
    """

    gain: float
    enough: int | None
    have: int
    smallest: float
    unit: str
    metric: Metric

    @property
    def sentence(self) -> str:
        """The same for people."""
        form = ".3g" if self.metric.has_unit else ".2g"
        length = "no test part of a usual size"
        if self.enough is not None:
            length = f"a test part of {_counted(self.enough, self.unit)}"
        verb = "would show" if self.enough is None or self.enough > self.have else "shows"
        return (
            f"{length[0].upper()}{length[1:]} {verb} a gain of {self.gain:{form}} in {self.metric} "
            f"four times in five; this one has {self.have:,}, which is enough for a gain of "
            f"{self.smallest:{form}}."
        )

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        told = {name: value for name, value in vars(self).items() if name != "metric"}
        return {**told, "power": POWER, "sentence": self.sentence}


def power_of(
    spread: float, gain: float, *, effective: float, have: int, unit: str, metric: Metric
) -> Power:
    """What a test part can show, and how long it should be.

    The spread was seen over a few blocks only and may be greater, so what counts is its upper
    limit, at a confidence of `ASSURED` (Browne 1995, On the use of a pilot sample for sample size
    determination). A gain is shown when its interval lies above zero: the power of a paired t test
    (noncentral t; Cohen 1988, 2.5).

    Args:
        spread: Standard deviation of the gain by block, as `Judged.spread`.
        gain: What is to be shown; above zero.
        effective: How many blocks it was seen over.
        have: How many units those are.
        unit: What is counted.
        metric: Of the gain.
    """
    freedom = max(effective - 1, 1.0)
    spread *= math.sqrt(freedom / chdtri(freedom, ASSURED))
    enough = _enough(spread / gain) if gain > 0 else None
    each = have / effective
    return Power(
        gain=gain,
        enough=None if enough is None else math.ceil(enough * each),
        have=have,
        smallest=spread * _smallest(max(effective, 2.0)),
        unit=unit,
        metric=metric,
    )


def _enough(spread: float) -> int | None:
    """The fewest blocks that show a gain of 1, its spread by block being this."""
    low, high = FEWEST_BLOCKS - 1, FEWEST_BLOCKS
    while _chance(high, spread) < POWER:
        low, high = high, 2 * high
        if low > _MOST_BLOCKS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _chance(middle, spread) >= POWER else (middle, high)
    return high


def _chance(blocks: float, spread: float) -> float:
    """How often so many blocks show a gain of 1."""
    tail = (1 - LEVEL) / 2
    if spread <= 0:
        return 1.0
    away = math.sqrt(blocks) / spread
    if blocks > _NORMAL or away > _NORMAL:
        return float(ndtr(away - ndtri(1 - tail)))
    return float(1 - nctdtr(blocks - 1, away, stdtrit(blocks - 1, 1 - tail)))


def _smallest(blocks: float) -> float:
    """The gain that so many blocks show with a chance of `POWER`, its spread by block being 1."""
    low, high = 0.0, 1.0
    while _chance(blocks, 1 / high) < POWER:
        high *= 2
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if _chance(blocks, 1 / middle) >= POWER else (middle, high)
    return high


def _counted(number: int, unit: str) -> str:
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"

"""Adam with decoupled weight decay, and the schedules that its rate and its decay follow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from headrace.models.methods.neural.network import Singles

_BETAS, _EPSILON = (0.9, 0.95), 1e-8


@dataclass
class Adam:
    """Steps on one vector of parameters, with the rate and the decay of each."""

    flat: Singles
    rate: Singles
    decay: Singles

    def __post_init__(self) -> None:
        self._first = np.zeros_like(self.flat)
        self._second = np.zeros_like(self.flat)
        self._work = np.empty_like(self.flat)
        self._steps = 0

    def step(self, slope: Singles, *, rate: float, decay: float) -> None:
        """Moves the parameters against the slope; `slope` is overwritten."""
        self._steps += 1
        one, two = _BETAS
        work = self._work
        self._first *= np.float32(one)
        np.multiply(slope, np.float32(1 - one), out=work)
        self._first += work
        self._second *= np.float32(two)
        np.multiply(slope, slope, out=slope)
        slope *= np.float32(1 - two)
        self._second += slope
        np.multiply(self._second, np.float32(1 / (1 - two**self._steps)), out=work)
        np.sqrt(work, out=work)
        work += np.float32(_EPSILON)
        np.divide(self._first, work, out=work)
        work *= np.float32(rate / (1 - one**self._steps))
        np.multiply(self.flat, self.decay, out=slope)
        slope *= np.float32(rate * decay)
        work += slope
        work *= self.rate
        self.flat -= work


def coslog4(t: float) -> float:
    """Four cycles of growing length, each from 0 to 1 and back; `t` from 0 to 1."""
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t)))


def flat_cos(t: float) -> float:
    """1 over the first half, then down to 0 as a cosine; `t` from 0 to 1."""
    return 1.0 if t < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * t - 1)))  # noqa: PLR2004

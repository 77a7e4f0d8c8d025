"""What corrects a model's probabilities: a curve for each class, kept as JSON with the model.

They are fitted in `headrace.evaluation.calibration`; here they are applied, each row by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.estimators import softmax

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

TINY = float(np.finfo(np.float64).eps)  # log odds are taken of no probability below, nor 1 - it


class Method(StrEnum):
    """Ways to correct probabilities, the one with the fewest parameters first."""

    TEMPERATURE = "temperature"
    PLATT = "platt"
    ISOTONIC = "isotonic"


@dataclass(frozen=True)
class Line:
    """A straight line on log odds, rising: Platt's; one through the origin is a temperature.

    Source: Platt 1999, Probabilistic outputs for support vector machines.

    Attributes:
        slope: Above zero; of a temperature, 1 by it.
        intercept: Added to the log odds.
    """

    slope: float
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (_finite([self.slope, self.intercept]) and self.slope > 0):
            message = "a line has a slope above zero and an intercept, both finite"
            raise ValueError(message)

    def __call__(self, chance: Floats) -> Floats:
        """Corrected probabilities (rows,)."""
        from scipy.special import expit  # type: ignore[import-untyped]  # it ships no types

        corrected: Floats = expit(self.slope * log_odds(chance) + self.intercept)
        return corrected

    def to_json(self) -> dict[str, Any]:
        """The line as JSON values."""
        return {"slope": self.slope, "intercept": self.intercept}


@dataclass(frozen=True)
class Steps:
    """A curve that never falls, straight between its points and level beyond them: isotonic.

    Source: Zadrozny and Elkan 2002, Transforming classifier scores into accurate multiclass
    probability estimates.

    Attributes:
        scores: Where its points stand, rising.
        shares: How high, from 0 to 1, never falling.
    """

    scores: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        sound = len(self.scores) == len(self.shares) > 0 and _finite([*self.scores, *self.shares])
        if not sound or not 0 <= self.shares[0] <= self.shares[-1] <= 1:
            message = "steps have as many scores as shares from 0 to 1, all finite"
            raise ValueError(message)
        if (np.diff(self.scores) <= 0).any() or (np.diff(self.shares) < 0).any():
            message = "steps rise from left to right"
            raise ValueError(message)

    def __call__(self, chance: Floats) -> Floats:
        """Corrected probabilities (rows,); rounding never turns the order of two rows round."""
        x, y = np.array(self.scores), np.array(self.shares)
        if len(x) == 1:
            return np.full(len(chance), y[0])
        inside = np.clip(chance, x[0], x[-1])
        at = np.clip(np.searchsorted(x, inside, side="right") - 1, 0, len(x) - 2)
        away = (inside - x[at]) / (x[at + 1] - x[at])
        risen: Floats = np.minimum(y[at] + away * (y[at + 1] - y[at]), y[at + 1])
        return risen

    def to_json(self) -> dict[str, Any]:
        """The curve as JSON values."""
        return {"scores": list(self.scores), "shares": list(self.shares)}


Curve = Line | Steps


@dataclass(frozen=True)
class Calibration:
    """How a model's probabilities are corrected.

    Attributes:
        method: How its curves were fitted.
        curves: One, of true, or of a temperature for all classes; else one for each class against
            the rest, None where validation had too few rows of it to correct it.
    """

    method: Method
    curves: tuple[Curve | None, ...]

    def __call__(self, predicted: Floats) -> Floats:
        """Corrected probabilities, each row by itself.

        Args:
            predicted: Probability of true (rows,), or of each class (rows, classes).
        """
        if predicted.ndim == 1:
            (curve,) = self.curves
            return predicted if curve is None else curve(predicted)
        if self.method is Method.TEMPERATURE:
            return self._cooled(predicted)
        found = np.column_stack(
            [
                column if curve is None else curve(column)
                for curve, column in zip(self.curves, predicted.T.copy(), strict=True)
            ]
        )
        total = found.sum(axis=1, keepdims=True)
        shares: Floats = np.divide(found, total, out=predicted.copy(), where=total > 0)
        return shares

    @property
    def slope(self) -> float:
        """Of a temperature: what logarithms are multiplied with."""
        (curve,) = self.curves
        if not isinstance(curve, Line):
            message = "a temperature is a line"
            raise TypeError(message)
        return curve.slope

    def _cooled(self, predicted: Floats) -> Floats:
        """Source: Guo et al. 2017, On calibration of modern neural networks."""
        return softmax(self.slope * np.log(np.maximum(predicted, TINY)))

    def to_json(self) -> dict[str, Any]:
        """The calibration as JSON values."""
        curves = [None if curve is None else curve.to_json() for curve in self.curves]
        return {"method": str(self.method), "curves": curves}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], task: Task, *, classes: int) -> Self:
        """The calibration that `to_json` wrote, of a model of so many classes.

        Raises:
            KeyError, TypeError, ValueError: It did not.
        """
        method = Method(value["method"])
        curves = tuple(None if each is None else _curve(method, each) for each in value["curves"])
        single = task is Task.BINARY or method is Method.TEMPERATURE
        if task is Task.REGRESSION or len(curves) != (1 if single else classes):
            message = f"{len(curves)} curves do not fit {classes} classes"
            raise ValueError(message)
        if single and curves[0] is None:
            message = "the only curve is missing"
            raise ValueError(message)
        return cls(method, curves)


def log_odds(chance: Floats) -> Floats:
    """Log odds of probabilities, finite."""
    from scipy.special import logit

    found: Floats = logit(np.clip(chance, TINY, 1 - TINY))
    return found


def _curve(method: Method, value: Mapping[str, Any]) -> Curve:
    if method is Method.ISOTONIC:
        return Steps(tuple(value["scores"]), tuple(value["shares"]))
    return Line(value["slope"], value["intercept"])


def _finite(values: Sequence[object]) -> bool:
    return all(
        isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
        for each in values
    )

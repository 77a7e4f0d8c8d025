"""Ranges of a search space, known to no search library; `ray_tasks` hands them to Optuna."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scalar = str | float | int | bool | None


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: The least value.
        high: The greatest value.
        kind: Whether values are whole numbers.
        log: Whether each factor is as likely as the next, instead of each step.
        beside: Words that may be asked for instead of a number; they are not searched.
    """

    low: float
    high: float
    kind: Literal["integer", "real"]
    log: bool = False
    beside: tuple[str, ...] = ()

    def __contains__(self, value: object) -> bool:
        fits = isinstance(value, int) if self.kind == "integer" else isinstance(value, int | float)
        return fits and not isinstance(value, bool) and self.low <= value <= self.high  # type: ignore[operator]  # a number


@dataclass(frozen=True)
class Choice:
    """One of a few values without order.

    Attributes:
        values: Those.
        beside: Further values that may be asked for; they are not searched.
    """

    values: tuple[Scalar, ...]
    beside: tuple[Scalar, ...] = ()

    def __contains__(self, value: object) -> bool:
        return value in self.values


Dimension = Range | Choice


def uniform(low: float, high: float, *, beside: tuple[str, ...] = ()) -> Range:
    """Real numbers, each step as likely as the next; words `beside` them only if asked for."""
    return Range(low, high, "real", beside=beside)


def log_uniform(low: float, high: float) -> Range:
    """Positive real numbers, each factor as likely as the next."""
    return Range(low, high, "real", log=True)


def integer(low: int, high: int) -> Range:
    """Whole numbers, each as likely as the next."""
    return Range(low, high, "integer")


def log_int(low: int, high: int) -> Range:
    """Positive whole numbers, each factor as likely as the next."""
    return Range(low, high, "integer", log=True)


def choice(*values: Scalar, beside: tuple[Scalar, ...] = ()) -> Choice:
    """One of these values; those `beside` them are taken only where they are asked for."""
    return Choice(values, beside)

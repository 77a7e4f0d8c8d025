"""The learning curve: whether more rows of this kind would help."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from headrace.evaluation.inspection.figures import as_json, told
from headrace.evaluation.inspection.fits import SHARES, Again, Refit, newest, refitted
from headrace.evaluation.inspection.subject import Subject
from headrace.evaluation.intervals import Interval
from headrace.evaluation.metrics import Floats
from headrace.evaluation.resamples import LOOKS, Resamples

MOST_ROWS = 20_000


@dataclass(frozen=True)
class Point:
    """The model on some of the training rows.

    Attributes:
        rows: How many, of the newest days.
        days: Of how many days.
        metric: On validation.
    """

    rows: int
    days: int
    metric: Interval

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {"rows": self.rows, "days": self.days, **as_json(self.metric)}


@dataclass(frozen=True)
class LearningCurve:
    """A point per share of the rows.

    Attributes:
        points: The fewest rows first.
        gain: Of the whole over its newest half.
        rows: Rows of validation that judged.
        sentence: The answer, for people.
    """

    points: tuple[Point, ...]
    gain: Interval
    rows: int
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        points = [each.to_json() for each in self.points]
        return {**vars(self), "points": points, "gain": as_json(self.gain)}


def learning_curve(subject: Subject, again: Again) -> tuple[LearningCurve | None, str, float]:
    """Fits on the newest eighth, quarter and half of the rows, and holds each against validation.

    The newest days, since that is what a shorter history would have kept. The parameters are those
    that were chosen with all rows, so that the first points are a little too low.

    Returns:
        The curve, or None and why it was not drawn; and how many seconds a fit on all rows takes.
    """
    shipped = replace(subject.model, calibration=None)  # as the others are
    rows = subject.validation.sample(MOST_ROWS, key=subject.key)
    resamples = Resamples.of(rows.days, seed=subject.seed, resamples=LOOKS)

    def draws(refit: Refit) -> Floats:
        score = subject.predicted(rows.table, by=refit.model)
        return resamples.draws(rows.y, score, task=subject.task, metric=subject.metric)

    fits: list[Refit] = []
    whole = len(again.train.y)
    for share in SHARES:
        places = newest(again.days, share)
        fits.append(refitted(subject, again, places=places, seed=shipped.recipe.seed))
        estimate = max(each.seconds / each.rows for each in fits) * whole
        if estimate * sum(SHARES) > again.budget:
            why = (
                f"a fit on all rows takes about {estimate:.0f} seconds, and fits on parts of them "
                f"would take more than inspection may"
            )
            return None, why, estimate
    fits.append(Refit(shipped, whole, len(set(again.days.tolist())), estimate))
    drawn = [draws(each) for each in fits]
    gain = resamples.interval(subject.metric.gain(drawn[-1], drawn[-2]))
    points = tuple(
        Point(each.rows, each.days, resamples.interval(of, bounds=subject.metric.bounds))
        for each, of in zip(fits, drawn, strict=True)
    )
    curve = LearningCurve(points, gain, len(rows), _sentence(subject, points, gain))
    return curve, "", estimate


def _sentence(subject: Subject, points: tuple[Point, ...], gain: Interval) -> str:
    half, whole = points[-2], points[-1]
    step = f"from {half.rows:,} to {whole.rows:,} rows, {subject.name} gained"
    text = f"{step} {told(gain, subject.metric)} in {subject.metric} on validation"
    if gain.above_zero:
        return (
            f"More rows would help: {text}, and the next doubling would probably gain some of it."
        )
    if gain.high < 0:
        return (
            f"More of the old rows would not help: {text}; the newest {half.days} days alone serve "
            f"better than all {whole.days}."
        )
    return f"More rows of this kind would not help by more than noise: {text}."

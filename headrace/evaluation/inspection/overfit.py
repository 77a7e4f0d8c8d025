"""The overfit check: training rows against later ones, and how much hangs on the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headrace.evaluation.inspection.figures import as_json, plain, told
from headrace.evaluation.inspection.fits import Again, refitted
from headrace.evaluation.inspection.subject import Rows, Subject
from headrace.evaluation.intervals import Interval, interval_of
from headrace.evaluation.metrics import Floats
from headrace.evaluation.resamples import LOOKS, Resamples
from headrace.models.model import Model

MOST_ROWS = 10_000  # of each part
SEEDS = 5
_FEWEST_SEEDS = 3
_MOST_LOST = 0.5  # of the gain over the baseline


@dataclass(frozen=True)
class Overfit:
    """The model on each part.

    Attributes:
        parts: Part -> the metric of the model.
        baseline: Part -> the metric of the baseline; empty where the model is one.
        gap: How much better the model is on training rows than on test rows.
        of_time: The same of the baseline: what the later days make harder for anything; None where
            the model is a baseline.
        left: What is left on test rows of the gain over the baseline on training rows; None where
            there was none.
        seeds: The metric on validation of the same fit from other seeds; empty where it was not
            fitted again.
        why_no_seeds: Why it was not; empty where it was.
        sentence: All of this for people.
    """

    parts: dict[str, Interval]
    baseline: dict[str, Interval]
    gap: Interval
    of_time: Interval | None
    left: float | None
    seeds: tuple[float, ...]
    why_no_seeds: str
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            **vars(self),
            "parts": {name: as_json(each) for name, each in self.parts.items()},
            "baseline": {name: as_json(each) for name, each in self.baseline.items()},
            "gap": as_json(self.gap),
            "of_time": None if self.of_time is None else as_json(self.of_time),
            "left": None if self.left is None else plain(self.left),
            "seeds": [plain(each) for each in self.seeds],
        }


def overfit(
    subject: Subject, again: Again | None, *, why_not: str, seconds: float, spent: float
) -> Overfit:
    """Holds training rows against later ones, and the model against the same from other seeds.

    Later days may be harder by themselves; how much, the baseline tells, which has too few numbers
    to learn rows by heart. So the verdict is about the gain over it: what of it is left on rows
    that the model has not seen.

    Args:
        subject: The model.
        again: What it was fitted from; None where it is not fitted again.
        why_not: Why, then.
        seconds: That a fit takes.
        spent: Seconds of the budget that are gone.
    """
    parts = {
        name: part.sample(MOST_ROWS, key=subject.key)
        for name, part in (
            ("train", subject.train),
            ("validation", subject.validation),
            ("test", subject.test),
        )
    }
    resamples = {
        name: Resamples.of(rows.days, seed=subject.seed, resamples=LOOKS)
        for name, rows in parts.items()
    }

    def drawn(by: Model | None = None) -> dict[str, Floats]:
        return {name: _draws(subject, rows, resamples[name], by=by) for name, rows in parts.items()}

    def told_of(draws: dict[str, Floats]) -> dict[str, Interval]:
        bounds = subject.metric.bounds
        return {n: resamples[n].interval(each, bounds=bounds) for n, each in draws.items()}

    fewer = min(resamples[name].effective() for name in ("train", "test"))

    def apart(draws: dict[str, Floats]) -> Interval:
        """By how much training rows are better; as many blocks as the part of fewer has."""
        return interval_of(subject.metric.gain(draws["train"], draws["test"]), effective=fewer)

    own = drawn()
    base = drawn(subject.baseline) if subject.baseline is not None else {}
    gap = apart(own)
    of_time = apart(base) if base else None
    left = _left(subject, own, base) if base else None
    seeds: tuple[float, ...] = ()
    if again is not None:
        count = min(SEEDS - 1, int((again.budget - spent) / max(seconds, 1e-9)))
        if count + 1 < _FEWEST_SEEDS:
            why_not = f"{SEEDS} fits of {seconds:.0f} seconds each would take more than it may"
        else:
            seeds = _seeds(subject, again, parts["validation"], count=count)
    found = Overfit(
        parts=told_of(own),
        baseline=told_of(base),
        gap=gap,
        of_time=of_time,
        left=left,
        seeds=seeds,
        why_no_seeds="" if seeds else why_not,
        sentence="",
    )
    return Overfit(**{**vars(found), "sentence": _sentence(subject, found)})


def _draws(subject: Subject, rows: Rows, resamples: Resamples, *, by: Model | None) -> Floats:
    score = subject.predicted(rows.table, by=by)
    return resamples.draws(rows.y, score, task=subject.task, metric=subject.metric)


def _left(subject: Subject, own: dict[str, Floats], base: dict[str, Floats]) -> float | None:
    gains = {name: float(subject.metric.gain(own[name][0], base[name][0])) for name in own}
    return gains["test"] / gains["train"] if gains["train"] > 0 else None


def _seeds(subject: Subject, again: Again, rows: Rows, *, count: int) -> tuple[float, ...]:
    """The metric of the model and of fits from other seeds; one alone where they are the same."""
    first = subject.model.recipe.seed
    resamples = Resamples.of(rows.days, seed=subject.seed, resamples=1)  # the value alone is told
    found: list[float] = []
    plainly = replace(subject.model, calibration=None)  # as the others are
    score = subject.predicted(rows.table, by=plainly)
    for step in range(count + 1):
        if step:
            model = refitted(subject, again, seed=(first + step) % 2**32).model
            other = subject.predicted(rows.table, by=model)
            if step == 1 and np.array_equal(score, other):
                break  # the seed has no part in it
            score = other
        draws = resamples.draws(rows.y, score, task=subject.task, metric=subject.metric)
        found.append(float(draws[0]))
    return tuple(found)


def _sentence(subject: Subject, found: Overfit) -> str:
    gap = f"{told(found.gap, subject.metric)} in {subject.metric}"
    name = subject.name
    if not found.gap.above_zero:
        text = f"No sign of overfitting: {name} is no better on training rows than on test ({gap})"
    elif found.of_time is None or found.left is None:
        text = f"{name} is better on training rows than on test rows ({gap})"
    elif found.left < 1 - _MOST_LOST:
        text = (
            f"{name} overfits: it is better on training rows than on test rows ({gap}), and of its "
            f"gain over the baseline {max(found.left, 0.0):.0%} is left there. Take fewer rounds, "
            f"smaller trees or a stronger penalty, or more rows"
        )
    else:
        text = (
            f"{name} is better on training rows than on test rows ({gap}), as such models are, but "
            f"{found.left:.0%} of its gain over the baseline is left there"
        )
    if found.of_time is not None and found.gap.above_zero:
        text += f"; the baseline's own gap, which time alone makes, is {found.of_time.value:+.4g}"
    if len(found.seeds) > 1:
        low, high = min(found.seeds), max(found.seeds)
        text += (
            f". From {len(found.seeds)} seeds, it reaches {low:.4g} to {high:.4g} on validation "
            f"(standard deviation {np.std(found.seeds, ddof=1):.2g})"
        )
    elif found.seeds:
        text += ". The seed has no part in its fit"
    return f"{text}."

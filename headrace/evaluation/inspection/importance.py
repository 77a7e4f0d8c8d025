"""Permutation importance: how much worse the model is where a feature tells nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.evaluation.inspection.association import groups
from headrace.evaluation.inspection.figures import as_json, told
from headrace.evaluation.inspection.subject import Rows, Subject
from headrace.evaluation.intervals import Interval
from headrace.evaluation.resamples import LOOKS, Resamples

MOST_ROWS, FEWEST_ROWS = 6_000, 250
_MOST_SHUFFLED = 600_000  # rows, of all features together
_SECONDS = 60.0  # of predicting, by which a model that is slow is shown fewer rows
REPEATS = 3  # shufflings of each feature
_NAMED = 6  # features in a sentence


@dataclass(frozen=True)
class Importance:
    """What is lost without a feature, or without several that go together.

    Attributes:
        features: Those that were shuffled, with one another's values kept together.
        loss: How much better the model is with them, in its metric; positive is better.
        goes_with: Others that can stand in for a single one, so that its own loss tells too little.
        varies: Whether the rows have more than one value of it; else its loss tells nothing.
    """

    features: tuple[str, ...]
    loss: Interval
    goes_with: tuple[str, ...] = ()
    varies: bool = True

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            "features": list(self.features),
            **as_json(self.loss),
            "goes_with": list(self.goes_with),
            "varies": self.varies,
        }


@dataclass(frozen=True)
class Importances:
    """All features, those that count most first.

    Attributes:
        found: Single features, and groups of those that go together.
        rows: Rows of validation that were looked at.
        of: Rows of validation.
        blocks: Days they are of.
        sentence: All of this for people.
    """

    found: tuple[Importance, ...]
    rows: int
    of: int
    blocks: int
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**vars(self), "found": [each.to_json() for each in self.found]}


def importances(subject: Subject) -> Importances:
    """Shuffles each feature over the rows, and groups of those that go together.

    Breiman 2001, section 10, on rows the model was not fitted on and by the metric of the pipeline:
    whole columns as they are declared, never the single columns that an encoding makes of them. The
    interval is of resampled days, paired: every shuffling is judged under the same draws.
    """
    rows = _few_enough(subject)
    resamples = Resamples.of(rows.days, seed=subject.seed, resamples=LOOKS)
    table = rows.table.select(list(subject.features))

    def draws(shuffled: pa.Table) -> Any:  # noqa: ANN401  # numbers
        score = subject.predicted(shuffled)
        return resamples.draws(rows.y, score, task=subject.task, metric=subject.metric)

    together = groups(table, subject.features)
    mates = {name: group for group in together for name in group}
    rng = np.random.default_rng(subject.seed)
    orders = [rng.permutation(len(rows)) for _ in range(REPEATS)]
    whole = draws(table)
    found = []
    for names in [*((name,) for name in subject.features), *together]:
        worse = np.mean([draws(_shuffled(table, names, order)) for order in orders], axis=0)
        loss = resamples.interval(subject.metric.gain(whole, worse))
        group = mates.get(names[0], ()) if len(names) == 1 else ()
        others = tuple(each for each in group if each not in names)
        varies = any(len(table.column(name).unique()) > 1 for name in names)
        found.append(Importance(names, loss, others, varies))
    found.sort(key=lambda each: -each.loss.value)
    return Importances(
        tuple(found),
        len(rows),
        len(subject.validation),
        resamples.blocks,
        _sentence(subject, found),
    )


def _few_enough(subject: Subject) -> Rows:
    """Rows of validation, the fewer the more features there are, and the slower the model is."""
    shuffles = REPEATS * len(subject.features)
    most = max(FEWEST_ROWS, min(MOST_ROWS, _MOST_SHUFFLED // shuffles))
    rows = subject.validation.sample(most, key=subject.key)
    while len(rows) > FEWEST_ROWS:
        began = time.perf_counter()
        subject.predicted(rows.table)
        if (time.perf_counter() - began) * shuffles <= _SECONDS:
            break
        rows = rows.sample(max(FEWEST_ROWS, len(rows) // 4), key=subject.key)
    return rows


def _shuffled(table: pa.Table, names: Sequence[str], order: Any) -> pa.Table:  # noqa: ANN401
    places = pa.array(order)
    for name in names:
        at = table.column_names.index(name)
        table = table.set_column(at, name, table.column(name).take(places))
    return table


def _sentence(subject: Subject, found: Sequence[Importance]) -> str:
    single = [each for each in found if len(each.features) == 1]
    sure = [each for each in single if each.loss.above_zero]
    first = found[0]
    name = " with ".join(first.features)
    text = (
        f"{name} counts most: without it, {subject.name} loses {told(first.loss, subject.metric)} "
        f"in {subject.metric}."
    )
    text += f" {len(sure)} of {len(single)} features count by more than noise"
    idle = [
        each.features[0]
        for each in single
        if each.varies and not each.loss.above_zero and not each.goes_with
    ]
    still = [each.features[0] for each in single if not each.varies]
    if idle:
        text += f"; by no more than noise: {_listed(idle)}"
    if still:
        text += f"; the same in all of these rows, and so not judged: {_listed(still)}"
    return f"{text}."


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")

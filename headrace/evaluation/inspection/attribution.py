"""What Shapley values of many rows say together, and of the rows at both ends and in the middle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.evaluation.inspection.contributions import Contributions, contributions
from headrace.evaluation.inspection.figures import as_json, plain
from headrace.evaluation.inspection.subject import Subject
from headrace.evaluation.intervals import Interval
from headrace.evaluation.resamples import LOOKS, Resamples
from headrace.masking import masked
from headrace.models.algorithms.algorithm import Task

_MOST_EXACT, _MOST_SAMPLED, _FEWEST = 1_000, 60, 10  # rows
_MOST_CELLS = 20_000_000  # of a table that is predicted at once
_EXPLAINED = 5  # features told of one row


@dataclass(frozen=True)
class Attribution:
    """Mean sizes of contributions, and a few rows explained.

    Attributes:
        features: Feature and the mean size of what it adds or takes, the largest first.
        rows: How many rows were looked at.
        scale: As `Contributions` has it.
        exact: As `Contributions` has it.
        base: What is predicted where nothing is known of a row; None where there are classes.
        explained: Rows with the least, the middle and the greatest prediction; none where there are
            classes.
        sentence: All of this for people.
    """

    features: tuple[tuple[str, Interval], ...]
    rows: int
    scale: str
    exact: bool
    base: float | None
    explained: tuple[dict[str, Any], ...]
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            **vars(self),
            "features": [{"feature": name, **as_json(size)} for name, size in self.features],
            "explained": list(self.explained),
        }


def attribution(subject: Subject) -> Attribution:
    """Shapley values of rows of validation, held against rows of training."""
    model, names = subject.model, list(subject.features)
    background = subject.train.sample(500, key=subject.key).table.select(names)
    quick = contributions(model, background.slice(0, 1), background=background, seed=subject.seed)
    sampled = max(_FEWEST, min(_MOST_SAMPLED, _MOST_CELLS // len(names) ** 2))
    most = _MOST_EXACT if quick.exact else sampled
    rows = subject.validation.sample(most, key=subject.key)
    table = rows.table.select(names)
    found = contributions(model, table, background=background, seed=subject.seed)
    sizes = np.abs(found.values)
    if sizes.ndim > 2:  # noqa: PLR2004  # classes
        sizes = sizes.sum(axis=2)
    resamples = Resamples.of(rows.days, seed=subject.seed, resamples=LOOKS)
    means = [resamples.interval(resamples.means(sizes[:, i])) for i in range(len(names))]
    order = sorted(range(len(names)), key=lambda i: -means[i].value)
    several = subject.task is Task.MULTICLASS
    told = [(found.features[i], means[i]) for i in order]
    return Attribution(
        features=tuple(told),
        rows=len(rows),
        scale=found.scale,
        exact=found.exact,
        base=None if several else plain(float(found.base)),
        explained=() if several else _explained(subject, rows.table, found),
        sentence=_sentence(told, found),
    )


def _explained(subject: Subject, table: Any, found: Contributions) -> tuple[dict[str, Any], ...]:  # noqa: ANN401  # an Arrow table
    rising = np.argsort(found.totals, kind="stable")
    places = dict.fromkeys((int(rising[0]), int(rising[len(rising) // 2]), int(rising[-1])))
    told = []
    for place in places:
        row = table.slice(place, 1)
        values = found.values[place]
        largest = np.argsort(-np.abs(values), kind="stable")[:_EXPLAINED]
        cells = row.select(list({*subject.key, *subject.features})).to_pylist()[0]
        cells = masked(cells, subject.hidden)
        told.append(
            {
                "key": {name: _cell(cells[name]) for name in subject.key},
                "prediction": plain(
                    float(subject.predicted(row.select(list(subject.features)))[0])
                ),
                "total": plain(float(found.totals[place])),
                "parts": [
                    {
                        "feature": found.features[i],
                        "value": _cell(cells[found.features[i]]),
                        "adds": plain(float(values[i])),
                    }
                    for i in largest.tolist()
                ],
            }
        )
    return tuple(told)


def _cell(value: object) -> str:
    return (
        f"{value:.6g}" if isinstance(value, float) else "missing" if value is None else str(value)
    )


def _sentence(told: list[tuple[str, Interval]], found: Contributions) -> str:
    name, size = told[0]
    unit = "on the scale of the margin" if found.scale == "margin" else "of the prediction"
    how = "computed from the trees" if found.exact else "sampled"
    return (
        f"{name} moves predictions most: by {size.value:.3g} {unit} on average, up or down "
        f"(Shapley values, {how})."
    )

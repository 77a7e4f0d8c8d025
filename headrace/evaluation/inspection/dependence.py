"""Partial dependence: what is predicted on average where a feature is set to one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.inspection.figures import as_json, plain
from headrace.evaluation.inspection.subject import Rows, Subject
from headrace.evaluation.intervals import Interval
from headrace.evaluation.metrics import Floats
from headrace.evaluation.resamples import LOOKS, Resamples
from headrace.masking import MASK
from headrace.models.algorithms.algorithm import Task

MOST_ROWS = 400
MOST_FEATURES = 6
_QUANTILES = 11
_CATEGORIES = 8
_CLASSES = 3  # of which a curve is drawn, the most frequent first


@dataclass(frozen=True)
class Curve:
    """One feature, and one class where there are several.

    Attributes:
        feature: The feature.
        output: What is predicted: a class, or empty.
        numeric: Whether the values are numbers in their order.
        values: What the feature was set to; of one that is hidden only the order among the values.
        means: The mean prediction at each, and where it would lie for other days.
        average: The mean prediction with the feature as it is.
    """

    feature: str
    output: str
    numeric: bool
    values: tuple[float | str, ...]
    means: tuple[Interval, ...]
    average: float

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {
            **vars(self),
            "values": [plain(each) if isinstance(each, float) else each for each in self.values],
            "means": [as_json(each) for each in self.means],
            "average": plain(self.average),
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """How far the prediction moves."""
        values = [each.value for each in self.means]
        low, high = int(np.argmin(values)), int(np.argmax(values))
        of = f" of {self.output}" if self.output else ""
        named = [f"{each:.4g}" if isinstance(each, float) else each for each in self.values]
        return (
            f"{self.feature}: the mean prediction{of} goes from {values[low]:.4g} at {named[low]} "
            f"to {values[high]:.4g} at {named[high]}; it is {self.average:.4g} as the rows are."
        )


def dependence(subject: Subject, features: Sequence[str]) -> list[Curve]:
    """Curves of some features (Friedman 2001, section 8.2).

    Numbers are set to quantiles of the rows, categories to their most frequent values. The other
    features stay as they are, also where the two never come together: read a feature that goes with
    others beside those.

    Args:
        subject: The model.
        features: Which; at most `MOST_FEATURES` are drawn.
    """
    rows = subject.validation.sample(MOST_ROWS, key=subject.key)
    resamples = Resamples.of(rows.days, seed=subject.seed, resamples=LOOKS)
    table = rows.table.select(list(subject.features))
    outputs = _outputs(subject, rows)
    asis = subject.predicted(table)
    curves = []
    for name in features[:MOST_FEATURES]:
        grid, numeric = _grid(table.column(name))
        if len(grid) < 2:  # noqa: PLR2004  # nothing to compare
            continue
        set_to = _predicted(subject, table, name, grid)
        for output, place in outputs:
            of = [resamples.means(_of(each, place)) for each in set_to]
            values = tuple(each.as_py() for each in grid)
            if hidden := name in subject.hidden:
                values = _masked(len(grid), numeric=numeric)
            curves.append(
                Curve(
                    name,
                    output,
                    numeric and not hidden,
                    tuple(float(each) for each in values) if numeric and not hidden else values,
                    tuple(resamples.interval(each) for each in of),
                    float(_of(asis, place).mean()),
                )
            )
    return curves


def _outputs(subject: Subject, rows: Rows) -> list[tuple[str, int | None]]:
    if subject.task is not Task.MULTICLASS:
        return [("", None)]
    count = np.bincount(rows.y.astype(np.int64), minlength=len(subject.labels))
    often = np.argsort(-count, kind="stable")[:_CLASSES]
    return [(str(subject.labels[place]), int(place)) for place in often.tolist()]


def _of(score: Floats, place: int | None) -> Floats:
    return score if place is None else score[:, place]


def _grid(column: pa.ChunkedArray) -> tuple[list[pa.Scalar], bool]:
    """The values to set a feature to, and whether they are numbers."""
    known = column.drop_null()
    types = pa.types
    if types.is_floating(known.type):
        known = known.filter(pc.invert(pc.is_nan(known)))
    plainly = types.is_integer(known.type) or types.is_floating(known.type)
    if plainly or types.is_decimal(known.type):
        ordered = pc.take(known, pc.sort_indices(known))
        if not len(ordered):
            return [], True
        at = np.linspace(0, len(ordered) - 1, _QUANTILES).round().astype(np.int64)
        return list(pc.unique(ordered.take(pa.array(at)))), True
    counts = pc.value_counts(known.cast(pa.string())).to_pylist()
    counts.sort(key=lambda each: (-each["counts"], each["values"]))
    return [pa.scalar(each["values"]) for each in counts[:_CATEGORIES]], False


def _masked(count: int, *, numeric: bool) -> tuple[str, ...]:
    """Names for values of a hidden feature: by frequency, or from the least to the greatest."""
    if not numeric:
        return tuple(f"{MASK} {place}" for place in range(1, count + 1))
    return tuple(f"{MASK} at {place / (count - 1):.0%}" for place in range(count))


def _predicted(
    subject: Subject, table: pa.Table, name: str, grid: Sequence[pa.Scalar]
) -> list[Floats]:
    """Predictions of all rows at each value, in one call: models are slow to start."""
    at = table.column_names.index(name)
    kind = table.schema.field(name).type
    parts = []
    for value in grid:
        cells = pa.repeat(value, table.num_rows).cast(kind)
        parts.append(table.set_column(at, name, pa.chunked_array([cells])))
    whole = pa.concat_tables(parts).combine_chunks()
    return np.split(subject.predicted(whole), len(grid))

"""Training, validation and test by time: each part knows nothing of the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import TrainingError
from headrace.spec.model import Pipeline

_MOMENT = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Part:
    """The rows of one part.

    Attributes:
        name: `train`, `validation` or `test`.
        first: Its first interval; None for training, which reaches back to the beginning.
        end: The interval after its last.
        known_before: Targets known later than this are left out.
        rows: Places of its rows in the table.
        without_target: Rows left out because their target is not known at all.
        known_too_late: Rows left out because it became known at `known_before` or later.
    """

    name: str
    first: date | None
    end: date
    known_before: datetime
    rows: np.ndarray[Any, np.dtype[np.int64]]
    without_target: int
    known_too_late: int


@dataclass(frozen=True)
class Parts:
    """The three parts of a time split."""

    train: Part
    validation: Part
    test: Part

    def __iter__(self) -> Any:  # noqa: ANN401  # an iterator of Part
        return iter((self.train, self.validation, self.test))


def time_split(rows: pa.Table, pipeline: Pipeline, *, moment: date) -> Parts:
    """Splits rows by interval, counting back from the training moment.

    Test is the `split.test` days before `moment`, validation the `split.validation` days before
    those, training everything earlier. A row belongs to its part only if its target was known when
    the next part begins.

    Args:
        rows: With `_interval`, `_target_known_at` and the target; those of `moment` or later are
            in no part.
        pipeline: Whose split and moments of prediction count.
        moment: The day at whose `features.at` the model is trained.

    Raises:
        TrainingError: A part has no row.
    """
    test = moment - pipeline.split.test
    validation = test - pipeline.split.validation
    bounds = [("train", None, validation), ("validation", validation, test), ("test", test, moment)]
    parts = [_part(rows, pipeline, name, first=first, end=end) for name, first, end in bounds]
    for part in parts:
        if not len(part.rows):
            span = f"{part.first or 'the beginning'} to {part.end - timedelta(days=1)}"
            message = f"the {part.name} part, {span}, has no row whose target was known in time"
            raise TrainingError(
                message,
                pipeline=pipeline.name,
                hint="train at a later moment, or shorten `split`",
            )
    return Parts(*parts)


def _part(rows: pa.Table, pipeline: Pipeline, name: str, *, first: date | None, end: date) -> Part:
    interval = rows.column("_interval")
    inside = pc.less(interval, pa.scalar(end, pa.date32()))
    if first is not None:
        inside = pc.and_(inside, pc.greater_equal(interval, pa.scalar(first, pa.date32())))
    within = pc.fill_null(inside, False).to_numpy()
    known_at = rows.column("_target_known_at")
    known = pc.and_(
        pc.is_valid(known_at), pc.is_valid(rows.column(pipeline.target.name))
    ).to_numpy()
    limit = pipeline.at(end)
    early = pc.fill_null(pc.less(known_at, pa.scalar(limit, _MOMENT)), False).to_numpy()
    return Part(
        name=name,
        first=first,
        end=end,
        known_before=limit,
        rows=np.flatnonzero(within & known & early),
        without_target=int((within & ~known).sum()),
        known_too_late=int((within & known & ~early).sum()),
    )

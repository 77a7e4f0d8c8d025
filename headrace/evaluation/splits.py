"""Training, validation and test, by time or dealt by hash; how folds are made is in `folds`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import TrainingError
from headrace.evaluation.blocks import Hashes, group_hashes, row_hashes
from headrace.evaluation.metrics import Booleans, Floats, Integers
from headrace.spec.model import Pipeline

_MOMENT = pa.timestamp("us", "UTC")
_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Part:
    """The rows of one part.

    Attributes:
        name: `train`, `validation` or `test`.
        first: Its first interval; None for training, and for parts that are dealt, which reach back
            to the beginning.
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
    """The three parts of a split."""

    train: Part
    validation: Part
    test: Part

    def __iter__(self) -> Any:  # noqa: ANN401  # an iterator of Part
        return iter((self.train, self.validation, self.test))


def split(rows: pa.Table, pipeline: Pipeline, *, moment: date) -> Parts:
    """Splits rows as the pipeline declares it: by time, or dealt.

    Raises:
        TrainingError: A part has no row.
    """
    by_time = pipeline.split.kind == "time"
    return (time_split if by_time else dealt_split)(rows, pipeline, moment=moment)


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
    test = moment - pipeline.split.length("test")
    validation = test - pipeline.split.length("validation")
    bounds = [("train", None, validation), ("validation", validation, test), ("test", test, moment)]
    parts = [span(rows, pipeline, name, first=first, end=end) for name, first, end in bounds]
    for part in parts:
        if not len(part.rows):
            told = f"{part.first or 'the beginning'} to {part.end - timedelta(days=1)}"
            message = f"the {part.name} part, {told}, has no row whose target was known in time"
            raise TrainingError(
                message,
                pipeline=pipeline.name,
                hint="train at a later moment, or shorten `split`",
            )
    return Parts(*parts)


def dealt_split(rows: pa.Table, pipeline: Pipeline, *, moment: date) -> Parts:
    """Deals the rows before the training moment to the parts, by a hash of key or groups.

    `random` and `grouped`: the hash alone decides, so that nothing changes its part when more rows
    come, and shares hold about. `stratified`: the rows of a class, in the order of their hashes,
    are cut at the shares, so that these hold to a row in each class; when more rows come, a few at
    the cuts may change their part.

    Args:
        rows: As for `time_split`, with key and groups; the order does not matter.
        pipeline: Whose split counts.
        moment: Targets must be known at its `features.at`.

    Raises:
        TrainingError: A part has no row.
    """
    declared = pipeline.split
    every = span(rows, pipeline, "every", first=None, end=moment)
    grouped = declared.kind == "grouped"
    hashes = group_hashes(rows, pipeline) if grouped else row_hashes(rows, pipeline)
    place = hashes / 2.0**64
    if declared.kind == "stratified":
        place = _place_in_class(rows.column(pipeline.target.name), hashes, of=every.rows)
    test = place < declared.share("test")
    validation = ~test & (place < declared.share("test") + declared.share("validation"))
    within, known = _told(rows, pipeline, first=None, end=moment)
    usable = np.zeros(rows.num_rows, dtype=np.bool_)
    usable[every.rows] = True
    parts = [
        Part(
            name=name,
            first=None,
            end=moment,
            known_before=every.known_before,
            rows=np.flatnonzero(inside & usable),
            without_target=int((inside & within & ~known).sum()),
            known_too_late=int((inside & within & known & ~usable).sum()),
        )
        for name, inside in zip(_NAMES, (~test & ~validation, validation, test), strict=True)
    ]
    for part in parts:
        if not len(part.rows):
            what = "group" if grouped else "row"
            message = f"the {part.name} part has no {what} whose target was known in time"
            hint = f"a larger share of `split` would give it one; there are {len(every.rows)} rows"
            raise TrainingError(message, pipeline=pipeline.name, hint=hint)
    return Parts(*parts)


def span(rows: pa.Table, pipeline: Pipeline, name: str, *, first: date | None, end: date) -> Part:
    """The part from one interval to before another, of rows whose target was known by its end."""
    within, known = _told(rows, pipeline, first=first, end=end)
    limit = pipeline.at(end)
    known_at = rows.column("_target_known_at")
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


def _told(
    rows: pa.Table, pipeline: Pipeline, *, first: date | None, end: date
) -> tuple[Booleans, Booleans]:
    """Where a row is in these intervals, and where its target is known at all."""
    interval = rows.column("_interval")
    inside = pc.less(interval, pa.scalar(end, pa.date32()))
    if first is not None:
        inside = pc.and_(inside, pc.greater_equal(interval, pa.scalar(first, pa.date32())))
    known = pc.and_(
        pc.is_valid(rows.column("_target_known_at")),
        pc.is_valid(rows.column(pipeline.target.name)),
    )
    return pc.fill_null(inside, False).to_numpy(), known.to_numpy()


def _place_in_class(target: pa.ChunkedArray, hashes: Hashes, *, of: Integers) -> Floats:
    """Where each row stands among those of its class, from 0 to 1; of rows that do not count: 1."""
    place = np.ones(len(hashes))
    code = target.combine_chunks().dictionary_encode().indices
    classes = pc.fill_null(code, -1).to_numpy(zero_copy_only=False)[of]
    order = np.lexsort((hashes[of], classes))
    _, start, count = np.unique(classes[order], return_index=True, return_counts=True)
    rank = np.arange(len(of)) - np.repeat(start, count)
    place[of[order]] = (rank + 0.5) / np.repeat(count, count)  # the nearest number to each share
    return place

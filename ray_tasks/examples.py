"""Rows of gold to learn from and to judge on, as of one training moment; nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import TrainingError
from headrace.evaluation.metrics import Floats, Integers
from headrace.evaluation.splits import Part, Parts, time_split
from headrace.lake import Lake, Table, digest
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.encoding import Encoding, Form, refusals
from headrace.models.model import Model
from headrace.models.shards import days_of, sampled
from headrace.models.target import Classes, Label
from headrace.spec.model import Pipeline

_STAMPS = ("_fingerprint", "_labels")


@dataclass(frozen=True)
class Examples:
    """The rows of one training.

    Attributes:
        rows: Sorted by interval and key, so that the order of files in gold does not matter.
        features: Feature columns.
        y: As `Samples` has it; NaN where the target is not known. A class that is in no training
            row has a code beyond those of `classes`.
        classes: What is predicted, and the classes of the training rows.
        labels: All classes in the order of their codes, those of other rows last.
        parts: Which rows are in which part.
        infinite: Rows left out because a feature is infinite.
        infinite_target: Rows left out because the target is infinite, or not a number.
        version: Of gold.
        data: Digest of the content of the intervals that training and validation have rows of.
        intervals: How many those are.
        unread: Rows of the training part that `training.sample` left out.
    """

    rows: pa.Table
    features: tuple[str, ...]
    y: Floats
    classes: Classes
    labels: tuple[Label, ...]
    parts: Parts
    infinite: int
    infinite_target: int
    version: int
    data: str
    intervals: int
    unread: int = 0

    def of(self, part: Part) -> pa.Table:
        """The rows of a part."""
        return self.rows.take(pa.array(part.rows))

    def days(self, part: Part) -> Integers:
        """The interval of each row of a part, as a number: the blocks of a bootstrap."""
        days: Integers = self.of(part).column("_interval").cast(pa.int32()).to_numpy()
        return days.astype(np.int64)

    def samples(self, encodings: Mapping[Form, Encoding], part: Part) -> dict[Form, Samples]:
        """The matrices of a part, one for each form."""
        rows, y = self.of(part), self.y[part.rows]
        task, classes = self.classes.task, self.classes.count
        return {
            form: Samples(encoding.matrix(rows), y, encoding.categorical, task, classes)
            for form, encoding in encodings.items()
        }

    def predicted(self, model: Model, part: Part) -> Floats:
        """What a model makes of a part; of classes, in the order of `labels`, its own ones last."""
        score = model.predict(self.of(part))
        if self.classes.task is not Task.MULTICLASS:
            return score
        return model.classes.placed(score, self.labels)

    def encodings(self, forms: Sequence[Form]) -> dict[Form, Encoding]:
        """Encodings fitted on the training rows alone."""
        rows = self.of(self.parts.train)
        return {form: Encoding.fit(rows, self.features, form=form) for form in forms}


def read(lake: Lake, pipeline: Pipeline, *, moment: date) -> Examples:
    """Reads the rows of all intervals before the training moment.

    Raises:
        UsageError: There is no gold table, or it lacks a column.
        TrainingError: A part of the split has no row, the training part but one class or value, or
            there are too many classes.
    """
    gold = Table(lake.gold(pipeline.name))
    before = {day for day in (file.partition["_interval"] for file in gold.files) if day < moment}
    if not before:
        message = f"there are no features of days before {moment}"
        raise TrainingError(message, table=gold.path, hint="run the stage `features` first")
    features = pipeline.features.names
    key = pipeline.sources[pipeline.features.rows].key
    target = (pipeline.target.name, "_target_known_at")
    columns = list(dict.fromkeys(("_interval", *key, *features, *target)))
    rows, unread = _read(gold, pipeline, columns, days=before, moment=moment)
    finite = rows.filter(pc.is_null(refusals(rows, features)))
    kept = finite.filter(_finite(finite.column(pipeline.target.name)))
    kept = kept.sort_by([("_interval", "ascending"), *((name, "ascending") for name in key)])
    parts = time_split(kept, pipeline, moment=moment)
    known = kept.column(pipeline.target.name)
    classes = Classes.fit(pipeline.target.task, known.take(pa.array(parts.train.rows)))
    places = np.concatenate([parts.train.rows, parts.validation.rows])
    days = set(kept.column("_interval").take(pa.array(places)).to_pylist())
    return Examples(
        rows=kept,
        features=features,
        y=classes.codes(known),
        classes=classes,
        labels=classes.with_strangers(known) if classes.labels else (),
        parts=parts,
        infinite=rows.num_rows - finite.num_rows,
        infinite_target=finite.num_rows - kept.num_rows,
        version=gold.version,
        data=_content(gold, days),
        intervals=len(days),
        unread=unread,
    )


def _read(
    gold: Table,
    pipeline: Pipeline,
    columns: Sequence[str],
    *,
    days: Collection[date],
    moment: date,
) -> tuple[pa.Table, int]:
    """The rows of these days, and how many of the training part `training.sample` left out."""
    first = moment - pipeline.split.test - pipeline.split.validation
    files = [file for file in gold.files if file.partition["_interval"] in days]
    early = days_of(files, None, first)
    held, most = sum(file.rows or 0 for file in early), pipeline.training.sample
    if most is None or held <= most:
        return gold.arrow(columns, files=files), 0
    key = pipeline.sources[pipeline.features.rows].key
    sample = pa.concat_tables(
        sampled(gold.batches(columns, files=early), key=key, share=most / held)
    )
    later = gold.arrow(columns, files=days_of(files, first, moment))
    return pa.concat_tables([sample, later]), held - sample.num_rows


def _finite(target: pa.ChunkedArray) -> pa.ChunkedArray:
    """Where a target is not infinite and not NaN; null is for the split to count."""
    if not pa.types.is_floating(target.type):
        return pa.chunked_array([pa.array(np.ones(len(target), dtype=bool))])
    return pc.fill_null(pc.is_finite(target), True)


def _content(gold: Table, days: Collection[date]) -> str:
    """Digest of the content of these intervals, as gold's log tells it."""
    stamps = {
        (file.partition["_interval"].isoformat(), *(file.least[name] for name in _STAMPS))
        for file in gold.files
        if file.partition["_interval"] in days
    }
    return digest(sorted(stamps))

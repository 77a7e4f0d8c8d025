"""Rows of gold to learn from and to judge on, as of one training moment; nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import TrainingError
from headrace.evaluation.blocks import Blocks, blocks_of
from headrace.evaluation.folds import folds, outer
from headrace.evaluation.metrics import Floats, Integers
from headrace.evaluation.splits import Part, Parts, split
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
        pipeline: Whose split it is.
        moment: The training moment.
        rows: Sorted by interval and key, so that the order of files in gold does not matter.
        features: Feature columns.
        groups: Columns of `split.groups`.
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

    pipeline: Pipeline
    moment: date
    rows: pa.Table
    features: tuple[str, ...]
    groups: tuple[str, ...]
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

    def blocks(self, part: Part) -> Blocks:
        """The block of each row of a part, for a bootstrap."""
        return blocks_of(self.of(part), self.pipeline)

    def days(self, part: Part) -> Integers:
        """The interval of each row of a part, as a number."""
        days: Integers = self.of(part).column("_interval").cast(pa.int32()).to_numpy()
        return days.astype(np.int64)

    def samples(self, encodings: Mapping[Form, Encoding], part: Part) -> dict[Form, Samples]:
        """The matrices of a part, one for each form."""
        rows, y = self.of(part), self.y[part.rows]
        task, classes, blocks = self.classes.task, self.classes.count, self.together(part)
        return {
            form: Samples(
                encoding.matrix(rows),
                y,
                encoding.categorical,
                task,
                classes,
                blocks=blocks,
                columns=encoding.columns,
            )
            for form, encoding in encodings.items()
        }

    def together(self, part: Part) -> Integers | None:
        """What stays together in a preset's folds: a group by its first row, or an interval."""
        if not self.groups:
            return self.days(part) if self.pipeline.split.kind == "time" else None
        names = self.of(part).select(list(self.groups)).to_pandas()
        group = names.groupby(list(self.groups), sort=False, dropna=False).ngroup()
        return np.asarray(group, dtype=np.int64)

    def predicted(self, model: Model, part: Part) -> Floats:
        """What a model makes of a part; of classes, in the order of `labels`, its own ones last.

        Raises:
            TrainingError: A prediction is not finite, so that nothing could be judged.
        """
        score = model.predict(self.of(part))
        wrong = int((~np.isfinite(score)).any(axis=tuple(range(1, score.ndim))).sum())
        if wrong:
            message = f"{model.recipe.algorithm} predicts NaN or infinity of {wrong:,} rows"
            raise TrainingError(message, hint="leave the algorithm out, or mend its features")
        if self.classes.task is not Task.MULTICLASS:
            return score
        return model.classes.placed(score, self.labels)

    def encodings(self, forms: Sequence[Form], *, on: Part | None = None) -> dict[Form, Encoding]:
        """Encodings fitted on the training rows alone, or on those of a fold."""
        rows = self.of(on or self.parts.train)
        return {form: Encoding.fit(rows, self.features, form=form) for form in forms}

    @property
    def folds(self) -> list[tuple[Part, Part]]:
        """Training and validation of each fold of the search; none where none are declared."""
        return folds(self.rows, self.pipeline, parts=self.parts)

    @property
    def outer(self) -> list[Examples]:
        """The same rows, split so that each outer fold plays the test part once."""
        found = outer(self.rows, self.pipeline, parts=self.parts, moment=self.moment)
        return [
            replace(self, parts=parts, **_learned(self.rows, self.pipeline, parts))
            for parts in found
        ]


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
        raise TrainingError(
            message,
            table=gold.path,
            hint="`headrace features FILE` builds them; or train at a later moment",
        )
    features = pipeline.features.names
    key = pipeline.sources[pipeline.features.rows].key
    target = (pipeline.target.name, "_target_known_at")
    columns = list(dict.fromkeys(("_interval", *key, *pipeline.split.groups, *features, *target)))
    rows, unread = _read(gold, pipeline, columns, days=before, moment=moment)
    finite = rows.filter(pc.is_null(refusals(rows, features)))
    kept = finite.filter(_finite(finite.column(pipeline.target.name)))
    kept = kept.sort_by([("_interval", "ascending"), *((name, "ascending") for name in key)])
    parts = split(kept, pipeline, moment=moment)
    places = np.concatenate([parts.train.rows, parts.validation.rows])
    days = set(kept.column("_interval").take(pa.array(places)).to_pylist())
    return Examples(
        pipeline=pipeline,
        moment=moment,
        rows=kept,
        features=features,
        groups=pipeline.split.groups,
        **_learned(kept, pipeline, parts),
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
    first = moment - pipeline.split.length("test") - pipeline.split.length("validation")
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


def _learned(rows: pa.Table, pipeline: Pipeline, parts: Parts) -> dict[str, Any]:
    """The classes of the training rows, and what the target is in their terms."""
    known = rows.column(pipeline.target.name)
    classes = Classes.fit(pipeline.target.task, known.take(pa.array(parts.train.rows)))
    labels = classes.with_strangers(known) if classes.labels else ()
    return {"y": classes.codes(known), "classes": classes, "labels": labels}


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

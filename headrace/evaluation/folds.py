"""Folds for the search, and outer folds for an estimate of it; the parts are made in `splits`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa

from headrace.errors import TrainingError
from headrace.evaluation.blocks import group_hashes, row_hashes
from headrace.evaluation.metrics import Integers
from headrace.evaluation.splits import Part, Parts, span, time_split
from headrace.spec.model import Pipeline


def folds(rows: pa.Table, pipeline: Pipeline, *, parts: Parts) -> list[tuple[Part, Part]]:
    """Training and validation of each fold of `split.folds`; the test part is in none.

    By time, windows as long as `split.validation`, the last one being the validation part: each is
    judged by what was learned from all rows before it (expanding). Else training and validation
    rows together are dealt anew, each of them being judged once: classes alike in all folds for
    `stratified`, groups whole for `grouped`.

    Args:
        rows: What was split.
        pipeline: Whose split counts.
        parts: Of the split.

    Returns:
        Nothing where no folds are declared.

    Raises:
        TrainingError: A fold has no row, or there are fewer groups than folds.
    """
    count = pipeline.split.folds
    if count is None:
        return []
    if pipeline.split.kind == "time":
        return list(_windows(rows, pipeline, parts, count))
    fold = _fold_of_rows(rows, pipeline, parts, count)
    places = _learned(parts)
    return [
        (
            replace(parts.train, rows=places[fold != number]),
            replace(parts.validation, rows=places[fold == number]),
        )
        for number in range(count)
    ]


def outer(rows: pa.Table, pipeline: Pipeline, *, parts: Parts, moment: date) -> list[Parts]:
    """The splits of `split.nested`: in each another part plays the test; that of the gate in none.

    By time: the same split at earlier moments, each `split.test` days before the next. Else the
    rows beside the test part are dealt to outer folds, and what is left of training and validation
    stays what it is.

    Raises:
        TrainingError: A part has no row, or there are fewer groups than folds.
    """
    count = pipeline.split.nested
    if count is None:
        return []
    if pipeline.split.kind == "time":
        back = pipeline.split.length("test")
        moments = [moment - (number + 1) * back for number in range(count)]
        return [time_split(rows, pipeline, moment=earlier) for earlier in moments]
    fold = _fold_of_rows(rows, pipeline, parts, count)
    places = _learned(parts)
    return [
        Parts(
            _without(parts.train, places[fold == number]),
            _without(parts.validation, places[fold == number]),
            replace(parts.test, rows=places[fold == number]),
        )
        for number in range(count)
    ]


def _windows(
    rows: pa.Table, pipeline: Pipeline, parts: Parts, count: int
) -> Iterator[tuple[Part, Part]]:
    length = pipeline.split.length("validation")
    for number in reversed(range(count)):
        end = parts.validation.end - number * length
        window = span(rows, pipeline, "validation", first=end - length, end=end)
        before = span(rows, pipeline, "train", first=None, end=end - length)
        if not len(window.rows) or not len(before.rows):
            message = f"fold {count - number} of {count}, {end - length} to {end}, has no row"
            hint = "fewer `split.folds`, a shorter `split.validation`, or a later moment"
            raise TrainingError(message, pipeline=pipeline.name, hint=hint)
        yield before, window


def _learned(parts: Parts) -> Integers:
    return np.sort(np.concatenate([parts.train.rows, parts.validation.rows]))


def _fold_of_rows(rows: pa.Table, pipeline: Pipeline, parts: Parts, count: int) -> Integers:
    """The fold of each row of training and validation, as many rows in each as can be."""
    places = _learned(parts)
    some = rows.take(pa.array(places))
    if pipeline.split.kind == "grouped":
        return _whole_groups(np.unique(group_hashes(some, pipeline), return_inverse=True)[1], count)
    by = [row_hashes(some, pipeline)]
    if pipeline.split.kind == "stratified":
        target = some.column(pipeline.target.name).combine_chunks()
        by.append(target.dictionary_encode().indices.to_numpy(zero_copy_only=False))
    # Dealt in turn, class after class: the folds differ by a row at most, and so does each class.
    fold = np.empty(len(places), dtype=np.int64)
    fold[np.lexsort(by)] = np.arange(len(places)) % count
    return fold


def _whole_groups(group: Integers, count: int) -> Integers:
    from sklearn.model_selection import GroupKFold

    if (found := len(np.unique(group))) < count:
        message = f"there are {found} groups outside the test part, and {count} folds"
        raise TrainingError(message, hint="fewer `split.folds` or `split.nested`")
    fold = np.empty(len(group), dtype=np.int64)
    for number, (_, held) in enumerate(GroupKFold(count).split(group, groups=group)):
        fold[held] = number
    return fold


def _without(part: Part, places: Integers) -> Part:
    return replace(part, rows=np.setdiff1d(part.rows, places))

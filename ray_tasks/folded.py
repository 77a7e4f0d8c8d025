"""What one trial is judged on: one validation part, or folds; and one result made of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from headrace.evaluation.metrics import Floats, Integers, Metric, measured, weighed
from headrace.evaluation.splits import Part
from headrace.models.algorithms.algorithm import Parameters, Samples, Task
from headrace.models.encoding import Form
from headrace.models.model import Model
from ray_tasks.examples import Examples

_MOST_BLOCKS = 20  # of all folds together, whose metrics tell how lucky the best trial was


@dataclass(frozen=True)
class Fold:
    """Rows to fit on and rows to judge on, encoded by the former.

    Attributes:
        train: Form of matrix to training rows.
        validation: Form of matrix to the rows to judge on.
        blocks: The block of each of those, from 0.
    """

    train: Mapping[Form, Samples]
    validation: Mapping[Form, Samples]
    blocks: Integers

    def by_block(self, form: Form, score: Floats, metric: Metric) -> list[float]:
        """The metric in each block alone; NaN where it is not defined there."""
        rows = self.validation[form]
        return _in_each(self.blocks, rows.y, score, metric=metric, task=rows.task)


def folded(
    examples: Examples,
    forms: Sequence[Form],
    train: Mapping[Form, Samples],
    validation: Mapping[Form, Samples],
) -> tuple[Fold, ...]:
    """The folds of `split.folds`, each encoded by its own training rows; else the one split.

    Args:
        examples: The rows.
        forms: Of matrices.
        train: The training part, encoded.
        validation: The validation part, encoded.
    """
    declared = examples.folds
    if not declared:
        blocks = _few(examples, examples.parts.validation, _MOST_BLOCKS)
        return (Fold(train, validation, blocks),)
    most = max(2, _MOST_BLOCKS // len(declared))
    found = []
    for learned, held in declared:
        encodings = examples.encodings(forms, on=learned)
        found.append(
            Fold(
                examples.samples(encodings, learned),
                examples.samples(encodings, held),
                _few(examples, held, most),
            )
        )
    return tuple(found)


def on_validation(
    examples: Examples, model: Model, *, metric: Metric
) -> tuple[dict[Metric, float], tuple[float, ...]]:
    """What a trial would tell of a model that is fitted already: all metrics, one by blocks.

    Raises:
        TrainingError: A prediction is not finite.
    """
    part, task = examples.parts.validation, examples.classes.task
    y, score = examples.y[part.rows], examples.predicted(model, part)
    blocks = _few(examples, part, _MOST_BLOCKS)
    by_block = _in_each(blocks, y, score, metric=metric, task=task)
    return measured(y, score, task), tuple(by_block)


def mean_of(values: Sequence[Mapping[Metric, float]]) -> dict[Metric, float]:
    """The mean of each metric over the folds; not finite where it is not in one of them."""
    return {metric: float(np.mean([each[metric] for each in values])) for metric in values[0]}


def together(found: Sequence[Parameters]) -> Parameters:
    """What folds found, such as rounds, as one: medians of numbers, else what the last found."""
    last = found[-1]
    merged: dict[str, Any] = dict(last)
    for name, value in last.items():
        each = [one[name] for one in found if name in one]
        numbers = [one for one in each if isinstance(one, int | float)]
        if isinstance(value, bool) or len(numbers) < len(each):
            continue
        middle = median(numbers)
        merged[name] = round(middle) if isinstance(value, int) else float(middle)
    return merged


def matrices(folds: Sequence[Fold]) -> list[Any]:
    """Each matrix once, though folds and parts may share it."""
    parts = (part for fold in folds for part in (fold.train, fold.validation))
    return list({id(each.X): each.X for part in parts for each in part.values()}.values())


def _in_each(
    blocks: Integers, y: Floats, score: Floats, *, metric: Metric, task: Task
) -> list[float]:
    ready = weighed(y, score, blocks=blocks, task=task)
    found: list[float] = ready.reweighted(np.eye(int(blocks.max()) + 1))[metric].tolist()
    return found


def _few(examples: Examples, part: Part, most: int) -> Integers:
    """The blocks of a part, neighbours together where there are more than `most`."""
    found, place = np.unique(examples.blocks(part).code, return_inverse=True)
    few: Integers = place * min(most, len(found)) // len(found)
    return few

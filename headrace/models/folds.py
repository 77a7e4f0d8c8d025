"""How rows are dealt into folds: evenly by their target, by groups, or in blocks of time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headrace.models.algorithms.algorithm import Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers


def dealt(
    y: Floats,
    task: Task,
    count: int,
    *,
    rounds: int,
    seed: int,
    groups: Integers | None = None,
    blocks: Integers | None = None,
) -> Integers:
    """The fold of each row, for each round: rounds by rows.

    Args:
        y: As in `Samples`; without `groups` and `blocks` classes are dealt evenly, and so are low
            and high values.
        task: The kind of target.
        count: Folds.
        rounds: Partitions into folds, each another.
        seed: Of what is drawn.
        groups: Rows of one group stay together, wherever; any fold may get any.
        blocks: As in `Samples`; a fold is a run of them. Of one block alone nothing is heeded.
    """
    rng = np.random.default_rng(seed)
    found = np.empty((rounds, len(y)), dtype=np.int64)
    in_time = blocks is not None and len(np.unique(blocks)) > 1
    for turn, fold in enumerate(found):
        if in_time and blocks is not None:
            fold[:] = runs(blocks, count, ahead=turn / rounds)
        elif groups is not None:
            fold[:] = _grouped(groups, count, rng)
        else:
            fold[:] = _even(y, task, count, rng)
    return found


def _even(y: Floats, task: Task, count: int, rng: np.random.Generator) -> Integers:
    fold = np.empty(len(y), dtype=np.int64)
    shuffled = rng.permutation(len(y))
    order = shuffled[np.argsort(y[shuffled], kind="stable")]
    if task is not Task.REGRESSION:
        fold[order] = np.arange(len(y)) % count
        return fold
    turns = -(-len(y) // count)
    fold[order] = np.concatenate([rng.permutation(count) for _ in range(turns)])[: len(y)]
    return fold


def _grouped(groups: Integers, count: int, rng: np.random.Generator) -> Integers:
    """The largest group first, each to the fold of fewest rows."""
    names, place, rows = np.unique(groups, return_inverse=True, return_counts=True)
    load, fold = np.zeros(count), np.empty(len(names), dtype=np.int64)
    shuffled = rng.permutation(len(names))
    for group in shuffled[np.argsort(-rows[shuffled], kind="stable")]:
        fold[group] = load.argmin()
        load[fold[group]] += rows[group]
    found: Integers = fold[place]
    return found


def runs(blocks: Integers, count: int, *, ahead: float = 0.0) -> Integers:
    """The run of blocks that each row is in, of about as many rows each.

    Args:
        blocks: As in `Samples`.
        count: Runs; fewer where there are fewer blocks, or large ones.
        ahead: How far, in runs, the borders are moved; the first and the last rows are then one.
    """
    _, place, rows = np.unique(blocks, return_inverse=True, return_counts=True)
    middle = (np.cumsum(rows) - rows / 2) / rows.sum()
    run = np.floor(middle * count + ahead).astype(np.int64) % count
    fold: Integers = np.unique(run, return_inverse=True)[1][place]
    return fold

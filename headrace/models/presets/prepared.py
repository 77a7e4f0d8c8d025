"""What the members of a preset work on, and who they are, from a table and its target."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Task
from headrace.models.encoding import Encoding
from headrace.models.presets.bag import Member
from headrace.models.presets.members import Preset, Profile, members
from headrace.models.presets.problem import Problem
from headrace.models.presets.runner import ROUNDS

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers


def problem_of(
    table: pa.Table,
    encoding: Encoding,
    *,
    y: Floats,
    task: Task,
    classes: int,
    folds: Integers,
    weight: Floats | None,
    seed: int,
    preset: Preset,
) -> tuple[Problem, tuple[Member, ...]]:
    """What the members work on, and who they are; none where there is nothing to learn."""
    learnable = encoding.columns and len(np.unique(y)) > 1 and _halves(folds[0])
    chosen = members(preset, _profile(task, encoding, y, classes)) if learnable else ()
    forms = sorted({named(member.algorithm).needs.categories for member in chosen})
    matrices = {form: replace(encoding, form=form).matrix(table) for form in forms}
    problem = Problem(
        matrices=matrices,
        y=y,
        categorical=encoding.categorical,
        task=task,
        classes=classes,
        folds=folds,
        weight=weight,
        seed=seed,
    )
    return problem, chosen


def rounds(preset: Preset) -> int:
    """How many partitions into folds there are to be, at most."""
    return ROUNDS if preset == "best" else 1


def cores_here() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _halves(fold: Integers) -> bool:
    """Whether rows are held out, and others are left to learn from."""
    found = np.unique(fold)
    return len(found) > 1 and bool(found[-1] >= 0)


def _profile(kind: Task, encoding: Encoding, target: Floats, classes: int) -> Profile:
    skew = 0.0
    if kind is Task.REGRESSION and target.min() > 0 and target.std() > 0:
        skew = float((((target - target.mean()) / target.std()) ** 3).mean())
    return Profile(
        task=kind,
        rows=len(target),
        columns=len(encoding.columns),
        width=sum(max(len(column.categories), 1) for column in encoding.columns),
        classes=classes,
        skew=skew,
    )

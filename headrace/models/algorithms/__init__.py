"""The catalogue of algorithms: a new one is an entry in its family's file, and a line here."""

from __future__ import annotations

import difflib

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import Algorithm, Task
from headrace.models.algorithms.baseline import BEST_LOOKUP, CLASS_PRIOR, MEAN, MEDIAN
from headrace.models.algorithms.boosting import LIGHTGBM
from headrace.models.algorithms.linear import LOGISTIC_REGRESSION

CATALOGUE: tuple[Algorithm, ...] = (
    CLASS_PRIOR,
    MEAN,
    MEDIAN,
    BEST_LOOKUP,
    LOGISTIC_REGRESSION,
    LIGHTGBM,
)


def names() -> tuple[str, ...]:
    """The names a pipeline file may use, baselines included.

    Example:
        >>> "lightgbm" in names()
        True
    """
    return tuple(entry.name for entry in CATALOGUE)


def named(name: str) -> Algorithm:
    """The entry of that name.

    Raises:
        UsageError: There is none; the message gives the nearest.
    """
    for entry in CATALOGUE:
        if entry.name == name:
            return entry
    near = difflib.get_close_matches(name, names(), n=1)
    raise UsageError(
        f"no algorithm {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        hint=f"there are {', '.join(names())}",
    )


def baselines(task: Task = Task.BINARY) -> tuple[Algorithm, ...]:
    """Those that always run for a kind of target, to be beaten."""
    return tuple(entry for entry in CATALOGUE if entry.baseline and task in entry.tasks)

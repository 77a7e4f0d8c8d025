"""The catalogue of algorithms: a new one is an entry in its family's file, and a line here."""

from __future__ import annotations

import difflib

from headrace.errors import UsageError
from headrace.models.algorithms.algorithm import Algorithm, Task
from headrace.models.algorithms.baseline import (
    BEST_COLUMN,
    BEST_LOOKUP,
    CLASS_PRIOR,
    MEAN,
    MEDIAN,
)
from headrace.models.algorithms.bayes import NAIVE_BAYES, QDA
from headrace.models.algorithms.boosting import (
    ADABOOST,
    CATBOOST,
    HIST_GRADIENT_BOOSTING,
    LIGHTGBM,
    XGBOOST,
)
from headrace.models.algorithms.ensembles import BAGGING, BLENDING, STACKING, WEIGHTED_ENSEMBLE
from headrace.models.algorithms.forests import DECISION_TREE, EXTRA_TREES, RANDOM_FOREST
from headrace.models.algorithms.kernels import GAUSSIAN_PROCESS, SVM, SVM_NYSTROEM, SVR
from headrace.models.algorithms.linear import (
    ELASTIC_NET,
    GLM,
    LASSO,
    LDA,
    LINEAR_REGRESSION,
    LINEAR_SVM,
    LOGISTIC_REGRESSION,
    POLYNOMIAL,
    RIDGE,
)
from headrace.models.algorithms.neighbors import K_NEAREST_NEIGHBORS
from headrace.models.algorithms.networks import MLP, RBF_NETWORK
from headrace.models.algorithms.own import (
    GAUSSIAN_PROCESS_ARD,
    PRESET,
    QUADRATIC,
    REALMLP,
    SPLINE_LINEAR,
)
from headrace.models.algorithms.rules import CHAID, DECISION_LIST

CATALOGUE: tuple[Algorithm, ...] = (
    CLASS_PRIOR,
    MEAN,
    MEDIAN,
    BEST_LOOKUP,
    BEST_COLUMN,
    LINEAR_REGRESSION,
    POLYNOMIAL,
    RIDGE,
    LASSO,
    ELASTIC_NET,
    GLM,
    LOGISTIC_REGRESSION,
    LINEAR_SVM,
    LDA,
    NAIVE_BAYES,
    QDA,
    DECISION_TREE,
    RANDOM_FOREST,
    EXTRA_TREES,
    ADABOOST,
    HIST_GRADIENT_BOOSTING,
    LIGHTGBM,
    XGBOOST,
    CATBOOST,
    K_NEAREST_NEIGHBORS,
    SVM,
    SVR,
    SVM_NYSTROEM,
    GAUSSIAN_PROCESS,
    GAUSSIAN_PROCESS_ARD,
    SPLINE_LINEAR,
    QUADRATIC,
    REALMLP,
    MLP,
    RBF_NETWORK,
    DECISION_LIST,
    CHAID,
    BAGGING,
    STACKING,
    BLENDING,
    WEIGHTED_ENSEMBLE,
)


NOT_OFFERED = {
    "quest": (
        "no package of QUEST (Loh and Shih 1997) for Python is kept up; take `decision_tree`, "
        "which is CART, or `chaid`, which also chooses its columns by tests"
    ),
    "bayesian_network": (
        "a network tells of all columns at once, and a model here of one target; take "
        "`naive_bayes`, the network in which columns depend on the target alone"
    ),
    "cox_regression": (
        "no kind of target is a time with rows that still wait; take `logistic_regression` of "
        "whether it comes within so many days"
    ),
}


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
    for entry in (*CATALOGUE, PRESET):  # asked for by `training.preset`, not among algorithms
        if entry.name == name:
            return entry
    near = difflib.get_close_matches(meant(name), names(), n=1)
    raise UsageError(
        f"no algorithm {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        hint=f"there are {', '.join(names())}",
    )


def asked(name: str) -> Algorithm:
    """The entry that people mean by a name: its own, or one of its aliases.

    Raises:
        UsageError: There is none; the message gives the nearest, or why it is not offered.

    Example:
        >>> asked("CART").name
        'decision_tree'
    """
    if why := why_not_offered(name):
        message = f"{spelled(name)} is not offered"
        raise UsageError(message, hint=why)
    return named(meant(name))


def spelled(name: str) -> str:
    """A name in the catalogue's spelling: small letters, and `_` between words."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def meant(name: str) -> str:
    """The entry of which it is another name, or the name itself, spelled as in the catalogue."""
    plain = spelled(name)
    return next((entry.name for entry in CATALOGUE if plain in entry.aliases), plain)


def why_not_offered(name: str) -> str:
    """Why an algorithm that people ask for is not in the catalogue; empty for other names."""
    return NOT_OFFERED.get(spelled(name), "")


def baselines(task: Task = Task.BINARY) -> tuple[Algorithm, ...]:
    """Those that always run for a kind of target, to be beaten."""
    return tuple(entry for entry in CATALOGUE if entry.baseline and task in entry.tasks)

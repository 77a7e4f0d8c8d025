"""What entries over scikit-learn share: one class, classes without a row, blocks, calibration.

An estimator is a dict: `task`, `classes`, `present` (the codes that training had), and what the
entry adds, arrays or objects of scikit-learn; so it is saved without a class of ours.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import Fitted, Matrix, Parameters, Samples, Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_CALIBRATION = 10.0  # strength of the scaling of margins to probabilities
BLOCK = 512  # rows; a BLAS product may round a row by the shape it comes in, so all have this one


def made(path: str, parameters: Mapping[str, Any]) -> Any:  # noqa: ANN401  # an estimator
    """An estimator by its dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)(**parameters)


def described(train: Samples) -> dict[str, Any]:
    """What each estimator tells of its target."""
    import numpy as np

    present = [] if train.task is Task.REGRESSION else np.unique(train.y).astype(int).tolist()
    return {"task": str(train.task), "classes": train.classes, "present": present}


def one_class(estimator: Mapping[str, Any]) -> bool:
    """Whether training had rows of one class alone: then nothing is fitted."""
    return len(estimator["present"]) == 1


def completed(estimator: Mapping[str, Any], found: Floats) -> Floats:
    """Predictions as `Algorithm.predict` gives them: of all classes, those without a row too.

    Args:
        estimator: See `described`.
        found: Rows by present classes; of a regression, or of one class, a number per row.
    """
    import numpy as np

    if estimator["task"] == Task.REGRESSION:
        return np.asarray(found, dtype=np.float64).reshape(-1)
    shape = (len(found), max(estimator["classes"], 2))
    whole = np.zeros(shape)
    whole[:, estimator["present"]] = 1.0 if one_class(estimator) else found
    return whole[:, 1].copy() if estimator["task"] == Task.BINARY else whole


def dense(X: Matrix) -> Floats:
    """The matrix as a dense one."""
    import numpy as np

    return X if isinstance(X, np.ndarray) else X.toarray()


def in_blocks(predict: Callable[[Floats], Floats], X: Matrix) -> Floats:
    """Predicts dense blocks of one size, so that a row's result has no part in its neighbours'."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    parts = []
    with threadpool_limits(1):
        for start in range(0, X.shape[0], BLOCK):
            part = dense(X[start : start + BLOCK])
            rows = len(part)
            padded = np.zeros((BLOCK, X.shape[1]))
            padded[:rows] = part
            parts.append(np.asarray(predict(padded), dtype=np.float64)[:rows])
    return np.concatenate(parts) if parts else np.empty(0)


def softmax(margins: Floats) -> Floats:
    """Rows by classes to probabilities, the same for a row in a batch of any size."""
    import numpy as np

    risen = np.exp(margins - margins.max(axis=1, keepdims=True))
    shares: Floats = risen / reduce(np.add, risen.T)[:, None]
    return shares


@contextmanager
def converging() -> Iterator[None]:
    """Silences that a fit ended at its last iteration: validation judges what came out."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@dataclass(frozen=True)
class Scikit:
    """Fits a classifier or a regressor of scikit-learn under `model`.

    Attributes:
        classifier: Dotted path; empty where there is none.
        regressor: Dotted path; empty where there is none.
        fixed: Parameters that are not searched.
        seeded: Whether it takes `random_state`.
        without: Attributes that predictions do not need; they are not saved.
    """

    classifier: str = ""
    regressor: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeded: bool = True
    without: tuple[str, ...] = ()

    def __call__(
        self,
        train: Samples,
        parameters: Parameters,
        *,
        seed: int,
        validation: Samples | None,  # noqa: ARG002  # nothing is chosen
        metric: Metric,  # noqa: ARG002
    ) -> Fitted:
        """Fits; a target of one class is remembered instead."""
        estimator = described(train)
        if one_class(estimator):
            return Fitted(estimator)
        path = self.regressor if train.task is Task.REGRESSION else self.classifier
        given = {**self.fixed, **parameters, **({"random_state": seed} if self.seeded else {})}
        model = made(path, given)
        with converging():
            model.fit(train.X, train.y, **weighted(train))
        for name in self.without:
            vars(model).pop(name, None)
        return Fitted({**estimator, "model": model})


def weighted(train: Samples) -> dict[str, Floats]:
    """`sample_weight`, where rows differ in it."""
    return {} if train.weight is None else {"sample_weight": train.weight}


def predict_scikit(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Predictions of an estimator that takes each row by itself, such as a tree."""
    import numpy as np

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))
    if X.shape[0] == 0:
        return completed(estimator, np.empty((0, max(1, len(estimator["present"])))))
    model = estimator["model"]
    regression = estimator["task"] == Task.REGRESSION
    return completed(estimator, model.predict(X) if regression else model.predict_proba(X))


def calibration(margins: Floats, train: Samples) -> dict[str, Any]:
    """Platt's scaling, multinomial for more than two classes: margins to probabilities.

    Args:
        margins: Rows by present classes, or one column for two; best not those of the fit itself.
        train: The same rows.

    Source: Platt 1999, Probabilistic Outputs for Support Vector Machines.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    scale = float(np.abs(margins).max()) or 1.0
    with converging():
        model = LogisticRegression(C=_CALIBRATION, max_iter=1000)
        model.fit(margins / scale, train.y, **weighted(train))
    return {"calibration": model.coef_ / scale, "offset": model.intercept_}


def calibrated(estimator: Mapping[str, Any], margins: Floats) -> Floats:
    """Probabilities of the present classes, by `calibration`."""
    import numpy as np

    slopes, offset = estimator["calibration"], estimator["offset"]
    found = reduce(np.add, (margins[:, [j]] * slopes[:, j] for j in range(margins.shape[1])))
    found = found + offset
    return softmax(np.hstack([np.zeros_like(found), found]) if found.shape[1] == 1 else found)


def out_of_fold(
    train: Samples, margins: Callable[[Samples, Matrix], Floats], *, seed: int, folds: int = 3
) -> Floats | None:
    """Margins of each row by a fit on the other folds; None where a class has too few rows."""
    import numpy as np
    from sklearn.model_selection import StratifiedKFold

    counts = np.unique(train.y, return_counts=True)[1]
    if counts.min() < folds:
        return None
    found: Floats | None = None
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fitted, held in split.split(np.zeros(len(train.y)), train.y):
        values = margins(train.take(fitted), train.X[held])
        found = np.empty((len(train.y), values.shape[1])) if found is None else found
        found[held] = values
    return found


def classified(
    train: Samples,
    fit: Callable[[Samples], dict[str, Any]],
    margins_of: Callable[[Mapping[str, Any], Matrix], Floats],
    *,
    seed: int,
) -> Fitted:
    """A classifier of margins, with probabilities by Platt's scaling on rows it was not fitted on.

    Where a class has fewer rows than folds the scaling uses the fitted rows, and is too certain.
    """
    estimator = described(train)
    if one_class(estimator):
        return Fitted(estimator)
    fitted = fit(train)
    held = out_of_fold(train, lambda part, X: margins_of(fit(part), X), seed=seed)
    found = margins_of(fitted, train.X) if held is None else held
    return Fitted({**estimator, **fitted, **calibration(found, train)})

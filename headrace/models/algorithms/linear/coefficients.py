"""What linear models are when they are fitted: coefficients and a link, and their predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import Budget, Matrix, Needs
from headrace.models.algorithms.estimators import calibrated, completed, one_class, softmax

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

ONE_HOT = Needs(categories="one_hot")
BUDGET = Budget(rows=10_000_000, columns=100_000)


def coefficients(estimator: dict[str, Any], model: Any, *, link: str) -> dict[str, Any]:  # noqa: ANN401  # a linear model
    """An estimator of coefficients: `link` is `identity`, `log` or `softmax`."""
    import numpy as np

    coef = np.atleast_2d(np.asarray(model.coef_, dtype=np.float64))
    intercept = np.atleast_1d(np.asarray(model.intercept_, dtype=np.float64))
    return {**estimator, "coef": np.ascontiguousarray(coef.T), "intercept": intercept, "link": link}


def margins(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Rows by outputs, before the link; a sparse product goes row by row."""
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # it ships no types

    found: Floats = csr_matrix(X) @ estimator["coef"] + estimator["intercept"]
    return found if "exposure" not in estimator else found + log_exposure(estimator, X)[:, None]


def log_exposure(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """What the exposure of a row adds to its margin; minus infinity where there is none."""
    import numpy as np

    with np.errstate(divide="ignore"):
        return np.log(np.maximum(cells(X, *estimator["exposure"]), 0.0))


def cells(X: Matrix, place: int, mean: float, scale: float) -> Floats:
    """A number of each row as it was before it was standardised; its mean where it is missing."""
    from scipy.sparse import csr_matrix

    found: Floats = csr_matrix(X)[:, [place]].toarray()[:, 0] * scale + mean
    return found


def linked(estimator: Mapping[str, Any], margins: Floats) -> Floats:
    """Values, or probabilities of the present classes, from margins."""
    import numpy as np

    if estimator["link"] == "log":
        return np.exp(np.minimum(margins, 700.0))
    if estimator["link"] == "calibrated":
        return calibrated(estimator, margins)
    if estimator["link"] == "softmax":
        two = margins.shape[1] == 1
        return softmax(np.hstack([np.zeros_like(margins), margins]) if two else margins)
    return margins


def predict_linear(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """Predictions from coefficients and a link."""
    import numpy as np

    if one_class(estimator):
        return completed(estimator, np.ones(X.shape[0]))
    return completed(estimator, linked(estimator, margins(estimator, X)))

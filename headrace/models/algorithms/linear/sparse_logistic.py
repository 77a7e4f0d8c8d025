"""Logistic regression with an L1 part, by a bounded quasi-Newton method.

A weight is the difference of two that are not negative, and its size their sum: what is minimised
is smooth then, and bounded, and L-BFGS-B solves it (Andrew and Gao 2007, section 2.2). It takes
whole columns at a time, where scikit-learn's `saga` walks row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.models.algorithms.algorithm import Samples

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers

_TOLERANCE = 1e-4  # of the gradient of the mean loss, as scikit-learn's `lbfgs` has it


@dataclass(frozen=True)
class Weights:
    """Named as scikit-learn's.

    Attributes:
        coef_: Outputs by columns; one output where there are two classes, that of the second.
        intercept_: Of each output; never penalised.
    """

    coef_: Floats
    intercept_: Floats


def sparse_logistic(
    train: Samples,
    *,
    C: float,  # noqa: N803  # scikit-learn's name
    l1_ratio: float,
    max_iter: int = 1000,
    tol: float = _TOLERANCE,
) -> Weights:
    """Minimises what scikit-learn's `LogisticRegression` does, with an L1 part.

    Args:
        train: Targets are classes from 0 on, at least two of them.
        C: Inverse strength of the penalty.
        l1_ratio: The share of L1 in it, above 0; the rest is L2.
        max_iter: Steps at most.
        tol: How far the gradient, of the mean loss, may be from that of a minimum.
    """
    import numpy as np
    from scipy.optimize import minimize  # type: ignore[import-untyped]  # it ships no types

    labels, codes = np.unique(train.y, return_inverse=True)
    share = np.ones(len(codes)) if train.weight is None else np.asarray(train.weight, np.float64)
    scale = 1.0 / share.sum()
    columns, outputs = train.X.shape[1], 1 if len(labels) == 2 else len(labels)  # noqa: PLR2004
    strength = scale / C
    size = columns * outputs

    def objective(point: Floats) -> tuple[float, Floats]:
        up, down, intercept = np.split(point, [size, 2 * size])
        coef = (up - down).reshape(columns, outputs)
        loss, slope = _loss(train.X @ coef + intercept, codes, share * scale)
        inner = (train.X.T @ slope).ravel() + strength * (1 - l1_ratio) * coef.ravel()
        loss += strength * l1_ratio * float(up.sum() + down.sum())
        loss += 0.5 * strength * (1 - l1_ratio) * float((coef**2).sum())
        edge = strength * l1_ratio
        return loss, np.concatenate([inner + edge, edge - inner, slope.sum(axis=0)])

    bounds = [(0.0, None)] * (2 * size) + [(None, None)] * outputs
    found = minimize(
        objective,
        np.zeros(2 * size + outputs),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": max_iter, "maxfun": 2 * max_iter, "gtol": tol, "ftol": 1e-12},
    ).x
    up, down, intercept = np.split(found, [size, 2 * size])
    return Weights((up - down).reshape(columns, outputs).T, intercept)


def _loss(margins: Floats, codes: Integers, share: Floats) -> tuple[float, Floats]:
    """The weighted log loss, and its slope by the margins."""
    import numpy as np

    if margins.shape[1] == 1:
        sign = np.where(codes == 1, 1.0, -1.0)
        rest = sign * margins[:, 0]
        loss = np.logaddexp(0.0, -rest)
        slope = -sign * np.exp(-rest - loss)  # of the other class's probability, without overflow
        return float(share @ loss), (share * slope)[:, None]
    top = margins.max(axis=1, keepdims=True)
    powers = np.exp(margins - top)
    total = powers.sum(axis=1, keepdims=True)
    rows = np.arange(len(codes))
    loss = (np.log(total) + top)[:, 0] - margins[rows, codes]
    slope = powers / total
    slope[rows, codes] -= 1.0
    return float(share @ loss), share[:, None] * slope

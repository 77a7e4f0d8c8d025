"""How the predictions of several models become one: a log-linear pool, or a weighted sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headrace.evaluation.metrics import Floats, Integers

FLOOR = 1e-6  # of a probability, before its logarithm
_MOST_CELLS = 20_000_000  # models by rows by classes; beyond, every so many-th row is looked at


@dataclass(frozen=True)
class Pool:
    """Weights of models, none negative; their sum is free.

    Attributes:
        weights: One per model.
        level: Of a regression: what the models' differences are counted from.
    """

    weights: Floats
    level: float = 0.0

    def chances(self, members: Sequence[Floats]) -> Floats:
        """Probabilities (rows, classes) of models' probabilities of the same shape.

        p = softmax(sum of weight x log p), each p at least `FLOOR`.
        """
        logits = np.zeros_like(np.asarray(members[0], dtype=np.float64))
        for weight, each in zip(self.weights, members, strict=True):
            if weight > 0:
                logits += weight * np.log(np.maximum(each, FLOOR))
        return softmax(logits)

    def values(self, members: Sequence[Floats]) -> Floats:
        """Values (rows,) of models' values."""
        found = np.full(len(members[0]), self.level)
        for weight, each in zip(self.weights, members, strict=True):
            if weight > 0:
                found += weight * (each - self.level)
        return found


def softmax(logits: Floats) -> Floats:
    """Probabilities along the last axis."""
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found: Floats = e / e.sum(axis=-1, keepdims=True)
    return found


def log_loss(chances: Floats, y: Integers, weight: Floats | None = None) -> float:
    """Mean of -log of the probability (at least 1e-15) of the class that it was."""
    hit = chances[np.arange(len(y)), y]
    return float(np.average(-np.log(np.maximum(hit, 1e-15)), weights=weight))


def pool_chances(members: Sequence[Floats], y: Integers, *, weight: Floats | None = None) -> Pool:
    """The log-linear pool of least log loss, drawn to equal weights by M / 2n sum (w - 1/M)^2.

    Args:
        members: Out-of-fold probabilities of each model, (rows, classes).
        y: Code of each row's class.
        weight: Of each row; above 0.

    Source: Genest, Zidek 1986, Combining Probability Distributions, for the form.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]  # it ships no types

    every = slice(None, None, -(-len(members) * members[0].size // _MOST_CELLS))
    members, y = [each[every] for each in members], y[every]
    count, rows = len(members), len(y)
    shares = np.ones(rows) if weight is None else np.asarray(weight[every], dtype=np.float64)
    shares = shares / shares.sum()
    logs = np.stack([np.log(np.maximum(each, FLOOR)) for each in members])
    hit = logs[:, np.arange(rows), y]  # models by rows
    mean_hit = hit @ shares
    flat = logs.reshape(count, -1)

    def loss(w: Floats) -> tuple[float, Floats]:
        logits = (w @ flat).reshape(logs.shape[1:])
        top = logits.max(axis=1, keepdims=True)
        e = np.exp(logits - top)
        total = e.sum(axis=1, keepdims=True)
        partition = float(shares @ (np.log(total) + top)[:, 0])
        e *= shares[:, None] / total
        off = w - 1 / count
        value = partition - w @ mean_hit + count / (2 * rows) * float(off @ off)
        return value, flat @ e.ravel() - mean_hit + count / rows * off

    start = np.full(count, 1 / count)
    found: Any = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * count,
        options={"maxiter": 200},
    )
    return Pool(found.x)


def pool_values(members: Sequence[Floats], y: Floats, *, weight: Floats | None = None) -> Pool:
    """The sum of least squared error with weights >= 0, drawn to the mean of the models.

    The pull is that of `pool_chances`, in units of the target's variance.

    Args:
        members: Out-of-fold values of each model, (rows,).
        y: Each row's value.
        weight: Of each row.

    Source: Breiman 1996, Stacked Regressions.
    """
    from scipy.optimize import nnls

    count, rows = len(members), len(y)
    shares = np.ones(rows) if weight is None else np.asarray(weight, dtype=np.float64)
    shares = shares / shares.sum()
    level = float(shares @ y)
    spread = float(np.sqrt(shares @ (y - level) ** 2)) or 1.0
    z = (np.stack(members) - level) / spread
    pull = count / rows
    gram = (z * shares) @ z.T + (pull + 1e-12) * np.eye(count)
    toward = (z * shares) @ ((y - level) / spread) + pull / count
    lower = np.linalg.cholesky(gram)
    weights, _ = nnls(lower.T, np.linalg.solve(lower, toward))
    return Pool(weights, level)

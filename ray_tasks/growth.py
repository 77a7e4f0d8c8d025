"""A fit with a share of what it may have, that goes on from the share before: a rung's worth."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from headrace.evaluation.metrics import Metric
from headrace.models import formats
from headrace.models.algorithms.algorithm import Algorithm, Fitted, Guarded, Parameters, Samples

_LEAST_ROWS = 500  # a share of the rows is not less, where there are as many


@dataclass(frozen=True)
class Growth:
    """One trial's fits, rung after rung; equal ones give equal estimators, whatever was kept.

    Attributes:
        algorithm: What is fitted.
        parameters: As in its last rung.
        train: All rows that it may have.
        validation: Rows to stop early by.
        metric: To stop early by.
        seed: Of the fits, and of the rows that are drawn.
        state: File name, without the rung, of the estimators of lower rungs; None keeps none.
    """

    algorithm: Algorithm
    parameters: Parameters
    train: Samples
    validation: Samples
    metric: Metric
    seed: int
    state: Path | None = None

    def fitted(self, shares: Sequence[float], *, is_last: bool) -> Fitted:
        """The fit with the last of these shares of the resource.

        Args:
            shares: Of this rung and of all below; 1.0 is the whole.
            is_last: Whether no rung follows, so that nothing need be kept.
        """
        share, resource = shares[-1], self.algorithm.resource
        if resource.kind == "rows":
            return self._fit(self.parameters, _drawn(self.train, share, seed=self.seed))
        given, before = self.parameters, None
        if share < 1:
            amount = math.ceil(int(str(given[resource.parameter])) * share)
            given = {**given, resource.parameter: amount}
        if len(shares) > 1:
            before = self._before(shares[:-1])
        fitted = self._fit(given, self.train, before=before)
        if share < 1:
            # What was judged is what the final fit is to have.
            fitted = replace(fitted, found={resource.parameter: amount, **fitted.found})
        if self.state is not None and not is_last:
            self._keep(self._dumped(fitted), len(shares))
        return fitted

    def _before(self, shares: Sequence[float]) -> Any:  # noqa: ANN401  # the library's own class
        """The estimator of the rung below: as it was kept, or made again, and then read alike."""
        data = None
        if self.state is not None:
            with suppress(FileNotFoundError):
                data = _file(self.state, len(shares)).read_bytes()
        if data is None:
            data = self._dumped(self.fitted(shares, is_last=True))
        return formats.FORMATS[self.algorithm.save_as].load(data)

    def _dumped(self, fitted: Fitted) -> bytes:
        return formats.FORMATS[self.algorithm.save_as].dump(fitted.estimator)

    def _keep(self, data: bytes, rung: int) -> None:
        if self.state is None:
            return
        target = _file(self.state, rung)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}")
        part.write_bytes(data)
        part.replace(target)

    def _fit(self, parameters: Parameters, train: Samples, *, before: Any = None) -> Fitted:  # noqa: ANN401  # the library's own class
        fit = cast("Guarded", self.algorithm.fit)  # as each entry makes it
        return fit(
            train,
            parameters,
            seed=self.seed,
            validation=self.validation,
            metric=self.metric,
            before=before,
        )


def _file(state: Path, rung: int) -> Path:
    return state.with_name(f"{state.name}-{rung}")


def _drawn(train: Samples, share: float, *, seed: int) -> Samples:
    """A share of the rows, drawn at random, in their order."""
    rows = train.X.shape[0]
    wanted = max(math.ceil(rows * share), min(rows, _LEAST_ROWS))
    if wanted == rows:
        return train
    kept = np.sort(np.random.default_rng(seed).permutation(rows)[:wanted])
    weight = None if train.weight is None else train.weight[kept]
    return replace(train, X=train.X[kept], y=train.y[kept], weight=weight)

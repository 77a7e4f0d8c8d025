"""The training of RealMLP: a schedule of steps, of which the best on validation is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Fitted, Parameters, Samples, Task
from headrace.models.methods.neural.adam import Adam, coslog4, flat_cos
from headrace.models.methods.neural.inputs import inputs, learned
from headrace.models.methods.neural.network import (
    Shape,
    Singles,
    forward,
    gradient,
    softmax,
    started,
    views,
)

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Integers, Metric

_MOST_EMBEDDED = 128  # numbers; beyond, they enter as they are
_EVALUATIONS = 128  # on validation, at most
_FEW = 300  # rows of validation; below, only the ends of the schedule's four cycles are compared
_TIMED = 8  # steps by which the cost of one is judged

DEFAULTS: dict[str, Any] = {
    "epochs": 256,
    "max_steps": 4000,
    "steps": None,  # of the schedule; None: of epochs and max_steps
    "stop": None,  # the step after which to stop; None: the last, or the best on validation
    "time_limit": None,  # seconds
    "batch_size": 256,
    "width": 256,
    "activation": "auto",  # selu for classes, mish for values
    "learning_rate": None,  # 0.04 for classes, 0.1 for values
    "dropout": 0.15,
    "weight_decay": 0.02,
}


def fit(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,
    validation: Samples | None,
    metric: Metric,  # noqa: ARG001  # log loss or squared error, whatever judges the model
) -> Fitted:
    """Trains on a schedule of `steps`, and keeps the step that was best on validation.

    With `time_limit` (seconds) the schedule is shortened to what fits, as its first steps tell;
    `steps` is in what was found, and with it the same network comes again.
    """
    given: dict[str, Any] = {**DEFAULTS, **parameters}
    began = time.monotonic()
    rng = np.random.default_rng(seed)
    held = learned(train)
    numbers, ones = inputs(held, train.X)
    target = _target(train)
    kind = given["activation"]
    if kind == "auto":
        kind = "mish" if train.task is Task.REGRESSION else "selu"
    shape = Shape(
        numbers=numbers.shape[1],
        ones=len(held["missing"]) + len(held["categories"]),
        width=given["width"],
        outputs=target.values.shape[1],
        embedded=0 < numbers.shape[1] <= _MOST_EMBEDDED,
        activation=kind,
    )
    first = rng.permutation(len(numbers))[:1024]
    flat = started(shape, numbers[first], ones[first], rng=rng)
    rows = len(numbers)
    batch = min(given["batch_size"], rows)
    per_epoch = rows // batch
    steps = given["steps"] or min(given["epochs"] * per_epoch, given["max_steps"])
    run = _Run(
        shape,
        flat,
        numbers=numbers,
        ones=ones,
        target=target,
        given=given,
        rng=rng,
        batch=batch,
    )
    best = _Best(shape, validation, held, target, flat)
    stop = given["stop"] or math.inf
    few = validation is None or len(validation.y) < _FEW
    step = 0
    timed = time.monotonic()
    limit = given["time_limit"]
    while step < min(steps, stop):
        if limit and step == min(_TIMED, steps // 2):
            each = (time.monotonic() - timed) / _TIMED
            steps = int(np.clip((limit - (timed - began)) * 0.9 / each, step + 1, steps))
        run.step(step, steps)
        step += 1
        every = max(per_epoch, -(-steps // _EVALUATIONS))
        ends = [math.ceil((2**cycle - 1) / 15 * steps) for cycle in range(1, 5)]
        if validation is not None and (step in ends if few else step % every == 0):
            best.look(step)
        if limit and time.monotonic() - began > limit:
            break
    if validation is not None:
        best.look(step)
        flat, step = best.flat, best.step
    estimator = {
        **held,
        **{f"net_{name}": value.copy() for name, value in views(shape, flat).items()},
        "settings": {
            **vars(shape),
            "task": str(train.task),
            "mean": target.mean,
            "spread": target.spread,
            "range": list(target.range),
        },
    }
    return Fitted(estimator, found={"steps": int(steps), "stop": int(step)})


@dataclass(frozen=True)
class _Target:
    """What the outputs are drawn to.

    Attributes:
        values: Rows by outputs: one per class, or the standardised value.
        weight: Of each row, one in the mean.
        mean: Of a regression's values.
        spread: Their standard deviation.
        range: Their least and greatest.
    """

    values: Singles
    weight: Singles
    mean: float = 0.0
    spread: float = 1.0
    range: tuple[float, float] = (0.0, 1.0)


def _target(train: Samples) -> _Target:
    weight = np.ones(len(train.y)) if train.weight is None else np.asarray(train.weight)
    weight = (weight / weight.mean())[:, None].astype(np.float32)
    if train.task is not Task.REGRESSION:
        classes = max(train.classes, 2)
        values = np.zeros((len(train.y), classes), dtype=np.float32)
        values[np.arange(len(train.y)), train.y.astype(np.int64)] = 1
        return _Target(values, weight)
    mean, spread = float(train.y.mean()), float(train.y.std())
    spread = spread if spread > 0 else 1.0
    values = ((train.y - mean) / spread)[:, None].astype(np.float32)
    return _Target(values, weight, mean, spread, (float(train.y.min()), float(train.y.max())))


class _Run:
    """Batches in a random order, each epoch anew, and a step of Adam on each."""

    def __init__(
        self,
        shape: Shape,
        flat: Singles,
        *,
        numbers: Singles,
        ones: Integers,
        target: _Target,
        given: Mapping[str, Any],
        rng: np.random.Generator,
        batch: int,
    ) -> None:
        self._shape, self._numbers, self._ones = shape, numbers, ones
        self._target, self._given, self._rng, self._batch = target, given, rng, batch
        self._held = views(shape, flat)
        self._slope = np.zeros_like(flat)
        self._into = views(shape, self._slope)
        rate, decay = np.empty_like(flat), np.empty_like(flat)
        for name, _, factor, decays in shape.parameters():
            views(shape, rate)[name][:] = factor
            views(shape, decay)[name][:] = decays
        self._adam = Adam(flat, rate, decay)
        self._order: Integers = np.empty(0, dtype=np.int64)
        self._softmax = self._target.values.shape[1] > 1

    def step(self, step: int, steps: int) -> None:
        """One batch."""
        if len(self._order) < self._batch:
            self._order = self._rng.permutation(len(self._numbers))
        rows, self._order = self._order[: self._batch], self._order[self._batch :]
        t = step / steps
        given = self._given
        drop = given["dropout"] * flat_cos(t)
        values = self._target.values[rows]
        weight = self._target.weight[rows] / np.float32(len(rows))

        def error(logits: Singles) -> Singles:
            found = softmax(logits) if self._softmax else logits
            return (found - values) * weight

        gradient(
            self._shape,
            self._held,
            self._into,
            self._numbers[rows],
            self._ones[rows],
            error=error,
            masks=[self._mask(drop) for _ in range(3)],
        )
        rate = given["learning_rate"] or (0.04 if self._softmax else 0.1)
        self._adam.step(
            self._slope, rate=rate * coslog4(t), decay=given["weight_decay"] * flat_cos(t)
        )

    def _mask(self, drop: float) -> Singles:
        size = (self._batch, self._shape.width)
        dropped = round(drop * 256)
        kept = self._rng.integers(0, 256, size, dtype=np.uint8) >= dropped
        return kept * np.float32(256 / (256 - dropped))


class _Best:
    """The parameters that were best on validation."""

    def __init__(
        self,
        shape: Shape,
        validation: Samples | None,
        held: Mapping[str, Any],
        target: _Target,
        flat: Singles,
    ) -> None:
        self._shape, self._now = shape, flat
        self.flat, self.step, self._loss, self._seen = flat.copy(), 0, math.inf, -1
        if validation is not None:
            self._inputs = inputs(held, validation.X)
            self._y, self._target = validation.y, target
            self._soft = validation.task is not Task.REGRESSION
            weight = validation.weight
            self._weight = np.ones(len(validation.y)) if weight is None else weight

    def look(self, step: int) -> None:
        """Keeps the parameters as they are after `step`, if none were better."""
        if step == self._seen:
            return
        self._seen = step
        held = views(self._shape, self._now)
        numbers, ones = self._inputs
        with np.errstate(all="ignore"):
            out = np.concatenate(
                [
                    forward(self._shape, held, numbers[i : i + 1024], ones[i : i + 1024])
                    for i in range(0, len(self._y), 1024)
                ]
            )
        if self._soft:
            chance = softmax(out)[np.arange(len(out)), self._y.astype(np.int64)]
            losses = -np.log(np.maximum(chance, 1e-7))
        else:
            losses = (out[:, 0] * self._target.spread + self._target.mean - self._y) ** 2
        loss = float(np.average(losses, weights=self._weight))
        if loss < self._loss:
            self._loss, self.step = loss, step
            np.copyto(self.flat, self._now)

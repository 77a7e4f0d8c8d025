"""A small neural network for tables, RealMLP-TD, in plain numpy: one thread, single precision."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import (
    Fitted,
    Matrix,
    Parameters,
    Samples,
    Task,
)

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers, Metric

Singles = np.ndarray[Any, np.dtype[np.float32]]
Estimator = dict[str, Any]  # name to array, and JSON values under `settings`

_BLOCK = 256  # rows of a prediction that are worked on together, padded with zeros
_FREQUENCIES, _EMBEDDING = 16, 4  # of a number, its own value included
_MOST_EMBEDDED = 128  # numbers; beyond, they enter as they are
_MOST_CATEGORIES = 100  # of a column that get an input of their own: the most frequent
_BETAS, _EPSILON = (0.9, 0.95), 1e-8  # of Adam
_EVALUATIONS = 128  # on validation, at most
_FEW = 300  # rows of validation; below, only the ends of the schedule's four cycles are compared
_FLAT = 1e-6  # deviation of an output that all rows share
_TIMED = 8  # steps by which the cost of one is judged
_SELU = (1.0507009873554805, 1.6732632423543772)  # scale, alpha


# ------------------------------------------------------------------------------------------ inputs


def _learn_inputs(train: Samples) -> Estimator:
    """Medians and spreads of the numbers, and which categories get an input of their own."""
    X = np.asarray(train.X)
    numbers = [i for i in range(X.shape[1]) if i not in set(train.categorical)]
    values = X[:, numbers]
    center = np.zeros(len(numbers))
    factor = np.zeros(len(numbers))
    for i in range(len(numbers)):
        known = values[~np.isnan(values[:, i]), i]
        if len(known):
            low, center[i], high = np.quantile(known, (0.25, 0.5, 0.75))
            spread = high - low or (known.max() - known.min()) / 2
            factor[i] = 1 / spread if spread > 0 else 0.0
    pairs = [pair for column in train.categorical for pair in _frequent(X[:, column], column)]
    return {
        "numbers": np.array(numbers, dtype=np.int64),
        "center": center,
        "factor": factor,
        "missing": np.flatnonzero(np.isnan(values).any(axis=0)).astype(np.int64),
        "categories": np.array(pairs, dtype=np.int64).reshape(-1, 2),
    }


def _frequent(codes: Floats, column: int) -> list[tuple[int, int]]:
    """Column and code of the most frequent categories, in the order of their codes."""
    found, rows = np.unique(codes[~np.isnan(codes)], return_counts=True)
    kept = np.sort(np.argsort(-rows, kind="stable")[:_MOST_CATEGORIES])
    return [(column, int(code)) for code in found[kept]]


def _inputs(held: Mapping[str, Any], X: Matrix) -> tuple[Singles, Integers]:
    """Numbers, robustly scaled and smoothly clipped to (-3, 3); the place of each row's ones.

    A missing number is the median, and sets a one; a missing or unknown category sets none (-1).
    """
    X = np.asarray(X)
    values = (X[:, held["numbers"]] - held["center"]) * held["factor"]
    absent = np.isnan(values)
    clipped = np.where(absent, 0.0, values / np.sqrt(1 + (values / 3) ** 2))
    offset = len(held["missing"])
    ones = [np.where(absent[:, held["missing"]], np.arange(offset), -1)]
    columns, codes = held["categories"].T
    for column in np.unique(columns):
        known = codes[columns == column]
        cells = X[:, column]
        place = np.minimum(np.searchsorted(known, cells), len(known) - 1)
        ones.append(np.where(known[place] == cells, offset + place, -1)[:, None])
        offset += len(known)
    return clipped.astype(np.float32), np.hstack(ones).astype(np.int64)


# ----------------------------------------------------------------------------------------- network


@dataclass(frozen=True)
class Shape:
    """Sizes of a network.

    Attributes:
        numbers: Inputs that are numbers.
        ones: Inputs that are 0 or 1.
        width: Of each of the three hidden layers.
        outputs: Logits, or 1.
        embedded: Whether numbers get a periodic embedding.
        activation: `selu` or `mish`.
    """

    numbers: int
    ones: int
    width: int
    outputs: int
    embedded: bool
    activation: str

    @property
    def layers(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each linear layer."""
        first = self.numbers * (_EMBEDDING if self.embedded else 1) + self.ones
        return [(first, self.width), *[(self.width, self.width)] * 2, (self.width, self.outputs)]

    def parameters(self) -> Iterator[tuple[str, tuple[int, ...], float, bool]]:
        """Name, shape, factor of the learning rate, and whether its weights decay."""
        if self.embedded:
            yield "frequency", (self.numbers, 1, _FREQUENCIES), 0.1, True
            yield "phase", (self.numbers, 1, _FREQUENCIES), 0.1, False
            yield "mix", (self.numbers, _FREQUENCIES, _EMBEDDING - 1), 0.1, True
            yield "shift", (self.numbers, 1, _EMBEDDING - 1), 0.1, False
        yield "scale", (self.layers[0][0],), 6.0, True
        for i, (inputs, outputs) in enumerate(self.layers):
            yield f"weight{i}", (inputs, outputs), 1.0, True
            yield f"bias{i}", (outputs,), 0.1, False
            if i < len(self.layers) - 1:
                yield f"slope{i}", (outputs,), 0.1, False


def views(shape: Shape, flat: Singles) -> dict[str, Singles]:
    """The parameters by name, as views of one vector."""
    found, at = {}, 0
    for name, size, _, _ in shape.parameters():
        end = at + math.prod(size)
        found[name] = flat[at:end].reshape(size)
        at = end
    return found


def _size(shape: Shape) -> int:
    return sum(math.prod(size) for _, size, _, _ in shape.parameters())


def _front(
    shape: Shape, held: Mapping[str, Singles], numbers: Singles, ones: Integers
) -> tuple[Singles, Singles | None]:
    """The first layer's inputs before they are scaled, and the angles of the embedding."""
    rows = len(numbers)
    joined = np.zeros((rows, shape.layers[0][0]), dtype=numbers.dtype)
    angle = None
    wide = joined.shape[1] - shape.ones
    if shape.embedded:
        value = numbers.T[:, :, None]
        angle = 2 * np.pi * (value * held["frequency"] + held["phase"])
        angle = angle.astype(numbers.dtype, copy=False)
        block = joined[:, :wide].reshape(rows, shape.numbers, _EMBEDDING)
        mixed = np.cos(angle) @ held["mix"] + held["shift"]
        block[:, :, 0] = numbers
        block[:, :, 1:] = mixed.transpose(1, 0, 2)
        joined[:, :wide] = block.reshape(rows, wide)
    else:
        joined[:, :wide] = numbers
    row, slot = np.nonzero(ones >= 0)
    joined[row, wide + ones[row, slot]] = 1.0
    return joined, angle


def _activated(kind: str, x: Any) -> tuple[Singles, Singles]:  # noqa: ANN401  # of either precision
    """The activation and its derivative."""
    if kind == "selu":
        scale, alpha = (np.float32(each) for each in _SELU)
        low: Singles = np.exp(np.minimum(x, 0))
        low *= alpha  # the derivative below 0, and alpha above
        derivative: Singles = (x > 0) * (1 - alpha)
        derivative += low
        derivative *= scale
        low -= alpha
        low += np.maximum(x, 0)
        low *= scale
        return low, derivative
    e: Singles = np.exp(np.minimum(x, 20))
    risen: Singles = e * (e + 2)
    tanh: Singles = risen / (risen + 2)  # of softplus
    derivative = np.asarray(1 - tanh * tanh)
    derivative *= x
    derivative *= e / (1 + e)
    derivative += tanh
    active: Singles = x * tanh
    return active, derivative


def forward(shape: Shape, held: Mapping[str, Any], numbers: Any, ones: Integers) -> Any:  # noqa: ANN401  # of either precision
    """Logits, or standardised values, (rows, outputs); without dropout."""
    x: Any = _front(shape, held, numbers, ones)[0] * held["scale"]
    for i, (inputs, _) in enumerate(shape.layers):
        x = (x @ held[f"weight{i}"]) * np.float32(inputs**-0.5) + held[f"bias{i}"]
        if i < len(shape.layers) - 1:
            x = x + held[f"slope{i}"] * (_activated(shape.activation, x)[0] - x)
    found: Singles = x
    return found


def gradient(
    shape: Shape,
    held: Mapping[str, Singles],
    into: Mapping[str, Singles],
    numbers: Singles,
    ones: Integers,
    *,
    error: Callable[[Singles], Singles],  # logits to the derivative of the loss by them
    masks: list[Singles] | None = None,
) -> None:
    """Writes the derivative of the loss by each parameter of `held` to `into`."""
    front, angle = _front(shape, held, numbers, ones)
    x: Any = front * held["scale"]
    kept: list[tuple[Any, Any, Any]] = []  # of each layer: input, bend and derivative
    last = len(shape.layers) - 1
    for i, (inputs, _) in enumerate(shape.layers):
        z = x @ held[f"weight{i}"]
        z *= np.float32(inputs**-0.5)
        z += held[f"bias{i}"]
        if i == last:
            kept.append((x, z, z))
            break
        active, derivative = _activated(shape.activation, z)
        active -= z
        slope = held[f"slope{i}"]
        derivative -= 1
        derivative *= slope
        derivative += 1
        kept.append((x, active, derivative))
        x = slope * active
        x += z
        if masks is not None:
            x *= masks[i]
    back = error(kept[-1][1])
    for i in range(last, -1, -1):
        x, bend, derivative = kept[i]
        if i < last:
            if masks is not None:
                back *= masks[i]
            np.einsum("ij,ij->j", back, bend, out=into[f"slope{i}"])
            back *= derivative
        np.sum(back, axis=0, out=into[f"bias{i}"])
        shrink = np.float32(shape.layers[i][0] ** -0.5)
        np.matmul(x.T, back, out=into[f"weight{i}"])
        into[f"weight{i}"] *= shrink
        back = back @ held[f"weight{i}"].T
        back *= shrink
    np.einsum("ij,ij->j", back, front, out=into["scale"])
    if angle is not None:
        rows = len(numbers)
        back = (back * held["scale"])[:, : shape.numbers * _EMBEDDING]
        mixed = back.reshape(rows, shape.numbers, _EMBEDDING)[:, :, 1:].transpose(1, 0, 2)
        np.sum(mixed, axis=1, keepdims=True, out=into["shift"])
        np.matmul(np.cos(angle).transpose(0, 2, 1), mixed, out=into["mix"])
        turned = (mixed @ held["mix"].transpose(0, 2, 1)) * np.sin(angle) * np.float32(-2 * np.pi)
        np.sum(turned, axis=1, keepdims=True, out=into["phase"])
        np.sum(turned * numbers.T[:, :, None], axis=1, keepdims=True, out=into["frequency"])


def _started(
    shape: Shape, numbers: Singles, ones: Integers, *, rng: np.random.Generator
) -> Singles:
    """First parameters: outputs of each layer have unit spread, and bend where the rows are."""
    flat = np.zeros(_size(shape), dtype=np.float32)
    held = views(shape, flat)
    held["scale"][:] = 1
    if shape.embedded:
        held["frequency"][:] = 0.1 * rng.standard_normal(held["frequency"].shape)
        held["phase"][:] = rng.uniform(-np.pi, np.pi, held["phase"].shape)
        bound = _FREQUENCIES**-0.5
        for name in ("mix", "shift"):
            held[name][:] = rng.uniform(-bound, bound, held[name].shape)
    x = _front(shape, held, numbers, ones)[0]
    for i, (inputs, outputs) in enumerate(shape.layers):
        weight = held[f"weight{i}"]
        weight[:] = rng.standard_normal(weight.shape)
        z = (x @ weight) * inputs**-0.5
        spread = z.std(axis=0)
        weight /= np.where(spread > _FLAT, spread, 1)
        z /= np.where(spread > _FLAT, spread, 1)
        share = rng.standard_exponential((outputs, 5))
        share /= share.sum(axis=1, keepdims=True)
        points = z[rng.integers(0, len(z), (outputs, 5)), np.arange(outputs)[:, None]]
        held[f"bias{i}"][:] = -(points * share).sum(axis=1)
        if i < len(shape.layers) - 1:
            held[f"slope{i}"][:] = 1
            x = _activated(shape.activation, z + held[f"bias{i}"])[0]
    return flat


# ---------------------------------------------------------------------------------------- training


def _coslog4(t: float) -> float:
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * t)))


def _flat_cos(t: float) -> float:
    return 1.0 if t < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * t - 1)))  # noqa: PLR2004


@dataclass
class _Adam:
    """Adam with decoupled weight decay on one vector."""

    flat: Singles
    rate: Singles
    decay: Singles

    def __post_init__(self) -> None:
        self._first = np.zeros_like(self.flat)
        self._second = np.zeros_like(self.flat)
        self._work = np.empty_like(self.flat)
        self._steps = 0

    def step(self, slope: Singles, *, rate: float, decay: float) -> None:
        """Moves the parameters against the slope; `slope` is overwritten."""
        self._steps += 1
        one, two = _BETAS
        work = self._work
        self._first *= np.float32(one)
        np.multiply(slope, np.float32(1 - one), out=work)
        self._first += work
        self._second *= np.float32(two)
        np.multiply(slope, slope, out=slope)
        slope *= np.float32(1 - two)
        self._second += slope
        np.multiply(self._second, np.float32(1 / (1 - two**self._steps)), out=work)
        np.sqrt(work, out=work)
        work += np.float32(_EPSILON)
        np.divide(self._first, work, out=work)
        work *= np.float32(rate / (1 - one**self._steps))
        np.multiply(self.flat, self.decay, out=slope)
        slope *= np.float32(rate * decay)
        work += slope
        work *= self.rate
        self.flat -= work


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
    held = _learn_inputs(train)
    numbers, ones = _inputs(held, train.X)
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
    flat = _started(shape, numbers[first], ones[first], rng=rng)
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
        self._adam = _Adam(flat, rate, decay)
        self._order: Integers = np.empty(0, dtype=np.int64)
        self._softmax = self._target.values.shape[1] > 1

    def step(self, step: int, steps: int) -> None:
        """One batch."""
        if len(self._order) < self._batch:
            self._order = self._rng.permutation(len(self._numbers))
        rows, self._order = self._order[: self._batch], self._order[self._batch :]
        t = step / steps
        given = self._given
        drop = given["dropout"] * _flat_cos(t)
        values = self._target.values[rows]
        weight = self._target.weight[rows] / np.float32(len(rows))

        def error(logits: Singles) -> Singles:
            found = _softmax(logits) if self._softmax else logits
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
            self._slope, rate=rate * _coslog4(t), decay=given["weight_decay"] * _flat_cos(t)
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
            self._inputs = _inputs(held, validation.X)
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
            chance = _softmax(out)[np.arange(len(out)), self._y.astype(np.int64)]
            losses = -np.log(np.maximum(chance, 1e-7))
        else:
            losses = (out[:, 0] * self._target.spread + self._target.mean - self._y) ** 2
        loss = float(np.average(losses, weights=self._weight))
        if loss < self._loss:
            self._loss, self.step = loss, step
            np.copyto(self.flat, self._now)


def _softmax(logits: Singles) -> Singles:
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Singles = e / e.sum(axis=1, keepdims=True)
    return found


def predict(estimator: Estimator, X: Matrix) -> Floats:
    """Rows in blocks of one size, padded: a row's sums do not depend on the rows beside it.

    In double precision: BLAS rounds a row of single ones by its place in the block on some CPUs.
    """
    told = estimator["settings"]
    shape = Shape(**{name: told[name] for name in Shape.__dataclass_fields__})
    held = {
        name[4:]: value.astype(np.float64)
        for name, value in estimator.items()
        if name.startswith("net_")
    }
    numbers, ones = _inputs(estimator, X)
    rows = len(numbers)
    found = np.empty((rows, shape.outputs), dtype=np.float64)
    for at in range(0, rows, _BLOCK):
        size = min(_BLOCK, rows - at)
        block = np.zeros((_BLOCK, numbers.shape[1]))
        places = np.full((_BLOCK, ones.shape[1]), -1, dtype=np.int64)
        block[:size], places[:size] = numbers[at : at + size], ones[at : at + size]
        found[at : at + size] = forward(shape, held, block, places)[:size]
    if told["task"] == Task.REGRESSION:
        values: Floats = np.clip(found[:, 0] * told["spread"] + told["mean"], *told["range"])
        return values
    chance: Floats = np.exp(found - found.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    return chance[:, 1].copy() if told["task"] == Task.BINARY else chance


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

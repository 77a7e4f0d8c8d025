"""The network of RealMLP: its parameters, how they start, its outputs and its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Integers

Singles = np.ndarray[Any, np.dtype[np.float32]]

_FREQUENCIES, _EMBEDDING = 16, 4  # of a number, its own value included
_FLAT = 1e-6  # deviation of an output that all rows share
SELU = (1.0507009873554805, 1.6732632423543772)  # scale, alpha


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

    @property
    def size(self) -> int:
        """How many numbers the parameters are."""
        return sum(math.prod(size) for _, size, _, _ in self.parameters())


def views(shape: Shape, flat: Singles) -> dict[str, Singles]:
    """The parameters by name, as views of one vector."""
    found, at = {}, 0
    for name, size, _, _ in shape.parameters():
        end = at + math.prod(size)
        found[name] = flat[at:end].reshape(size)
        at = end
    return found


def started(shape: Shape, numbers: Singles, ones: Integers, *, rng: np.random.Generator) -> Singles:
    """First parameters: outputs of each layer have unit spread, and bend where the rows are."""
    flat = np.zeros(shape.size, dtype=np.float32)
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


def softmax(logits: Singles) -> Singles:
    """Chances of the classes, row by row."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Singles = e / e.sum(axis=1, keepdims=True)
    return found


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
        scale, alpha = (np.float32(each) for each in SELU)
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

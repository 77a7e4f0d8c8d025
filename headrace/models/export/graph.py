"""What a graph of ONNX is put together from: operators on columns of doubles, a row by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.models.algorithms.algorithm import Task

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats

OPSET, OPSET_ML = 21, 5  # 5: the first with trees of doubles
TREES = "ai.onnx.ml"
Value = str  # the name of what an operator gives, (rows, columns) unless it is said otherwise


@dataclass
class Graph:
    """Operators and constants so far.

    Attributes:
        nodes: In the order in which they can run.
        constants: What they read besides inputs.
    """

    nodes: list[Any] = field(default_factory=list)  # onnx.NodeProto
    constants: list[Any] = field(default_factory=list)  # onnx.TensorProto

    def op(self, kind: str, *inputs: Any, domain: str = "", **attributes: Any) -> Value:  # noqa: ANN401  # a value, an array or a number
        """The result of an operator; an input that is no value is a constant, numbers as doubles.

        Args:
            kind: Its name in the standard.
            inputs: What it reads.
            domain: Of the operator; empty for the standard's own.
            attributes: Its settings.
        """
        return self.several(kind, 1, *inputs, domain=domain, **attributes)[0]

    def several(
        self,
        kind: str,
        results: int,
        *inputs: Any,  # noqa: ANN401  # as `op`
        domain: str = "",
        **attributes: Any,  # noqa: ANN401
    ) -> list[Value]:
        """As `op`, for an operator of more than one result."""
        from onnx import helper

        place = len(self.nodes)  # a feature's name has no slash
        found = [f"/{kind}/{place}/{number}" for number in range(results)]
        named = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        self.nodes.append(helper.make_node(kind, named, found, domain=domain, **attributes))
        return found

    def _constant(self, value: Any) -> Value:  # noqa: ANN401  # an array or a number
        from onnx import numpy_helper

        name = f"/constant/{len(self.constants)}"
        whole = np.asarray(value)
        whole = whole if isinstance(value, np.ndarray) else whole.astype(np.float64)
        whole = np.array(whole, order="C")
        self.constants.append(numpy_helper.from_array(whole, name))
        return name

    def doubles(self, value: Value) -> Value:
        """Truths, or singles, as doubles."""
        from onnx import TensorProto

        return self.op("Cast", value, to=TensorProto.DOUBLE)

    def singles(self, value: Value) -> Value:
        """Doubles, rounded to single precision and back."""
        from onnx import TensorProto

        return self.doubles(self.op("Cast", value, to=TensorProto.FLOAT))

    def integers(self, value: Value) -> Value:
        """Whole numbers of doubles."""
        from onnx import TensorProto

        return self.op("Cast", value, to=TensorProto.INT64)

    def columns(self, X: Value, places: Sequence[int] | Any) -> Value:  # noqa: ANN401  # or an array
        """Some columns, in this order."""
        return self.op("Gather", X, np.asarray(places, dtype=np.int64), axis=1)

    def column(self, X: Value, place: int) -> Value:
        """One column, (rows,)."""
        return self.op("Gather", X, np.array(place, dtype=np.int64), axis=1)

    def join(self, parts: Sequence[Value]) -> Value:
        """Columns beside each other."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=1)

    def each_row(self, X: Value, values: Floats) -> Value:
        """The same values for each row of `X`: (rows, values)."""
        rows = self.op("Shape", X, start=0, end=1)
        shape = self.op("Concat", rows, np.array([1], dtype=np.int64), axis=0)
        return self.op("Expand", np.asarray(values, dtype=np.float64).reshape(1, -1), shape)

    def sum(self, X: Value, *, axis: int = 1, keep: bool = True) -> Value:
        """Sums along an axis."""
        return self.op("ReduceSum", X, np.array([axis], dtype=np.int64), keepdims=int(keep))

    def linear(self, X: Value, coef: Floats, intercept: Any) -> Value:  # noqa: ANN401  # an array or a number
        """`X @ coef + intercept`."""
        return self.op("Add", self.op("MatMul", X, np.asarray(coef, dtype=np.float64)), intercept)

    def softmax(self, margins: Value, outputs: int) -> Value:
        """Probabilities; one column of margins is that of the second of two classes."""
        if outputs == 1:
            zero = self.op("Mul", margins, 0.0)
            margins = self.op("Concat", zero, margins, axis=1)
        return self.op("Softmax", margins, axis=1)

    def clipped(self, value: Value, low: float, high: float) -> Value:
        """Values within a range."""
        return self.op("Min", self.op("Max", value, low), high)

    def flat(self, value: Value) -> Value:
        """One column as (rows,)."""
        return self.op("Reshape", value, np.array([-1], dtype=np.int64))

    def completed(self, estimator: Mapping[str, Any], found: Value) -> Value:
        """As `estimators.completed`: (rows,) of true or of a value, else (rows, classes)."""
        if estimator["task"] == Task.REGRESSION:
            return self.flat(found)
        classes = max(estimator["classes"], 2)
        whole = self.op("MatMul", found, np.eye(classes)[estimator["present"]])
        return self.column(whole, 1) if estimator["task"] == Task.BINARY else whole

    def ones(self, X: Value, missing: Any, pairs: Any) -> list[Value]:  # noqa: ANN401  # arrays
        """Columns of 0 and 1: of missing cells, then of categories; none where there are none.

        Args:
            X: The matrix of codes.
            missing: Columns whose NaN gets a column.
            pairs: Column and code of each category that gets one.
        """
        found = []
        if len(missing):
            found.append(self.doubles(self.op("IsNaN", self.columns(X, missing))))
        if len(pairs):
            columns, codes = np.asarray(pairs).T
            cells = self.columns(X, columns)
            found.append(self.doubles(self.op("Equal", cells, codes.astype(np.float64))))
        return found

    def where_missing(self, X: Value, instead: Any) -> Value:  # noqa: ANN401  # a value or a number
        """The cells of `X`, NaN replaced."""
        return self.op("Where", self.op("IsNaN", X), instead, X)

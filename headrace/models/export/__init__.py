"""A model as one graph of ONNX, from raw feature columns to scores; needs the extra `onnx`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.errors import SetupError, UsageError
from headrace.models.algorithms.algorithm import Task
from headrace.models.encoding import Kind
from headrace.models.export.corrected import corrected, decision
from headrace.models.export.graph import OPSET, OPSET_ML, TREES, Graph, Value
from headrace.models.export.inputs import matrix, missing_text
from headrace.models.export.writers import written

if TYPE_CHECKING:
    from headrace.models.model import Model

_IR = 10  # of the file, as the operators' versions ask
_MOST_BYTES = 2**31 - 1  # of one file of protobuf


def to_onnx(model: Model) -> bytes:
    """The content of an .onnx file that gives what the model predicts, with any runtime.

    Its calibration, and what it decides by the costs of errors, are part of the graph.

    Inputs, each (rows,): texts as strings, all numbers, true and false as doubles. A missing number
    is NaN; a missing text is the one that the file's metadata names, or any text that training had
    not. Infinite numbers, which scoring refuses, are not refused.

    Outputs, each (rows,), named as in tables of scores: `score` and `prediction`, of a value
    `prediction` alone; of several classes `probabilities`, too, (rows, classes) in the order of the
    metadata's `classes`. Equal models give equal bytes.

    Raises:
        SetupError: The extra `onnx` is not installed.
        UsageError: The algorithm, or what it was given, cannot be written.
    """
    try:
        import onnx
        from onnx import helper
    except ModuleNotFoundError as error:
        message = "onnx is not installed"
        raise SetupError(message, hint="pip install 'headrace[onnx]'") from error
    g = Graph()
    X = matrix(g, model.encoding)
    found = written(g, model.recipe.algorithm, model.estimator, X)
    if model.calibration is not None:
        found = corrected(g, model.calibration, found, task=model.classes.task)
    outputs = _outputs(g, model, found)
    clash = sorted({*outputs} & {*model.encoding.names})
    if clash:
        message = f"a feature is named {clash[0]}, as an output of the graph"
        raise UsageError(message, hint="give the feature another name, and train again")
    kind = {Kind.CATEGORY: onnx.TensorProto.STRING, Kind.NUMBER: onnx.TensorProto.DOUBLE}
    inputs = [
        helper.make_tensor_value_info(column.name, kind[column.kind], ["rows"])
        for column in model.encoding.columns
    ]
    results = [helper.make_tensor_value_info(name, *told) for name, (_, told) in outputs.items()]
    for name, (value, _) in outputs.items():
        g.nodes.append(helper.make_node("Identity", [value], [name]))
    graph = helper.make_graph(g.nodes, model.recipe.pipeline, inputs, results, g.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(TREES, OPSET_ML)]
    whole = helper.make_model(graph, opset_imports=opsets, ir_version=_IR, producer_name="headrace")
    helper.set_model_props(
        whole,
        {
            "model": model.digest,
            "algorithm": model.recipe.algorithm,
            "target": model.recipe.target,
            "classes": json.dumps(model.classes.labels),
            "missing_text": missing_text(model.encoding),
        },
    )
    if whole.ByteSize() > _MOST_BYTES:
        message = "the graph is larger than the 2 GB that a file of ONNX can have"
        raise UsageError(message, hint="train with fewer or smaller trees")
    onnx.checker.check_model(whole)
    content: bytes = whole.SerializeToString(deterministic=True)
    return content


def _outputs(
    g: Graph, model: Model, found: Value
) -> dict[str, tuple[Value, tuple[int, list[Any]]]]:
    """Name to value, type and shape."""
    from onnx import TensorProto

    double = (TensorProto.DOUBLE, ["rows"])
    chosen = decision(g, model.rule, found, task=model.classes.task)
    if model.classes.task is Task.REGRESSION:
        return {"prediction": (chosen, double)}
    if model.classes.task is Task.BINARY:
        return {"score": (found, double), "prediction": (chosen, (TensorProto.BOOL, ["rows"]))}
    labels = np.array(model.classes.labels)
    text = labels.dtype.kind == "U"
    kind = TensorProto.STRING if text else TensorProto.INT64
    label = g.op("Gather", labels.astype(object if text else np.int64), chosen, axis=0)
    place = g.op("Unsqueeze", chosen, np.array([1], dtype=np.int64))
    score = g.flat(g.op("GatherElements", found, place, axis=1))
    return {
        "score": (score, double),
        "prediction": (label, (kind, ["rows"])),
        "probabilities": (found, (TensorProto.DOUBLE, ["rows", len(labels)])),
    }

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import SetupError, UsageError
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from headrace.models.encoding import Encoding

onnx = pytest.importorskip("onnx")

from headrace.models.export import to_onnx  # noqa: E402  # the extra is there


def told(content):
    return {each.key: each.value for each in onnx.load_from_string(content).metadata_props}


def test_equal_models_give_equal_files_that_name_the_model(model_of):
    content = to_onnx(model_of("lightgbm"))
    assert content == to_onnx(model_of("lightgbm"))
    assert told(content) == {
        "model": model_of("lightgbm").digest,
        "algorithm": "lightgbm",
        "target": "late",
        "classes": "[]",
        "missing_text": "",
    }


def test_inputs_are_the_features_and_outputs_the_columns_of_scores(model_of):
    graph = onnx.load_from_string(to_onnx(model_of("logistic_regression"))).graph
    kinds = {onnx.TensorProto.STRING: "text", onnx.TensorProto.DOUBLE: "double"}
    found = {each.name: kinds[each.type.tensor_type.elem_type] for each in graph.input}
    assert found == {"dest": "text", "hour": "double"}
    assert [each.name for each in graph.output] == ["score", "prediction"]


def test_the_text_of_null_is_none_of_the_categories():
    rows = pa.table({"dest": ["", "?", "BOS", None]})
    encoding = Encoding.fit(rows, ["dest"], form="codes")
    from headrace.models.export.inputs import missing_text

    assert missing_text(encoding) == "??"


def test_what_cannot_be_written_is_refused_with_the_way_out(model_of, rows):
    with pytest.raises(UsageError, match="k_nearest_neighbors is not written as ONNX"):
        to_onnx(model_of("k_nearest_neighbors"))
    model = model_of("lightgbm")
    y = np.array([0.0, 1.0, 0.0, 1.0] * 50)
    train = Samples(model.encoding.matrix(rows), y, model.encoding.categorical)
    given = {**named("lightgbm").defaults, "linear_tree": True, "n_estimators": 2}
    fitted = named("lightgbm").fit(train, given, seed=7, validation=None, metric="roc_auc")
    with pytest.raises(UsageError, match="linear leaves is not exported") as refused:
        to_onnx(replace(model, estimator=fitted.estimator))
    assert "linear_tree" in refused.value.hint


def test_a_feature_named_as_an_output_is_refused(model_of):
    model = model_of()
    columns = tuple(replace(each, name="score") for each in model.encoding.columns[:1])
    with pytest.raises(UsageError, match="a feature is named score"):
        to_onnx(replace(model, encoding=replace(model.encoding, columns=columns)))


def test_without_the_extra_it_is_named(model_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SetupError, match="onnx is not installed") as refused:
        to_onnx(model_of())
    assert refused.value.hint == "pip install 'headrace[onnx]'"

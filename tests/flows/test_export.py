from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from headrace.lake import Lake
from headrace.models import registry
from headrace.models.encoding import Encoding
from headrace.models.model import Model, Recipe

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

AT = datetime(2014, 1, 4, tzinfo=UTC)


@pytest.fixture
def champion(folder):
    """A model of the prior, stored and promoted."""
    rows = pa.table({"line": ["red", "blue"]})
    recipe = Recipe("rides", "late", "class_prior", {}, 7, AT.isoformat(), "", "")
    model = Model(recipe, Encoding.fit(rows, ["line"], form="codes"), {"prior": 0.25})
    lake = Lake(folder / "lake")
    told = {"algorithm": "class_prior", "features": model.signature}
    digest = registry.store(lake, model, told)
    alias = registry.Alias(
        pipeline="rides",
        alias="champion",
        model=digest,
        moment=AT,
        previous=None,
        decision="the first",
        run="r1",
        decided_at=AT,
    )
    registry.promote(lake, alias, seen=registry.aliases(lake, "rides"))
    return digest


def test_the_champion_is_written_and_scores_without_us(headrace, folder, champion):
    code, out, _ = headrace("export", "pipeline.yaml", "late.onnx")
    assert code == 0
    assert f"class_prior {champion[:12]} as onnx in late.onnx" in out
    session = runtime.InferenceSession(folder / "late.onnx", providers=["CPUExecutionProvider"])
    found = session.run(["score"], {"line": np.array(["red", "", "green"], dtype=object)})
    np.testing.assert_array_equal(found[0], [0.25, 0.25, 0.25])


def test_a_model_is_named_by_the_beginning_of_its_digest(headrace, folder, champion):
    assert headrace("export", "pipeline.yaml", "a.onnx", "--model", champion[:6])[0] == 0
    code, _, err = headrace("export", "pipeline.yaml", "b.onnx", "--model", "f" * 32)
    assert code == 2
    assert "no model" in err
    assert not (folder / "b.onnx").exists()


def test_without_a_model_the_next_command_is_told(headrace):
    code, _, err = headrace("export", "pipeline.yaml", "a.onnx")
    assert code == 2
    assert "no model yet" in err
    assert "`headrace run` makes one" in err

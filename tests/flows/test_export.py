from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from headrace.evaluation.calibration import fit
from headrace.lake import Lake
from headrace.models import registry
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from headrace.models.calibration import Method
from headrace.models.encoding import Encoding
from headrace.models.model import Model, Recipe

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

AT = datetime(2014, 1, 4, tzinfo=UTC)


ROWS = pa.table({"line": ["red", "blue"] * 200, "wait": [float(n) for n in range(400)]})


@pytest.fixture
def champion(folder):
    """A model of the prior, stored and promoted."""
    rows = pa.table({"line": ["red", "blue"]})
    recipe = Recipe("rides", "late", "class_prior", {}, 7, AT.isoformat(), "", "")
    return promoted(
        folder, Model(recipe, Encoding.fit(rows, ["line"], form="codes"), {"prior": 0.25})
    )


@pytest.fixture
def rules(folder):
    """A decision list whose probabilities are calibrated, stored and promoted."""
    entry = named("decision_list")
    encoding = Encoding.fit(ROWS, ROWS.column_names, form="codes")
    y = (np.arange(400) % 2 * (np.arange(400) > 250)).astype(float)
    train = Samples(encoding.matrix(ROWS), y, encoding.categorical)
    found = entry.fit(train, entry.defaults, seed=7, validation=None, metric="log_loss")
    recipe = Recipe("rides", "late", entry.name, entry.defaults, 7, AT.isoformat(), "", "")
    scores = entry.predict(found.estimator, encoding.matrix(ROWS))
    calibration = fit(Method.PLATT, y, scores)
    model = Model(recipe, encoding, found.estimator, calibration=calibration)
    promoted(folder, model)
    return model


def promoted(folder, model):
    lake = Lake(folder / "lake")
    told = {"algorithm": model.recipe.algorithm, "features": model.signature}
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


def test_rules_are_written_as_one_case_that_scores_to_the_last_bit(headrace, folder, rules):
    assert headrace("export", "pipeline.yaml", "late.sql", "--to", "sql")[0] == 0
    text = (folder / "late.sql").read_text()
    comments, case = text[: text.index("CASE")], text[text.index("CASE") :]
    assert rules.digest in comments
    assert "true from 0.5 on" in comments
    asked = case.replace("`", '"')  # as DuckDB encloses names
    found = duckdb.from_arrow(ROWS).project(f"{asked} AS score").fetchnumpy()["score"]
    assert len(set(found)) > 1
    assert found.tobytes() == rules.predict(ROWS).tobytes()


def test_rules_are_written_to_read_with_rows_and_lift(headrace, folder, rules):
    assert headrace("export", "pipeline.yaml", "late.txt", "--to", "rules")[0] == 0
    lines = (folder / "late.txt").read_text().splitlines()
    assert sum(" rows, lift " in line for line in lines) == len(rules.estimator["rules"]) + 1
    assert lines[-1].startswith("otherwise: ")


def test_rules_are_written_as_pmml_without_an_extra(headrace, folder, rules):
    assert headrace("export", "pipeline.yaml", "late.pmml", "--to", "pmml")[0] == 0
    root = ElementTree.parse(folder / "late.pmml").getroot()  # noqa: S314  # ours
    (header,) = root.iterfind("{*}Header")
    assert header.get("description") == f"decision_list {rules.digest} of {rules.recipe.pipeline}"
    nodes = root.findall("{*}TreeModel/{*}Node/{*}Node")
    assert len(nodes) == len(rules.estimator["rules"])


@pytest.mark.usefixtures("champion")
def test_a_model_without_rules_is_not_written_as_sql(headrace, folder):
    code, _, err = headrace("export", "pipeline.yaml", "late.sql", "--to", "sql")
    assert code == 2
    assert "class_prior has no rules to write" in err
    assert not (folder / "late.sql").exists()


def test_without_a_model_the_next_command_is_told(headrace):
    code, _, err = headrace("export", "pipeline.yaml", "a.onnx")
    assert code == 2
    assert "no model yet" in err
    assert "`headrace run` makes one" in err


@pytest.mark.usefixtures("champion")
def test_a_place_that_cannot_hold_a_file_is_refused(headrace, folder):
    (folder / "taken").mkdir()
    for out, told in (("taken", "is a folder"), ("nowhere/late.onnx", "in no folder")):
        code, _, err = headrace("export", "pipeline.yaml", out)
        assert (code, told in err) == (2, True)


@pytest.mark.usefixtures("champion")
def test_no_model_is_named_by_nothing(headrace):
    code, _, err = headrace("export", "pipeline.yaml", "a.onnx", "--model", "")
    assert code == 2
    assert "a.onnx" not in err

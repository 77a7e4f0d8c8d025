"""A pipeline whose GLM has an offset: trained, scored with rows that lack it, built again."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from headrace.lake import Lake, Table
from headrace.models import registry
from headrace.models.compare import compare
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from ray_tasks.rebuild import rebuild
from ray_tasks.score import score
from ray_tasks.train import train


def counts(rng, gusts, dest):
    return "events", rng.poisson(np.exp(gusts + 1.5 * (dest == 2)))


@pytest.fixture(scope="module")
def rated(declared):
    training = {**declared["training"], "algorithms": ["glm"], "trials": 2, "offset": "wind"}
    target = {"name": "events", "of": "arrivals", "value": "delay", "task": "regression"}
    return Pipeline.model_validate({**declared, "training": training, "target": target})


@pytest.fixture(scope="module")
def trained(request, tmp_path_factory, rated, gold, days, moment):
    request.getfixturevalue("ray_local")
    lake = Lake(tmp_path_factory.mktemp("rated") / "lake")
    gold(lake, days, outcome=counts)
    return lake, train(rated, lake, Settings(lake=lake.root), moment=moment, run="r1")


def test_the_offset_is_in_the_recipe_and_its_coefficient_is_one(trained, rated):
    lake, result = trained
    assert result.detail["decision"]["shipped"] == "glm"
    model = registry.load(lake, rated.name, result.detail["model"])
    assert model.recipe.parameters["offset"] == "wind"
    wind = next(column for column in model.encoding.columns if column.name == "wind")
    place = sum(
        column.width for column in model.encoding.columns[: model.encoding.columns.index(wind)]
    )
    assert model.estimator["coef"][place, 0] == pytest.approx(wind.scale)


def test_a_row_without_its_offset_is_refused_and_the_others_come_out_again(
    trained, rated, gold, moment
):
    lake, _ = trained
    day = moment + timedelta(days=100)
    gold(lake, [day], wind=math.nan, outcome=counts)
    result = score(rated, lake, Settings(lake=lake.root), intervals=[day], run="r2")
    assert result.rows == {"read": 60, "scored": 59, "refused": 1}
    (refused,) = Table(lake.refused(rated.name)).arrow().to_pylist()
    assert (refused["number"], refused["_reason"]) == (0, "missing wind")
    assert rebuild(rated, lake, day=day).differing == ()


def test_a_comparison_in_a_notebook_has_the_offset_too(trained, rated):
    lake, _ = trained
    training = {**rated.training.model_dump(), "offset": None}
    without = rated.model_copy(update={"training": rated.training.model_validate(training)})
    found = {
        name: compare(lake, pipeline, ["glm"]).set_index("algorithm").loc["glm", "value"]
        for name, pipeline in {"with": rated, "without": without}.items()
    }
    assert found["with"] != found["without"]

"""Parameters that a pipeline declares: fixed, searched, of members; and the offset of a GLM."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from headrace.errors import TrainingError
from headrace.lake import Lake, Table
from headrace.models import algorithms, registry
from headrace.models.algorithms import named
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
    training = {**declared["training"], "algorithms": ["glm"], "trials": 2}
    training |= {"parameters": {"glm": {"offset": "wind"}}}
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
    training = rated.training.model_copy(update={"parameters": {}})
    without = rated.model_copy(update={"training": training})
    found = {
        name: compare(lake, pipeline, ["glm"]).set_index("algorithm").loc["glm", "value"]
        for name, pipeline in {"with": rated, "without": without}.items()
    }
    assert found["with"] != found["without"]


@pytest.mark.usefixtures("ray_local")
def test_what_is_declared_is_what_is_fitted(lake, declared, gold, days, moment):
    parameters = {
        "lightgbm": {"num_leaves": 5, "learning_rate": [0.05, 0.2], "max_bin": 63},
        "bagging": {"of": "logistic_regression", "n_estimators": 3, "logistic_regression.C": 0.5},
        "naive_bayes": {"kind": "bernoulli"},
    }
    training = {**declared["training"], "algorithms": [*parameters], "parameters": parameters}
    pipeline = Pipeline.model_validate({**declared, "training": {**training, "inspect": False}})
    gold(lake, days)
    result = train(pipeline, lake, Settings(lake=lake.root), moment=moment, run="r1")
    board = {row["candidate"]: row for row in result.detail["leaderboard"]}
    assert not any(row["failed"] for row in board.values())
    found = {name: board[name]["params"] for name in parameters}
    fixed = {"num_leaves": 5, "max_bin": 63}
    assert fixed.items() <= found["lightgbm"].items()
    assert found["lightgbm"]["learning_rate"] in {0.05, 0.2}
    assert {"of": "logistic_regression", "logistic_regression.C": 0.5}.items() <= found[
        "bagging"
    ].items()
    assert found["naive_bayes"]["kind"] == "bernoulli"


@pytest.mark.usefixtures("ray_local")
def test_a_budget_that_is_raised_is_that_of_the_final_fit_and_the_inspection_too(
    lake, declared, gold, days, moment, monkeypatch
):
    entry = named("k_nearest_neighbors")
    small = replace(entry, budget=replace(entry.budget, rows=100))
    monkeypatch.setattr(algorithms, "CATALOGUE", (*algorithms.baselines(), small))
    budgets = {"k_nearest_neighbors": {"rows": 10_000}}
    training = {**declared["training"], "algorithms": ["k_nearest_neighbors"], "trials": 1}
    gold(lake, days)
    settings = Settings(lake=lake.root)
    with pytest.raises(TrainingError, match="over its budget"):
        train(
            Pipeline.model_validate({**declared, "training": training}),
            lake,
            settings,
            moment=moment,
            run="r1",
        )
    raised = Pipeline.model_validate({**declared, "training": {**training, "budgets": budgets}})
    result = train(raised, lake, settings, moment=moment, run="r2")
    assert result.detail["inspection"]["learning_curve"]["points"]

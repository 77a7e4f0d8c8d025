"""Fits by several workers, beside the same fits on one node."""

from __future__ import annotations

import json

import numpy as np
import pytest

from headrace.errors import CorruptArtifact, EngineLost, SetupError, TrainingError
from headrace.lake import Lake
from headrace.models import registry
from headrace.models.algorithms import named
from headrace.models.formats import FORMATS
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from ray_tasks.examples import read
from ray_tasks.parallel import error_of
from ray_tasks.train import train

pytestmark = pytest.mark.usefixtures("ray_local")


def declared_with(declared, **training):
    return Pipeline.model_validate({**declared, "training": {**declared["training"], **training}})


@pytest.fixture(scope="module")
def wide(declared):
    """Two boosters by two workers each, beside baselines that one node fits on a sample."""
    engines = {"xgboost": "ray_train", "lightgbm": "ray_train"}
    return declared_with(declared, algorithms=[*engines], engines=engines, workers=2, sample=600)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, request, wide, gold, days, moment):
    request.getfixturevalue("ray_local")
    lake = Lake(tmp_path_factory.mktemp("wide") / "lake")
    gold(lake, days)
    return lake, train(
        wide, lake, Settings(lake=lake.root, open_ports=True), moment=moment, run="r1"
    )


def board(result):
    return {row["candidate"]: row for row in result.detail["leaderboard"]}


def test_ports_are_opened_only_where_that_is_allowed(lake, wide, moment):
    with pytest.raises(SetupError, match="xgboost, lightgbm by `ray_train` would listen on all"):
        train(wide, lake, Settings(lake=lake.root), moment=moment, run="r1")


def test_boosters_of_several_workers_are_candidates_like_any_other(trained, wide):
    lake, result = trained
    found = board(result)
    assert [*found] == ["class_prior", "best_lookup", "xgboost", "lightgbm"]
    assert result.detail["decision"]["promoted"]
    model = registry.load(lake, wide.name, result.detail["model"])
    assert model.recipe.algorithm == result.detail["decision"]["shipped"]
    rounds = found[model.recipe.algorithm]["params"]["n_estimators"]
    assert model.recipe.parameters["n_estimators"] == rounds < 500  # the most


def test_they_learn_from_all_rows_where_one_node_reads_a_sample(trained, wide, moment):
    lake, result = trained
    rows = result.rows
    assert 500 < rows["train"] < 700  # about the sample
    assert rows["train"] + rows["not_sampled"] > 1700  # 30 days of 60 rows
    assert any("left" in note and "training.sample" in note for note in result.notes)
    trees = registry.load(lake, wide.name, result.detail["model"]).estimator
    whole = read(
        lake,
        wide.model_copy(update={"training": wide.training.model_copy(update={"sample": None})}),
        moment=moment,
    )
    if result.detail["decision"]["shipped"] == "lightgbm":
        dumped = trees.dump_model()["tree_info"][0]["tree_structure"]
        assert dumped["internal_count"] == len(whole.parts.train.rows)
    else:
        cover = json.loads(trees.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
        assert float(cover[0]["sum_hessian"][0]) > 0.1 * len(whole.parts.train.rows)


def test_they_are_about_as_good_as_on_one_node(trained, declared, lake, gold, days, moment):
    alone = declared_with(declared, algorithms=["xgboost", "lightgbm"], trials=1)
    gold(lake, days)
    one_node = board(
        train(alone, lake, Settings(lake=lake.root, open_ports=True), moment=moment, run="r1")
    )
    for name in ("xgboost", "lightgbm"):
        several = board(trained[1])[name]["validation"]
        for metric, near in {"roc_auc": 0.02, "log_loss": 0.03}.items():
            assert several[metric] == pytest.approx(one_node[name]["validation"][metric], abs=near)


def test_the_model_is_the_same_file_after_a_second_look(trained, wide):
    lake, result = trained
    model = registry.load(lake, wide.name, result.detail["model"])
    form = FORMATS[model.algorithm.save_as]
    again = form.load(form.dump(model.estimator))
    assert form.dump(again) == form.dump(model.estimator)
    assert b"[machines" not in form.dump(model.estimator)


def test_more_workers_than_cores_are_refused(declared, lake, gold, days, moment):
    asked = declared_with(
        declared, algorithms=["xgboost"], engines={"xgboost": "ray_train"}, workers=99
    )
    gold(lake, days)
    with pytest.raises(TrainingError, match="99 workers need a core each, and Ray has 2"):
        train(asked, lake, Settings(lake=lake.root, open_ports=True), moment=moment, run="r1")


def test_scores_of_the_model_are_probabilities(trained, wide, moment):
    lake, result = trained
    model = registry.load(lake, wide.name, result.detail["model"])
    examples = read(lake, wide, moment=moment)
    score = model.predict(examples.of(examples.parts.test))
    assert ((score > 0) & (score < 1)).all()
    assert np.ptp(score) > 0.1  # it tells rows apart


def test_what_a_worker_raised_is_a_failed_fit_and_workers_that_went_away_are_a_lost_engine():
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
    from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

    entry = named("xgboost")
    gone = WorkerHealthCheckFailedError("a worker died", RuntimeError("killed"))
    refused = error_of(entry, WorkerGroupError("both", {0: ValueError("no label\nat"), 1: gone}))
    assert type(refused) is TrainingError
    assert refused.message == "workers of Ray Train could not fit it: ValueError: no label"
    assert "leave it out of `training.engines`" in refused.hint
    damaged = CorruptArtifact("a data file is missing", file="a.parquet")
    assert error_of(entry, WorkerGroupError("one", {0: damaged})) is damaged
    for lost in (WorkerGroupError("all", {0: gone, 1: gone}), ControllerError(gone)):
        assert type(error_of(entry, lost)) is EngineLost

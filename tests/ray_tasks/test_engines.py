"""Candidates of one node, Ray Train and Spark in one contest, and the scores of the winner."""

from __future__ import annotations

import pytest

from headrace.errors import TrainingError
from headrace.lake import Lake
from headrace.models import registry
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.stage import Outcome
from ray_tasks.rebuild import rebuild
from ray_tasks.score import score
from ray_tasks.train import train
from spark_jobs.fit import fit

pytestmark = pytest.mark.usefixtures("ray_local")

ENGINES = {"xgboost": "ray_train", "decision_tree": "spark", "naive_bayes": "spark"}


def declared_with(declared, *, target=None, **training):
    told = {**declared, "training": {**declared["training"], **training}}
    return Pipeline.model_validate({**told, **({"target": target} if target else {})})


@pytest.fixture(scope="module")
def together(declared):
    return declared_with(declared, algorithms=["logistic_regression", *ENGINES], engines=ENGINES)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, request, together, gold, days, moment):
    spark = request.getfixturevalue("spark")
    lake = Lake(tmp_path_factory.mktemp("engines") / "lake")
    gold(lake, days)
    fitted = fit(spark, lake, pipeline=together, moment=moment)
    assert fitted.outcome is Outcome.DONE
    request.getfixturevalue("ray_local")  # after Spark: never both at the same moment
    settings = Settings(lake=lake.root, open_ports=True)
    return lake, train(together, lake, settings, moment=moment, run="r1")


def test_all_engines_stand_on_one_leaderboard(trained):
    _, result = trained
    board = {row["candidate"]: row for row in result.detail["leaderboard"]}
    assert [*board] == ["class_prior", "best_lookup", "logistic_regression", *ENGINES]
    prior = board["class_prior"]["validation"]["log_loss"]
    for name in ("logistic_regression", *ENGINES):
        assert board[name]["failed"] == 0
        assert board[name]["validation"]["log_loss"] < prior, name
    assert board["logistic_regression"]["trials"] == 3
    assert all(board[name]["trials"] == 1 for name in ENGINES)


def test_what_spark_left_is_gone_and_the_winner_is_a_model_like_any_other(trained, together):
    lake, result = trained
    assert not [*(lake.root / "candidates").rglob("record.json")]
    model = registry.load(lake, together.name, result.detail["model"])
    assert result.detail["decision"]["promoted"]
    assert model.recipe.algorithm == result.detail["decision"]["shipped"]


def test_its_scores_come_out_again_to_the_last_bit(trained, together, moment):
    lake, result = trained
    settings = Settings(lake=lake.root)
    scored = score(together, lake, settings, intervals=[moment], run="r2")
    assert scored.rows["scored"] == 60
    again = rebuild(together, lake, day=moment)
    assert again.model == result.detail["model"]
    assert (again.rows, again.differing) == (60, ())


DELAY = {"name": "delay", "of": "arrivals", "value": "delay", "task": "regression"}


def delays(rng, gusts, dest):
    return "delay", 10 * gusts + 20 * (dest == 2) + rng.normal(0, 5, len(gusts))


def test_where_all_trials_of_one_node_fail_the_candidate_of_an_engine_is_shipped(
    spark, declared, lake, gold, days, moment
):
    pipeline = declared_with(
        declared,
        target=DELAY,
        algorithms=["glm", "decision_tree"],  # a glm takes no delay below 0
        engines={"decision_tree": "spark"},
        parameters={"decision_tree": {"max_depth": 5}},
    )
    gold(lake, days, outcome=delays)
    fit(spark, lake, pipeline=pipeline, moment=moment)
    settings = Settings(lake=lake.root)
    result = train(pipeline, lake, settings, moment=moment, run="r1")
    board = {row["candidate"]: row for row in result.detail["leaderboard"]}
    assert (board["glm"]["failed"], board["glm"]["validation"]) == (board["glm"]["trials"], {})
    assert any(note.startswith("glm has no candidate: ") for note in result.notes)
    assert result.detail["decision"]["shipped"] == "decision_tree"
    assert board["decision_tree"]["params"]["max_depth"] == 5
    score(pipeline, lake, settings, intervals=[moment], run="r2")
    assert rebuild(pipeline, lake, day=moment).differing == ()


BEYOND_SINGLE = 1e39  # of wind: a number, and in single precision infinite


def test_fits_of_engines_that_fail_are_failed_candidates_and_the_others_stand(
    spark, declared, lake, gold, days, moment
):
    engines = {"xgboost": "ray_train", "decision_tree": "spark", "naive_bayes": "spark"}
    pipeline = declared_with(declared, algorithms=[*engines], engines=engines, inspect=False)
    gold(lake, days[:2], wind=BEYOND_SINGLE)
    gold(lake, days[2:])
    noted = fit(spark, lake, pipeline=pipeline, moment=moment).notes
    assert noted[0].startswith("decision_tree could not be fitted: ")
    assert "wind has a number beyond those of single precision" in noted[0]
    settings = Settings(lake=lake.root, open_ports=True)
    result = train(pipeline, lake, settings, moment=moment, run="r1")
    board = {row["candidate"]: row for row in result.detail["leaderboard"]}
    for name in ("xgboost", "decision_tree"):
        assert (board[name]["trials"], board[name]["failed"]) == (1, 1)
        assert board[name]["validation"] == {}
    assert (board["naive_bayes"]["failed"], "log_loss" in board["naive_bayes"]["validation"]) == (
        0,
        True,
    )
    told = {note.partition(" ")[0]: note for note in result.notes if "has no candidate" in note}
    assert {*told} == {"xgboost", "decision_tree"}
    assert "workers of Ray Train could not fit it: XGBoostError: " in told["xgboost"]
    assert "wind has a number beyond those of single precision" in told["decision_tree"]
    assert all("leave it out of `training.engines`" in note for note in told.values())
    assert not [*(lake.root / "candidates").rglob("*.json")]  # the reasons are told, and gone


def test_where_nothing_but_baselines_could_be_fitted_the_training_fails_with_the_reasons(
    spark, declared, lake, gold, days, moment
):
    engines = {"decision_tree": "spark"}
    pipeline = declared_with(declared, algorithms=[*engines], engines=engines)
    gold(lake, days[:2], wind=BEYOND_SINGLE)
    gold(lake, days[2:])
    fit(spark, lake, pipeline=pipeline, moment=moment)
    with pytest.raises(TrainingError, match="nothing could be fitted but baselines") as error:
        train(pipeline, lake, Settings(lake=lake.root), moment=moment, run="r1")
    assert "wind has a number beyond those of single precision" in error.value.message
    assert fit(spark, lake, pipeline=pipeline, moment=moment).outcome is Outcome.DONE  # again

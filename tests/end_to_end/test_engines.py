"""One run from landing files to scores whose candidates Ray Train, Spark and one node fit."""

# ruff: noqa: ARG001 - a step that asks for the step before it need not look at it

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.spark, pytest.mark.ray, pytest.mark.timeout(600)]

TRAINING = (
    "{algorithms: [logistic_regression, xgboost, lightgbm], "
    "engines: {xgboost: ray_train, logistic_regression: spark}, "
    "workers: 2, trials: 2, first: 2014-01-10, every: 31 days, inspect: false}"
)
OPEN = {"HEADRACE_OPEN_PORTS": "true"}
PER_DAY = 300


@pytest.fixture(scope="module")
def user(project):
    made = project("wim", training=TRAINING)
    made.deliver_first_days()
    return made


@pytest.fixture(scope="module")
def first(user):
    return user.headrace("run", "pipeline.yaml", **OPEN)


@pytest.fixture(scope="module")
def again(user, first):
    return user.headrace("run", "pipeline.yaml", **OPEN)


def record(user, stage):
    (path,) = user.lake.root.glob(f"runs/*/{stage}-rides*.json")
    return json.loads(path.read_text())


def test_one_command_leads_from_landing_files_to_scores(user, first):
    assert first.code == 0, first.out + first.err
    scores = user.read("scores/rides", first)
    assert scores.num_rows == len(set(scores["id"].to_pylist())) == 3 * PER_DAY


def test_each_engine_has_its_candidate_on_the_leaderboard(user, first):
    board = {row["candidate"]: row for row in record(user, "train")["detail"]["leaderboard"]}
    asked = {"logistic_regression": 1, "xgboost": 1, "lightgbm": 2}
    assert {name: board[name]["trials"] for name in asked} == asked
    prior = board["class_prior"]["validation"]["roc_auc"]
    for name in asked:
        assert board[name]["failed"] == 0
        assert board[name]["validation"]["roc_auc"] > prior + 0.2, name


def test_the_page_tells_of_the_fit_by_spark_and_of_all_candidates(user, first):
    (page,) = (user.lake.root / "reports").glob("[0-9]*.html")
    words = page.read_text()
    for told in ("logistic_regression", "xgboost", "lightgbm", '<th scope="row">fit</th>'):
        assert told in words, told


def test_nothing_of_the_engines_is_left_behind(user, first):
    assert not [*(user.lake.root / "candidates").rglob("*.json")]
    folders = {path.name for path in user.lake.root.glob("runs/*/*") if path.is_dir()}
    assert not [name for name in folders if name.startswith(("fit-", "tune-"))]


def test_the_same_run_again_writes_nothing(again):
    assert again.code == 0, again.err
    assert "already done: nothing was run and nothing was written" in again.out
    assert again.written == set()


def test_a_score_is_rebuilt_to_the_last_bit(user, again):
    ride = user.read("scores/rides", again)["id"][0].as_py()
    ran = user.headrace("rebuild", f"id={ride}", "--json")
    told = json.loads(ran.out)
    assert (ran.code, told["equal"], told["rows"]) == (0, True, 1)

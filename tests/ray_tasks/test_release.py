"""Forecasts that scoring holds, and what becomes of them when they are released or scored anew."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from headrace import faults, held, runs
from headrace.errors import CommitConflict, EngineLost, UsageError
from headrace.lake import Lake, Table, application_id, commit, stage_file
from headrace.release import release
from headrace.report.page import render
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.verify import verify
from ray_tasks.rebuild import rebuild
from ray_tasks.score import score
from ray_tasks.train import train

pytestmark = pytest.mark.usefixtures("ray_local")

FAR, ABSURD = 200.0, 9000.0  # of wind: about 30 and 1,500 times the range of recent minutes
NOW = datetime(2014, 1, 1, tzinfo=UTC)
WHO = {"by": "Ada Byron", "reason": "a storm", "now": NOW}


def minutes(rng, gusts, dest):
    """Minutes of delay, by the wind."""
    return "minutes", 10 * gusts + 3 * (dest == 2) + rng.normal(0, 2, len(gusts))


@pytest.fixture(scope="module")
def forecasts(declared):
    target = {"name": "minutes", "of": "arrivals", "value": "delay", "task": "regression"}
    training = {**declared["training"], "algorithms": ["ridge"], "trials": 1, "inspect": False}
    return Pipeline.model_validate({**declared, "target": target, "training": training})


@pytest.fixture(scope="module")
def first(request, tmp_path_factory, forecasts, gold, days, moment):
    """A lake with one training of a ridge; not to be changed."""
    request.getfixturevalue("ray_local")
    lake = Lake(tmp_path_factory.mktemp("forecasts") / "lake")
    gold(lake, days, outcome=minutes)
    train(forecasts, lake, Settings(lake=lake.root), moment=moment, run="r1")
    return lake


@pytest.fixture
def forecast(first, lake, forecasts):
    """Scores intervals of a copy of the lake."""
    shutil.copytree(first.root, lake.root)

    def call(*days, run="r2", stale=False):
        settings = Settings(lake=lake.root)
        result = score(forecasts, lake, settings, intervals=days, run=run, stale=stale)
        runs.keep(result, lake.runs(run))
        return result

    return call


@pytest.fixture
def wild(moment):
    """A day whose first row has a feature from elsewhere."""
    return moment + timedelta(days=100)


def released(lake, day):
    what = held.named(lake, "flights", day.isoformat())
    return release(lake, "flights", what, **WHO)


def broken(lake):
    return [each.found for each in verify(lake.root) if each.state != "ok"]


def test_a_far_forecast_waits_apart_from_the_scores(forecast, lake, gold, wild):
    gold(lake, [wild], wind=FAR, outcome=minutes)
    result = forecast(wild)
    assert result.rows == {"read": 60, "scored": 59, "refused": 0, "held": 1}
    assert result.detail["held"] == {wild.isoformat(): 1}
    assert f"1 predictions of {wild} are held, and not among the scores" in result.notes[-1]
    assert Table(lake.scores("flights")).arrow().num_rows == 59
    (waiting,) = Table(lake.held("flights")).arrow().to_pylist()
    assert (waiting["number"], waiting["_scoring"]) == (0, 1)
    assert waiting["prediction"] == pytest.approx(10 * FAR, rel=0.1)
    assert broken(lake) == []


def test_what_is_released_is_what_was_predicted_to_the_bit(forecast, forecasts, lake, gold, wild):
    gold(lake, [wild], wind=FAR, outcome=minutes)
    forecast(wild)
    assert rebuild(forecasts, lake, day=wild).rows == 59
    _, now = released(lake, wild)
    again = rebuild(forecasts, lake, day=wild)
    assert (now, again.rows, again.differing) == (True, 60, ())
    assert broken(lake) == []
    assert forecast(wild).units == ()  # it stays as it is


def test_an_absurd_forecast_is_refused_and_cannot_be_released(
    forecast, forecasts, lake, gold, wild
):
    gold(lake, [wild], wind=ABSURD, outcome=minutes)
    assert forecast(wild).rows == {"read": 60, "scored": 59, "refused": 1}
    assert rebuild(forecasts, lake, day=wild).rows == 59
    with pytest.raises(UsageError, match=r"1 forecasts of .* were refused") as error:
        released(lake, wild)
    assert "cannot be released" in error.value.hint


@pytest.mark.parametrize("before", [(), (1,)], ids=["the first scores", "other days scored"])
@pytest.mark.parametrize("wind", [FAR, ABSURD], ids=["held", "refused"])
def test_a_scoring_that_was_ended_before_its_scores_is_told_as_not_finished(
    forecast, lake, gold, wild, monkeypatch, wind, before
):
    others = [wild + timedelta(days=n) for n in before]
    gold(lake, [wild], wind=wind, outcome=minutes)
    for day in others:
        gold(lake, [day], outcome=minutes)
        forecast(day)
    faults._passed.clear()  # noqa: SLF001 - a process of its own would begin at none
    monkeypatch.setenv(faults.VARIABLE, "score.after_commit:raise:1")
    with pytest.raises(EngineLost):
        forecast(wild, run="r3")
    monkeypatch.delenv(faults.VARIABLE)
    found = [each for each in verify(lake.root) if each.state != "ok"]
    assert [(each.name, each.state) for each in found] == [("scoring of flights", "warn")]
    assert found[0].found.startswith(f"not finished: of {wild} rows are refused or held")
    assert found[0].advice == "`headrace run` again completes it"
    forecast(wild, run="r4")
    assert broken(lake) == []
    assert Table(lake.scores("flights")).arrow().num_rows == 59 + 60 * len(others)


def test_a_day_whose_scores_stand_and_are_too_few_is_a_failure_still(forecast, lake, gold, wild):
    gold(lake, [wild], wind=ABSURD, outcome=minutes)
    forecast(wild)
    scores = Table(lake.scores("flights"))
    few = scores.arrow().slice(1)
    commit(
        scores.path,
        [stage_file(scores.path, few.drop(["_interval"]), partition={"_interval": wild})],
        schema=scores.schema,
        unit=application_id("flights", "score", wild.isoformat()),
        partition_by=["_interval"],
        replace=[("_interval", "=", wild.isoformat())],
        recorded=1,
        repeatable=True,
    )
    (found,) = [each for each in verify(lake.root) if each.state != "ok"]
    assert found.state == "fail"
    assert f"not one for each row of features on {wild}" in found.found


def test_scoring_anew_holds_anew_and_takes_what_was_released_along(forecast, lake, gold, wild):
    gold(lake, [wild], wind=FAR, outcome=minutes)
    forecast(wild)
    released(lake, wild)
    gold(lake, [wild], wind=FAR + 9, outcome=minutes, replace=True)
    assert forecast(wild, run="r3", stale=True).rows["held"] == 1
    scores = Table(lake.scores("flights")).arrow()
    assert (scores.num_rows, set(scores["_run"].to_pylist())) == (59, {"r3"})
    assert held.waiting(lake, "flights") == {wild: 1}
    released(lake, wild)
    assert Table(lake.scores("flights")).arrow().num_rows == 60
    assert len(held.releases(lake, "flights")) == 2
    assert broken(lake) == []


def test_a_release_decided_before_a_scoring_anew_is_refused_and_doubles_nothing(
    forecast, lake, gold, wild
):
    gold(lake, [wild], wind=FAR, outcome=minutes)
    forecast(wild)
    what = held.named(lake, "flights", wild.isoformat())
    gold(lake, [wild], wind=FAR + 9, outcome=minutes, replace=True)
    forecast(wild, run="r3", stale=True)
    with pytest.raises(CommitConflict):
        release(lake, "flights", what, **WHO)
    assert Table(lake.scores("flights")).arrow().num_rows == 59
    assert held.waiting(lake, "flights") == {wild: 1}


def test_features_that_mend_leave_nothing_held(forecast, lake, gold, wild):
    gold(lake, [wild], wind=FAR, outcome=minutes)
    forecast(wild)
    gold(lake, [wild], outcome=minutes, replace=True)
    assert forecast(wild, stale=True).rows == {"read": 60, "scored": 60, "refused": 0}
    assert held.everything(lake, "flights") == []
    assert broken(lake) == []


def test_the_page_of_the_run_tells_what_waits_and_who_released_what(
    forecast, forecasts, lake, gold, wild
):
    gold(lake, [wild], wind=FAR, outcome=minutes)
    forecast(wild)
    page = render(forecasts, lake, run="r2")
    assert "59 scored, 1 held, 0 refused" in page
    assert "waits" in page
    assert "the table holds them" in page
    released(lake, wild)
    page = render(forecasts, lake, run="r2")
    assert "by Ada Byron on 2014-01-01" in page
    assert "the table holds them" in page

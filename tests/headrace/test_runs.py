from __future__ import annotations

import json

import pytest
from pyspark.errors import AnalysisException

from headrace import runs
from headrace.errors import ChecksFailed, StageFailed
from headrace.processor import Meter
from headrace.stage import Outcome, StageResult


def result(name="check", subject="weather", units=("b1",)):
    return StageResult(name=name, subject=subject, units=units, outcome=Outcome.DONE)


def failing(error):
    def work():
        raise error

    return work


def test_a_result_is_kept_under_its_stage_and_subject(tmp_path):
    runs.perform("check", "weather", result, folder=tmp_path / "r1")
    (kept,) = runs.results(tmp_path / "r1")
    assert kept.name == "check-weather.json"
    assert StageResult.from_json(json.loads(kept.read_text())) == result()


def test_what_a_stage_took_of_the_processors_is_kept_where_it_is_measured(tmp_path):
    def work():
        sum(range(5_000_000))
        return result()

    done = runs.perform("check", "weather", work, folder=tmp_path, meter=Meter())
    (kept,) = runs.results(tmp_path)
    assert StageResult.from_json(json.loads(kept.read_text())) == done
    assert 0.01 < done.processor_seconds < 5
    assert runs.perform("check", "weather", result, folder=tmp_path).processor_seconds is None


def test_a_result_of_an_older_version_is_read():
    told = result().to_json()
    del told["processor_seconds"]
    assert StageResult.from_json(told) == result()


def test_trainings_of_two_days_are_kept_apart(tmp_path):
    for day in ("2013-12-01", "2013-12-31"):
        runs.keep(result("train", "flights", (day,)), tmp_path)
    assert [path.name for path in runs.results(tmp_path)] == [
        "train-flights-2013-12-01.json",
        "train-flights-2013-12-31.json",
    ]


def test_a_failure_is_kept_in_its_own_words_with_its_stage_where_it_names_no_place(tmp_path):
    with pytest.raises(ChecksFailed, match="a rule was broken"):
        runs.perform(
            "check", "weather", failing(ChecksFailed("a rule was broken")), folder=tmp_path
        )
    assert runs.failures(tmp_path) == [
        runs.Failure(
            "check", "weather", "ChecksFailed", "a rule was broken (stage check, of weather)"
        )
    ]
    assert runs.results(tmp_path) == []


def test_a_later_try_that_succeeds_takes_the_failure_back(tmp_path):
    with pytest.raises(ChecksFailed):
        runs.perform("check", "weather", failing(ChecksFailed("no")), folder=tmp_path)
    runs.perform("check", "weather", result, folder=tmp_path)
    assert runs.failures(tmp_path) == []


def test_what_an_engine_refuses_is_told_by_stage_and_subject(tmp_path):
    refused = AnalysisException("no column wind\n" + "  at org.apache\n" * 50)
    with pytest.raises(StageFailed, match="no column wind") as told:
        runs.perform("features", "flights", failing(refused), folder=tmp_path)
    assert told.value.where == {"stage": "features", "of": "flights"}
    assert len(str(told.value).splitlines()) < 12
    assert runs.failures(tmp_path)[0].error == "StageFailed"

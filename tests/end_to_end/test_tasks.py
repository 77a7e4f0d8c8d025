"""A target of classes and one of values, from the landing files to the page, as a user runs it."""

from __future__ import annotations

import math
from datetime import date

import pytest
from sklearn.metrics import accuracy_score, r2_score

pytestmark = [pytest.mark.e2e, pytest.mark.spark, pytest.mark.ray, pytest.mark.timeout(600)]

TRAINING = "{algorithms: [lightgbm], trials: 1, first: 2014-01-10, every: 31 days}"
HOW = "case when delay > 15 then 'late' when delay < 5 then 'early' else 'on time' end"
SCORED = {date(2014, 1, day) for day in (10, 11, 12)}


@pytest.fixture(scope="module")
def classes(project):
    target = f'{{name: how, of: ends, value: "{HOW}", task: multiclass}}'
    user = project("cleo", target=target, training=TRAINING)
    user.deliver_first_days()
    ran = user.headrace("run", "pipeline.yaml")
    assert ran.code == 0, ran.out + ran.err
    return user


@pytest.fixture(scope="module")
def values(project):
    target = "{name: minutes, of: ends, value: delay, task: regression}"
    user = project("vera", target=target, training=TRAINING)
    user.deliver_first_days()
    ran = user.headrace("run", "pipeline.yaml")
    assert ran.code == 0, ran.out + ran.err
    return user


def joined(user, target):
    """What was predicted and what came, of rows where it is known."""
    came = {row["id"]: row[target] for row in user.read("gold/rides").to_pylist()}
    rows = [{**row, target: came[row["id"]]} for row in user.read("scores/rides").to_pylist()]
    return [row for row in rows if row[target] is not None]


def page_of(user):
    (page,) = (user.lake.root / "reports").glob("[0-9]*.html")
    return page.read_text()


def test_classes_are_predicted_with_their_probabilities(classes):
    rows = joined(classes, "how")
    assert {row["_interval"] for row in rows} == SCORED
    for row in rows:
        told = dict(row["probabilities"])
        assert list(told) == ["early", "late", "on time"]
        assert math.isclose(sum(told.values()), 1)
        assert told[row["prediction"]] == row["score"] == max(told.values())
    accuracy = accuracy_score([row["how"] for row in rows], [row["prediction"] for row in rows])
    assert accuracy > 0.6


def test_values_are_predicted_as_numbers(values):
    rows = joined(values, "minutes")
    assert {row["_interval"] for row in rows} == SCORED
    assert "score" not in rows[0]
    found = r2_score([row["minutes"] for row in rows], [row["prediction"] for row in rows])
    assert found > 0.5


def test_the_page_speaks_of_classes(classes):
    page = page_of(classes)
    assert "share predicted right, where known" in page
    assert "accuracy ↑" in page
    assert "share predicted how" not in page


def test_the_page_speaks_of_values(values):
    page = page_of(values)
    assert "mean of minutes as predicted" in page
    assert "RMSE ↓" in page
    assert "mean score" not in page


@pytest.mark.parametrize("user", ["classes", "values"])
def test_a_second_run_has_nothing_to_do_and_the_lake_is_sound(user, request):
    user = request.getfixturevalue(user)
    ran = user.headrace("run", "pipeline.yaml")
    assert (ran.code, ran.written) == (0, set())
    assert user.headrace("verify").code == 0

"""What is found on generated rows whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from headrace.evaluation.inspection import Again, Rows, Subject, contributions, inspect
from headrace.evaluation.inspection.association import groups
from headrace.evaluation.inspection.fits import newest
from headrace.evaluation.inspection.importance import importances
from headrace.evaluation.inspection.ranges import added, beyond, ranges, target_beyond, warnings
from headrace.evaluation.inspection.slices import slices
from headrace.evaluation.metrics import METRICS
from headrace.masking import MASK
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.encoding import Encoding
from headrace.models.model import Model, Recipe
from headrace.models.target import Classes

FEATURES = ("wind", "gust", "dest", "noise")
LABELS = {Task.MULTICLASS: ("early", "late", "on time")}


def drawn(task, *, days=30, of_a_day=40, first=0, seed=0):
    """Rows whose target hangs on wind, of which gust is a copy, and on dest; in C on nothing."""
    rng = np.random.default_rng([seed, first])
    count = days * of_a_day
    wind, dest = rng.normal(0, 1, count), rng.integers(0, 4, count)
    truth = np.where(dest == 2, rng.normal(0, 1, count), 2 * wind + 1.0 * (dest == 1))
    truth = truth + rng.normal(0, 0.5, count)
    y = truth
    if task is Task.BINARY:
        y = (truth > 0.3).astype(np.float64)
    if task is Task.MULTICLASS:
        y = np.digitize(truth, [-1, 1]).astype(np.float64)
    table = pa.table(
        {
            "number": np.arange(count) + 10_000 * first,
            "wind": wind,
            "gust": wind + rng.normal(0, 0.01, count),
            "dest": np.array(list("ABCD"))[dest],
            "noise": rng.normal(0, 1, count),
        }
    )
    return Rows(table, y, np.repeat(np.arange(days) + 100 * first, of_a_day))


def fitted(name, train, task, *, seed=7, **parameters):
    algorithm = named(name)
    encoding = Encoding.fit(train.table, FEATURES, form=algorithm.needs.categories)
    classes = Classes(task, LABELS.get(task, ()))
    samples = Samples(
        encoding.matrix(train.table), train.y, encoding.categorical, task, classes.count
    )
    given = {**algorithm.defaults, **parameters}
    metric = METRICS[task][0]
    made = algorithm.fit(samples, given, seed=seed, validation=None, metric=metric)
    recipe = Recipe("flights", "late", name, given, seed, "2013-02-20", "d", "s")
    return Model(recipe, encoding, made.estimator, classes), samples


def subject_of(name, task, **parameters):
    train, validation, test = (drawn(task, first=n) for n in range(3))
    model, samples = fitted(name, train, task, **parameters)
    prior = "mean" if task is Task.REGRESSION else "class_prior"
    subject = Subject(
        model=model,
        name=name,
        baseline=fitted(prior, train, task)[0],
        features=FEATURES,
        key=("number",),
        metric=METRICS[task][0],
        seed=7,
        labels=LABELS.get(task, ()),
        train=train,
        validation=validation,
        test=test,
    )
    return subject, Again(model.algorithm, samples, train.days, budget=60.0)


@pytest.fixture(scope="module", params=list(Task), ids=str)
def inspected(request):
    """A small LightGBM of each kind of target, looked at from all sides."""
    subject, again = subject_of("lightgbm", request.param, n_estimators=15, num_leaves=7)
    return subject, inspect(subject, again)


def test_the_feature_that_counts_comes_first_and_the_idle_one_is_told(inspected):
    _, told = inspected
    found = told["importance"]["found"]
    assert found[0]["features"] == ["wind", "gust"]  # together: each can stand in for the other
    assert found[0]["low"] > 0
    by_name = {tuple(each["features"]): each for each in found}
    assert by_name[("wind",)]["goes_with"] == ["gust"]
    assert by_name[("noise",)]["value"] < 0.05 * found[0]["value"]
    assert "wind with gust counts most" in told["importance"]["sentence"]


def test_partial_dependence_rises_with_the_wind(inspected):
    subject, told = inspected
    curves = {(each["feature"], each["output"]): each for each in told["dependence"]}
    output = "late" if subject.task is Task.MULTICLASS else ""
    means = [each["value"] for each in curves["wind", output]["means"]]
    values = curves["wind", output]["values"]
    assert values == sorted(values)
    assert all(
        each["low"] <= each["value"] <= each["high"] for each in curves["wind", output]["means"]
    )
    if subject.task is not Task.MULTICLASS:
        assert means[-1] > means[0]
        assert means[0] < curves["wind", output]["average"] < means[-1]


def test_the_slice_where_the_model_knows_nothing_is_the_worst(inspected):
    _, told = inspected
    worst = told["slices"]["found"][0]
    assert (worst["feature"], worst["value"], worst["worse"]) == ("dest", "C", True)
    assert worst["behind"]["low"] > 0
    assert worst["chance"] < 0.05
    assert "the worst is dest = C" in told["slices"]["sentence"]
    assert told["slices"]["looked_at"] >= 16


def test_the_learning_curve_ends_with_the_model_and_answers_in_a_sentence(inspected):
    _, told = inspected
    curve = told["learning_curve"]
    assert [each["rows"] for each in curve["points"]] == [160, 320, 600, 1200]
    assert [each["days"] for each in curve["points"]] == [4, 8, 15, 30]
    assert curve["points"][-1]["value"] == told["overfit"]["parts"]["validation"]["value"]
    assert ("More rows would help" in curve["sentence"]) == (curve["gain"]["low"] > 0)


def test_the_overfit_check_tells_parts_baseline_and_seeds(inspected):
    _, told = inspected
    found = told["overfit"]
    assert set(found["parts"]) == set(found["baseline"]) == {"train", "validation", "test"}
    assert found["gap"]["value"] > 0  # LightGBM on 1,200 rows
    assert 0 < found["left"] <= 1
    assert found["sentence"].count("training rows") == 1


def test_all_of_it_is_json_without_nan_and_the_same_again(inspected):
    subject, told = inspected
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert importances(subject).to_json() == told["importance"]
    assert told["not_told"] == []


@pytest.mark.parametrize("task", list(Task), ids=str)
@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_contributions_of_trees_sum_to_the_margin(name, task):
    rows = drawn(task, days=10, seed=3)
    model, _ = fitted(name, drawn(task), task, n_estimators=10)
    found = contributions(model, rows.table, background=rows.table, seed=7)
    assert found.exact
    predicted = model.predict(rows.table)
    assert found.values.shape[:2] == (400, 4)
    linked = found.totals
    if task is Task.BINARY:
        linked = 1 / (1 + np.exp(-found.totals))
    if task is Task.MULTICLASS:
        odds = np.exp(found.totals)
        linked = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(linked, predicted, atol=1e-5)


@pytest.mark.parametrize("task", list(Task), ids=str)
def test_sampled_contributions_sum_to_the_prediction(task):
    rows = drawn(task, days=1, seed=3)
    name = "elastic_net" if task is Task.REGRESSION else "logistic_regression"
    model, _ = fitted(name, drawn(task), task)
    found = contributions(model, rows.table, background=drawn(task).table, seed=7)
    assert not found.exact
    np.testing.assert_allclose(found.totals, model.predict(rows.table), atol=1e-12)


def test_sampled_contributions_of_a_linear_model_are_coefficient_times_distance():
    """Of a linear model a Shapley value is exact: what the feature is away from the background."""
    task = Task.REGRESSION
    train = drawn(task)
    model, _ = fitted("linear_regression", train, task)
    rows, background = train.taken(np.arange(5)).table, train.taken(np.arange(16)).table
    found = contributions(model, rows, background=background, seed=7)
    moved = rows.set_column(1, "wind", pa.array(rows["wind"].to_numpy() + 1.0))
    slope = model.predict(moved) - model.predict(rows)
    away = rows["wind"].to_numpy() - background["wind"].to_numpy().mean()
    np.testing.assert_allclose(found.values[:, 0], slope * away, atol=1e-9)


def test_features_that_go_together_are_grouped():
    rng = np.random.default_rng(1)
    place = rng.integers(0, 5, 500)
    table = pa.table(
        {
            "dest": np.array(list("ABCDE"))[place],
            "distance": np.array([200.0, 900.0, 400.0, 2500.0, 100.0])[place],
            "name": np.array(["Ay", "Be", "Ce", "De", "Ee"])[place],
            "wind": rng.normal(0, 1, 500),
            "carrier": np.array(list("XYZ"))[rng.integers(0, 3, 500)],
        }
    )
    assert groups(table, table.column_names) == [("dest", "distance", "name")]


def test_many_categories_by_chance_are_no_group():
    rng = np.random.default_rng(1)
    table = pa.table(
        {
            "tail": np.array([f"N{n}" for n in rng.integers(0, 300, 500)]),
            "wind": rng.normal(0, 1, 500),
            "flight": np.array([f"F{n}" for n in rng.integers(0, 200, 500)]),
        }
    )
    assert groups(table, table.column_names) == []


def test_slices_that_differ_by_noise_are_not_called_worse():
    subject, _ = subject_of("lightgbm", Task.BINARY, n_estimators=15, num_leaves=7)
    rng = np.random.default_rng(5)
    count = len(subject.test)
    columns = {f"f{n}": np.array(list("AB"))[rng.integers(0, 2, count)] for n in range(20)}
    table = subject.test.table
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    found = slices(replace(subject, test=replace(subject.test, table=table)), list(columns))
    assert len(found.found) == 40
    assert not any(each.worse for each in found.found)
    assert found.sentence.startswith("Of 40 slices, none is worse than all rows together")


def test_a_slice_of_one_class_is_left_out_and_counted():
    subject, _ = subject_of("lightgbm", Task.BINARY, n_estimators=5)
    test = subject.test
    texts = pa.array(np.where(test.y > 0, "yes", "no"))
    table = test.table.append_column("told", texts)
    found = slices(replace(subject, test=replace(test, table=table)), ["told"])
    assert (found.found, found.left_out) == ((), 2)
    assert found.sentence == "No slice has rows enough to be judged by itself."


def test_a_sample_of_rows_is_the_same_in_any_order():
    rows = drawn(Task.BINARY)
    turned = rows.taken(np.arange(len(rows))[::-1])
    one, other = (each.sample(50, key=("number",)) for each in (rows, turned))
    assert len(one) == 50
    assert sorted(one.table["number"].to_pylist()) == sorted(other.table["number"].to_pylist())


def test_the_newest_days_are_taken_whole():
    days = np.array([1, 1, 2, 2, 2, 3, 4, 4])
    assert days[newest(days, 1 / 8)].tolist() == [4, 4]
    assert days[newest(days, 3 / 8)].tolist() == [3, 4, 4]
    assert days[newest(days, 1 / 2)].tolist() == [2, 2, 2, 3, 4, 4]


def test_rows_outside_of_the_range_of_training_are_counted_and_told():
    train = pa.table({"month": [1, 9], "temp": [10.0, 90.0], "dest": ["A", "B"]})
    seen = ranges(train, train.column_names)
    assert seen == {"month": [1.0, 9.0], "temp": [10.0, 90.0]}
    rows = pa.table({"month": [10, 10, 9], "temp": [float("nan"), 50.0, None], "dest": ["C"] * 3})
    found = beyond(rows, seen)
    assert [(each.feature, each.below, each.above) for each in found] == [("month", 0, 2)]
    assert warnings(found, algorithm="lightgbm") == (
        "month leaves the range of training in 2 above 9 (up to 10), of 3 rows: lightgbm predicts "
        "there as at the edge of what it has seen",
    )
    assert "polynomial grows without bound" in warnings(found, algorithm="polynomial")[0]
    twice = added([found, found], rows=6)
    assert (twice[0].above, twice[0].rows) == (4, 6)


def test_a_target_with_a_trend_is_told_of_trees_alone():
    train, later = np.linspace(0, 10, 100), np.linspace(9, 12, 50)
    told = target_beyond(later, train=train, algorithm="lightgbm")
    assert told
    assert "predict the change, or take a linear model" in told
    assert target_beyond(later, train=train, algorithm="ridge") is None
    assert target_beyond(train, train=train, algorithm="lightgbm") is None


def test_values_of_hidden_features_are_told_nowhere():
    subject, again = subject_of("lightgbm", Task.BINARY, n_estimators=15, num_leaves=7)
    place = subject.test.table.column_names.index("wind")
    far = subject.test.table.set_column(place, "wind", pc.add(subject.test.table["wind"], 3.14))
    hidden = frozenset({"wind", "dest", "number"})
    moved = Rows(far, subject.test.y, subject.test.days)
    told = inspect(replace(subject, test=moved, hidden=hidden), again)
    curves = {each["feature"]: each for each in told["dependence"]}
    assert curves["wind"]["values"][:2] == [f"{MASK} at 0%", f"{MASK} at 10%"]
    assert sorted(curves["dest"]["values"]) == [f"{MASK} {place}" for place in (1, 2, 3, 4)]
    assert curves["gust"]["numeric"]
    cut = {each["value"] for each in told["slices"]["found"] if each["feature"] in hidden}
    assert cut == {f"{MASK} {place}" for place in (1, 2, 3, 4)}
    for row in told["attribution"]["explained"]:
        assert row["key"] == {"number": MASK}
        parts = {part["feature"]: part["value"] for part in row["parts"]}
        assert {parts.get(name, MASK) for name in ("wind", "dest")} == {MASK}
        assert parts["gust"] != MASK
    (range_of,) = [each for each in told["ranges"]["found"] if each["feature"] == "wind"]
    assert (range_of["low"], range_of["most"]) == (None, None)
    assert "above its greatest" in range_of["sentence"]

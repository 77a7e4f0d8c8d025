"""Training and scoring of targets that are not true or false: one of several classes, a value."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sk

import headrace
from headrace.errors import TrainingError, UsageError
from headrace.lake import Lake, Table
from headrace.models import registry
from headrace.models.algorithms.algorithm import Task
from headrace.models.target import MOST_CLASSES
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from ray_tasks.examples import read
from ray_tasks.score import score
from ray_tasks.train import train

pytestmark = pytest.mark.usefixtures("ray_local")

TARGETS = {
    Task.MULTICLASS: {"name": "state", "of": "arrivals", "value": "landed", "task": "multiclass"},
    Task.REGRESSION: {"name": "delay", "of": "arrivals", "value": "delay", "task": "regression"},
}
NAMES = np.array(["early", "late", "on time"])


def states(rng, gusts, dest):
    late = gusts + (dest == 2) + rng.normal(0, 0.7, len(gusts))
    return "state", NAMES[np.where(late > 1, 1, np.where(late < -0.5, 0, 2))]


def numbers(rng, gusts, dest):
    name, found = states(rng, gusts, dest)
    return name, pa.array(np.searchsorted(NAMES, found) * 10, pa.int32())


def delays(rng, gusts, dest):
    return "delay", 10 * gusts + 20 * (dest == 2) + rng.normal(0, 5, len(gusts))


OUTCOMES = {Task.MULTICLASS: states, Task.REGRESSION: delays}


def declared_for(declared, task):
    training = {**declared["training"], "algorithms": ["lightgbm"], "trials": 2}
    return Pipeline.model_validate({**declared, "target": TARGETS[task], "training": training})


def trained_at(pipeline, lake, moment):
    return train(pipeline, lake, Settings(lake=lake.root), moment=moment, run="r1")


def with_cells(outcome, day_of):
    """The outcome, with some of its cells set by the number of the row."""

    def changed(rng, gusts, dest):
        name, found = outcome(rng, gusts, dest)
        found = np.array(found, dtype=object if found.dtype.kind == "U" else found.dtype)
        for row, value in day_of.items():
            found[row] = value
        return name, found.tolist() if found.dtype == object else found

    return changed


@pytest.fixture(scope="module", params=list(TARGETS), ids=str)
def first(request, tmp_path_factory, declared, gold, days, moment):
    """A lake with a training of one kind of target, and three days scored; not to be changed."""
    task = request.param
    lake = Lake(tmp_path_factory.mktemp(str(task)) / "lake")
    gold(lake, days, outcome=OUTCOMES[task])
    pipeline = declared_for(declared, task)
    result = trained_at(pipeline, lake, moment)
    due = [moment + timedelta(days=n) for n in range(3)]
    score(pipeline, lake, Settings(lake=lake.root), intervals=due, run="r1")
    return task, pipeline, lake, result


def test_a_model_that_beats_the_baselines_of_its_task_is_promoted(first):
    task, _, lake, result = first
    detail = result.detail
    baselines = {Task.MULTICLASS: ["class_prior"], Task.REGRESSION: ["mean", "median"]}[task]
    assert [each["candidate"] for each in detail["leaderboard"]] == [
        *baselines,
        "best_lookup",
        *(["best_column"] if task is Task.REGRESSION else []),
        "lightgbm",
    ]
    assert detail["metric"] == {Task.MULTICLASS: "log_loss", Task.REGRESSION: "rmse"}[task]
    assert all(each["failed"] == 0 for each in detail["leaderboard"])
    assert detail["decision"]["promoted"], detail["decision"]["sentence"]
    assert detail["gain"]["low"] > 0
    record = registry.record(lake, "flights", detail["model"])
    assert record["task"] == task


def test_the_test_metrics_are_those_of_scikit_learn_on_the_model_as_loaded(first, moment):
    task, pipeline, lake, result = first
    examples = read(lake, pipeline, moment=moment)
    part = examples.parts.test
    model = headrace.open(lake.root).model("flights")
    truth = examples.of(part).column(pipeline.target.name).to_pylist()
    predicted = model.predict(examples.of(part))
    found = result.detail["test"][0]["metrics"]
    if task is Task.REGRESSION:
        expected = {
            "rmse": sk.root_mean_squared_error(truth, predicted),
            "mae": sk.mean_absolute_error(truth, predicted),
            "median_ae": sk.median_absolute_error(truth, predicted),
            "r2": sk.r2_score(truth, predicted),
        }
    else:
        labels = list(model.classes.labels)
        told = np.array(labels)[predicted.argmax(axis=1)]
        expected = {
            "log_loss": sk.log_loss(truth, predicted, labels=labels),
            "roc_auc": sk.roc_auc_score(truth, predicted, multi_class="ovr", labels=labels),
            "accuracy": sk.accuracy_score(truth, told),
            "f1_macro": sk.f1_score(truth, told, average="macro"),
            "brier": sk.brier_score_loss(truth, predicted, labels=labels),
        }
    assert {name: each["value"] for name, each in found.items()} == pytest.approx(expected)
    for interval in found.values():
        assert interval["low"] <= interval["value"] <= interval["high"]


def test_scores_are_bit_for_bit_what_the_model_predicts(first, moment):
    task, _, lake, _ = first
    found = Table(lake.scores("flights")).arrow(partitions={"_interval": {moment}})
    found = found.sort_by("number")
    rows = Table(lake.gold("flights")).arrow(partitions={"_interval": {moment}}).sort_by("number")
    model = headrace.open(lake.root).model("flights", found["_model"][0].as_py())
    predicted = model.predict(rows)
    if task is Task.REGRESSION:
        assert "score" not in found.column_names
        assert found["prediction"].to_numpy().tobytes() == predicted.tobytes()
        return
    told = found["probabilities"].to_pylist()
    assert [[name for name, _ in row] for row in told] == [list(model.classes.labels)] * 60
    assert np.array([[p for _, p in row] for row in told]).tobytes() == predicted.tobytes()
    assert found["score"].to_numpy().tobytes() == predicted.max(axis=1).tobytes()
    best = [max(row, key=lambda pair: pair[1])[0] for row in told]
    assert found["prediction"].to_pylist() == best


def test_training_again_comes_to_the_same_model(first, lake, gold, days, moment):
    task, pipeline, _, result = first
    gold(lake, days, outcome=OUTCOMES[task], halves=True)
    assert trained_at(pipeline, lake, moment).detail["model"] == result.detail["model"]


def test_whole_numbers_as_classes_are_predicted_as_such(lake, declared, gold, days, moment):
    gold(lake, days, outcome=numbers)
    pipeline = declared_for(declared, Task.MULTICLASS)
    trained_at(pipeline, lake, moment)
    score(pipeline, lake, Settings(lake=lake.root), intervals=[moment], run="r1")
    found = Table(lake.scores("flights")).arrow()
    assert found.schema.field("prediction").type == pa.int32()
    assert set(found["prediction"].to_pylist()) == {0, 10, 20}
    assert [name for name, _ in found["probabilities"][0].as_py()] == ["0", "10", "20"]


def test_a_class_that_comes_after_training_counts_against_every_model(
    lake, declared, gold, days, moment
):
    later = with_cells(states, {0: "diverted", 1: "lost"})
    gold(lake, days[:30], outcome=states)
    gold(lake, days[30:50], outcome=later)
    gold(lake, days[50:], outcome=states)
    pipeline = declared_for(declared, Task.MULTICLASS)
    result = trained_at(pipeline, lake, moment)
    examples = read(lake, pipeline, moment=moment)
    assert examples.classes.labels == ("early", "late", "on time")
    assert examples.labels == (*examples.classes.labels, "diverted", "lost")
    for entry in result.detail["leaderboard"]:
        assert entry["failed"] == 0
        assert math.isfinite(entry["validation"]["log_loss"])
    # A probability of zero costs 36; one row in 30 has one.
    assert result.detail["test"][0]["metrics"]["log_loss"]["value"] > 36 / 30
    # The next challenger has learned these classes, and meets a champion that has not.
    again = trained_at(pipeline, lake, moment + timedelta(days=5))
    met = {row["role"]: row["metrics"]["log_loss"]["value"] for row in again.detail["test"]}
    assert met["winner"] < 0.9 < 36 / 30 < met["champion"]


def test_a_class_of_one_row_is_a_class(lake, declared, gold, days, moment):
    gold(lake, days[:1], outcome=with_cells(states, {3: "diverted"}))
    gold(lake, days[1:], outcome=states)
    pipeline = declared_for(declared, Task.MULTICLASS)
    result = trained_at(pipeline, lake, moment)
    assert result.detail["decision"]["promoted"]
    model = headrace.open(lake.root).model("flights")
    assert model.classes.labels == ("diverted", "early", "late", "on time")


@pytest.mark.parametrize("task", list(TARGETS), ids=str)
def test_three_rows_of_each_part_are_learned_from_and_promote_nobody(
    task, lake, declared, gold, days
):
    cells = {0: "late", 1: "early"} if task is Task.MULTICLASS else {}
    gold(lake, days[:3], few=3, outcome=with_cells(OUTCOMES[task], cells))
    split = {"validation": "1 days", "test": "1 days"}
    pipeline = declared_for({**declared, "split": split}, task)
    result = trained_at(pipeline, lake, days[3])
    assert result.rows["train"] == 3
    assert not result.detail["decision"]["promoted"]
    assert "at least 5 are needed" in result.detail["decision"]["sentence"]
    assert headrace.open(lake.root).model("flights").classes.task is task


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")])
def test_a_value_that_is_not_finite_is_left_out_and_told(lake, declared, gold, days, moment, value):
    gold(lake, days[:1], outcome=with_cells(delays, dict.fromkeys(range(60), value)))
    gold(lake, days[1:], outcome=delays)
    pipeline = declared_for(declared, Task.REGRESSION)
    examples = read(lake, pipeline, moment=moment)
    left_out = examples.infinite_target
    assert 50 < left_out <= 60  # some of the day never arrived
    assert examples.rows.num_rows == 50 * 60 - left_out


def test_what_is_not_finite_is_told_in_the_notes_of_a_training(lake, declared, gold, days, moment):
    gold(lake, days[:1], outcome=with_cells(delays, dict.fromkeys(range(60), float("inf"))))
    gold(lake, days[1:], outcome=delays)
    result = trained_at(declared_for(declared, Task.REGRESSION), lake, moment)
    assert sum(result.rows.values()) == 50 * 60
    count = result.rows["infinite_target"]
    assert f"{count} rows were left out: their target is infinite or NaN" in result.notes


@pytest.mark.parametrize("task", list(TARGETS), ids=str)
def test_a_target_that_is_always_the_same_is_an_error(task, lake, declared, gold, days, moment):
    name, value = {Task.MULTICLASS: ("state", "late"), Task.REGRESSION: ("delay", 3.0)}[task]
    gold(lake, days, outcome=lambda _, gusts, __: (name, [value] * len(gusts)))
    with pytest.raises(TrainingError, match="training part is the same in all rows"):
        trained_at(declared_for(declared, task), lake, moment)


@pytest.mark.parametrize("task", list(TARGETS), ids=str)
def test_a_test_part_that_is_always_the_same_is_an_error(task, lake, declared, gold, days, moment):
    name, value = {Task.MULTICLASS: ("state", "late"), Task.REGRESSION: ("delay", 3.0)}[task]
    gold(lake, days[:40], outcome=OUTCOMES[task])
    gold(lake, days[40:], outcome=lambda _, gusts, __: (name, [value] * len(gusts)))
    with pytest.raises(TrainingError, match="test part is the same in all rows"):
        trained_at(declared_for(declared, task), lake, moment)


def test_a_target_of_very_many_classes_is_refused(lake, declared, gold, days, moment):
    def keys(rng, gusts, dest):
        del dest
        return "state", pa.array(rng.integers(0, 10**9, len(gusts)))

    gold(lake, days, outcome=keys)
    with pytest.raises(TrainingError, match=f"classes, and a model at most {MOST_CLASSES:,}"):
        trained_at(declared_for(declared, Task.MULTICLASS), lake, moment)


def test_a_champion_of_another_task_is_not_met_and_does_not_score(first, declared, moment):
    task, pipeline, lake, _ = first
    other = next(each for each in TARGETS if each is not task)
    changed = replace_target(pipeline, declared_for(declared, other))
    with pytest.raises(UsageError, match=f"the model learned a {task} target, and the pipeline's"):
        score(
            changed,
            lake,
            Settings(lake=lake.root),
            intervals=[moment + timedelta(days=4)],
            run="r2",
        )


def replace_target(pipeline, other):
    target = pipeline.target.model_copy(update={"task": other.target.task})
    return pipeline.model_copy(update={"target": target})


def test_a_preset_is_trained_promoted_and_scores(tmp_path, declared, gold, days, moment):
    lake = Lake(tmp_path / "lake")
    gold(lake, days, outcome=OUTCOMES[Task.REGRESSION])
    training = {
        **{name: value for name, value in declared["training"].items() if name != "algorithms"},
        "preset": "quick",
        "time_limit": "30s",
    }
    target = TARGETS[Task.REGRESSION]
    pipeline = Pipeline.model_validate({**declared, "target": target, "training": training})
    result = trained_at(pipeline, lake, moment)
    (preset,) = (e for e in result.detail["leaderboard"] if e["candidate"] == "preset")
    assert preset["params"] == {"preset": "quick", "time_limit": 30.0}
    assert result.detail["decision"]["shipped"] == "preset"
    score(pipeline, lake, Settings(lake=lake.root), intervals=[moment], run="r1")
    found = Table(lake.scores("flights")).arrow(partitions={"_interval": {moment}})
    rows = Table(lake.gold("flights")).arrow(partitions={"_interval": {moment}})
    predicted = headrace.open(lake.root).model("flights").predict(rows.sort_by("number"))
    assert found.sort_by("number").column("prediction").to_pylist() == predicted.tolist()

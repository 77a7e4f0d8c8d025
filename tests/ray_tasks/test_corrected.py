"""Calibration and costs from the pipeline to models, scores and what the training tells."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

import headrace
from headrace.errors import TrainingError
from headrace.evaluation import history
from headrace.lake import Table
from headrace.models import registry
from headrace.models.algorithms import named
from headrace.models.decision import ClassRule
from headrace.models.model import Model, Recipe
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from ray_tasks.corrected import corrected
from ray_tasks.examples import read
from ray_tasks.score import score
from ray_tasks.train import train

pytestmark = pytest.mark.usefixtures("ray_local")

COSTS = {"false_positive": 1.0, "false_negative": 5.0}


def declared_with(declared, *, costs=None, calibration="none", **target):
    return Pipeline.model_validate(
        {
            **declared,
            "target": {**declared["target"], **target, "costs": costs},
            "training": {
                **declared["training"],
                "algorithms": ["naive_bayes"],
                "trials": 1,
                "calibration": calibration,
            },
        }
    )


def run(pipeline, lake, moment):
    settings = Settings(lake=lake.root)
    result = train(pipeline, lake, settings, moment=moment, run="r1")
    score(pipeline, lake, settings, intervals=[moment], run="r1")
    scores = Table(lake.scores("flights")).arrow(partitions={"_interval": {moment}})
    rows = Table(lake.gold("flights")).arrow(partitions={"_interval": {moment}})
    return result, scores.sort_by("number"), rows.sort_by("number")


def test_calibration_and_costs_reach_the_scores_and_the_record(lake, declared, gold, days, moment):
    gold(lake, days)
    pipeline = declared_with(declared, costs=COSTS, calibration="platt")
    result, scores, rows = run(pipeline, lake, moment)
    model = headrace.open(lake.root).model("flights")
    assert model.calibration.method == "platt"
    assert isinstance(model.rule, ClassRule)
    predicted = model.predict(rows)
    assert scores["score"].to_numpy().tobytes() == predicted.tobytes()
    at = model.rule.threshold
    assert at < 0.45
    assert scores["prediction"].to_pylist() == (predicted >= at).tolist()
    detail = result.detail
    assert detail["calibration"]["method"] == "platt"
    assert detail["calibration"]["sentence"] in result.notes
    before, after = (detail["calibration"]["test"][each] for each in ("before", "as shipped"))
    assert sum(each["rows"] for each in after["bins"]) == result.rows["test"]
    assert after["error"] < before["error"] + 0.02
    costs = {each["candidate"]: each for each in detail["costs"]["candidates"]}
    assert list(costs) == ["naive_bayes", "best_lookup", "always false", "always true"]
    assert costs["always false"]["saved"]["low"] > 0
    examples = read(lake, pipeline, moment=moment)
    part = examples.parts.test
    y, decision = examples.y[part.rows], model.decide(examples.predicted(model, part))
    wrong, missed = ((y == 0) & decision).sum(), ((y == 1) & ~decision).sum()
    told = costs["naive_bayes"]["cost"]["value"]
    assert told == pytest.approx(1000 * (wrong + 5 * missed) / len(y))
    assert detail["costs"]["confusion"]["naive_bayes"]["rows"][1][0] == missed
    assert detail["costs"]["rules"]["naive_bayes"] == {"threshold": at}
    assert detail["curves"]["naive_bayes"]["points"][-1]["recall"] == 1.0
    record = registry.record(lake, "flights", model.digest)
    assert record["costs"] == history.recall(lake, "flights", moment.isoformat()).detail["costs"]
    evaluations = Table(lake.evaluations).arrow().to_pylist()
    rows_of_cost = [row for row in evaluations if row["metric"] == "cost_per_1000"]
    assert {row["candidate"] for row in rows_of_cost} == set(costs)
    # Nothing of this is due again: targets have not changed because errors have a price.
    again = train(pipeline, lake, Settings(lake=lake.root), moment=moment, run="r2")
    assert again.detail["model"] == model.digest


def test_classes_are_decided_for_by_cost_and_a_stranger_is_refused_by_name(
    lake, declared, gold, days, moment
):
    names = np.array(["early", "late", "on time"])

    def states(rng, gusts, dest):
        late = gusts + (dest == 2) + rng.normal(0, 0.7, len(gusts))
        return "state", names[np.where(late > 1, 1, np.where(late < -0.5, 0, 2))]

    gold(lake, days, outcome=states)
    target = {"name": "state", "value": "landed", "task": "multiclass"}
    pipeline = declared_with(declared, costs={"late": 20.0}, calibration="temperature", **target)
    result, scores, rows = run(pipeline, lake, moment)
    model = headrace.open(lake.root).model("flights")
    assert model.calibration.method == "temperature"
    predicted = model.predict(rows)
    cost = predicted @ np.array([[0, 1, 1], [20, 0, 20], [1, 1, 0]])
    assert scores["prediction"].to_pylist() == names[cost.argmin(axis=1)].tolist()
    assert (cost.argmin(axis=1) != predicted.argmax(axis=1)).any()
    of_it = predicted[np.arange(60), cost.argmin(axis=1)]
    assert scores["score"].to_numpy().tobytes() == of_it.tobytes()
    assert "curves" not in result.detail
    costs = {each["candidate"]: each for each in result.detail["costs"]["candidates"]}
    assert costs["always late"]["saved"]["value"] > 0
    misspelt = declared_with(declared, costs={"lite": 20.0}, **target)
    later = moment + timedelta(days=5)
    with pytest.raises(TrainingError, match="did you mean 'late'"):
        train(misspelt, lake, Settings(lake=lake.root), moment=later, run="r3")


def test_values_are_predicted_higher_where_too_little_costs_more(
    lake, declared, gold, days, moment
):
    def delays(rng, gusts, dest):
        return "delay", 10 * gusts + 20 * (dest == 2) + rng.normal(0, 5, len(gusts))

    gold(lake, days, outcome=delays)
    target = {"name": "delay", "value": "delay", "task": "regression"}
    declared = {**declared, "training": {**declared["training"], "metric": "rmse"}}
    plain = declared_with(declared, costs={"over": 1.0, "under": 9.0}, **target)
    training = plain.training.model_copy(update={"algorithms": ("linear_regression",)})
    pipeline = plain.model_copy(update={"training": training})
    result, scores, rows = run(pipeline, lake, moment)
    model = headrace.open(lake.root).model("flights")
    assert model.rule.offset > 3  # of errors of a spread of 5, nine tenths
    expected = pa.array(model.predict(rows) + model.rule.offset)
    assert scores["prediction"].combine_chunks() == expected
    (winner, *others) = result.detail["costs"]["candidates"]
    assert winner["role"] == "winner"
    assert all(each["saved"]["low"] > 0 for each in others)
    assert "calibration" not in result.detail


def test_a_model_that_says_nan_is_refused_before_it_is_corrected(
    lake, declared, gold, days, moment
):
    gold(lake, days)
    pipeline = declared_with(declared, costs=COSTS)
    examples = read(lake, pipeline, moment=moment)
    form = named("class_prior").needs.categories
    encoding = examples.encodings([form])[form]
    recipe = Recipe("flights", "late", "class_prior", {}, 7, "", "", "")
    model = Model(recipe, encoding, {"prior": float("nan")})
    with pytest.raises(TrainingError, match="class_prior predicts NaN"):
        corrected(pipeline, examples, model)
    part = examples.parts.test
    told = f"class_prior predicts NaN or infinity of {len(part.rows):,} rows"
    with pytest.raises(TrainingError, match=told) as refused:
        examples.predicted(model, part)
    assert "leave the algorithm out" in refused.value.hint

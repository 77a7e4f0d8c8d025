from __future__ import annotations

import numpy as np
import pytest

from headrace.evaluation import history
from headrace.evaluation.metrics import Metric, measured
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from ray_tasks.examples import read
from ray_tasks.folded import folded, matrices, mean_of, together
from ray_tasks.train import train

SPLIT = {"kind": "stratified", "validation": "20%", "test": "20%", "folds": 3, "nested": 2}


@pytest.fixture
def dealt(declared):
    training = {**declared["training"], "algorithms": ["logistic_regression"], "trials": 2}
    return Pipeline.model_validate({**declared, "split": SPLIT, "training": training})


def encoded(examples, forms):
    encodings = examples.encodings(forms)
    parts = examples.parts.train, examples.parts.validation
    return folded(examples, forms, *(examples.samples(encodings, part) for part in parts))


def test_each_fold_is_encoded_by_its_own_training_rows(lake, gold, days, dealt, moment):
    gold(lake, days)
    examples = read(lake, dealt, moment=moment)
    folds = encoded(examples, ["one_hot"])
    assert len(folds) == 3
    for fold, (learned, held) in zip(folds, examples.folds, strict=True):
        own = examples.encodings(["one_hot"], on=learned)["one_hot"]
        given = fold.validation["one_hot"].X
        assert (given != own.matrix(examples.of(held))).nnz == 0
    whole = examples.encodings(["one_hot"])["one_hot"]
    other = whole.matrix(examples.of(examples.folds[0][1]))
    assert (other != folds[0].validation["one_hot"].X).nnz > 0


def test_without_folds_there_is_the_one_split_and_no_second_copy(
    lake, gold, days, pipeline, moment
):
    gold(lake, days)
    examples = read(lake, pipeline, moment=moment)
    (fold,) = encoded(examples, ["codes"])
    assert len(matrices((fold, fold))) == 2
    rows = fold.validation["codes"]
    score = np.linspace(0, 1, len(rows.y))
    found = fold.by_block("codes", score, Metric.BRIER)
    assert len(found) == 10  # days
    first = fold.blocks == 0
    assert found[0] == pytest.approx(measured(rows.y[first], score[first])[Metric.BRIER])


def test_what_folds_found_is_made_one():
    found = [{"rounds": 10, "rate": 0.1, "kind": "a"}, {"rounds": 31, "rate": 0.3, "kind": "b"}]
    assert together(found) == {"rounds": 20, "rate": 0.2, "kind": "b"}
    assert mean_of([{Metric.MAE: 1.0}, {Metric.MAE: 2.0}]) == {Metric.MAE: 1.5}


@pytest.mark.usefixtures("ray_local")
def test_a_dealt_split_trains_by_folds_and_tells_what_the_search_is_worth(
    lake, gold, days, dealt, moment
):
    gold(lake, days)
    result = train(dealt, lake, Settings(lake=lake.root), moment=moment, run="r1")
    detail = result.detail
    assert detail["decision"]["promoted"]
    assert detail["gain"]["blocks"] == 200
    assert detail["power"]["unit"] == "row"
    assert detail["power"]["have"] == result.rows["test"]
    chosen = detail["selection"]
    assert (chosen["trials"], chosen["asked"]) == (2, 1)
    assert chosen["expected"] <= chosen["value"]
    nested = detail["nested"]
    assert [each["candidate"] for each in nested["folds"]] == ["logistic_regression"] * 2
    assert nested["low"] < nested["value"] < nested["high"]
    assert nested["gain"]["value"] > 0
    judged = sum(each["rows"] for each in nested["folds"])
    assert judged == result.rows["train"] + result.rows["validation"]
    assert history.asked(lake, "flights") == 1

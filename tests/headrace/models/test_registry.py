from __future__ import annotations

import json
from datetime import UTC, datetime
from threading import Barrier, Thread

import pandas as pd
import pyarrow as pa
import pytest

from headrace.errors import CommitConflict, CorruptArtifact, UsageError
from headrace.models import registry
from headrace.models.algorithms import CATALOGUE
from headrace.models.algorithms.algorithm import Task
from headrace.models.registry import Alias

BINARY = [each for each in CATALOGUE if Task.BINARY in each.tasks and not each.extra]
ONE_PER_FORMAT = {each.save_as: each.name for each in reversed(BINARY)}.values()


def at(day):
    return datetime(2013, 12, day, 10, tzinfo=UTC)


def alias(model, day, *, decided=1):
    return Alias(
        pipeline="flights",
        alias="champion",
        model=model,
        moment=at(day),
        previous=None,
        decision="it was the best",
        run="r1",
        decided_at=datetime(2014, 1, decided, tzinfo=UTC),
    )


def promote(lake, *rows):
    for row in rows:
        registry.promote(lake, row, seen=registry.aliases(lake, "flights"))


@pytest.mark.parametrize("algorithm", ONE_PER_FORMAT)
def test_a_stored_model_predicts_the_same_bytes(lake, model_of, rows, algorithm):
    model = model_of(algorithm)
    again = registry.load(lake, "flights", registry.store(lake, model, {}))
    assert again.predict(rows).tobytes() == model.predict(rows).tobytes()
    assert again.recipe == model.recipe


def test_equal_models_have_one_digest_and_one_folder(lake, model_of):
    assert registry.store(lake, model_of(), {}) == registry.store(lake, model_of(), {"x": 1})
    assert len(list(lake.models("flights").iterdir())) == 1


def test_a_model_of_another_moment_has_another_digest(model_of):
    assert model_of().digest != model_of(moment="2014-01-01T10:00:00+00:00").digest


@pytest.mark.parametrize("name", ["model.txt", "encoding.json", "recipe.json"])
def test_a_changed_file_is_found_and_named(lake, model_of, name):
    model = registry.store(lake, model_of("lightgbm"), {})
    path = lake.models("flights") / model / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(CorruptArtifact, match=f"{name}: the content is not what its digest says"):
        registry.load(lake, "flights", model)


def test_a_record_with_other_digests_does_not_hide_a_changed_file(lake, model_of):
    model = registry.store(lake, model_of(), {})
    folder = lake.models("flights") / model
    (folder / "model.json").write_text('{"prior": 0.99}')
    told = json.loads((folder / "record.json").read_text())
    told["files"]["model.json"] = "0" * 64
    (folder / "record.json").write_text(json.dumps(told))
    with pytest.raises(CorruptArtifact, match=r"model\.json"):
        registry.load(lake, "flights", model)


def test_a_missing_file_is_corrupt(lake, model_of):
    model = registry.store(lake, model_of(), {})
    (lake.models("flights") / model / "encoding.json").unlink()
    with pytest.raises(CorruptArtifact, match=r"encoding\.json"):
        registry.load(lake, "flights", model)


def test_a_model_without_its_record_is_not_there_and_is_completed_by_the_next_store(lake, model_of):
    model = registry.store(lake, model_of(), {})
    (lake.models("flights") / model / "record.json").unlink()
    with pytest.raises(UsageError, match="no model"):
        registry.load(lake, "flights", model)
    assert registry.store(lake, model_of(), {}) == model
    assert registry.load(lake, "flights", model).digest == model


@pytest.mark.parametrize("name", ["../../secrets", "0" * 32, "champion"])
def test_a_name_that_is_no_model_is_a_usage_error(lake, name):
    with pytest.raises(UsageError, match="no model"):
        registry.load(lake, "flights", name)


def test_no_champion_before_the_first_promotion(lake):
    assert registry.champion(lake, "flights") is None


def test_the_champion_as_of_a_moment_was_trained_by_then(lake):
    promote(lake, alias("b" * 32, 10), alias("a" * 32, 1))
    found = [registry.champion(lake, "flights", at=at(day)) for day in (1, 9, 10, 31)]
    assert [row.model[0] for row in found] == ["a", "a", "b", "b"]


def test_no_champion_for_a_moment_before_all_training(lake):
    promote(lake, alias("a" * 32, 10))
    assert registry.champion(lake, "flights", at=at(9)) is None


def test_of_two_champions_of_one_moment_the_later_decision_holds(lake):
    promote(lake, alias("b" * 32, 1, decided=2), alias("a" * 32, 1, decided=1))
    assert registry.champion(lake, "flights").model == "b" * 32


def test_a_promotion_that_did_not_see_the_last_one_is_refused(lake):
    seen = registry.aliases(lake, "flights")
    promote(lake, alias("a" * 32, 1))
    with pytest.raises(CommitConflict, match="committed by another run in between"):
        registry.promote(lake, alias("b" * 32, 2), seen=seen)
    assert [row.model[0] for row in registry.promotions(lake, "flights")] == ["a"]


def test_of_two_promoters_at_once_one_gets_a_conflict(lake):
    promote(lake, alias("a" * 32, 1))
    seen, start, refused = registry.aliases(lake, "flights"), Barrier(2), []

    def promoter(model):
        start.wait()
        try:
            registry.promote(lake, alias(model, 2), seen=seen)
        except CommitConflict:
            refused.append(model)

    threads = [Thread(target=promoter, args=(letter * 32,)) for letter in "bc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1
    assert len(registry.promotions(lake, "flights")) == 2


def test_other_pipelines_do_not_stand_in_the_way(lake):
    seen = registry.aliases(lake, "trains")
    promote(lake, alias("a" * 32, 1))
    other = Alias(**{**vars(alias("b" * 32, 1)), "pipeline": "trains"})
    registry.promote(lake, other, seen=seen)
    assert registry.champion(lake, "trains").model == "b" * 32


@pytest.mark.parametrize("algorithm", ONE_PER_FORMAT)
def test_a_score_is_the_same_in_batches_of_any_size(model_of, rows, algorithm):
    model = model_of(algorithm)
    whole = model.predict(rows)
    for size in (1, 7, 64):
        parts = [model.predict(rows.slice(i, size)) for i in range(0, rows.num_rows, size)]
        assert b"".join(part.tobytes() for part in parts) == whole.tobytes()


def test_a_pandas_frame_is_scored_like_its_table(model_of, rows):
    model = model_of("lightgbm")
    frame = rows.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert model.predict(frame).tobytes() == model.predict(rows).tobytes()


def test_no_rows_have_no_scores(model_of, rows):
    assert model_of("logistic_regression").predict(rows.slice(0, 0)).tolist() == []


def test_predicting_from_an_infinite_feature_is_refused(model_of):
    rows = pa.table({"dest": ["A", "A"], "hour": [1.0, float("inf")]})
    with pytest.raises(UsageError, match=r"infinite hour \(row 1\)"):
        model_of("lightgbm").predict(rows)


def test_features_of_other_types_are_listed(model_of, rows):
    schema = rows.schema.set(1, pa.field("hour", pa.float64())).remove(0)
    with pytest.raises(
        UsageError, match=r"dest is missing and was string.*hour is double and was int64"
    ):
        model_of("lightgbm").check(schema)

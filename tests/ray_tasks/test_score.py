from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml

import headrace
from headrace.errors import UsageError
from headrace.intervals import SCORE_VERSION
from headrace.lake import Table, digest
from headrace.lake.history import history
from headrace.models import registry
from headrace.models.registry import Alias
from headrace.settings import Settings
from headrace.stage import Outcome
from ray_tasks.score import score

pytestmark = pytest.mark.usefixtures("ray_local")


def scored(pipeline, lake, intervals, *, run="r1", stale=False):
    settings = Settings(lake=lake.root)
    return score(pipeline, lake, settings, intervals=intervals, run=run, stale=stale)


def rows_of(path, day):
    return Table(path).arrow(partitions={"_interval": {day}}).sort_by("number")


@pytest.fixture
def due(moment):
    """Three days from the training moment on."""
    return [moment + timedelta(days=n) for n in range(3)]


def test_each_interval_is_one_commit_with_its_rows(trained, pipeline, due):
    result = scored(pipeline, trained, due)
    assert result.outcome is Outcome.DONE
    assert result.units == tuple(day.isoformat() for day in due)
    assert result.rows == {"read": 180, "scored": 180, "refused": 0}
    table = Table(trained.scores("flights"))
    assert (table.version, table.arrow().num_rows) == (2, 180)
    assert not Table.exists(trained.refused("flights"))


def test_a_score_names_its_row_its_model_its_data_and_its_run(trained, pipeline, due):
    scored(pipeline, trained, due[:1], run="r9")
    table = Table(trained.scores("flights"))
    assert table.schema.names == [
        *("number", "at", "score", "prediction", "_model", "_fingerprint", "_run", "_interval")
    ]
    assert table.partition_by == ("_interval",)
    row = table.arrow().to_pylist()[0]
    gold = rows_of(trained.gold("flights"), due[0])
    assert row["_model"] == registry.champion(trained, "flights").model
    assert row["_fingerprint"] == digest(gold["_fingerprint"][0].as_py(), SCORE_VERSION)
    assert row["_run"] == "r9"


def test_a_commit_of_scores_names_the_version_of_features_and_the_model(trained, pipeline, due):
    scored(pipeline, trained, due[:1])
    (event,) = history(trained.root, ("scores/flights",), subject="flights")
    assert event.told == {
        "gold": Table(trained.gold("flights")).version,
        "model": registry.champion(trained, "flights").model,
        "rows": 60,
    }


def test_scores_are_exactly_what_the_model_predicts(trained, pipeline, due):
    scored(pipeline, trained, due[:1])
    found = rows_of(trained.scores("flights"), due[0])
    gold = rows_of(trained.gold("flights"), due[0])
    expected = headrace.open(trained.root).model("flights").predict(gold)
    assert found["score"].to_numpy().tobytes() == expected.tobytes()
    assert found["prediction"].to_pylist() == (expected >= 0.5).tolist()
    assert found["number"].to_pylist() == gold["number"].to_pylist()


def test_rows_without_a_known_target_are_scored_too(trained, pipeline, due):
    gold = rows_of(trained.gold("flights"), due[0])
    assert gold["late"].null_count > 0
    scored(pipeline, trained, due[:1])
    assert rows_of(trained.scores("flights"), due[0]).num_rows == gold.num_rows


def test_running_again_scores_only_what_is_missing(trained, pipeline, due):
    scored(pipeline, trained, due[:1], run="r1")
    result = scored(pipeline, trained, due, run="r2")
    assert result.units == tuple(day.isoformat() for day in due[1:])
    runs = Table(trained.scores("flights")).arrow()["_run"]
    assert {row["values"]: row["counts"] for row in pc.value_counts(runs).to_pylist()} == {
        "r1": 60,
        "r2": 120,
    }


def test_what_was_delivered_is_not_rewritten_by_a_new_champion(trained, pipeline, due):
    scored(pipeline, trained, due[:1])
    before = rows_of(trained.scores("flights"), due[0])
    _promote(trained, "f" * 32, moment=pipeline.at(due[0]))
    assert scored(pipeline, trained, due[:1]).outcome is Outcome.ALREADY_DONE
    assert rows_of(trained.scores("flights"), due[0]).equals(before)


def test_the_command_line_runs_again_without_ray(trained, pipeline, declared, due, tmp_path):
    scored(pipeline, trained, due)
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(declared))
    arguments = ["--pipeline", str(tmp_path / "pipeline.yaml"), "--lake", str(trained.root)]
    arguments += ["--run", "r2", "--interval", *(day.isoformat() for day in due)]
    code = (
        f"import sys, runpy\nsys.argv = ['score', *{arguments!r}]\n"
        "runpy.run_module('ray_tasks.score', run_name='__main__')\n"
        "print('ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
    told = json.loads((trained.runs("r2") / "score-flights.json").read_text())
    assert told["outcome"] == "already_done"
    assert Table(trained.scores("flights")).version == 2


def test_a_row_with_an_infinite_feature_is_refused_with_its_reason(trained, pipeline, gold, moment):
    day = moment + timedelta(days=100)
    gold(trained, [day], wind=math.inf)
    result = scored(pipeline, trained, [day])
    assert result.rows == {"read": 60, "scored": 59, "refused": 1}
    assert Table(trained.scores("flights")).arrow().num_rows == 59
    refused = Table(trained.refused("flights")).arrow().to_pylist()
    assert [(row["number"], row["_reason"], row["wind"]) for row in refused] == [
        (0, "infinite wind", math.inf)
    ]


def test_a_feature_beyond_what_the_model_has_seen_is_told(trained, pipeline, gold, moment):
    day = moment + timedelta(days=100)
    gold(trained, [day], wind=1e3)
    result = scored(pipeline, trained, [day])
    (note,) = result.notes
    assert "wind leaves the range of training in 1 above" in note
    assert "(up to 1000), of 60 rows" in note


def test_refused_rows_without_their_scores_are_not_doubled(trained, pipeline, gold, moment):
    day = moment + timedelta(days=100)
    gold(trained, [day], wind=math.inf)
    scored(pipeline, trained, [day])
    shutil.rmtree(trained.scores("flights"))
    assert scored(pipeline, trained, [day]).rows["refused"] == 1
    assert Table(trained.refused("flights")).arrow().num_rows == 1


def test_only_stale_replaces_scores_and_only_of_changed_features(trained, pipeline, gold, due):
    scored(pipeline, trained, due, run="r1")
    gold(trained, [due[1]], replace=True, seed=5)
    assert scored(pipeline, trained, due, run="r2").outcome is Outcome.ALREADY_DONE
    result = scored(pipeline, trained, due, run="r3", stale=True)
    assert result.units == (due[1].isoformat(),)
    runs = [set(rows_of(trained.scores("flights"), day)["_run"].to_pylist()) for day in due]
    assert runs == [{"r1"}, {"r3"}, {"r1"}]
    assert Table(trained.scores("flights")).arrow().num_rows == 180


def test_refused_rows_go_when_stale_scores_are_replaced(trained, pipeline, gold, moment):
    day = moment + timedelta(days=100)
    gold(trained, [day], wind=math.inf)
    scored(pipeline, trained, [day])
    gold(trained, [day], replace=True)
    assert scored(pipeline, trained, [day], stale=True).rows["refused"] == 0
    assert Table(trained.refused("flights")).arrow().num_rows == 0


def test_an_interval_is_scored_by_the_champion_of_its_time(trained, pipeline, due):
    old = registry.champion(trained, "flights")
    new = _another_model(trained, old.model)
    _promote(trained, new, moment=pipeline.at(due[1]))
    result = scored(pipeline, trained, due)
    assert list(result.detail["models"].values()) == [old.model, new, new]
    found = Table(trained.scores("flights")).arrow()
    for day, model in zip(due, (old.model, new, new), strict=True):
        rows = found.filter(pc.equal(found["_interval"], pa.scalar(day)))
        assert set(rows["_model"].to_pylist()) == {model}


def test_an_interval_before_every_training_is_refused(trained, pipeline, days):
    with pytest.raises(UsageError, match="no model was champion yet on 2013-01-01"):
        scored(pipeline, trained, days[:1])


def test_an_interval_without_features_is_an_error_and_nothing_is_scored(trained, pipeline, due):
    nothing = due[0] + timedelta(days=365)
    with pytest.raises(UsageError, match="there are no features of 2014-02-20"):
        scored(pipeline, trained, [*due, nothing])
    assert not Table.exists(trained.scores("flights"))


def test_features_of_another_type_are_refused_before_anything_is_scored(trained, pipeline, due):
    old = registry.champion(trained, "flights").model
    other = _another_model(trained, old, hour="double")
    _promote(trained, other, moment=pipeline.at(due[0]))
    with pytest.raises(UsageError, match="hour is int32 and was double in training"):
        scored(pipeline, trained, due)
    assert not Table.exists(trained.scores("flights"))


def _another_model(lake, digest_of_old, *, hour="int32"):
    """The same model under another recipe; as if `hour` had been of another type in training."""
    from dataclasses import replace

    old = registry.load(lake, "flights", digest_of_old)
    columns = tuple(
        replace(column, type=hour) if column.name == "hour" else column
        for column in old.encoding.columns
    )
    new = replace(
        old,
        recipe=replace(old.recipe, spec="another"),
        encoding=replace(old.encoding, columns=columns),
        record={},
    )
    told = {"features": new.signature, "algorithm": new.recipe.algorithm}
    return registry.store(lake, new, told)


def _promote(lake, model, *, moment):
    alias = Alias(
        pipeline="flights",
        alias="champion",
        model=model,
        moment=moment.astimezone(UTC),
        previous=None,
        decision="by hand",
        run="r",
        decided_at=datetime.now(UTC),
    )
    registry.promote(lake, alias, seen=registry.aliases(lake, "flights"))

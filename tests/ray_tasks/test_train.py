from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import timedelta

import pytest
import yaml

import headrace
from headrace import report, runs
from headrace.errors import LeakFound, TrainingError, UsageError
from headrace.evaluation import history
from headrace.lake import Table
from headrace.models import registry
from headrace.settings import Settings
from headrace.spec.training import Allowance
from headrace.stage import Outcome, StageResult
from ray_tasks.examples import read
from ray_tasks.train import train

pytestmark = pytest.mark.usefixtures("ray_local")


@pytest.fixture
def again(pipeline, moment):
    """Trains on a lake as of `later` days after the first moment."""

    def trained_again(lake, *, later=0):
        day = moment + timedelta(days=later)
        return train(pipeline, lake, Settings(lake=lake.root), moment=day, run="r2")

    return trained_again


def without_seconds(result):
    board = [{**entry, "seconds": 0} for entry in result.detail["leaderboard"]]
    # Of the search the curve goes by the clock, and by which trial ended first.
    tried = result.detail["search"]["algorithms"]
    search = [(each["candidate"], each["trials"], each["failed"], each["fits"]) for each in tried]
    return {**result.detail, "leaderboard": board, "search": search}


def test_a_model_that_beats_the_baseline_is_promoted(first_training, pipeline, moment):
    lake, result = first_training
    detail = result.detail
    assert result.outcome is Outcome.DONE
    assert detail["decision"]["promoted"]
    assert detail["decision"]["shipped"] in pipeline.training.algorithms
    assert detail["gain"]["low"] > 0
    alias = registry.champion(lake, "flights")
    assert alias.model == detail["model"]
    assert alias.moment == pipeline.at(moment)
    assert alias.decision == detail["decision"]["sentence"]


def test_the_leaderboard_holds_baselines_and_algorithms_with_their_trials(first_training):
    board = first_training[1].detail["leaderboard"]
    assert [(row["candidate"], row["kind"], row["trials"], row["failed"]) for row in board] == [
        ("class_prior", "baseline", 1, 0),
        ("best_lookup", "baseline", 1, 0),
        ("logistic_regression", "algorithm", 3, 0),
        ("lightgbm", "algorithm", 3, 0),
    ]
    assert set(board[0]["validation"]) == {"roc_auc", "pr_auc", "log_loss", "brier"}


def test_the_test_part_meets_the_winner_and_the_best_baseline_only(first_training):
    tested = first_training[1].detail["test"]
    assert [row["role"] for row in tested] == ["winner", "baseline"]
    for row in tested:
        for interval in row["metrics"].values():
            assert interval["low"] <= interval["value"] <= interval["high"]


def test_every_row_before_the_moment_is_in_a_part_or_counted_as_left_out(first_training):
    rows = dict(first_training[1].rows)
    assert rows["without_known_target"] > 0
    assert sum(rows.values()) == 50 * 60


def test_the_record_names_data_spec_code_and_libraries(first_training):
    lake, result = first_training
    record = registry.record(lake, "flights", result.detail["model"])
    assert record["data"]["table"] == "gold/flights"
    assert record["data"]["intervals"] == 40
    assert record["code"]["version"]
    assert record["libraries"]["lightgbm"]
    assert record["features"] == {"dest": "string", "hour": "int32", "wind": "double"}
    assert record["decision"] == result.detail["decision"]


def test_evaluations_hold_each_metric_and_the_decision_as_rows(first_training):
    lake, result = first_training
    rows = Table(lake.evaluations).arrow().to_pylist()
    parts = [row["part"] for row in rows]
    assert {part: parts.count(part) for part in set(parts)} == {
        "validation": 16,
        "test": 8,
        "gain": 1,
        "decision": 1,
    }
    assert [row["model"] for row in rows if row["part"] == "decision"] == [result.detail["model"]]


def test_the_shipped_model_was_inspected_and_its_ranges_are_kept(first_training):
    lake, result = first_training
    told = result.detail["inspection"]
    assert told["importance"]["found"][0]["features"] == ["wind"]
    assert told["importance"]["found"][0]["low"] > 0
    assert [each["rows"] for each in told["learning_curve"]["points"]][-1] == result.rows["train"]
    assert set(told["overfit"]["parts"]) == {"train", "validation", "test"}
    assert told["not_told"] == []
    seen = registry.record(lake, "flights", result.detail["model"])["ranges"]
    assert set(seen) == {"hour", "wind"}
    assert seen["hour"] == [5.0, 23.0]


def test_running_again_is_already_done_and_changes_no_table(trained, first_training, again):
    versions = {path: Table(path).version for path in (trained.aliases, trained.evaluations)}
    result = again(trained)
    assert result.outcome is Outcome.ALREADY_DONE
    assert result.detail == first_training[1].detail
    assert {path: Table(path).version for path in versions} == versions


def test_the_command_line_runs_again_without_ray(trained, declared, moment, tmp_path):
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(declared))
    arguments = ["--pipeline", str(tmp_path / "pipeline.yaml"), "--lake", str(trained.root)]
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['train', *{arguments!r}, '--moment', {moment.isoformat()!r}, '--run', 'r2']\n"
        "runpy.run_module('ray_tasks.train', run_name='__main__')\n"
        "print('ray' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"
    told = json.loads((trained.runs("r2") / f"train-flights-{moment}.json").read_text())
    assert StageResult.from_json(told).outcome is Outcome.ALREADY_DONE


def test_the_newest_training_is_the_one_with_the_latest_moment(trained, first_training):
    assert history.newest(trained, "flights").detail == first_training[1].detail
    assert history.newest(trained, "others") is None


def test_equal_rows_in_other_files_give_the_same_model_and_leaderboard(
    lake, first_training, gold, days, again
):
    gold(lake, days, halves=True)
    result = again(lake)
    assert without_seconds(result) == without_seconds(first_training[1])


@pytest.mark.parametrize("lost", [["evaluations"], ["evaluations", "aliases", "record"]])
def test_a_run_ended_between_two_commits_is_completed_by_the_next(
    trained, first_training, lost, again
):
    for name in lost[:2]:
        shutil.rmtree(trained.root / name)
    if "record" in lost:
        for record in trained.models("flights").glob("*/record.json"):
            record.unlink()
    result = again(trained)
    assert without_seconds(result) == without_seconds(first_training[1])
    assert [row.model for row in registry.promotions(trained, "flights")] == [
        result.detail["model"]
    ]
    assert registry.load(trained, "flights", result.detail["model"])
    assert again(trained).outcome is Outcome.ALREADY_DONE


def test_a_challenger_that_is_not_better_leaves_the_champion(trained, first_training, again):
    champion = first_training[1].detail["model"]
    result = again(trained, later=5)
    assert [row["role"] for row in result.detail["test"]] == ["winner", "baseline", "champion"]
    assert result.detail["leaderboard"][-1]["kind"] == "champion"
    assert not result.detail["decision"]["promoted"]
    assert result.detail["model"] == champion
    assert len(registry.promotions(trained, "flights")) == 1


def test_without_a_signal_the_baseline_is_shipped_and_marked(lake, gold, days, again):
    gold(lake, days, signal=0.0)
    result = again(lake)
    assert not result.detail["decision"]["promoted"]
    assert result.detail["decision"]["shipped"] in {"class_prior", "best_lookup"}
    assert registry.record(lake, "flights", result.detail["model"])["role"] == "baseline"
    model = headrace.open(lake.root).model("flights")
    assert model.digest == result.detail["model"]


def test_a_row_with_an_infinite_feature_is_left_out_and_counted(lake, pipeline, gold, days, moment):
    gold(lake, days[:1], wind=float("inf"))
    gold(lake, days[1:])
    examples = read(lake, pipeline, moment=moment)
    assert (examples.infinite, examples.rows.num_rows) == (1, 50 * 60 - 1)


def test_a_moment_before_all_features_is_an_error(lake, gold, days, again):
    gold(lake, days[:2])
    with pytest.raises(TrainingError, match="no features of days before 2013-01-01"):
        again(lake, later=-50)


def test_without_gold_there_is_nothing_to_train_on(lake, again):
    with pytest.raises(UsageError, match="no table here"):
        again(lake)


def with_a_leak(gold, lake, days, **of_rows):
    """Gold whose wind is the target, in the place of the weather of the day."""
    gold(lake, days, told=True, **of_rows)


def allowing(pipeline, *allowances):
    training = pipeline.training.model_copy(
        update={"allow": tuple(Allowance.model_validate(each) for each in allowances)}
    )
    return pipeline.model_copy(update={"training": training})


def test_a_leak_stops_the_training_before_anything_is_fitted(lake, gold, days, again):
    with_a_leak(gold, lake, days)
    with pytest.raises(LeakFound) as caught:
        again(lake)
    told = str(caught.value)
    assert "perfect_feature (wind)" in told
    assert '"auc": {"auc": 1.0' in told
    assert '    - {leak: perfect_feature, columns: [wind], reason: "..."}' in told
    assert not registry.promotions(lake, "flights")
    assert history.recall(lake, "flights", "2013-02-20") is None
    rows = Table(lake.evaluations).arrow().to_pylist()
    assert [(r["part"], r["role"], r["candidate"], r["metric"]) for r in rows] == [
        ("audit", "perfect_feature", "wind", "refused")
    ]


def test_what_an_audit_refused_is_on_the_page_of_the_run(lake, gold, days, pipeline, moment):
    with_a_leak(gold, lake, days)
    settings = Settings(lake=lake.root)
    with pytest.raises(LeakFound):
        runs.perform(
            "train",
            "flights",
            lambda: train(pipeline, lake, settings, moment=moment, run="r2"),
            folder=lake.runs("r2"),
        )
    page = report.write(pipeline, lake, run="r2").read_text()
    assert "training stopped" in page
    assert "wind alone tells the target nearly perfectly" in page


def test_an_allowed_leak_trains_and_is_told_with_its_reason(lake, gold, days, pipeline, moment):
    with_a_leak(gold, lake, days)
    allowed = allowing(
        pipeline,
        {"leak": "perfect_feature", "columns": ["wind"], "reason": "a test <of> ours"},
        {"leak": "row_order", "columns": ["number"], "reason": "it was so once"},
    )
    settings = Settings(lake=lake.root)
    result = runs.perform(
        "train",
        "flights",
        lambda: train(allowed, lake, settings, moment=moment, run="r2"),
        folder=lake.runs("r2"),
    )
    assert result.outcome is Outcome.DONE
    assert [each["allowed"] for each in result.detail["audit"]["findings"]] == ["a test <of> ours"]
    assert result.detail["audit"]["unused"] == [
        "nothing matches the allowance of row_order of number: remove it"
    ]
    page = report.write(allowed, lake, run="r2").read_text()
    assert "a test &lt;of&gt; ours" in page
    assert "nothing matches the allowance of row_order" in page
    rows = Table(lake.evaluations).arrow().to_pylist()
    assert {r["metric"] for r in rows if r["part"] == "audit"} == {"allowed"}


def test_an_allowance_of_another_column_or_kind_allows_nothing(lake, gold, days, pipeline, moment):
    with_a_leak(gold, lake, days)
    other = allowing(
        pipeline,
        {"leak": "perfect_feature", "columns": ["hour"], "reason": "x"},
        {"leak": "known_after_at", "columns": ["wind"], "reason": "x"},
    )
    with pytest.raises(LeakFound, match="wind alone tells"):
        train(other, lake, Settings(lake=lake.root), moment=moment, run="r2")


def test_a_clean_training_says_that_nothing_was_found(first_training):
    assert first_training[1].detail["audit"]["findings"] == []

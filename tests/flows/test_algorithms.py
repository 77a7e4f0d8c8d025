from __future__ import annotations

import json
import subprocess
import sys
from datetime import date

import pyarrow as pa
import pytest

from headrace.lake import Lake, commit, stage_file
from headrace.models.algorithms import names


def test_every_algorithm_is_listed(headrace):
    code, out, _ = headrace("algorithms", "--json")
    assert code == 0
    assert [each["name"] for each in json.loads(out)] == list(names())
    assert headrace("algorithms")[0] == 0


def test_one_is_told_with_its_parameters_budget_and_caveats(headrace):
    code, out, _ = headrace("algorithms", "svm")
    assert code == 0
    for part in ("gamma", "0.01 to 1000, log", "20,000 rows", "more is refused", "svm_nystroem"):
        assert part in out, part
    told = json.loads(headrace("algorithms", "svm", "--json")[1])
    assert told["tasks"] == ["binary", "multiclass"]


def test_what_fits_it_on_more_rows_than_one_node_has_is_told(headrace):
    assert "bigger than one node: by spark" in headrace("algorithms", "naive_bayes")[1]
    assert "bigger than one node" not in headrace("algorithms", "svm")[1]
    assert json.loads(headrace("algorithms", "xgboost", "--json")[1])["engines"] == ["ray_train"]


def test_an_asked_name_finds_its_entry_and_quest_is_told_not_to_be_offered(headrace):
    told = headrace("algorithms", "CART")[1]
    assert "Decision tree" in told
    assert "also asked for as: cart, regression_tree" in told
    code, out, _ = headrace("algorithms", "quest")
    assert code == 0
    assert "quest is not offered" in out
    assert "`decision_tree`" in out
    assert "`chaid`" in out
    code, _, err = headrace("algorithms", "lightgmb")
    assert code == 2
    assert "did you mean 'lightgbm'?" in err


def test_choose_proposes_with_reasons_and_baselines_first(headrace):
    code, out, _ = headrace(
        *("choose", "--task", "binary", "--rows", "50000", "--columns", "12", "--unequal-costs")
    )
    assert code == 0
    assert out.index("class_prior") < out.index("lightgbm")
    assert "threshold" in out


def test_choose_takes_the_features_from_a_pipeline_and_asks_for_rows(headrace):
    code, _, err = headrace("choose", "pipeline.yaml")
    assert code == 2
    assert "--rows" in err
    code, out, _ = headrace("choose", "pipeline.yaml", "--rows", "500")
    assert code == 0
    assert "500 rows, 1 columns" in out


def test_choose_takes_costs_from_a_pipeline_and_classes_from_its_features(headrace, folder):
    file, lake = folder / "pipeline.yaml", Lake(folder / "lake")
    costs = "value: delay > 15, costs: {false_positive: 1, false_negative: 4}}"
    pipeline = file.read_text()
    file.write_text(pipeline.replace("value: delay > 15}", costs))
    assert "errors cost differently" in headrace("choose", "pipeline.yaml", "--rows", "500")[1]
    delays = "value: delay, task: multiclass}"
    file.write_text(pipeline.replace("value: delay > 15}", delays))
    rows = pa.table({"line": ["red"] * 600, "late": [*range(60)] * 10})
    files = [stage_file(lake.gold("rides"), rows, partition={"_interval": date(2014, 1, 5)})]
    commit(
        lake.gold("rides"),
        files,
        schema=rows.schema.append(pa.field("_interval", pa.date32())),
        unit="rides/features/gold",
        partition_by=["_interval"],
    )
    told = json.loads(headrace("choose", "pipeline.yaml", "--json")[1])
    assert (told["rows"], told["columns"]) == (600, 1)
    assert told["proposals"][-1]["why"].startswith("60 classes")


def test_choose_refuses_a_task_that_is_none(headrace):
    code, _, err = headrace("choose", "--task", "ranking", "--rows", "5", "--columns", "5")
    assert code == 2
    assert "no task 'ranking'" in err


@pytest.mark.parametrize("command", ["algorithms", "choose --rows 500 --columns 5"])
def test_they_load_no_library(command):
    heavy = "{'numpy', 'sklearn', 'pyarrow', 'lightgbm', 'pyspark', 'ray', 'prefect'}"
    code = (
        "import sys\nfrom flows.cli import main\n"
        f"try:\n    main({command.split()!r})\n"
        f"finally:\n    print('loaded', sorted(set(sys.modules) & {heavy}))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert "loaded []" in done.stdout, done.stderr


def test_a_form_that_no_algorithm_is_written_in_is_refused(headrace):
    asked = ["choose", "--task", "binary", "--rows", "500", "--columns", "5", "--export"]
    assert headrace(*asked, "onnx")[0] == 0
    assert headrace(*asked, "foo")[0] == 2

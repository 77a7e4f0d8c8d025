from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.algorithms.algorithm import Task
from headrace.models.choose import Problem, choose


def proposed(**told):
    return [each.algorithm.name for each in choose(Problem(**told)).proposals]


def test_baselines_come_first():
    assert proposed(task=Task.BINARY, rows=500, columns=5)[0] == "class_prior"


@pytest.mark.parametrize(
    ("rows", "wanted", "unwanted"),
    [(2_000, "gaussian_process", "xgboost"), (500_000, "xgboost", "svm")],
)
def test_sizes_decide(rows, wanted, unwanted):
    found = proposed(task=Task.BINARY, rows=rows, columns=20)
    assert wanted in found
    assert unwanted not in found


def test_to_be_read_gives_rules_and_lines():
    found = proposed(task=Task.BINARY, rows=5_000, columns=20, explain=True)
    assert {"decision_list", "decision_tree", "logistic_regression"} <= set(found)
    assert "lightgbm" not in found


def test_beyond_the_data_no_tree_is_proposed_and_the_reason_is_told():
    problem = Problem(Task.REGRESSION, 5_000, 20, extrapolate=True, explain=True)
    found = choose(problem)
    assert "ridge" in [each.algorithm.name for each in found.proposals]
    assert found.left_out["decision_tree"] == "does not extrapolate"


def test_a_form_leaves_those_that_are_written_in_it():
    found = proposed(task=Task.BINARY, rows=5_000, columns=20, export="sql")
    assert {"decision_list", "chaid"} == set(found) - {"class_prior", "best_lookup"}


def test_many_classes_are_for_methods_that_share_work():
    assert proposed(task=Task.MULTICLASS, rows=50_000, columns=20, classes=400)[-1] != "lightgbm"


@given(
    st.sampled_from(list(Task)),
    st.integers(1, 10**9),
    st.integers(1, 10**5),
    st.booleans(),
    st.booleans(),
)
def test_what_is_proposed_learns_the_task_within_its_budget(
    task, rows, columns, explain, extrapolate
):
    problem = Problem(task, rows, columns, explain=explain, extrapolate=extrapolate)
    for each in choose(problem).proposals:
        assert task in each.algorithm.tasks
        assert each.why
        if not each.algorithm.baseline:
            assert rows <= each.algorithm.budget.rows
            assert columns <= each.algorithm.budget.columns

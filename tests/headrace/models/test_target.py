from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import TrainingError, UsageError
from headrace.models.algorithms.algorithm import Task
from headrace.models.target import MOST_CLASSES, Classes

texts = st.lists(st.text(max_size=3), min_size=2, max_size=20)
whole = st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=20)


def column(values, kind=None):
    return pa.chunked_array([values], kind)


@given(labels=(texts | whole).filter(lambda found: len(set(found)) > 1))
def test_codes_are_in_the_order_of_labels_and_come_back_from_json(labels):
    classes = Classes.fit(Task.MULTICLASS, column(labels))
    assert list(classes.labels) == sorted(set(labels))
    codes = classes.codes(column(labels))
    assert [classes.labels[int(code)] for code in codes] == labels
    assert Classes.from_json(json.loads(json.dumps(classes.to_json()))) == classes


def test_a_class_that_training_did_not_have_comes_after_all_others():
    classes = Classes.fit(Task.MULTICLASS, column(["b", "c"]))
    later = column(["c", "z", None, "a", "b"])
    assert classes.with_strangers(later) == ("b", "c", "a", "z")
    np.testing.assert_array_equal(classes.codes(later), [1, 3, math.nan, 2, 0])


def test_a_prediction_of_other_classes_is_placed_among_these():
    champion = Classes.fit(Task.MULTICLASS, column(["a", "gone", "z"]))
    placed = champion.placed(np.array([[0.2, 0.3, 0.5]]), ["b", "z", "a"])
    assert placed.tolist() == [[0.0, 0.5, 0.2, 0.3]]


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
def test_a_target_that_is_always_the_same_cannot_be_learned(task):
    with pytest.raises(TrainingError, match="the same in all rows"):
        Classes.fit(task, column([3, 3, 3]))


def test_values_are_their_own_codes_and_null_is_not_a_number():
    classes = Classes.fit(Task.REGRESSION, column([1, 2]))
    assert classes.count == 0
    np.testing.assert_array_equal(classes.codes(column([7, None], pa.int32())), [7, math.nan])
    decimals = column(["1.5"], pa.string()).cast(pa.decimal128(5, 2))
    assert classes.codes(decimals).tolist() == [1.5]


def test_true_is_one_and_false_is_none():
    classes = Classes.fit(Task.BINARY, column([True, True]))
    np.testing.assert_array_equal(classes.codes(column([True, False, None])), [1, 0, math.nan])


def test_more_classes_than_a_model_can_have_are_refused_wherever_they_come():
    many = column(range(MOST_CLASSES + 1))
    with pytest.raises(TrainingError, match="1,001 classes"):
        Classes.fit(Task.MULTICLASS, many)
    few = Classes.fit(Task.MULTICLASS, column([-2, -1]))
    with pytest.raises(TrainingError, match="1,003 classes"):
        few.codes(many)


def test_a_model_of_another_task_is_told_with_both():
    with pytest.raises(UsageError, match="learned a binary target, and the pipeline's is regress"):
        Classes().check(Task.REGRESSION, model="m")


@pytest.mark.parametrize(
    "value",
    [
        {"task": "multiclass", "labels": ["b", "a"]},
        {"task": "multiclass", "labels": ["a", "a"]},
        {"task": "multiclass", "labels": ["a", 1]},
        {"task": "multiclass", "labels": [True, False]},
        {"task": "multiclass", "labels": [0.5, 1.5]},
        {"task": "multiclass", "labels": []},
        {"task": "regression", "labels": ["a"]},
        {"task": "other", "labels": []},
    ],
)
def test_what_is_no_list_of_classes_is_refused(value):
    with pytest.raises(ValueError, match=r"classes|Task"):
        Classes.from_json(value)

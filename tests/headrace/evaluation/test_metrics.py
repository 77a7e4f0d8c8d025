from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from headrace.evaluation.metrics import METRICS, Metric, Ranked, measured, weighed
from headrace.models.algorithms.algorithm import Task

# Few values, so that ties are the rule; 0 and 1, where the log loss is at its edge.
pairs = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1)),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({truth for truth, _ in rows}) == 2)


def arrays(rows):
    return np.array([float(truth) for truth, _ in rows]), np.array([score for _, score in rows])


@given(rows=pairs)
def test_metrics_are_those_of_scikit_learn_ties_included(rows):
    y, score = arrays(rows)
    found = measured(y, score)
    expected = {
        Metric.ROC_AUC: sk.roc_auc_score(y, score),
        Metric.PR_AUC: sk.average_precision_score(y, score),
        Metric.LOG_LOSS: sk.log_loss(y, score),
        Metric.BRIER: sk.brier_score_loss(y, score),
    }
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, rel=1e-12, abs=1e-12), metric


@given(rows=pairs, data=st.data())
def test_a_block_of_weight_two_counts_like_its_rows_twice(rows, data):
    y, score = arrays(rows)
    blocks = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(y), max_size=len(y))))
    weights = np.array([[1.0, 2.0, 0.0][: blocks.max() + 1]])
    times = weights[0][blocks].astype(int)
    many_y, many_score = np.repeat(y, times), np.repeat(score, times)
    if len(np.unique(many_y)) < 2:
        return
    found = Ranked.of(y, score, blocks=blocks).reweighted(weights)
    for metric, value in measured(many_y, many_score).items():
        assert found[metric][0] == pytest.approx(value, rel=1e-12, abs=1e-12), metric


def test_ranking_metrics_of_one_class_are_not_a_number():
    found = measured(np.ones(3), np.array([0.1, 0.2, 0.3]))
    assert np.isnan([found[Metric.ROC_AUC], found[Metric.PR_AUC]]).all()
    assert np.isfinite([found[Metric.LOG_LOSS], found[Metric.BRIER]]).all()


def test_a_gain_is_positive_where_the_candidate_is_better():
    assert Metric.ROC_AUC.gain(0.8, 0.7) > 0
    assert Metric.LOG_LOSS.gain(0.3, 0.4) > 0


# Small whole numbers by their sum: ties are the rule, and 0 and 1 are there, too.
CLASSES = 4
shares = st.lists(st.integers(0, 4), min_size=CLASSES, max_size=CLASSES).filter(sum)
classified = st.lists(
    st.tuples(st.integers(0, CLASSES - 1), shares), min_size=CLASSES, max_size=40
).map(lambda rows: [(n % CLASSES if n < CLASSES else c, s) for n, (c, s) in enumerate(rows)])


def classes_and_scores(rows):
    score = np.array([share for _, share in rows], dtype=float)
    return np.array([float(code) for code, _ in rows]), score / score.sum(axis=1, keepdims=True)


def of_scikit_learn(y, score):
    names = list(range(score.shape[1]))
    told = score.argmax(axis=1)
    return {
        Metric.LOG_LOSS: sk.log_loss(y, score, labels=names),
        Metric.ROC_AUC: sk.roc_auc_score(y, score, multi_class="ovr", average="macro"),
        Metric.ACCURACY: sk.accuracy_score(y, told),
        Metric.F1_MACRO: sk.f1_score(y, told, average="macro", zero_division=0),
        Metric.BRIER: sk.brier_score_loss(y, score, labels=names),
    }


@settings(deadline=None)  # scikit-learn takes its time
@given(rows=classified)
def test_metrics_of_classes_are_those_of_scikit_learn_ties_included(rows):
    y, score = classes_and_scores(rows)
    found = measured(y, score, Task.MULTICLASS)
    assert tuple(found) == METRICS[Task.MULTICLASS]
    for metric, value in of_scikit_learn(y, score).items():
        assert found[metric] == pytest.approx(value, rel=1e-12, abs=1e-12), metric


values = st.sampled_from([-1.5, 0.0, 0.1, 2.0]) | st.floats(-1e3, 1e3)
distant = st.lists(st.tuples(values, values), min_size=2, max_size=60).filter(
    lambda rows: np.ptp([y for y, _ in rows]) > 1e-3
)


@settings(deadline=None)  # scikit-learn takes its time
@given(rows=distant)
def test_metrics_of_values_are_those_of_scikit_learn(rows):
    y, score = (np.array(column) for column in zip(*rows, strict=True))
    found = measured(y, score, Task.REGRESSION)
    expected = {
        Metric.RMSE: sk.root_mean_squared_error(y, score),
        Metric.MAE: sk.mean_absolute_error(y, score),
        Metric.MEDIAN_AE: sk.median_absolute_error(y, score),
        Metric.R2: sk.r2_score(y, score),
    }
    assert tuple(found) == METRICS[Task.REGRESSION]
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, rel=1e-9, abs=1e-9), metric


@pytest.mark.parametrize("task", [Task.MULTICLASS, Task.REGRESSION])
@settings(deadline=None)  # scikit-learn takes its time
@given(data=st.data())
def test_for_every_task_a_block_of_weight_two_counts_like_its_rows_twice(task, data):
    rows = data.draw(classified if task is Task.MULTICLASS else distant)
    if task is Task.MULTICLASS:
        y, score = classes_and_scores(rows)
    else:
        y, score = (np.array(column) for column in zip(*rows, strict=True))
    blocks = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(y), max_size=len(y))))
    weights = np.array([[1.0, 2.0, 0.0][: blocks.max() + 1]])
    times = weights[0][blocks].astype(int)
    if times.sum() == 0 or np.ptp(np.repeat(y, times)) <= 1e-3:
        return
    found = weighed(y, score, blocks=blocks, task=task).reweighted(weights)
    repeated = measured(np.repeat(y, times), np.repeat(score, times, axis=0), task)
    for metric, value in repeated.items():
        assert found[metric][0] == pytest.approx(value, rel=1e-6, abs=1e-9), metric


def test_a_class_that_the_model_never_saw_counts_against_it_and_is_no_error():
    y, score = np.array([0.0, 1.0, 2.0]), np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    found = measured(y, score, Task.MULTICLASS)
    assert found[Metric.ACCURACY] == pytest.approx(2 / 3)
    assert found[Metric.LOG_LOSS] == pytest.approx(-np.log([0.9, 0.8, 2**-52]).mean())
    assert found[Metric.F1_MACRO] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found[Metric.ROC_AUC] == pytest.approx((1 + 1 + 0.5) / 3)


def test_what_one_class_or_a_constant_leaves_undefined_is_not_a_number():
    found = measured(np.zeros(3), np.full((3, 2), 0.5), Task.MULTICLASS)
    assert np.isnan(found[Metric.ROC_AUC])
    assert found[Metric.ACCURACY] == 1
    of_values = measured(np.full(3, 0.1), np.array([0.1, 0.2, 0.3]), Task.REGRESSION)
    assert np.isnan(of_values[Metric.R2])
    assert of_values[Metric.MAE] == pytest.approx(0.1)

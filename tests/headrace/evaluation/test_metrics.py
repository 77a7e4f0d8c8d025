from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from headrace.evaluation.metrics import Metric, Ranked, measured

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

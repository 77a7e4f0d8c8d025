"""The L1 part of logistic regression against scikit-learn's own solver, run to the end."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from headrace.models.algorithms.algorithm import Samples
from headrace.models.algorithms.linear.sparse_logistic import sparse_logistic


def rows(classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    X = np.hstack([rng.normal(size=(400, 5)), (rng.random((400, 4)) < 0.3).astype(float)])
    margins = X @ rng.normal(size=(9, classes)) * (np.arange(9) < 4)[:, None].max()
    y = (margins + rng.gumbel(size=margins.shape)).argmax(axis=1)
    return X, y, rng.integers(1, 4, 400).astype(float)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("strength", "share"), [(0.02, 1.0), (1.0, 1.0), (0.1, 0.3)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_coefficients_are_those_of_scikit_learn(classes, strength, share, weighted, form):
    X, y, weight = rows(classes)
    given = weight if weighted else None
    expected = LogisticRegression(
        C=strength, l1_ratio=share, solver="saga", tol=1e-10, max_iter=50_000, random_state=0
    ).fit(X, y, sample_weight=given)
    train = Samples(form(X), y.astype(float), weight=given)
    found = sparse_logistic(train, C=strength, l1_ratio=share, tol=1e-8)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=2e-4)
    if classes == 2:  # of several, saga's intercepts are told up to a number
        np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=2e-3)
    assert ((found.coef_ == 0) == (np.abs(expected.coef_) < 1e-6)).all()


def test_a_strong_penalty_leaves_no_weight_and_the_share_of_the_class():
    X, y, _ = rows(2)
    found = sparse_logistic(Samples(X, y.astype(float)), C=1e-4, l1_ratio=1.0)
    assert not found.coef_.any()
    share = y.mean()
    assert found.intercept_[0] == pytest.approx(np.log(share / (1 - share)), abs=1e-2)


def test_rows_that_a_column_tells_apart_do_not_overflow():
    X = np.linspace(-1e4, 1e4, 200)[:, None]
    found = sparse_logistic(Samples(X, (X[:, 0] > 0).astype(float)), C=1e6, l1_ratio=1.0)
    assert np.isfinite(found.coef_).all()
    assert found.coef_[0, 0] > 0

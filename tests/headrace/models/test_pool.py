import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.models.presets.pool import log_loss, pool_chances, pool_values, softmax


def noisy(truth, rng, noise):
    return softmax(truth + noise * rng.normal(size=truth.shape))


def test_the_pool_of_independent_views_beats_the_best_of_them():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(2000, 3))
    y = np.array([rng.choice(3, p=p) for p in softmax(truth)])
    members = [noisy(truth, rng, 1.0) for _ in range(3)]
    pool = pool_chances([each[:1000] for each in members], y[:1000])
    held = log_loss(pool.chances([each[1000:] for each in members]), y[1000:])
    assert held < min(log_loss(each[1000:], y[1000:]) for each in members) - 0.05


def test_the_weights_sum_cools_what_is_too_certain():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(3000, 2))
    y = np.array([rng.choice(2, p=p) for p in softmax(truth)])
    pool = pool_chances([softmax(3 * truth)], y)
    assert pool.weights.sum() == pytest.approx(1 / 3, abs=0.05)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(5, 40))
def test_with_the_prior_beside_a_pool_is_hardly_worse_than_the_prior(seed, classes, rows):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    prior = np.tile((np.bincount(y, minlength=classes) + 1e-3) / (rows + 1e-3 * classes), (rows, 1))
    wrong = softmax(rng.normal(size=(rows, classes)) * 5)
    pool = pool_chances([wrong, prior], y)
    assert (pool.weights >= 0).all()
    assert log_loss(pool.chances([wrong, prior]), y) <= log_loss(prior, y) + 1 / rows


def test_no_weight_of_values_is_negative_and_the_best_is_found():
    rng = np.random.default_rng(3)
    y = rng.normal(size=400) * 5 + 100
    members = [y + rng.normal(size=400), y + rng.normal(size=400), 200 - y]
    pool = pool_values(members, y)
    assert (pool.weights >= 0).all()
    assert pool.weights[2] == pytest.approx(0, abs=1e-6)
    error = np.mean((pool.values(members) - y) ** 2)
    assert error < min(np.mean((each - y) ** 2) for each in members)


def test_values_of_models_that_agree_are_their_mean():
    y = np.arange(50.0)
    pool = pool_values([y, y], y)
    assert pool.weights[0] == pytest.approx(pool.weights[1])
    np.testing.assert_allclose(pool.values([y, y]), y, atol=1.0)

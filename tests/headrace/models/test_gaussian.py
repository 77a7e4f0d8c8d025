import numpy as np
import pytest

from headrace.models.methods.gaussian import marginal


def test_the_derivative_of_the_likelihood_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    X, y, weight = rng.normal(size=(30, 3)), rng.normal(size=30), rng.random(30) + 0.5
    at = np.array([0.1, -0.3, 0.2, 0.3, -1.0])
    _, slope = marginal(at, X, y, weight)
    for place in range(len(at)):
        moved = np.zeros_like(at)
        moved[place] = 1e-6
        up, down = (marginal(at + sign * moved, X, y, weight)[0] for sign in (1, -1))
        assert slope[place] == pytest.approx((up - down) / 2e-6, rel=1e-4, abs=1e-7)

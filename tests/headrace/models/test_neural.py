import numpy as np
import pytest

from headrace.models.methods.neural.network import Shape, forward, gradient, views


@pytest.mark.parametrize("activation", ["selu", "mish"])
@pytest.mark.parametrize("embedded", [True, False])
def test_the_gradient_is_that_of_finite_differences(activation, embedded):
    rng = np.random.default_rng(3)
    shape = Shape(numbers=3, ones=4, width=5, outputs=2, embedded=embedded, activation=activation)
    numbers = rng.normal(size=(6, 3))
    ones = rng.integers(-1, 4, (6, 2))
    ones[:, 1] = np.where(ones[:, 0] == ones[:, 1], -1, ones[:, 1])
    flat = rng.normal(size=shape.size) * 0.7
    wanted = rng.normal(size=(6, 2))
    masks = [(rng.random((6, 5)) > 0.3) / 0.7 for _ in range(3)]

    def loss(at):
        out = np.empty(0)

        def error(found):
            nonlocal out
            out = found
            return found - wanted

        slope = np.zeros_like(at)
        gradient(
            shape,
            views(shape, at),
            views(shape, slope),
            numbers,
            ones,
            error=error,
            masks=masks,
        )
        return 0.5 * ((out - wanted) ** 2).sum(), slope

    _, slope = loss(flat)
    step = 1e-5
    for place in range(len(flat)):
        moved = np.zeros_like(flat)
        moved[place] = step
        measured = (loss(flat + moved)[0] - loss(flat - moved)[0]) / (2 * step)
        assert slope[place] == pytest.approx(measured, rel=2e-4, abs=2e-5)


def test_training_and_prediction_run_the_same_network():
    rng = np.random.default_rng(5)
    shape = Shape(numbers=2, ones=1, width=4, outputs=3, embedded=True, activation="selu")
    flat = rng.normal(size=shape.size)
    numbers, ones = rng.normal(size=(7, 2)), rng.integers(-1, 1, (7, 1))
    seen = []
    held = views(shape, flat)
    slope = views(shape, np.zeros_like(flat))
    gradient(
        shape, held, slope, numbers, ones, error=lambda out: seen.append(out) or np.zeros_like(out)
    )
    np.testing.assert_allclose(seen[0], forward(shape, held, numbers, ones), rtol=1e-6)

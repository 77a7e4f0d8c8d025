from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from headrace.evaluation.curves import curves
from headrace.evaluation.reliability import outcomes, reliability, spiegelhalter

RNG = np.random.default_rng(9)
CHANCE = RNG.beta(1, 3, 4000)
Y = (RNG.random(4000) < CHANCE).astype(float)
DAYS = np.arange(4000) // 100


def test_spiegelhalter_is_the_formula_and_its_error_rate_the_level():
    p, y = np.array([0.1, 0.4, 0.9]), np.array([0.0, 1.0, 1.0])
    z = ((y - p) * (1 - 2 * p)).sum() / np.sqrt(((1 - 2 * p) ** 2 * p * (1 - p)).sum())
    assert spiegelhalter(y, p, blocks=np.arange(3)).z == pytest.approx(z)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(1000):
        p = rng.beta(2, 3, 400)
        came = (rng.random(400) < p).astype(float)
        test = spiegelhalter(came, p, blocks=np.arange(400) // 10)
        found.append([test.p_value < 0.05, test.p_value_blocks < 0.05])
    # Three standard errors of 1,000 are 0.021.
    assert np.mean(found, axis=0) == pytest.approx([0.05, 0.05], abs=0.021)


def test_days_of_their_own_luck_do_not_condemn_what_is_true_on_the_mean():
    rng = np.random.default_rng(2)
    days = np.arange(4000) // 100
    refused = []
    for _ in range(300):
        luck = rng.choice([-0.1, 0.1], 40)[days]
        y = (rng.random(4000) < 0.2 + luck).astype(float)
        test = spiegelhalter(y, np.full(4000, 0.2), blocks=days)
        refused.append([test.p_value < 0.05, test.p_value_blocks < 0.05])
    by_rows, by_blocks = np.mean(refused, axis=0)
    assert by_blocks < 0.1
    assert by_rows > 0.3


def test_true_probabilities_pass_and_bent_ones_do_not():
    good = reliability(Y, CHANCE, blocks=DAYS, seed=7)
    bad = reliability(Y, CHANCE**2, blocks=DAYS, seed=7)
    assert good["error"] < 0.02
    assert bad["error"] > 0.05
    assert bad["spiegelhalter"]["p_value_blocks"] < 1e-4 < good["spiegelhalter"]["p_value_blocks"]
    assert sum(each["rows"] for each in good["bins"]) == 4000
    assert {each["rows"] for each in good["bins"]} == {400}
    inside = [each["low"] <= each["score"] <= each["high"] for each in good["bins"]]
    assert sum(inside) >= 8


def test_equal_scores_are_in_one_bin():
    told = reliability(Y, np.where(CHANCE > 0.5, 0.7, 0.1), blocks=DAYS, seed=7)
    assert [each["score"] for each in told["bins"]] == pytest.approx([0.1, 0.7])
    assert len(reliability(Y, np.full(4000, 0.3), blocks=DAYS, seed=7)["bins"]) == 1


@pytest.mark.parametrize("score", [0.0, 0.5, 1.0])
def test_three_rows_of_one_score_have_a_curve(score):
    told = reliability(np.array([0.0, 1.0, 1.0]), np.full(3, score), blocks=np.arange(3), seed=7)
    assert told["error"] == pytest.approx(abs(2 / 3 - score))
    assert np.isfinite(list(told["spiegelhalter"].values())).all()


def test_of_several_classes_the_likeliest_is_held_against_its_chance():
    came, chance = outcomes(np.array([0.0, 2.0]), np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]]))
    assert (came.tolist(), chance.tolist()) == ([1.0, 0.0], [0.6, 0.5])


def test_points_are_those_of_scikit_learn():
    score = np.round(CHANCE, 2)  # with ties
    found = curves(Y, score, blocks=DAYS, seed=7)
    precision, recall, cuts = precision_recall_curve(Y, score)
    of = {cut: (p, r) for p, r, cut in zip(precision, recall, cuts, strict=False)}
    assert len(found["points"]) > 50
    for point in found["points"]:
        expected = of[point["score"]]
        assert (point["precision"], point["recall"]) == pytest.approx(expected)
    last = found["points"][-1]
    assert (last["rows"], last["recall"], last["lift"]) == pytest.approx((1, 1, 1))
    steps = np.diff([0.0, *(each["recall"] for each in found["points"])])
    area = (steps * [each["precision"] for each in found["points"]]).sum()
    assert area == pytest.approx(average_precision_score(Y, score), abs=0.005)


def test_lift_has_an_interval_around_what_a_cut_gives():
    for each in curves(Y, CHANCE, blocks=DAYS, seed=7)["lift"]:
        cut = np.sort(CHANCE)[::-1][round(each["rows"] * 4000) - 1]
        assert each["value"] == pytest.approx(Y[cut <= CHANCE].mean() / Y.mean())
        assert each["low"] < each["value"] < each["high"]


def test_one_score_for_all_rows_is_one_point_without_lift():
    found = curves(np.array([0.0, 1.0, 1.0]), np.full(3, 0.4), blocks=np.arange(3), seed=7)
    (point,) = found["points"]
    assert (point["recall"], point["lift"]) == (1.0, 1.0)
    assert all(each["value"] == 1.0 for each in found["lift"])

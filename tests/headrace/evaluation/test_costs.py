from __future__ import annotations

import numpy as np
import pytest

from headrace.errors import TrainingError
from headrace.evaluation.costs import Costs, Decisions, confusion, constants, rule_of, told
from headrace.models.algorithms.algorithm import Task
from headrace.models.target import Classes

RNG = np.random.default_rng(3)
CHANCE = RNG.random(3000)
Y = (RNG.random(3000) < CHANCE).astype(float)
DAYS = np.arange(3000) // 100


def binary(wrong, missed):
    declared = {"false_positive": float(wrong), "false_negative": float(missed)}
    return Costs.of(declared, Classes(), ())


def of_classes(declared, labels=("early", "late", "lost"), learned=3):
    return Costs.of(declared, Classes(Task.MULTICLASS, labels[:learned]), labels)


def test_true_probabilities_are_cut_where_theory_says():
    assert rule_of(binary(1, 4), Y, CHANCE, blocks=DAYS).threshold == 0.2
    assert rule_of(binary(3, 1), Y, CHANCE, blocks=DAYS).threshold == 0.75


def test_probabilities_that_are_not_true_are_cut_where_validation_says():
    rule = rule_of(binary(1, 4), Y, CHANCE**3, blocks=DAYS)
    assert rule.threshold == pytest.approx(0.2**3, abs=0.01)


def test_the_threshold_of_least_cost_is_that_of_a_search_over_all():
    costs = binary(2, 3)
    score = np.round(CHANCE**4, 3)  # with ties
    at = rule_of(costs, Y, score, blocks=DAYS).threshold
    every = [costs.each(Y, score >= cut).sum() for cut in np.linspace(0, 1, 2001)]
    assert costs.each(Y, score >= at).sum() == min(every)


@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("y", [[0.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
def test_one_score_for_all_rows_one_class_or_three_rows_still_have_a_rule(score, y):
    rule = rule_of(binary(1, 5), np.array(y), np.full(3, score), blocks=np.arange(3))
    assert 0 <= rule.threshold <= 1


def test_classes_are_decided_for_by_least_expected_cost():
    costs = of_classes({"lost": 10.0, "late": {"early": 3.0}})
    assert costs.matrix == ((0.0, 1.0, 1.0), (3.0, 0.0, 1.0), (10.0, 10.0, 0.0))
    rule = rule_of(costs, np.zeros(3), np.full((3, 3), 1 / 3), blocks=np.arange(3))
    told = np.array([[0.8, 0.1, 0.1], [0.95, 0.04, 0.01], [0.55, 0.44, 0.01]])
    # Expected costs: 1.3, 1.8, 0.9; 0.22, 1.05, 0.99; 1.42, 0.65, 0.99.
    assert rule(told).tolist() == [2, 0, 1]


def test_a_class_that_no_row_has_is_named_with_the_nearest():
    with pytest.raises(TrainingError, match=r"names a class 'losst' that no row has.*'lost'"):
        of_classes({"losst": 10.0})
    with pytest.raises(TrainingError, match="that no row has"):
        of_classes({"lost": {"eary": 2.0}})


def test_a_class_that_training_had_not_costs_what_is_declared_and_is_never_decided_for():
    costs = of_classes({"lost": 10.0}, learned=2)
    rule = rule_of(costs, np.zeros(2), np.full((2, 2), 0.5), blocks=np.arange(2))
    assert len(rule.costs) == 2
    assert costs.each(np.array([2.0, 0.0]), np.array([0, 1])).tolist() == [10.0, 1.0]


def test_a_champion_that_decides_for_a_class_of_its_own_pays_the_worst_error():
    costs = of_classes({"lost": {"early": 7.0}})
    assert costs.each(np.array([2.0]), np.array([3])).tolist() == [7.0]
    assert confusion(costs, np.array([2.0]), np.array([3]))["labels"][-1] == "another"


def test_values_are_moved_to_the_quantile_that_costs_least():
    errors = RNG.exponential(10.0, 3000)
    costs = Costs.of({"over": 1.0, "under": 3.0}, Classes(Task.REGRESSION), ())
    rule = rule_of(costs, errors, np.zeros(3000), blocks=DAYS)
    assert rule.offset == np.quantile(errors, 0.75, method="inverted_cdf")
    every = [costs.each(errors, np.full(3000, value)).mean() for value in np.linspace(0, 40, 401)]
    assert costs.each(errors, rule(np.zeros(3000))).mean() <= min(every) + 1e-9


def test_costs_are_told_per_thousand_rows_with_what_the_winner_saves():
    costs = binary(1, 4)
    candidates = {"model": Decisions("winner", CHANCE >= 0.2)}
    candidates |= constants(costs, Y, classes=2, rows=3000)
    found = {
        each["candidate"]: each
        for each in told(costs, Y, candidates, winner="model", blocks=DAYS, seed=7)
    }
    assert list(found) == ["model", "always false", "always true"]
    missed, wrong = (Y[CHANCE < 0.2] > 0).sum(), (Y[CHANCE >= 0.2] == 0).sum()
    cost = found["model"]["cost"]
    assert cost["value"] == pytest.approx(1000 * (4 * missed + wrong) / 3000)
    assert cost["low"] < cost["value"] < cost["high"]
    never = found["always false"]
    assert never["cost"]["value"] == pytest.approx(4000 * Y.mean())
    assert never["saved"]["value"] == pytest.approx(never["cost"]["value"] - cost["value"])
    assert never["saved"]["low"] > 0
    table = confusion(costs, Y, CHANCE >= 0.2)
    assert table["labels"] == ["false", "true"]
    assert (table["rows"][0][1], table["rows"][1][0]) == (wrong, missed)
    assert np.sum(table["rows"]) == 3000


def test_the_cheapest_constant_is_chosen_on_validation():
    costs = of_classes({"lost": 100.0})
    assert list(constants(costs, np.array([0.0, 0.0, 2.0]), classes=3, rows=5)) == ["always lost"]
    values = Costs.of({"over": 1.0, "under": 1.0}, Classes(Task.REGRESSION), ())
    assert list(constants(values, np.array([1.0, 2.0, 9.0]), classes=0, rows=5)) == ["always 2"]

from __future__ import annotations

import random

import pytest
from ray.tune.search import Searcher

from headrace.models.algorithms import named
from ray_tasks.suggest import BATCH, Plan, Suggestions

TRIALS = 8


def gain_of(config):
    parameters = config["parameters"]
    return (
        -abs(parameters.get("learning_rate", 0.1) - 0.05) - abs(parameters.get("C", 1) - 0.3) / 100
    )


def searched(*, order, seed=7, names=("logistic_regression", "lightgbm"), failing=()):
    """Runs plans, two trials at a time; `order` chooses which of those running ends next."""
    plans = [Plan(named(name), TRIALS, seed) for name in names]
    search, running, started = Suggestions(plans), {}, 0
    while True:
        while len(running) < 2:
            found = search.suggest(str(started))
            if found is None or found == Searcher.FINISHED:
                break
            running[str(started)] = found
            started += 1
        if not running:
            return plans
        trial = order(sorted(running))
        config = running.pop(trial)
        failed = (config["algorithm"], config["number"]) in failing
        search.on_trial_complete(trial, None if failed else {"gain": gain_of(config)}, error=failed)


def test_suggestions_do_not_depend_on_which_trial_ends_first():
    shuffled = random.Random(3)  # noqa: S311  # no secret
    runs = [
        [plan.parameters for plan in searched(order=order)]
        for order in (lambda ids: ids[0], lambda ids: ids[-1], shuffled.choice)
    ]
    assert runs[0] == runs[1] == runs[2]


def test_another_seed_suggests_something_else():
    first, other = (searched(order=min, seed=seed)[1].parameters for seed in (7, 8))
    assert first[0] == other[0]
    assert first[1:] != other[1:]


def test_the_first_trial_is_the_defaults():
    for plan in searched(order=min):
        assert plan.parameters[0] == plan.algorithm.defaults


def test_every_algorithm_has_its_trials_and_a_baseline_has_one():
    plans = searched(order=min, names=("class_prior", "lightgbm"))
    assert [len(plan.results) for plan in plans] == [1, TRIALS]


def test_every_suggestion_is_a_point_of_the_space():
    for plan in searched(order=min):
        for parameters in plan.parameters:
            for name, dimension in plan.algorithm.space.items():
                assert parameters[name] in dimension


def test_a_batch_waits_for_the_whole_batch_before():
    plan = Plan(named("lightgbm"), TRIALS, 7)
    assert [plan.suggest() for _ in range(BATCH + 1)] == [*range(BATCH), None]


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_failed_trial_counts_and_the_search_goes_on(number):
    plan = searched(order=min, names=("lightgbm",), failing={("lightgbm", number)})[0]
    assert plan.results[number] is None
    assert len(plan.results) == TRIALS


def test_a_gain_that_is_not_finite_is_a_failed_trial():
    plan = Plan(named("class_prior"), 1, 7)
    search = Suggestions([plan])
    search.suggest("a")
    search.on_trial_complete("a", {"gain": float("nan")})
    assert plan.results == {0: None}

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from headrace.models.algorithms import CATALOGUE, named
from ray_tasks.journal import Journal
from ray_tasks.plan import Plan
from ray_tasks.suggest import FINISHED, Limits, Suggestions
from ray_tasks.tuning import Tuning

TRIALS = 8
NOW = 1e12  # no limit is near


def gain_of(config):
    parameters = config["parameters"]
    missed = abs(parameters.get("learning_rate", 0.1) - 0.05) + abs(parameters.get("C", 1) - 0.3)
    return -missed / 100 + config["shares"][-1] / 1000


def result_of(config):
    return {"gain": gain_of(config), "values": "{}", "found": "{}", "seconds": 1.0, "cpu": 1.0}


def searched(
    *,
    order=min,
    seed=7,
    names=("logistic_regression", "lightgbm"),
    failing=(),
    slots=2,
    journal=None,
    until=None,
    starts=(),
    trials=TRIALS,
    **options,
):
    """Runs plans, some trials at a time; `order` chooses which of those running ends next."""
    tuning = Tuning(trials=trials, **options)
    plans = [Plan(named(name), tuning, seed, starts) for name in names]
    search = Suggestions(plans, limits=Limits(NOW), states=Path("states"), journal=journal)
    running, started = {}, 0
    while until is None or started < until:
        while len(running) < slots:
            found = search.suggest(str(started))
            if found is None or found == FINISHED:
                break
            running[str(started)] = found
            started += 1
        if not running:
            return plans
        trial = order(sorted(running))
        config = running.pop(trial)
        failed = (config["algorithm"], config["number"]) in failing
        search.on_trial_complete(trial, None if failed else result_of(config), error=failed)
    return plans


ORDERS = [min, max, random.Random(3).choice]  # noqa: S311  # no secret


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
@pytest.mark.parametrize("scheduler", ["none", "rungs"])
def test_neither_order_nor_cores_change_what_is_tried(sampler, scheduler):
    runs = [
        [
            (plan.parameters, dict(sorted(plan.results.items())), plan.best)
            for plan in searched(
                order=order, slots=slots, sampler=sampler, scheduler=scheduler, trials=24
            )
        ]
        for order in ORDERS
        for slots in (1, 2, 7)
    ]
    assert all(run == runs[0] for run in runs)


def test_another_seed_suggests_something_else():
    known = 1 + len(named("lightgbm").portfolio)
    first, other = (searched(seed=seed)[1].parameters for seed in (7, 8))
    assert first[:known] == other[:known]
    assert first[known:] != other[known:]


def test_the_first_trials_are_the_defaults_what_is_given_and_the_portfolio():
    entry = named("lightgbm")
    given = {"learning_rate": 0.2, "n_estimators": 31, "num_leaves": 9}
    tried = searched(names=("lightgbm",), starts=(given,))[0].parameters
    assert tried[0] == entry.defaults
    assert tried[1] == {**entry.defaults, "learning_rate": 0.2, "num_leaves": 9}
    assert tried[2:5] == [{**entry.defaults, **point} for point in entry.portfolio]


def test_a_point_outside_of_the_space_is_not_tried():
    tried = searched(names=("lightgbm",), starts=({"learning_rate": 50.0},))[0].parameters
    assert tried[1] == {**tried[0], **named("lightgbm").portfolio[0]}


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_portfolios_are_points_of_their_space(entry):
    for point in entry.portfolio:
        assert all(value in entry.space[name] for name, value in point.items())
    assert entry.resource.parameter not in entry.space
    assert (entry.resource.kind == "rows") == (not entry.resource.parameter)


def test_every_algorithm_has_its_trials_and_a_baseline_has_one():
    plans = searched(names=("class_prior", "lightgbm"))
    assert [len(plan.results) for plan in plans] == [1, TRIALS]


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid"])
def test_every_suggestion_is_a_point_of_the_space(sampler):
    for plan in searched(sampler=sampler, trials=30):
        for parameters in plan.parameters:
            for name, dimension in plan.algorithm.space.items():
                assert parameters[name] in dimension


def test_a_grid_ends_when_all_its_points_were_tried():
    (plan,) = searched(names=("ridge",), sampler="grid", trials=12)
    tried = [parameters["alpha"] for parameters in plan.parameters]
    assert len(set(tried[1:])) == len(tried) - 1 == 11
    assert {min(tried), max(tried)} == {1e-4, 1e4}
    assert len(searched(names=("adaboost",), sampler="grid", trials=200)[0].parameters) < 200


def test_tpe_learns_where_the_good_points_are():
    (plan,) = searched(names=("logistic_regression",), trials=60, scheduler="none")
    missed = [abs(parameters["C"] - 0.3) for parameters in plan.parameters]
    assert sorted(missed[30:])[15] < sorted(missed[4:20])[8]


def test_of_nine_trials_three_and_then_one_go_on():
    (plan,) = searched(names=("lightgbm",), scheduler="rungs", trials=9)
    assert [len([job for job in plan.results if job.rung == rung]) for rung in range(3)] == [
        9,
        3,
        1,
    ]
    best = sorted(range(9), key=lambda n: -plan.results[n, 0]["gain"])
    assert {job.number for job in plan.results if job.rung == 1} == set(best[:3])
    assert plan.best == (best[0], 2)


def test_without_a_word_rungs_begin_where_trials_are_many():
    few, many = (searched(names=("lightgbm",), trials=trials)[0] for trials in (17, 18))
    assert (few.shares, len(many.shares)) == ((1.0,), 3)


def test_asha_promotes_without_waiting_and_tries_all():
    (plan,) = searched(names=("lightgbm",), scheduler="asha", trials=27)
    rungs = [len([job for job in plan.results if job.rung == rung]) for rung in range(3)]
    assert rungs[0] == 27
    assert rungs[1] >= 9
    assert rungs[2] >= 3
    assert plan.is_done


@pytest.mark.parametrize("scheduler", ["none", "rungs", "asha"])
@pytest.mark.parametrize("number", [0, 1, 6])
def test_a_failed_trial_counts_and_the_search_goes_on(number, scheduler):
    failing = {("lightgbm", number)}
    (plan,) = searched(names=("lightgbm",), failing=failing, scheduler=scheduler, trials=20)
    assert plan.failed == {number}
    assert len(plan.parameters) == 20
    assert plan.is_done


def test_a_search_where_every_trial_fails_ends():
    failing = {("lightgbm", number) for number in range(9)}
    (plan,) = searched(names=("lightgbm",), failing=failing, scheduler="rungs", trials=9)
    assert (plan.best, plan.is_done, len(plan.failed)) == (None, True, 9)


def test_a_gain_that_is_not_finite_is_a_failed_trial():
    plan = Plan(named("class_prior"), Tuning(trials=1), 7)
    search = Suggestions([plan], limits=Limits(NOW), states=Path("states"))
    search.suggest("a")
    search.on_trial_complete("a", {"gain": float("nan"), "error": "of its own"})
    assert plan.results == {(0, 0): None}
    assert plan.errors == ["of its own"]


def test_a_trial_whose_process_ended_fails_once_and_is_not_tried_again():
    plan = Plan(named("class_prior"), Tuning(trials=1), 7)
    search = Suggestions([plan], limits=Limits(NOW), states=Path("states"))
    search.suggest("a")
    search.on_trial_complete("a", error=True)
    assert search.suggest("b") == FINISHED
    assert plan.failed == {0}
    assert "its process ended" in plan.errors[0]


def test_trials_of_a_lost_node_start_again_but_not_for_ever():
    alive = [frozenset({"one", "two"})]
    plan = Plan(named("class_prior"), Tuning(trials=1), 7)
    search = Suggestions([plan], limits=Limits(NOW), states=Path("states"), nodes=lambda: alive[0])
    for number in range(3):
        given = search.suggest(str(number))
        assert given["number"] == 0
        alive[0] = frozenset({f"new {number}"})
        search.on_trial_complete(str(number), error=True)
    assert search.suggest("later") == FINISHED
    assert plan.failed == {0}


def test_at_the_limit_nothing_begins_and_what_is_under_way_is_stopped():
    plan = Plan(named("lightgbm"), Tuning(trials=9, scheduler="rungs"), 7)
    search = Suggestions([plan], limits=Limits(NOW), states=Path("states"))
    first, _ = search.suggest("a"), search.suggest("b")
    search.on_trial_complete("a", result_of(first))
    search._limits = Limits(0.0, 1.0)  # noqa: SLF001  # the clock of the test
    assert search.suggest("c") == FINISHED
    search.on_trial_complete("b", error=True)
    assert (plan.stopped, plan.failed, plan.best) == ({1}, set(), (0, 0))


def test_the_curve_only_rises():
    (plan,) = searched(names=("lightgbm",), trials=20, scheduler="none")
    gains = [point.gain for point in plan.curve]
    assert gains == sorted(set(gains))
    assert plan.curve[-1].gain == plan.results[plan.best]["gain"]


@pytest.mark.parametrize("scheduler", ["none", "rungs"])
def test_a_search_that_was_ended_goes_on_without_repeating_a_trial(tmp_path, scheduler):
    whole = searched(trials=20, scheduler=scheduler)
    path = tmp_path / "journal.jsonl"
    searched(trials=20, scheduler=scheduler, journal=Journal(path), until=15)
    kept = len(path.read_text().split())
    with path.open("a") as file:
        file.write('{"trial": "cut sho')
    resumed = searched(trials=20, scheduler=scheduler, journal=Journal(path))
    assert sum(plan.reused for plan in resumed) == len(Journal(path)._results) - sum(  # noqa: SLF001
        len(plan.results) - plan.reused for plan in resumed
    )
    assert sum(plan.reused for plan in resumed) >= 13
    assert kept
    assert [(plan.parameters, plan.best) for plan in resumed] == [
        (plan.parameters, plan.best) for plan in whole
    ]
    again = searched(trials=20, scheduler=scheduler, journal=Journal(path))
    assert all(plan.reused == len(plan.results) for plan in again)


def test_results_survive_the_journal_to_the_bit(tmp_path):
    journal = Journal(tmp_path / "j")
    result = {"gain": 0.1 + 0.2, "values": "{}", "found": "{}", "seconds": 1 / 3, "cpu": 0.0}
    journal.keep("ridge", {"alpha": 0.1}, [1.0], result=result)
    read = Journal(tmp_path / "j")
    assert read.recall("ridge", {"alpha": 0.1}, [1.0]) == result
    assert read.recall("ridge", {"alpha": 0.2}, [1.0]) is None
    assert read.recall("ridge", {"alpha": 0.1}, [1 / 3]) is None
    assert json.loads(json.dumps(result)) == result

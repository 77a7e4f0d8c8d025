from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import ray

from headrace.errors import TrainingError
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from ray_tasks.journal import Journal
from ray_tasks.search import search, shared
from ray_tasks.trial import Problem
from ray_tasks.tuning import Tuning
from ray_tasks.workers import Workers

pytestmark = pytest.mark.usefixtures("ray_local")

PRIOR = named("class_prior")


def failing_algorithm(message):
    # A function within a function travels to the workers by value: they cannot import tests.
    def fit(*_, **__):
        raise ValueError(message)

    return replace(PRIOR, name="failing", baseline=False, fit=fit)


def infinite_algorithm():
    def predict(_, X):
        import numpy

        return numpy.full(X.shape[0], numpy.nan)

    return replace(PRIOR, name="infinite", baseline=False, predict=predict)


def greedy_algorithm():
    def fit(*_, **__):
        import numpy

        kept = [numpy.ones(2**22) for _ in range(200)]  # 32 MiB each
        raise ValueError(len(kept))

    return replace(PRIOR, name="greedy", baseline=False, fit=fit)


def dying_algorithm():
    def fit(*_, **__):
        import os

        os._exit(7)  # as a library that is out of memory, or broken, ends its process

    return replace(PRIOR, name="dying", baseline=False, fit=fit)


def hanging_algorithm():
    def fit(*_, **__):
        import time

        time.sleep(3600)

    return replace(PRIOR, name="hanging", baseline=False, fit=fit)


def noting_algorithm(name, folder):
    def fit(*_, **__):
        import os
        import time

        (folder / f"{name} {os.getpid()}").touch()
        time.sleep(0.2)
        raise ValueError(name)

    return replace(PRIOR, name=name, baseline=False, fit=fit)


def problem(*algorithms):
    X = np.random.default_rng(1).random((200, 2))
    samples = Samples(X, (X[:, 0] > 0.5).astype(float))
    matrices = {"codes": samples, "one_hot": samples}
    entries = {entry.name: entry for entry in algorithms}
    return Problem(entries, matrices, matrices, Metric.ROC_AUC, 7)


def searched(problem, **options):
    reference, held = shared(problem)
    with Workers(8) as workers:
        return search(held, reference=reference, workers=workers, **options)


def test_failed_trials_are_counted_beside_those_that_succeed(tmp_path):
    lightgbm = named("lightgbm")
    found = searched(
        problem(PRIOR, failing_algorithm("no such thing"), lightgbm),
        tuning=Tuning(trials=2),
        storage=tmp_path / "t",
    )
    assert [(each.algorithm.name, each.trials, each.failed) for each in found] == [
        ("class_prior", 1, 0),
        ("failing", 1, 1),
        ("lightgbm", 2, 0),
    ]
    assert found[1].values == {}
    assert found[2].values[Metric.ROC_AUC] > 0.95
    assert not (tmp_path / "t").exists()


def test_short_trials_share_one_process_per_core_and_use_all_of_them(tmp_path):
    pids = tmp_path / "pids"
    pids.mkdir()
    short = [noting_algorithm(f"short {number}", pids) for number in range(24)]
    tried = searched(
        problem(PRIOR, *short), tuning=Tuning(trials=1), storage=tmp_path / "search", alone=False
    )
    assert [each.failed for each in tried] == [0, *[1] * 24]
    assert len({path.name.split()[-1] for path in pids.iterdir()}) == int(
        ray.cluster_resources()["CPU"]
    )


def test_a_search_where_only_baselines_succeed_is_an_error_with_the_reason(tmp_path):
    with pytest.raises(TrainingError, match=r"every trial failed: .*no such thing"):
        searched(
            problem(PRIOR, failing_algorithm("no such thing")),
            tuning=Tuning(trials=2),
            storage=tmp_path,
        )


def test_all_may_fail_where_engines_have_candidates_but_a_baseline_must_stand(tmp_path):
    failing = failing_algorithm("no such thing")
    found = searched(
        problem(PRIOR, failing), tuning=Tuning(trials=2), storage=tmp_path / "a", alone=False
    )
    assert [(bool(each.values), each.failed) for each in found] == [(True, 0), (False, 1)]
    assert "no such thing" in found[1].errors[0]
    with pytest.raises(TrainingError, match=r"every trial failed: .*no such thing"):
        searched(
            problem(replace(failing, baseline=True)),
            tuning=Tuning(trials=2),
            storage=tmp_path / "b",
            alone=False,
        )


def test_predictions_that_are_not_numbers_are_a_failed_trial(tmp_path):
    with pytest.raises(TrainingError, match="every trial failed: predictions are not finite"):
        searched(problem(PRIOR, infinite_algorithm()), tuning=Tuning(trials=2), storage=tmp_path)


def test_trials_that_take_too_much_memory_or_end_their_process_fail_once(tmp_path):
    entries = (greedy_algorithm(), dying_algorithm(), named("lightgbm"))
    tuning = Tuning(trials=2, memory=2**29)
    tried = problem(PRIOR, *entries)
    found = {each.algorithm.name: each for each in searched(tried, tuning=tuning, storage=tmp_path)}
    told = {name: (each.trials, each.failed, bool(each.values)) for name, each in found.items()}
    assert told == {
        "class_prior": (1, 0, True),
        "greedy": (1, 1, False),
        "dying": (1, 1, False),
        "lightgbm": (2, 0, True),
    }


def test_why_trials_failed_is_told_for_memory_time_and_lost_processes(tmp_path):
    tried = problem(PRIOR, greedy_algorithm(), dying_algorithm(), hanging_algorithm())
    tuning = Tuning(trials=1, trial_limit=20, memory=2**27)
    with pytest.raises(TrainingError) as raised:
        searched(tried, tuning=tuning, storage=tmp_path)
    for reason in ("MemoryError", "its process ended", "longer than its limit of 20 s"):
        assert reason in str(raised.value)


def test_a_search_ends_at_its_limit_and_what_was_judged_stands(tmp_path):
    began = time.monotonic()
    limit = 30
    tried = problem(PRIOR, named("lightgbm"), hanging_algorithm())
    found = searched(tried, tuning=Tuning(trials=5000, time_limit=limit), storage=tmp_path)
    taken = time.monotonic() - began
    prior, lightgbm, hanging = found
    assert (prior.is_cut, lightgbm.is_cut, hanging.is_cut) == (False, True, True)
    assert (hanging.trials, hanging.stopped, hanging.failed) == (1, 1, 0)
    assert lightgbm.values[Metric.ROC_AUC] > 0.95
    assert limit * 0.9 < taken < limit * 2  # a tenth more where the machine is at rest


def test_a_search_of_one_second_in_which_nothing_ended_says_what_to_raise(tmp_path):
    tuning = Tuning(trials=2, time_limit=1)
    with pytest.raises(TrainingError, match="no trial ended within the limit of 1 s") as raised:
        searched(problem(PRIOR, hanging_algorithm()), tuning=tuning, storage=tmp_path)
    assert "training.search_time_limit" in raised.value.hint


def test_rungs_by_ray_are_the_same_twice_and_from_a_journal(tmp_path):
    tried = problem(PRIOR, named("lightgbm"), named("logistic_regression"))
    reference, held = shared(tried)
    tuning = Tuning(trials=9, scheduler="rungs")
    runs = []
    for kept in ("other", "same", "same"):
        journal = Journal(tmp_path / kept)
        options = {"tuning": tuning, "storage": tmp_path / "t", "journal": journal}
        with Workers(9) as workers:
            runs.append(search(held, reference=reference, workers=workers, **options))
    told = [
        [(each.parameters, each.values, each.trials, each.fits) for each in run] for run in runs
    ]
    assert told[0] == told[1] == told[2]
    assert [each.fits for each in runs[0]] == [1, 13, 13]
    assert [each.reused for each in runs[2]] == [1, 13, 13]


def test_workers_that_end_while_they_wait_cost_no_trial(tmp_path):
    tried = problem(PRIOR, noting_algorithm("noting", tmp_path), named("logistic_regression"))
    reference, held = shared(tried)
    options = {"tuning": Tuning(trials=2), "storage": tmp_path / "t"}
    with Workers(2) as workers:
        search(held, reference=reference, workers=workers, **options)
        for path in tmp_path.glob("noting *"):
            os.kill(int(path.name.split()[1]), signal.SIGKILL)
            path.unlink()
        again = search(held, reference=reference, workers=workers, **options)
    assert [(each.trials, each.failed) for each in again] == [(1, 0), (1, 1), (2, 0)]
    assert not any("process ended" in error for error in again[1].errors)


def test_matrices_beyond_the_object_store_are_refused_with_the_way_out():
    huge = Samples(np.broadcast_to(np.zeros(1), (10**9, 4)), np.zeros(1))
    too_big = replace(problem(PRIOR), train={"codes": huge})
    with pytest.raises(TrainingError, match="HEADRACE_RAY_OBJECT_STORE_GIB"):
        shared(too_big)

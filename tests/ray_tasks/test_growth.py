from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from ray_tasks.growth import Growth

SHARES = (1 / 9, 1 / 3, 1.0)


def samples(task, rows=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 4))
    value = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(0, 0.5, rows)
    y = {
        Task.BINARY: value > 0,
        Task.MULTICLASS: np.digitize(value, [-0.7, 0.7]),
        Task.REGRESSION: value,
    }[task].astype(float)
    return Samples(X, y, task=task, classes={Task.BINARY: 2, Task.MULTICLASS: 3}.get(task, 0))


def growth(name, task, *, state=None, **changed):
    entry = named(name)
    parameters = {**entry.defaults, "n_estimators": 90, **changed}
    metric = Metric.RMSE if task is Task.REGRESSION else Metric.LOG_LOSS
    held = samples(task, seed=1)
    return Growth(entry, parameters, samples(task), held, metric, seed=7, state=state)


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "random_forest", "extra_trees"])
def test_a_rung_goes_on_from_the_one_below_whether_that_was_kept_or_not(name, task, tmp_path):
    slow = {} if name.endswith(("forest", "trees")) else {"learning_rate": 0.03}
    kept = growth(name, task, state=tmp_path / "s" / "a-0", **slow)
    for rung in (1, 2, 3):
        stepwise = kept.fitted(SHARES[:rung], is_last=rung == 3)
    at_once = growth(name, task, **slow).fitted(SHARES, is_last=True)
    X = samples(task, seed=2).X
    predict = named(name).predict
    np.testing.assert_array_equal(predict(stepwise.estimator, X), predict(at_once.estimator, X))
    assert stepwise.found == at_once.found
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["a-0-1", "a-0-2"]


def test_rounds_of_a_lower_rung_are_not_boosted_again():
    task = Task.REGRESSION
    first = growth("lightgbm", task, learning_rate=0.03).fitted(SHARES[:1], is_last=True)
    second = growth("lightgbm", task, learning_rate=0.03).fitted(SHARES[:2], is_last=True)
    assert first.found == {"n_estimators": 10}
    assert second.found == {"n_estimators": 30}
    trees = [
        str(each.dump_model()["tree_info"][:10]) for each in (first.estimator, second.estimator)
    ]
    assert trees[0] == trees[1]


@pytest.mark.parametrize("name", ["random_forest", "extra_trees"])
def test_a_forest_that_was_grown_on_equals_one_that_was_grown_at_once(name):
    task = Task.BINARY
    grown = growth(name, task).fitted(SHARES, is_last=True)
    whole = growth(name, task).fitted([1.0], is_last=True)
    X = samples(task, seed=2).X
    predict = named(name).predict
    np.testing.assert_array_equal(predict(grown.estimator, X), predict(whole.estimator, X))


def test_trees_of_a_lower_rung_are_what_the_final_fit_would_have():
    fitted = growth("random_forest", Task.BINARY).fitted(SHARES[:1], is_last=True)
    assert fitted.found == {"n_estimators": 10}
    assert growth("random_forest", Task.BINARY).fitted([1.0], is_last=True).found == {}


def test_a_share_of_the_rows_is_drawn_and_the_last_rung_has_them_all():
    drawn = []

    def fit(train, parameters, **given):
        drawn.append(train.X.shape[0])
        return named("ridge").fit.fit(train, parameters, **given)

    from dataclasses import replace

    entry = replace(named("ridge"), fit=fit)
    train = samples(Task.REGRESSION, rows=3000)
    trial = Growth(entry, entry.defaults, train, train, Metric.RMSE, seed=7)
    for rung in (1, 2, 3):
        trial.fitted(SHARES[:rung], is_last=rung == 3)
    assert drawn == [500, 1000, 3000]


def ended(code):
    """The exit code and output of Python code in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout


def test_a_process_that_never_returns_to_python_is_ended_at_its_limit(tmp_path):
    code, told = ended(
        "import time\n"
        "from pathlib import Path\n"
        "from ray_tasks.bounds import bounded_time\n"
        f"told = Path({str(tmp_path / 'told')!r})\n"
        "with bounded_time(0.2, end=time.time() + 60, told=told): pass\n"
        "time.sleep(0.4); print('stands', told.exists(), flush=True)\n"
        "with bounded_time(60, end=time.time() + 0.5, told=told):\n"
        "    len(str(3 ** 100_000_000))\n"  # one call, which holds the interpreter for minutes
    )
    assert (code != 0, told) == (True, "stands False\n")
    assert "Timeout" in (tmp_path / "told").read_text()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is bounded on Linux")
def test_memory_beyond_the_bound_is_refused_and_the_process_goes_on():
    code, told = ended(
        "import numpy as np\n"
        "from ray_tasks.bounds import bounded_memory\n"
        "kept = []\n"
        "try:\n"
        "    with bounded_memory(300 * 2**20):\n"
        "        for _ in range(100): kept.append(np.ones(2**22))\n"
        "except MemoryError: print(5 < len(kept) < 10)\n"
        "kept.append(np.ones(2**26)); print('goes on')\n"
    )
    assert (code, told) == (0, "True\ngoes on\n")

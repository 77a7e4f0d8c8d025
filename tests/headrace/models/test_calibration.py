from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from headrace.errors import CorruptArtifact
from headrace.evaluation.calibration import calibrated, fit
from headrace.models import registry
from headrace.models.calibration import Calibration, Line, Method, Steps
from headrace.models.decision import ClassRule, ValueRule, decided, rule_from_json
from headrace.models.model import Model, digest_of, file_digests
from headrace.models.target import Classes, Task

RNG = np.random.default_rng(5)
TRUTH = RNG.normal(size=2000)
Y = (RNG.random(2000) < expit(TRUTH - 1)).astype(float)
SURE = expit(3 * TRUTH)  # three times as certain as it may be, and too often true
DAYS = np.arange(2000) // 50


def several(sharpness=2.5, *, rows=2000, classes=4):
    """Codes, the probabilities they were drawn by, and what an over-certain model says of them."""
    rng = np.random.default_rng(8)
    chance = rng.dirichlet([4.0, 3.0, 2.0, 0.3][:classes], rows)
    y = np.array([rng.choice(classes, p=row) for row in chance]).astype(float)
    sure = chance**sharpness
    return y, chance, sure / sure.sum(axis=1, keepdims=True)


def test_platt_and_temperature_find_the_line_that_was_bent():
    (line,) = fit(Method.PLATT, Y, SURE).curves
    sk = LogisticRegression(C=np.inf, tol=1e-8).fit(3 * TRUTH[:, None], Y)
    assert line.slope == pytest.approx(sk.coef_[0, 0], abs=0.001)  # Platt's targets are softer
    assert line.intercept == pytest.approx(sk.intercept_[0], abs=0.005)
    y, _, sure = several()
    assert fit(Method.TEMPERATURE, y, sure).slope == pytest.approx(1 / 2.5, abs=0.03)


def test_isotonic_is_that_of_scikit_learn_between_one_and_one_less_than_all_rows():
    (steps,) = fit(Method.ISOTONIC, Y, SURE).curves
    sk = IsotonicRegression(y_min=1 / 2002, y_max=1 - 1 / 2002, out_of_bounds="clip")
    sk.fit(SURE, Y)
    new = np.concatenate([RNG.random(500), [0.0, 1.0]])
    np.testing.assert_allclose(steps(new), sk.predict(new), rtol=1e-12)


def test_isotonic_never_turns_two_rows_round_so_that_auc_moves_by_ties_alone():
    calibration = fit(Method.ISOTONIC, Y, SURE)
    knots = np.array(calibration.curves[0].scores)
    beside = np.concatenate([knots, np.nextafter(knots, 0), np.nextafter(knots, 1), SURE])
    order = np.sort(beside)
    assert (np.diff(calibration(order)) >= 0).all()
    found = calibration(SURE)
    # The most that ties can change: each tied pair of a true and a false row by one half.
    pairs = (SURE[Y > 0][:, None] - SURE[Y == 0]) * (found[Y > 0][:, None] - found[Y == 0])
    tied = (pairs == 0).sum() / pairs.size
    assert (pairs >= 0).all()
    assert abs(roc_auc_score(Y, found) - roc_auc_score(Y, SURE)) <= tied / 2


@pytest.mark.parametrize("method", list(Method))
def test_a_row_is_calibrated_the_same_alone_and_among_others(method):
    y, _, sure = several()
    for truth, told in ((Y, SURE), (y, sure)):
        calibration = fit(method, truth, told)
        whole = calibration(told)
        alone = np.concatenate([calibration(told[row : row + 1]) for row in range(200)])
        assert alone.tobytes() == whole[:200].tobytes()
        assert np.isfinite(whole).all()
        if whole.ndim > 1:
            np.testing.assert_allclose(whole.sum(axis=1), 1.0)


@pytest.mark.parametrize("method", list(Method))
def test_what_is_certain_and_wrong_becomes_less_certain(method):
    told = np.where(np.arange(200) % 10 == 0, 1 - Y[:200], Y[:200])  # 0 and 1 alone, a tenth wrong
    found = fit(method, Y[:200], told)(told)
    assert 0.02 < found.min() < found.max() < 0.98


def test_auto_takes_what_helps_on_rows_it_was_not_fitted_on_and_nothing_where_nothing_does():
    found = calibrated("auto", Y, SURE, blocks=DAYS)
    assert found.method == "platt"
    assert found.losses["platt"] == min(found.losses.values())
    assert "least log loss on rows it was not fitted on" in found.sentence
    true = calibrated("auto", Y, expit(TRUTH - 1), blocks=DAYS)
    assert true.calibration is None
    assert "no method lowers the log loss by more than noise" in true.sentence
    y, chance, sure = several()
    assert calibrated("auto", y, sure, blocks=DAYS).method == "temperature"
    assert calibrated("auto", y, chance, blocks=DAYS).calibration is None


def test_a_bend_that_no_line_has_takes_isotonic():
    share = np.where(SURE < 0.5, 0.1, 0.6)
    y = (RNG.random(2000) < share).astype(float)
    assert calibrated("auto", y, SURE, blocks=DAYS).method == "isotonic"


@pytest.mark.parametrize("asked", ["auto", *Method])
def test_one_class_in_validation_leaves_probabilities_as_they_are(asked):
    found = calibrated(asked, np.ones(50), SURE[:50], blocks=DAYS[:50])
    assert (found.calibration, found.method) == (None, "none")
    assert "one class alone" in found.sentence


@pytest.mark.parametrize("asked", ["auto", *Method])
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_one_score_for_all_rows_stays_one(asked, score):
    found = calibrated(asked, Y, np.full(2000, score), blocks=DAYS)
    if found.calibration is not None:
        corrected = found.calibration(np.full(3, score))
        assert np.unique(corrected).size == 1
        if found.method != "temperature":
            assert corrected[0] == pytest.approx(Y.mean(), abs=0.002)


@pytest.mark.parametrize("asked", ["auto", *Method])
def test_three_rows_are_calibrated_or_left(asked):
    found = calibrated(asked, np.array([0.0, 1.0, 1.0]), SURE[:3], blocks=np.arange(3))
    if found.calibration is not None:
        assert np.isfinite(found.calibration(SURE)).all()


def test_scores_that_rank_the_wrong_way_are_not_turned_round():
    assert fit(Method.PLATT, Y, 1 - SURE) is None


def test_a_class_that_training_had_not_is_left_out_and_a_rare_one_left_as_it_is():
    y, _, sure = several()
    y[:3] = 4.0
    y[y == 3] = 0.0
    y[10:12] = 3.0
    calibration = calibrated("isotonic", y, sure, blocks=DAYS).calibration
    assert calibration.curves[3] is None
    assert all(curve is not None for curve in calibration.curves[:3])


# What is kept with a model


@pytest.fixture
def corrected(model_of):
    """A model with a calibration of each kind, and costs."""

    def made(method=Method.ISOTONIC, *, threshold=0.25):
        calibration = fit(method, Y, SURE)
        rule = ClassRule(((0.0, 1.0), (3.0, 0.0)), threshold)
        return replace(model_of("lightgbm"), calibration=calibration, rule=rule)

    return made


@pytest.mark.parametrize("method", list(Method))
def test_calibration_and_rule_survive_save_and_load_bit_for_bit(lake, corrected, rows, method):
    model = corrected(method)
    stored = registry.load(lake, "flights", registry.store(lake, model, {}))
    assert stored.calibration == model.calibration
    assert stored.rule == model.rule
    assert stored.predict(rows).tobytes() == model.predict(rows).tobytes()
    plain = replace(model, calibration=None).predict(rows)
    assert stored.predict(rows).tobytes() == model.calibration(plain).tobytes()
    assert stored.decide(np.array([0.2, 0.25, 0.3])).tolist() == [False, True, True]


def test_a_model_without_either_has_the_files_and_the_digest_it_always_had(model_of):
    assert sorted(model_of("lightgbm").files()) == ["encoding.json", "model.txt", "recipe.json"]


def test_without_costs_one_half_and_the_likeliest_class_decide():
    assert decided(np.array([0.49, 0.5]), Task.BINARY, None).tolist() == [False, True]
    several_classes = np.array([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7]])
    assert decided(several_classes, Task.MULTICLASS, None).tolist() == [0, 2]
    assert decided(np.array([1.5]), Task.REGRESSION, None).tolist() == [1.5]


LINE = {"slope": 1.0, "intercept": 0.0}
RULE = {"costs": [[0, 1], [5, 0]], "threshold": 0.2}
HOSTILE = {
    "calibration.json": [
        {"method": "isotonic", "curves": [{"scores": [0.2, 0.1], "shares": [0, 1]}]},
        {"method": "isotonic", "curves": [{"scores": [0.1, 0.2], "shares": [0.9, 0.1]}]},
        {"method": "isotonic", "curves": [{"scores": [0.1, 0.2], "shares": [0, 7]}]},
        {"method": "isotonic", "curves": [{"scores": [0.1], "shares": [0, 1]}]},
        {"method": "isotonic", "curves": [{"scores": [], "shares": []}]},
        {"method": "isotonic", "curves": [{"scores": ["0.1"], "shares": [1]}]},
        {"method": "isotonic", "curves": [None]},
        {"method": "platt", "curves": [{**LINE, "slope": -1.0}]},
        {"method": "platt", "curves": [{**LINE, "slope": float("nan")}]},
        {"method": "platt", "curves": [{**LINE, "intercept": float("inf")}]},
        {"method": "platt", "curves": [{**LINE, "slope": True}]},
        {"method": "platt", "curves": [{**LINE, "slope": 10**400}]},
        {"method": "platt", "curves": [LINE, LINE]},
        {"method": "platt", "curves": []},
        {"method": "platt", "curves": [{}]},
        {"method": "os.system", "curves": [LINE]},
        {"curves": [LINE]},
        [],
        None,
        7,
    ],
    "decision.json": [
        {**RULE, "threshold": 1.5},
        {**RULE, "threshold": None},
        {**RULE, "threshold": "0.2"},
        {**RULE, "threshold": float("nan")},
        {**RULE, "costs": [[0, 1]]},
        {**RULE, "costs": [[1, 1], [5, 0]]},
        {**RULE, "costs": [[0, -1], [5, 0]]},
        {**RULE, "costs": [[0, 1, 1], [5, 0, 1], [1, 1, 0]], "threshold": None},
        {"over": 1, "under": 2, "offset": 0},
        [],
        None,
    ],
}


@pytest.mark.parametrize(
    ("file", "content"), [(file, each) for file, told in HOSTILE.items() for each in told]
)
def test_a_hostile_file_is_refused_as_corrupt(lake, corrected, file, content):
    store(lake, {**corrected().files(), file: json.dumps(content).encode()})


@pytest.mark.parametrize("file", list(HOSTILE))
@pytest.mark.parametrize("content", [b"", b"\x80\x04.", b"[" * 100_000, b"{"])
def test_a_file_that_is_no_json_is_refused_as_corrupt(lake, corrected, file, content):
    store(lake, {**corrected().files(), file: content})


def store(lake, files):
    """Writes the files with digests that fit, as one who may write into the lake would."""
    digests = file_digests(files)
    name = digest_of(digests)
    folder = lake.models("flights") / name
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    recipe = json.loads(files["recipe.json"])
    (folder / "record.json").write_text(
        json.dumps({"model": name, "files": digests, "recipe": recipe})
    )
    with pytest.raises(CorruptArtifact, match="these are not the files of a model"):
        registry.load(lake, "flights", name)


def test_a_calibration_of_values_is_refused_and_one_of_classes_must_fit_them(model_of):
    files = {
        **replace(model_of("lightgbm"), calibration=Calibration(Method.PLATT, (Line(1.0),))).files()
    }
    for classes in (Classes(Task.REGRESSION), Classes(Task.MULTICLASS, ("a", "b", "c"))):
        told = {**files, "classes.json": json.dumps(classes.to_json()).encode()}
        with pytest.raises(CorruptArtifact, match="1 curves do not fit"):
            Model.from_files(told, record={})


def test_two_classes_by_name_are_two_columns_and_decide_without_a_threshold():
    y, _, sure = several(classes=2)
    task, told = Task.MULTICLASS, fit(Method.PLATT, y, sure)
    assert Calibration.from_json(told.to_json(), task, classes=2)(sure).shape == (2000, 2)
    rule = ClassRule(((0.0, 1.0), (9.0, 0.0)))
    assert rule_from_json(rule.to_json(), task, classes=2) == rule
    assert rule(np.array([[0.85, 0.15], [0.95, 0.05]])).tolist() == [1, 0]


def test_a_rule_of_values_keeps_its_offset():
    rule = ValueRule(1.0, 3.0, -0.5)
    assert rule(np.array([1.0])).tolist() == [0.5]
    with pytest.raises(ValueError, match="above zero"):
        ValueRule(0.0, 1.0, 0.0)


def test_steps_of_one_point_are_level():
    assert Steps((0.3,), (0.7,))(np.array([0.0, 0.3, 1.0])).tolist() == [0.7, 0.7, 0.7]

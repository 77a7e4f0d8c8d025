import re
from pathlib import Path

import pytest

from headrace.errors import SpecError
from headrace.spec import load

HERE = Path(__file__).parent
SHOP = (HERE / "shop.yaml").read_text()


def cases():
    for block in (HERE / "wrong_specs.txt").read_text().split("\n\n")[1:]:
        lines = block.strip().splitlines()
        old = [line[2:] for line in lines if line.startswith("- ")]
        new = [line[2:] for line in lines if line.startswith("+ ")]
        told = [line for line in lines if line.startswith("pipeline.yaml")]
        assert len(old) + len(new) + len(told) == len(lines)
        place, _, message = told[0].partition(": ")
        yield pytest.param(old, new, told, id=f"{place.split()[1]}: {message}")


def mutated(text, old, new):
    whole, gone, come = f"\n{text}", "\n".join(["", *old, ""]), "\n".join(["", *new, ""])
    assert gone in whole
    return whole.replace(gone, come, 1)[1:]


def problems_of(text, folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("pipeline.yaml").write_text(text)
    with pytest.raises(SpecError) as caught:
        load("pipeline.yaml", environ={})
    return str(caught.value).splitlines()


def test_the_spec_that_the_wrong_ones_start_from_is_right():
    assert load(HERE / "shop.yaml", environ={}).name == "shop"


@pytest.mark.parametrize(("old", "new", "told"), list(cases()))
def test_a_wrong_spec_is_told(old, new, told, tmp_path, monkeypatch):
    assert problems_of(mutated(SHOP, old, new), tmp_path, monkeypatch) == told


def test_all_problems_are_told_at_once_in_the_order_of_lines(tmp_path, monkeypatch):
    text = SHOP
    for old, new in {
        "timezone: Europe/Paris": "timezon: Europe/Paris",
        "event_time: placed\n  returns": "event_time: plcd\n  returns",
        "column: amount, min": "column: amnt, min",
        "dayofweek(placed)": "dayofweak(placed)",
        "over: 7 days": "over: seven days",
        "lightgbm]": "lightgmb]",
    }.items():
        assert old in text
        text = text.replace(old, new, 1)
    assert problems_of(text, tmp_path, monkeypatch) == [
        "pipeline.yaml:2:1 timezon: no such key 'timezon'; did you mean 'timezone'?",
        "pipeline.yaml:9:17 sources.orders.event_time: no column 'plcd'; did you mean 'placed'?",
        "pipeline.yaml:30:52 checks.orders[1].expect_column_values_to_be_between.column: "
        "no column 'amnt'; did you mean 'amount'?",
        "pipeline.yaml:38:14 features.columns.weekday: "
        "no function dayofweak() that a spec may use; did you mean 'dayofweek'?",
        "pipeline.yaml:44:71 features.history.returned_7d.over: "
        "'seven days' is not a duration such as '6 hours' or '7 days'",
        "pipeline.yaml:47:46 training.algorithms[1]: "
        "no algorithm 'lightgmb'; did you mean 'lightgbm'?",
    ]


def test_a_part_of_a_wrong_shape_draws_no_problems_after_it(tmp_path, monkeypatch):
    text = SHOP.replace("amount: double", "amount: decimal")
    text = text.replace("price: double", "price: money")
    assert [line.partition(": ")[0] for line in problems_of(text, tmp_path, monkeypatch)] == [
        "pipeline.yaml:7:71 sources.orders.schema.amount",
        "pipeline.yaml:24:56 sources.prices.schema.price",
    ]


def test_an_algorithm_under_another_name_and_one_that_is_not_offered_are_told(
    tmp_path, monkeypatch
):
    text = SHOP.replace("lightgbm]", "knn, quest]")
    other, quest = problems_of(text, tmp_path, monkeypatch)
    assert other.endswith("no algorithm 'knn'; did you mean 'k_nearest_neighbors'?")
    assert "'quest' is not offered: no package of QUEST" in quest
    assert "take `decision_tree`" in quest


def test_an_engine_that_does_not_fit_an_algorithm_is_told_with_what_it_fits(tmp_path, monkeypatch):
    engines = "engines: {lightgbm: spark, logistic_regresion: spark}"
    text = SHOP.replace("lightgbm]", "lightgbm], " + engines)
    told = problems_of(text, tmp_path, monkeypatch)
    assert [line.partition(" ")[2] for line in told] == [
        "training.engines.lightgbm: spark does not fit lightgbm: its engine is ray_train; "
        "spark fits decision_tree, elastic_net, lasso, linear_regression, logistic_regression, "
        "naive_bayes, ridge",
        "training.engines.logistic_regresion: no algorithm 'logistic_regresion'; "
        "did you mean 'logistic_regression'?",
    ]


def test_engines_take_a_split_by_time_without_folds(tmp_path, monkeypatch):
    text = SHOP.replace("lightgbm]", "lightgbm], engines: {lightgbm: ray_train}")
    folds = text.replace("split: {", "split: {folds: 3, ")
    dealt = re.sub(r"split: .*", "split: {kind: random, validation: 20%, test: 20%}", text)
    assert [
        problems_of(each, tmp_path, monkeypatch)[0].partition(" ")[2] for each in (folds, dealt)
    ] == [
        "split.folds: `training.engines` fit once, on all training rows: no folds",
        "split.kind: `training.engines` reads whole intervals: take `kind: time`",
    ]


@pytest.mark.parametrize(
    ("task", "value", "algorithm"),
    [
        ("regression", "length(reason)", "class_prior"),
        ("multiclass", "reason", "median"),
        ("binary", "reason is not null", "mean"),
    ],
)
def test_an_algorithm_that_cannot_learn_the_target_is_told_with_those_that_can(
    task, value, algorithm, tmp_path, monkeypatch
):
    text = SHOP.replace("value: reason is not null", f"value: {value}, task: {task}")
    text = text.replace("[logistic_regression, lightgbm]", f"[lightgbm, {algorithm}]")
    (told,) = problems_of(text, tmp_path, monkeypatch)
    place = "pipeline.yaml:47:35 training.algorithms[1]"
    assert told.startswith(f"{place}: {algorithm} cannot learn a {task} target; ")
    assert "; there is " in told
    assert "best_lookup" in told

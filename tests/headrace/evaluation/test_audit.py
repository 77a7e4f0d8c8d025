"""What an audit makes of bad tables, of a lake's history, and of allowances."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace.errors import LeakFound
from headrace.evaluation.audit import Leak, Roles, audit
from headrace.evaluation.audit.finding import Audited, Finding
from headrace.evaluation.audit.gold import audit_gold
from headrace.evaluation.audit.judgement import judge
from headrace.evaluation.splits import time_split
from headrace.lake import application_id, commit, stage_file
from headrace.masking import MASK
from headrace.models.algorithms.algorithm import Task
from headrace.spec import load
from headrace.spec.training import Allowance

SHOP = Path(__file__).parents[1] / "spec" / "shop.yaml"
ROWS = 600


def parts_of(rows, *, test=True):
    cuts = [0, rows * 6 // 10, rows * 8 // 10, rows]
    spans = zip(("train", "validation", "test"), cuts[:-1], cuts[1:], strict=True)
    found = {name: range(low, high) for name, low, high in spans}
    return found if test else {"train": range(rows), "validation": [], "test": []}


def table(rows=ROWS, **columns):
    rng = np.random.default_rng(1)
    y = columns.pop("y", rng.random(rows) < 0.4)
    return pa.table({"y": y, "a": rng.normal(size=rows), **columns})


def audited(rows, *, test=True, **roles):
    features = tuple(name for name in rows.column_names if name != "y")
    told = Roles(target="y", features=features, **roles)
    return audit(rows, roles=told, parts=parts_of(rows.num_rows, test=test))


RNG = np.random.default_rng(2)
BAD = {
    "all null": {"b": pa.nulls(ROWS)},
    "all null numbers": {"b": pa.nulls(ROWS, pa.float64())},
    "all null texts": {"b": pa.nulls(ROWS, pa.string())},
    "one value": {"b": [1] * ROWS},
    "not numbers": {"b": RNG.choice([np.nan, np.inf, -np.inf, 1.0], ROWS)},
    "huge": {"b": RNG.choice([1e308, -1e308, 5e-324], ROWS)},
    "strings": {"b": RNG.choice(["ß", "日本", "", "\u202e", "a" * 9_000, "🎲"], ROWS)},
    "dictionary": {"b": pa.array(RNG.choice(["x", "y"], ROWS)).dictionary_encode()},
    "booleans": {"b": RNG.random(ROWS) < 0.5},
    "decimals": {"b": pa.array(range(ROWS), pa.decimal128(9, 2))},
    "lists": {"b": [[1, 2]] * ROWS},
    "days": {"b": [date(2020, 1, 1) + timedelta(days=n % 9) for n in range(ROWS)]},
}


@pytest.mark.parametrize("columns", BAD.values(), ids=BAD)
def test_a_strange_column_is_no_leak_and_no_crash(columns):
    at = pa.array([datetime(2024, 1, 1, tzinfo=UTC)] * ROWS)
    rows = table(**columns)
    found = audit(
        rows.append_column("at", at),
        roles=Roles(target="y", features=("a", "b"), at="at", file_order=True, order=("b",)),
        parts=parts_of(ROWS),
    )
    assert not found.findings


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 40])
def test_too_few_rows_are_not_judged(rows):
    y = np.arange(rows) % 2 == 0
    found = audited(table(rows, y=y, copy=y.astype(float)))
    assert not found.findings
    assert Leak.PERFECT_FEATURE in {each.leak for each in found.not_judged}
    assert all(each.why for each in found.not_judged)


def test_a_target_that_never_changes_is_not_judged():
    found = audited(table(y=np.ones(ROWS, dtype=bool)))
    assert not found.findings
    assert {each.why for each in found.not_judged} == {"the target is the same in all rows"}


def test_without_later_rows_the_rest_is_still_judged():
    y = np.arange(ROWS) % 2 == 0
    found = audited(table(y=y, copy=y.astype(float)), test=False)
    assert [(each.leak, each.columns) for each in found.findings] == [
        ("perfect_feature", ("copy",))
    ]
    assert {Leak.COLLAPSING_FEATURE, Leak.REPEATED_ROWS} <= {e.leak for e in found.not_judged}


def test_ten_thousand_categories_are_no_leak():
    rng = np.random.default_rng(3)
    texts = [f"shop {n}" for n in rng.integers(0, 10_000, 20_000)]
    assert not audited(table(20_000, b=texts)).findings


def test_noise_alone_raises_no_alarm_in_a_hundred_columns():
    rng = np.random.default_rng(4)
    noise = {f"n{n}": rng.normal(size=2_000) for n in range(60)}
    noise |= {f"c{n}": rng.choice(list("abcdef"), 2_000) for n in range(40)}
    assert not audited(table(2_000, **noise)).findings


# ------------------------------------------------------------------------------- a lake's history


def shop_lake(lake, *, batches):
    """A look-up of customers that came in batches: (moment of the commit, customers)."""
    for n, customers in enumerate(batches):
        path = lake.silver("customers")
        rows = pa.table({"customer": customers, "age": [30] * len(customers)})
        rows = rows.append_column("_batch", pa.array([f"b{n}"] * len(customers)))
        unit = application_id("customers", "check", f"b{n}")
        commit(path, [stage_file(path, rows)], schema=rows.schema, unit=unit)


def shop_rows(days, *, first):
    """Twenty orders a day; every second one of a customer of the second batch."""
    count = 20 * days
    rng = np.random.default_rng(5)
    day = [first + timedelta(days=n // 20) for n in range(count)]
    known = [datetime(d.year, d.month, d.day, 20, tzinfo=UTC) for d in day]
    customers = [f"k{n % 2}{n % 20}" for n in range(count)]
    orders = {"id": [f"o{n}" for n in range(count)], "customer": customers}
    rows = pa.table(
        {
            "id": orders["id"],
            "_interval": pa.array(day, pa.date32()),
            "amount": rng.normal(size=count),
            "weekday": pa.array(rng.integers(1, 8, count), pa.int32()),
            "age": pa.array([30] * count),
            "last_price": rng.normal(size=count),
            "returned_7d": rng.normal(size=count),
            "sent_back": rng.random(count) < 0.4,
            "_target_known_at": pa.array(known, pa.timestamp("us", "UTC")),
        }
    )
    return rows, pa.table(orders)


def shop_audit(lake, rows, *, first):
    pipeline = load(SHOP, environ={})
    parts = time_split(rows, pipeline, moment=first + timedelta(days=100))
    return audit_gold(rows, pipeline, parts=parts, lake=lake).audited


def customers(batch):
    return [f"k{batch}{n}" for n in range(20) if n % 2 == batch]


def fill(lake, orders):
    path = lake.silver("orders")
    commit(path, [stage_file(path, orders)], schema=orders.schema, unit="orders/check/x")


def moved(lake, version, at):
    """Makes a commit of the log look older."""
    import json

    path = lake.silver("customers") / "_delta_log" / f"{version:020}.json"
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        if "commitInfo" in action:
            action["commitInfo"]["timestamp"] = int(at.timestamp() * 1000)
    path.write_text("\n".join(map(json.dumps, actions)) + "\n")


def test_a_first_back_fill_of_everything_is_no_evidence(lake):
    first = date(2013, 1, 1)
    rows, orders = shop_rows(100, first=first)
    shop_lake(lake, batches=[customers(0), customers(1)])
    fill(lake, orders)
    assert not shop_audit(lake, rows, first=first).findings


def test_an_entry_that_came_after_its_rows_in_a_live_lake_is_found(lake):
    first = date(2013, 1, 1)
    rows, orders = shop_rows(100, first=first)
    shop_lake(lake, batches=[customers(0), customers(1)])
    fill(lake, orders)
    moved(lake, 0, datetime(2013, 1, 20, tzinfo=UTC))  # fed from then on
    moved(lake, 1, datetime(2013, 3, 30, tzinfo=UTC))
    found = shop_audit(lake, rows, first=first).findings
    assert [(each.leak, each.columns) for each in found] == [("rebuilt_lookup", ("age",))]
    assert found[0].evidence["rows"] > 300
    assert "came after their moment of prediction" in found[0].sentence


def test_an_entry_that_came_with_the_days_own_run_is_no_evidence(lake):
    first = date(2013, 1, 1)
    rows, orders = shop_rows(100, first=first)
    shop_lake(lake, batches=[customers(0), customers(1)])
    fill(lake, orders)
    moved(lake, 0, datetime(2013, 1, 20, tzinfo=UTC))
    moved(lake, 1, datetime(2013, 1, 20, 14, tzinfo=UTC))
    assert not shop_audit(lake, rows, first=first).findings


# ------------------------------------------------------------------------------------ allowances


def found_in(*columns):
    return Finding(Leak.PERFECT_FEATURE, columns, "it tells", "mend it", {"rows": 1})


def allowed(*columns, leak="perfect_feature"):
    return Allowance.model_validate({"leak": leak, "columns": columns, "reason": "known"})


@pytest.mark.parametrize(
    ("finding", "allowance", "refused"),
    [
        (found_in("a"), allowed("a"), False),
        (found_in("a"), allowed("a", "b"), False),
        (found_in("a", "b"), allowed("a"), True),
        (found_in("a"), allowed("a", leak="row_order"), True),
        (found_in("a"), allowed(), True),
        (found_in(), allowed(), False),
        (found_in(), allowed("a"), True),
    ],
)
def test_an_allowance_covers_its_kind_in_its_columns_only(finding, allowance, refused):
    judgement = judge(Audited((finding,)), [allowance])
    assert bool(judgement.refused) == refused
    assert bool(judgement.unused) == refused


def test_the_error_names_every_finding_its_evidence_and_the_lines_that_allow_it():
    with pytest.raises(LeakFound) as caught:
        judge(Audited((found_in("a"), found_in("b", "c"))), []).demand("shop")
    assert str(caught.value).splitlines()[0].startswith("the audit before training found 2 leaks")
    assert str(caught.value).count('evidence: {"rows": 1}') == 2
    assert str(caught.value).endswith(
        "training:\n  allow:\n"
        '    - {leak: perfect_feature, columns: [a], reason: "..."}\n'
        '    - {leak: perfect_feature, columns: [b, c], reason: "..."}'
    )


def of_task(task, y, **columns):
    rows = table(y=y, **columns)
    features = tuple(name for name in rows.column_names if name != "y")
    told = Roles(target="y", features=features, key=())
    return audit(rows, roles=told, parts=parts_of(ROWS), task=task)


def leaks_of(found):
    return {(str(each.leak), each.columns) for each in found.findings}


STATES = np.array(["early", "late", "on time"])[np.random.default_rng(5).integers(0, 3, ROWS)]
DELAYS = np.random.default_rng(6).gamma(2.0, 10.0, ROWS)


@pytest.mark.parametrize(
    "leak",
    [
        np.char.add("code of ", STATES),
        (STATES == "late").astype(float),
        np.where(STATES == "early", np.nan, 1.0),
    ],
)
def test_a_feature_that_tells_a_class_is_found_with_the_class(leak):
    found = of_task(Task.MULTICLASS, STATES, leak=leak)
    assert leaks_of(found) == {("perfect_feature", ("leak",))}
    (finding,) = found.findings
    assert "(true is: y is '" in finding.sentence
    assert finding.evidence["true_is"] in finding.sentence


@pytest.mark.parametrize("leak", [-2 * DELAYS + 1, np.log1p(DELAYS), np.round(DELAYS, 1)])
def test_a_feature_that_is_the_value_in_other_words_is_found(leak):
    found = of_task(Task.REGRESSION, DELAYS, leak=leak)
    assert leaks_of(found) == {("perfect_feature", ("leak",))}
    assert "rank correlation" in found.findings[0].sentence


def test_a_value_of_yesterday_may_rightly_tell_nearly_all():
    near = DELAYS + np.random.default_rng(7).normal(0, 2, ROWS)
    assert np.corrcoef(near, DELAYS)[0, 1] > 0.98
    assert of_task(Task.REGRESSION, DELAYS, near=near).findings == ()


@pytest.mark.parametrize(("task", "y"), [(Task.MULTICLASS, STATES), (Task.REGRESSION, DELAYS)])
def test_a_clean_table_of_any_task_raises_no_alarm(task, y):
    rng = np.random.default_rng(8)
    group = rng.integers(0, 20, ROWS)
    columns = {"b": rng.normal(size=ROWS), "group": group, "text": group.astype(str)}
    assert of_task(task, y, **columns).findings == ()


@pytest.mark.parametrize(("task", "y"), [(Task.MULTICLASS, STATES), (Task.REGRESSION, DELAYS)])
def test_copies_of_rows_are_found_whatever_the_target(task, y):
    rng = np.random.default_rng(9)
    columns = {name: rng.normal(size=500) for name in "abcdefgh"}
    again = {name: np.concatenate([each, each[:100]]) for name, each in columns.items()}
    found = of_task(task, np.concatenate([y[:500], y[:100]]), **again)
    assert ("repeated_rows", ()) in leaks_of(found)


def test_a_mean_encoding_of_values_that_saw_later_rows_is_found():
    group = np.random.default_rng(10).integers(0, 30, ROWS)
    mean = np.bincount(group, DELAYS) / np.bincount(group)
    found = of_task(Task.REGRESSION, DELAYS, group=group, encoded=mean[group])
    assert ("fitted_on_test", ("encoded",)) in leaks_of(found)


def test_rows_in_the_order_of_their_values_are_found():
    order = np.argsort(np.argsort(DELAYS))
    rows = table(y=DELAYS, row=pa.array(order, pa.int64()))
    told = Roles(target="y", features=("a",), order=("row",))
    found = audit(rows, roles=told, parts=parts_of(ROWS), task=Task.REGRESSION)
    assert ("row_order", ("row",)) in leaks_of(found)


@pytest.mark.parametrize("names", [np.arange(9), np.array(list("abcdefghi"))])
def test_a_key_that_names_a_place_day_after_day_is_no_row_number(names):
    days = 70
    place, day = np.tile(np.arange(9), days), np.repeat(np.arange(days), 9)
    size = np.array([0, 5, 1, 6, 2, 7, 3, 8, 4])[place]  # each is large or small for good
    sold = size + np.random.default_rng(12).normal(0, 0.3, len(place))
    rows = table(len(place), y=sold, place=names[place], day=pa.array(day))
    told = Roles(
        target="y", features=("a",), key=("place", "day"), interval="day", order=("place",)
    )
    found = audit(rows, roles=told, parts=parts_of(len(place)), task=Task.REGRESSION)
    assert found.findings == ()


def test_a_row_number_that_begins_anew_each_day_is_found():
    rows, days = 40, 50
    rng = np.random.default_rng(13)
    sold = np.sort(rng.normal(size=(days, rows)), axis=1).ravel()
    number, day = np.tile(np.arange(rows), days), np.repeat(np.arange(days), rows)
    told = Roles(target="y", features=("a",), interval="day", order=("number",))
    found = audit(
        table(rows * days, y=sold, number=number, day=pa.array(day)),
        roles=told,
        parts=parts_of(rows * days),
        task=Task.REGRESSION,
    )
    assert leaks_of(found) == {("row_order", ("number",))}


def test_a_class_that_is_too_rare_is_not_judged_with_the_reason():
    states = np.where(np.arange(ROWS) % 60 == 0, "late", "early")
    found = of_task(Task.MULTICLASS, states)
    why = {str(each.leak): each.why for each in found.not_judged}
    assert "needs at least 50 true and 50 false rows" in why["perfect_feature"]
    assert why["perfect_feature"].endswith("(true is: y is 'early')")


def test_examples_of_a_finding_hide_marked_columns():
    rows = table(name=["Ada", "Eve"] * (ROWS // 2), city=["Rome"] * ROWS)
    key, groups = ("name", "city"), ("name",)
    told = audited(rows, key=key, groups=groups, hidden=frozenset({"name"})).findings
    evidence = {each.leak: each.evidence.get("examples") for each in told}
    assert evidence[Leak.REPEATED_ROWS] == [f"name={MASK}, city=Rome"] * 3
    assert evidence[Leak.SHARED_GROUPS] == [MASK] * 2
    assert "Ada" not in str([each.to_json() for each in told])

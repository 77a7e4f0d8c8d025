"""Every form of feature equals a brute-force oracle, and knows nothing of what comes later."""

from __future__ import annotations

import math
import random
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace.errors import FeatureError
from headrace.intervals import features_due, intervals
from headrace.lake import Lake, Table, append
from headrace.lake.known import as_known
from headrace.spec import load
from headrace.spec.model import Pipeline

Row = dict[str, Any]
World = dict[str, list[Row]]

SPEC = """
name: shop
timezone: America/New_York
sources:
  orders:
    path: landing/orders/*
    schema: {id: int, customer: string, shop: string, placed: timestamp, amount: double}
    key: [id]
    event_time: placed
  visits:
    path: landing/visits/*
    schema: {v: int, customer: string, shop: string, began: timestamp, told: timestamp,
             length: double, kind: string}
    key: [v]
    event_time: began
    known_at: told
  prices:
    path: landing/prices/*
    schema: {shop: string, day: timestamp, revised: timestamp, price: double}
    key: [shop, day]
    event_time: day
    known_at: revised
    on_conflict: latest
  moves:
    path: landing/moves/*
    schema: {m: int, customer: string, moved: timestamp, heard: timestamp, zip: int}
    key: [m]
    event_time: moved
    known_at: heard
    on_conflict: latest
  seats:
    path: landing/seats/*
    schema: {m: int, at: timestamp, heard: timestamp, customer: string, seat: int}
    key: [m, at]
    event_time: at
    known_at: heard
    on_conflict: latest
  plans:
    path: landing/plans/*
    schema: {customer: string, since: timestamp, until: timestamp, signed: timestamp, tier: string}
    key: [customer, since]
    valid_from: since
    valid_to: until
    known_at: signed
    on_conflict: latest
  calls:
    path: landing/calls/*
    schema: {c: int, customer: string, rang: timestamp}
    key: [c]
    event_time: rang
  shops:
    path: landing/shops/*
    schema: {shop: string, code: int, size: int}
    key: [shop]
    timeless: true
  results:
    path: landing/results/*
    schema: {id: int, placed: timestamp, known: timestamp, returned: boolean}
    key: [id]
    event_time: placed
    known_at: known
    references: orders
features:
  rows: orders
  at: 05:00 of the interval
  columns: {amount: amount, big: amount > 5}
  lookups:
    shops: {on: [shop], columns: [size]}
    plans: {on: [customer], columns: [tier]}
  latest:
    visits: {on: [customer], within: 2 days, columns: {last_length: length, last_kind: kind}}
    there: {of: visits, on: [customer, shop], within: 30 hours, columns: {there_length: length}}
    before: {of: visits, on: [customer], within: 3 days, lag: 1, columns: {before_length: length}}
    prices: {on: [shop], within: 3 days, columns: [price]}
    moves: {on: [customer], within: 4 days, columns: [zip]}
    seats: {on: [customer], within: 4 days, columns: [seat]}
  history:
    n_1d: {of: visits, value: count(*), by: [customer], over: 1 days}
    n_2d: {of: visits, value: count(*), by: [customer], over: 2 days}
    sum_2d: {of: visits, value: sum(length), by: [customer], over: 2 days}
    mean_2d: {of: visits, value: avg(length), by: [customer], over: 2 days}
    least: {of: visits, value: min(length), by: [customer], over: 36 hours}
    most: {of: visits, value: max(length), by: [customer, shop], over: 2 days}
    spread: {of: visits, value: stddev(length), by: [customer], over: 3 days}
    share: {of: visits, value: "avg(if(kind = 'a', 1, 0))", by: [shop], over: 2 days}
    kinds: {of: visits, value: count(distinct kind), by: [shop], over: 1 days}
    last_two: {of: visits, value: avg(length), by: [customer], over: 3 days, last: 2}
    paid: {of: prices, value: sum(price), by: [shop], over: 3 days}
    called: {of: calls, value: count(*), by: [customer], over: 5 days}
  encodings:
    shop_share: {kind: frequency, of: visits, by: [shop], over: 2 days}
    shop_mean: {kind: mean, of: visits, value: length, by: [shop], over: 2 days, smoothing: 3}
  holidays:
    holiday: {country: US}
    to_holiday: {country: US, value: days_until}
target: {name: back, of: results, value: returned}
split: {kind: time, validation: 1 days, test: 1 days}
training: {algorithms: [logistic_regression], first: 2013-12-01, every: 31 days}
"""

# Of the forms only those that an error is looked for in: each takes Spark a second or two.
FEW = re.sub(
    r"  latest:\n.*?(?=  history:)|    n_1d:.*?(?=    most:)|    spread:.*?(?=target:)",
    "",
    SPEC,
    flags=re.S,
)

FIRST = date(2013, 11, 1)  # the clock is changed on the 3rd; the 11th is a holiday
DAYS = [FIRST + timedelta(days=n) for n in range(5)]
NULL_SAFE = {"sum_2d", "mean_2d", "spread", "share", "last_two", "paid", "shop_share", "shop_mean"}


def world(seed: int, *, size: int = 60) -> World:
    """Random rows on a coarse grid of times, so that ties and exact moments of prediction occur."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    start = datetime(2013, 10, 30, 9, tzinfo=UTC)

    def moment(least: int = 0, most: int = 7 * 24) -> datetime:
        return start + timedelta(hours=draw.randint(least, most))

    customers = [None, *(["hot"] * 4), "b", "ç"] if seed % 3 else ["only"]
    shops = ["x", "y", None, "z"]

    def later(when: datetime) -> datetime:
        return when + timedelta(hours=draw.choice([-30, 0, 0, 0, 1, 24, 60]))

    def revisions(key: Row, clock: str, value: Callable[[], Row]) -> list[Row]:
        known = sorted({moment() for _ in range(draw.randint(1, 3))})
        return [{**key, **value(), clock: when} for when in known]

    number = lambda: draw.choice([None, 0.0, -1.5, 2.25, 7.0, 0.1])  # noqa: E731 - short
    orders = [
        {
            "id": n,
            "customer": draw.choice(customers),
            "shop": draw.choice(shops),
            "placed": datetime(2013, 11, 1, 5, tzinfo=UTC)
            + timedelta(hours=draw.randint(0, 5 * 24)),
            "amount": number(),
        }
        for n in range(size)
    ]
    visits = []
    for n in range(size):
        began = moment()
        visits.append(
            {
                "v": n,
                "customer": draw.choice(customers),
                "shop": draw.choice(shops),
                "began": began,
                "told": later(began),
                "length": number(),
                "kind": draw.choice(["a", "b", None]),
            }
        )
    prices = [
        row
        for shop in ("x", "y")
        for day in range(6)
        for row in revisions(
            {"shop": shop, "day": start + timedelta(days=day)},
            "revised",
            lambda: {"price": number()},
        )
    ]
    moves = [
        row
        for n in range(size // 4)
        for row in revisions(
            {"m": n, "customer": draw.choice(customers)},
            "heard",
            lambda: {"moved": moment(), "zip": draw.randint(1, 4)},
        )
    ]
    seats = [
        row
        for n in range(size // 4)
        for row in revisions(
            {"m": n, "at": moment()},
            "heard",
            lambda: {"customer": draw.choice(customers), "seat": draw.randint(1, 4)},
        )
    ]
    plans = [
        row
        for customer in {*customers} - {None}
        for n in range(3)
        for row in revisions(
            {"customer": customer, "since": start + timedelta(hours=40 * n)},
            "signed",
            lambda: {"until": draw.choice([None, moment()]), "tier": draw.choice("pqr")},
        )
    ]
    calls = [
        {"c": n, "customer": draw.choice(customers), "rang": moment()} for n in range(size // 2)
    ]
    for n, call in enumerate(calls):
        call["_ingested_at"] = later(call["rang"]) if n % 2 else start + timedelta(days=60)
    placed = [(order["id"], order["placed"]) for order in orders if draw.random() < 0.7]
    return {
        "orders": orders,
        "visits": visits,
        "prices": prices,
        "moves": moves,
        "seats": seats,
        "plans": plans,
        "calls": calls,
        "shops": [{"shop": shop, "code": n, "size": n * 10} for n, shop in enumerate("xyz")],
        "results": [
            {
                "id": i,
                "placed": p,
                "known": p + timedelta(hours=30),
                "returned": draw.random() < 0.5,
            }
            for i, p in placed
        ],
    }


TYPES = {
    "int": pa.int32(),
    "string": pa.string(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
}


def publish(pipeline: Pipeline, lake: Lake, rows: World, *, batch: str) -> None:
    """Puts rows into silver, as the stage `check` would."""
    for name, table in rows.items():
        if not table:
            continue
        columns = pipeline.sources[name].columns
        data = {c: pa.array([row[c] for row in table], TYPES[kind]) for c, kind in columns.items()}
        ingested = [row.get("_ingested_at", datetime(2014, 1, 1, tzinfo=UTC)) for row in table]
        data |= {
            "_file": pa.array([batch] * len(table)),
            "_file_sha256": pa.array([batch] * len(table)),
            "_row": pa.array(range(len(table)), pa.int64()),
            "_batch": pa.array([batch] * len(table)),
            "_ingested_at": pa.array(ingested, TYPES["timestamp"]),
        }
        append(lake.silver(name), pa.table(data), unit=f"{name}/check/{batch}")


def declared(folder: Path, *changes: tuple[str, str], text: str = SPEC) -> Pipeline:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "pipeline.yaml").write_text(text)
    return load(folder / "pipeline.yaml")


def built(
    spark: Any, pipeline: Pipeline, lake: Lake, *, days: Iterable[date] = DAYS
) -> dict[int, Row]:
    """Order -> its row of gold, of some days."""
    from spark_jobs.gold import gold_rows

    due = features_due(pipeline, lake).among(list(days))
    with gold_rows(
        spark, lake, pipeline=pipeline, intervals=due.intervals, versions=due.versions
    ) as rows:
        found = rows.collect()
    assert len({row["id"] for row in found}) == len(found)
    return {row["id"]: row.asDict() for row in found}


# ------------------------------------------------------------------------------------ the oracle


def oracle(pipeline: Pipeline, rows: World) -> dict[int, Row]:
    """Order -> its features, worked out row by row from the definition."""
    found = {}
    for order in rows["orders"]:
        day = order["placed"].astimezone(pipeline.zone).date()
        if day in DAYS:
            found[order["id"]] = expected(rows, order, pipeline.at(day).astimezone(UTC), day)
    return found


def as_of(rows: Iterable[Row], key: Sequence[str], clock: str, at: datetime) -> list[Row]:
    """The newest version of each key that was known, with `_first`, when it first was."""
    versions: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        versions.setdefault(tuple(row[k] for k in key), []).append(row)
    found = []
    for each in versions.values():
        known = sorted((row for row in each if row[clock] <= at), key=lambda row: row[clock])
        if known:
            found.append({**known[-1], "_first": known[0][clock]})
    return found


def same(row: Row, order: Row, *columns: str) -> bool:
    return all(row[c] is not None and row[c] == order[c] for c in columns)


def least_null(value: Any) -> tuple[bool, Any]:
    return (value is not None, value)


def expected(rows: World, order: Row, at: datetime, day: date) -> Row:
    hours = lambda n: timedelta(hours=n)  # noqa: E731 - short
    visits = [row for row in rows["visits"] if row["told"] <= at]
    mine = [row for row in visits if same(row, order, "customer")]
    here = [row for row in visits if same(row, order, "shop")]

    def newest(of: list[Row], within: int, *values: str, nth: int = 0) -> Row:
        happened = [row for row in of if row["began"] <= at]
        happened.sort(
            key=lambda row: (row["began"], row["told"], *(least_null(row[v]) for v in values)),
            reverse=True,
        )
        fresh = [row for row in happened if row["began"] >= at - hours(within)]
        return fresh[nth] if len(fresh) > nth else dict.fromkeys(values)

    def over(of: list[Row], span: int) -> list[Row]:
        return [row for row in of if row["told"] > at - hours(span)]

    def lengths(of: list[Row]) -> list[float]:
        return [row["length"] for row in of if row["length"] is not None]

    def mean(values: Sequence[float]) -> float | None:
        return math.fsum(values) / len(values) if values else None

    def none_if_empty(value: Any, of: list[Row]) -> Any:
        return value if of else None

    last = newest(mine, 48, "length", "kind")
    prices = [
        r for r in as_of(rows["prices"], ["shop", "day"], "revised", at) if same(r, order, "shop")
    ]
    dated = [r for r in prices if at - hours(72) <= r["day"] <= at]
    price = max(dated, key=lambda r: r["day"], default={"price": None})
    paid = [r for r in prices if r["_first"] > at - hours(72)]
    sums = [r["price"] for r in paid if r["price"] is not None]
    moves = [
        r
        for r in as_of(rows["moves"], ["m"], "heard", at)
        if same(r, order, "customer") and at - hours(96) <= r["moved"] <= at
    ]
    move = max(moves, key=lambda r: (r["moved"], r["heard"], r["zip"]), default={"zip": None})
    seats = [
        r
        for r in as_of(rows["seats"], ["m", "at"], "heard", at)
        if same(r, order, "customer") and at - hours(96) <= r["at"] <= at
    ]
    seat = max(seats, key=lambda r: (r["at"], r["heard"], r["seat"]), default={"seat": None})
    plans = [
        r
        for r in as_of(rows["plans"], ["customer", "since"], "signed", at)
        if same(r, order, "customer") and r["since"] <= at
    ]
    plan = max(plans, key=lambda r: r["since"], default=None)
    holds = plan is not None and (plan["until"] is None or plan["until"] > at)
    calls = [
        r
        for r in rows["calls"]
        if same(r, order, "customer") and at - hours(120) < r["_ingested_at"] <= at
    ]
    two = sorted(over(mine, 72), key=lambda r: (r["told"], r["v"]))[-2:]
    of_shop, everything = over(here, 48), over(visits, 48)
    prior = mean(lengths(everything))
    known = lengths(of_shop)
    there = newest([r for r in mine if same(r, order, "shop")], 30, "length")
    most = lengths(over([r for r in mine if same(r, order, "shop")], 48))
    spread = lengths(over(mine, 72))
    sizes = {r["shop"]: r["size"] for r in rows["shops"]}
    outcome = next((r["returned"] for r in rows["results"] if r["id"] == order["id"]), None)
    return {
        "amount": order["amount"],
        "big": None if order["amount"] is None else order["amount"] > 5,
        "size": sizes.get(order["shop"]),
        "tier": plan["tier"] if holds else None,
        "last_length": last["length"],
        "last_kind": last["kind"],
        "there_length": there["length"],
        "before_length": newest(mine, 72, "length", nth=1)["length"],
        "price": price["price"],
        "zip": move["zip"],
        "seat": seat["seat"],
        "n_1d": none_if_empty(len(over(mine, 24)), over(mine, 48)),
        "n_2d": none_if_empty(len(over(mine, 48)), over(mine, 48)),
        "sum_2d": none_if_empty(math.fsum(lengths(over(mine, 48))), lengths(over(mine, 48))),
        "mean_2d": mean(lengths(over(mine, 48))),
        "least": min(lengths(over(mine, 36)), default=None),
        "most": max(most, default=None),
        "spread": statistics.stdev(spread) if len(spread) > 1 else None,
        "share": mean([float(r["kind"] == "a") for r in of_shop]),
        "kinds": len({r["kind"] for r in over(here, 24)} - {None}),
        "last_two": mean(lengths(two)),
        "paid": math.fsum(sums) if sums else None,
        "called": none_if_empty(len(calls), calls),
        "shop_share": len(of_shop) / len(everything) if everything else None,
        "shop_mean": None if prior is None else (math.fsum(known) + 3 * prior) / (len(known) + 3),
        "holiday": day == date(2013, 11, 11),
        "to_holiday": (date(2013, 11, 11) - day).days,
        "back": outcome,
    }


def differences(found: Mapping[int, Row], wanted: Mapping[int, Row]) -> list[str]:
    told = []
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        for name, value in row.items():
            got = found[key][name]
            if name in {"n_1d", "n_2d", "kinds", "called"}:  # a count of nothing: 0 or no group
                got, value = got or 0, value or 0  # noqa: PLW2901 - the same rule for both
            near = (
                math.isclose(got, value, rel_tol=1e-9, abs_tol=1e-12)
                if name in NULL_SAFE and got is not None and value is not None
                else got == value
            )
            if not near:
                told.append(f"{key}.{name}: {got!r}, and the oracle says {value!r}")
    return told


# ------------------------------------------------------------------------------------- the tests


def test_what_is_known_after_a_moment_changes_nothing_before_it(tmp_path, spark):
    pipeline, rows, last = declared(tmp_path), world(5), DAYS[2]
    at = pipeline.at(last).astimezone(UTC)
    clocks = {"visits": "told", "prices": "revised", "moves": "heard", "plans": "signed"}
    past = dict(rows)
    for name, clock in {**clocks, "calls": "_ingested_at"}.items():
        past[name] = [row for row in rows[name] if row[clock] <= at]
        assert len(past[name]) < len(rows[name])
    made = []
    for n, known in enumerate((rows, past)):
        lake = Lake(tmp_path / f"lake{n}")
        publish(pipeline, lake, known, batch="one")
        found = built(spark, pipeline, lake, days=[d for d in DAYS if d <= last])
        made.append({k: {c: row[c] for c in pipeline.features.names} for k, row in found.items()})
    assert made[0] == made[1]


def test_every_form_equals_the_oracle_for_any_partitions_and_order(tmp_path, spark):
    pipeline, rows = declared(tmp_path), world(7)
    before = spark.conf.get("spark.sql.shuffle.partitions")
    made = []
    for partitions in (1, 2, 4, 16):
        lake = Lake(tmp_path / f"lake{partitions}")
        draw = random.Random(partitions)  # noqa: S311 - no secret
        shuffled = {name: draw.sample(table, len(table)) for name, table in rows.items()}
        publish(pipeline, lake, shuffled, batch="one")
        spark.conf.set("spark.sql.shuffle.partitions", partitions)
        try:
            made.append(built(spark, pipeline, lake))
        finally:
            spark.conf.set("spark.sql.shuffle.partitions", before)
    assert differences(made[0], oracle(pipeline, rows)) == []
    names = pipeline.features.names
    contents = [{k: {c: row[c] for c in names} for k, row in found.items()} for found in made]
    assert contents[0] == contents[1] == contents[2] == contents[3]  # to the last bit


@settings(max_examples=25, deadline=None)
@example(seed=2972, name="moves")  # a correction known before the row that it takes away
@given(
    seed=st.integers(0, 10_000),
    name=st.sampled_from(["visits", "prices", "moves", "seats", "plans", "calls", "results"]),
)
def test_late_rows_make_every_interval_stale_that_they_change(seed, name, tmp_path_factory):
    """Without Spark: what the oracle says has changed is among what the fingerprints say has."""
    folder = tmp_path_factory.mktemp("late")
    pipeline, lake, rows = declared(folder), Lake(folder / "lake"), world(seed, size=20)
    draw = random.Random(seed)  # noqa: S311 - no secret
    late = draw.sample(rows[name], max(1, len(rows[name]) // 4))
    first = {**rows, name: [row for row in rows[name] if row not in late]}
    publish(pipeline, lake, first, batch="one")

    def prints() -> dict[date, tuple[str, str]]:
        silver = {s: Table.if_exists(lake.silver(s)) for s in pipeline.sources}
        found = intervals(pipeline, {s: t for s, t in silver.items() if t}, cache=lake.cache)
        return {each.day: (each.fingerprint, each.labels) for each in found}

    before = prints()
    publish(pipeline, lake, {name: late}, batch="two")
    after = prints()
    old, new = oracle(pipeline, first), oracle(pipeline, rows)
    day_of = {o["id"]: o["placed"].astimezone(pipeline.zone).date() for o in rows["orders"]}
    changed = {day_of[key] for key in new if differences({key: old[key]}, {key: new[key]})}
    assert changed <= {day for day in before if before[day] != after[day]}


def test_a_late_row_at_the_very_beginning_of_a_span_makes_the_day_stale(tmp_path):
    pipeline, lake, rows = declared(tmp_path), Lake(tmp_path / "lake"), world(3)
    publish(pipeline, lake, rows, batch="one")
    before = {i.day: i.fingerprint for i in features_due(pipeline, lake).missing}
    told = pipeline.at(DAYS[4]).astimezone(UTC) - timedelta(days=4)  # `within` of moves and seats
    late = {**rows["seats"][0], "m": 999, "at": told, "heard": told}
    publish(pipeline, lake, {"seats": [late]}, batch="two")
    after = {i.day: i.fingerprint for i in features_due(pipeline, lake).missing}
    assert before[DAYS[4]] != after[DAYS[4]]


def test_a_history_is_the_same_whatever_stands_beside_it(tmp_path, spark):
    beside = "    n_res: {of: results, value: count(*), by: [id], over: 30 days}\n"
    linked = "    amounts: {of: results, value: sum(amount), by: [id], over: 1 days}\n"
    rows = world(1)
    rows["results"] += [
        {
            "id": o["id"],
            "placed": o["placed"],
            "known": o["placed"] - timedelta(days=2),
            "returned": True,
        }
        for o in rows["orders"]
        if o["id"] not in {r["id"] for r in rows["results"]}
    ]
    rows["results"] = [r for r in rows["results"] if r["known"] < r["placed"]]
    found = []
    for n, more in enumerate((beside, beside + linked)):
        pipeline = declared(tmp_path, ("  history:\n", f"  history:\n{more}"), text=FEW)
        lake = Lake(tmp_path / f"lake{n}")
        publish(pipeline, lake, rows, batch="one")
        made = built(spark, pipeline, lake)
        found.append({key: row["n_res"] for key, row in made.items()})
    assert found[0] == found[1]
    assert set(found[0].values()) == {None, 1}


def test_a_list_by_the_names_of_the_key_is_matched_by_name_and_any_other_in_order():
    from headrace.spec.forms import Lookup
    from headrace.spec.model import Source

    source = Source.model_validate(
        {"path": "x", "schema": {"a": "int", "b": "int"}, "key": ["a", "b"], "timeless": True}
    )
    for on, pairs in (
        (["b", "a"], {"b": "b", "a": "a"}),
        (["c", "d"], {"c": "a", "d": "b"}),
        ({"b": "b"}, {"b": "b"}),
        ({"a": "b", "b": "a"}, {"a": "b", "b": "a"}),
    ):
        assert dict(Lookup(on=on, columns=["a"]).pairs(source)) == pairs


def test_days_out_of_reach_of_a_late_row_stay_as_they_are(tmp_path):
    pipeline, lake, rows = declared(tmp_path), Lake(tmp_path / "lake"), world(3)
    publish(pipeline, lake, rows, batch="one")
    before = {i.day: i.fingerprint for i in features_due(pipeline, lake).missing}
    told = datetime(2013, 11, 4, 12, tzinfo=UTC)  # after 05:00 of the 4th in New York
    late = {**rows["visits"][0], "v": 999, "began": told, "told": told}
    publish(pipeline, lake, {"visits": [late]}, batch="two")
    after = {i.day: i.fingerprint for i in features_due(pipeline, lake).missing}
    assert {day for day in before if before[day] != after[day]} == {date(2013, 11, 5)} | {
        day for day in before if day > date(2013, 11, 5)
    }


@given(
    facts=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-3, 3), st.integers(-3, 3)), max_size=12
    ),
    asked=st.lists(st.tuples(st.integers(-1, 3), st.integers(-4, 4)), max_size=6),
    far=st.booleans(),
)
def test_the_newest_of_sorted_arrays_is_that_of_a_loop(facts, asked, far):
    from spark_jobs.gold.newest import newest_of

    scale = 2**55 if far else 1  # so that key and time do not fit into one number
    order = (
        np.lexsort(([f[2] for f in facts], [f[0] for f in facts])) if facts else np.empty(0, int)
    )
    ranks = np.empty(len(facts), np.int64)
    ranks[order] = np.arange(len(facts))
    arrays = [np.array([row[n] for row in rows], np.int64) for rows, n in ((asked, 0), (asked, 1))]
    keys, usable = (np.array([f[n] for f in facts], np.int64) for n in (0, 1))
    found = newest_of(arrays[0], arrays[1] * scale, keys, usable * scale, order=ranks).tolist()
    for (key, at), got in zip(asked, found, strict=True):
        known = [n for n, f in enumerate(facts) if f[0] == key and f[1] <= at]
        assert got == max(known, key=lambda n: ranks[n], default=-1)


def test_rows_are_read_as_they_were_known():
    at = datetime(2013, 11, 2, tzinfo=UTC)
    rows = pa.table(
        {
            "k": [1, 1, 2, 1],
            "price": [1.0, 2.0, 3.0, 4.0],
            "_ingested_at": pa.array(
                [at, at - timedelta(1), at, at + timedelta(1)], TYPES["timestamp"]
            ),
        }
    )
    found = as_known(rows, key=["k"], clock="_ingested_at", at=at).to_pylist()
    assert [(row["k"], row["price"]) for row in found] == [(1, 1.0), (2, 3.0)]


def test_a_look_up_by_columns_that_are_no_key_names_the_offending_ones(tmp_path, spark):
    pipeline = declared(
        tmp_path,
        ("shops: {on: [shop], columns: [size]}", "shops: {on: {id: code}, columns: [size]}"),
        text=FEW,
    )
    rows = world(1)
    rows["shops"] = [
        {"shop": s, "code": c, "size": 1} for s, c in zip("xyz", (7, 7, 8), strict=True)
    ]
    publish(pipeline, Lake(tmp_path / "lake"), rows, batch="one")
    with pytest.raises(FeatureError) as error:
        built(spark, pipeline, Lake(tmp_path / "lake"))
    assert "look-up shops: shops has several rows for code=7 (2 rows)" in str(error.value)
    assert "pipeline.yaml:68:5 features.lookups.shops" in str(error.value)


def test_types_that_do_not_fit_are_told_with_their_line(tmp_path, spark):
    rows = world(1)
    for old, new, where in (
        ("big: amount > 5", "big: hour(amount)", " features.columns.big"),
        ("value: max(length)", "value: max(length + date(kind))", " features.history.most.value"),
        ("value: returned", "value: returned > date'2013-01-01'", " target.value"),
    ):
        pipeline = declared(tmp_path, (old, new), text=FEW)
        lake = Lake(tmp_path / new[:9].replace(":", ""))
        publish(pipeline, lake, rows, batch="one")
        with pytest.raises(FeatureError, match="Spark refuses the expression") as error:
            built(spark, pipeline, lake)
        assert re.search(rf"pipeline.yaml:[0-9]+:[0-9]+{where}", str(error.value))


def test_a_step_adds_columns_and_may_lose_none(tmp_path, spark, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_steps.py").write_text(
        "from pyspark.sql import functions as F\n"
        "def ratio(rows):\n"
        "    return rows.withColumn('per_size', F.try_divide('amount', 'size'))\n"
        "def careless(rows):\n    return rows.select('id')\n"
    )
    rows = world(1)
    step = "  steps: [{{function: 'my_steps:{}', adds: [per_size]}}]\ntarget: {{"
    pipeline = declared(tmp_path, ("target: {", step.format("ratio")), text=FEW)
    lake = Lake(tmp_path / "lake")
    publish(pipeline, lake, rows, batch="one")
    before = features_due(pipeline, lake).missing[0].fingerprint
    found = built(spark, pipeline, lake)
    for row in found.values():
        if row["amount"] is not None and row["size"]:
            assert row["per_size"] == row["amount"] / row["size"]
    with (tmp_path / "my_steps.py").open("a") as code:
        code.write("# changed\n")
    assert features_due(pipeline, lake).missing[0].fingerprint != before
    careless = declared(tmp_path, ("target: {", step.format("careless")), text=FEW)
    with pytest.raises(FeatureError, match=r"my_steps:careless returned no column amount"):
        built(spark, careless, lake)

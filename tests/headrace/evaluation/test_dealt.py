from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from headrace.errors import TrainingError
from headrace.evaluation.audit import Roles, audit
from headrace.evaluation.blocks import MOST, blocks_of
from headrace.evaluation.folds import folds, outer
from headrace.evaluation.splits import split
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline
from headrace.spec.training import Split

COLUMNS = {"id": "int", "patient": "string", "day": "timestamp"}
MOMENT = date(2013, 11, 6)
SHARES = {"validation": "20%", "test": "20%"}


def declared(**of_split):
    return Pipeline.model_validate(
        {
            "name": "visits",
            "timezone": "UTC",
            "sources": {
                "visits": {"path": "v", "schema": COLUMNS, "key": ["id"], "event_time": "day"},
                "cures": {"path": "c", "schema": COLUMNS, "key": ["id"], "known_at": "day"},
            },
            "features": {"rows": "visits", "at": "05:00", "columns": {"patient": "patient"}},
            "target": {"name": "cured", "of": "cures", "value": "id > 1"},
            "split": {**SHARES, **of_split},
            "training": {"algorithms": ["lightgbm"], "first": "2013-11-06", "every": "30 days"},
        }
    )


RANDOM = declared(kind="random", folds=4)
STRATIFIED = declared(kind="stratified", folds=4)
GROUPED = declared(kind="grouped", groups=["patient"], folds=4)


def table(ids, *, cured=None, patients=None, day=date(2013, 11, 1)):
    """A row per id, its target known in time; without an outcome where `cured` is None."""
    ids = list(ids)
    days = [day - timedelta(days=each % 9) for each in ids]
    known = [datetime(each.year, each.month, each.day, 20, tzinfo=UTC) for each in days]
    return pa.table(
        {
            "_interval": pa.array(days, pa.date32()),
            "id": pa.array(ids, pa.int32()),
            "patient": patients or [f"p{each}" for each in ids],
            "cured": cured or [each % 3 == 0 for each in ids],
            "_target_known_at": pa.array(known, pa.timestamp("us", "UTC")),
        }
    )


def ids_of(rows, part):
    return set(rows.column("id").take(pa.array(part.rows)).to_pylist())


def classes(rows, part):
    return np.bincount(np.asarray(rows.column("cured"))[part.rows].astype(int), minlength=2)


SOME_IDS = st.sets(st.integers(0, 100_000), min_size=200, max_size=400).map(sorted)


@settings(deadline=None, max_examples=25)
@given(ids=SOME_IDS, kind=st.sampled_from([RANDOM, STRATIFIED, GROUPED]))
def test_every_row_is_in_one_part_and_judged_in_one_fold(ids, kind):
    rows = table(ids)
    parts = split(rows, kind, moment=MOMENT)
    assert sorted(np.concatenate([part.rows for part in parts])) == list(range(len(ids)))
    dealt = folds(rows, kind, parts=parts)
    learned = sorted([*parts.train.rows, *parts.validation.rows])
    assert sorted(np.concatenate([held.rows for _, held in dealt])) == learned
    for train, held in dealt:
        assert sorted([*train.rows, *held.rows]) == learned


@settings(deadline=None, max_examples=25)
@given(ids=SOME_IDS, kind=st.sampled_from([RANDOM, GROUPED]))
def test_no_row_changes_its_part_when_more_rows_come(ids, kind):
    before, after = table(ids[::2]), table(ids)
    for part, later in zip(
        split(before, kind, moment=MOMENT), split(after, kind, moment=MOMENT), strict=True
    ):
        assert ids_of(before, part) <= ids_of(after, later)


@settings(deadline=None, max_examples=25)
@given(ids=SOME_IDS, data=st.data())
def test_stratified_keeps_the_share_of_each_class_to_a_row(ids, data):
    cured = data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
    rows = table(ids, cured=[True] * 9 + cured[9:])
    parts = split(rows, STRATIFIED, moment=MOMENT)
    total = sum(classes(rows, part) for part in parts)
    for part in (parts.validation, parts.test):
        assert (abs(classes(rows, part) - 0.2 * total) <= 1).all()
    held = [classes(rows, held) for _, held in folds(rows, STRATIFIED, parts=parts)]
    assert (np.ptp(held, axis=0) <= 1).all()
    assert np.ptp(np.sum(held, axis=1)) <= 1


@settings(deadline=None, max_examples=25)
@given(ids=SOME_IDS, data=st.data())
def test_no_group_is_in_two_parts_or_in_both_sides_of_a_fold(ids, data):
    number = st.integers(0, 60)
    patients = [f"P{n}" for n in data.draw(st.lists(number, min_size=len(ids), max_size=len(ids)))]
    rows = table(ids, patients=patients)
    try:
        parts = split(rows, GROUPED, moment=MOMENT)
        dealt = [*folds(rows, GROUPED, parts=parts), *outer_of(rows, parts)]
    except TrainingError:
        return  # so few groups that a part has none
    for sides in (tuple(parts), *dealt):
        names = [{patients[place].lower() for place in side.rows} for side in sides]
        assert sum(map(len, names)) == len(set.union(*names))


def outer_of(rows, parts):
    nested = declared(kind="grouped", groups=["patient"], nested=3)
    return [tuple(each) for each in outer(rows, nested, parts=parts, moment=MOMENT)]


@pytest.mark.parametrize("kind", ["random", "stratified", "grouped"])
def test_outer_folds_cover_all_rows_but_those_of_the_gate(kind):
    groups = ["patient"] if kind == "grouped" else []
    pipeline = declared(kind=kind, groups=groups, nested=3)
    rows = table(range(300))
    parts = split(rows, pipeline, moment=MOMENT)
    found = outer(rows, pipeline, parts=parts, moment=MOMENT)
    tested = np.concatenate([each.test.rows for each in found])
    assert sorted(tested) == sorted([*parts.train.rows, *parts.validation.rows])
    for each in found:
        assert sorted(np.concatenate([part.rows for part in each])) == sorted(tested)


def test_folds_by_time_expand_and_end_with_the_validation_part():
    pipeline = declared(validation="2 days", test="2 days", folds=3)
    rows = table(range(900), day=date(2013, 11, 5))
    parts = split(rows, pipeline, moment=MOMENT)
    found = folds(rows, pipeline, parts=parts)
    assert [held.first for _, held in found] == [
        date(2013, 10, 29),
        date(2013, 10, 31),
        date(2013, 11, 2),
    ]
    assert found[-1][1].rows.tolist() == parts.validation.rows.tolist()
    assert found[-1][0].rows.tolist() == parts.train.rows.tolist()
    for train, held in found:
        assert train.end == held.first
    sizes = [len(train.rows) for train, _ in found]
    assert sizes == sorted(sizes)


def test_a_target_that_is_not_known_in_time_is_counted_in_the_part_of_its_row():
    rows = table(range(300))
    late = pa.array([datetime(2013, 11, 6, 5, tzinfo=UTC)] * 300, pa.timestamp("us", "UTC"))
    mixed = pa.concat_tables([rows, table(range(300, 600)).set_column(4, "_target_known_at", late)])
    for pipeline in (RANDOM, GROUPED):
        parts = split(mixed, pipeline, moment=MOMENT)
        assert sum(part.known_too_late for part in parts) == 300
        assert all(part.known_too_late > 30 for part in parts)
        assert max(np.concatenate([part.rows for part in parts])) < 300


def test_a_row_without_a_group_is_a_group_of_its_own():
    rows = table(range(300), patients=[None] * 300)
    parts = split(rows, GROUPED, moment=MOMENT)
    assert all(len(part.rows) > 30 for part in parts)


def test_too_few_groups_for_the_parts_or_folds_are_an_error():
    with pytest.raises(TrainingError, match="part has no group"):
        split(table(range(50), patients=["a"] * 50), GROUPED, moment=MOMENT)
    rows = table(range(50), patients=[f"p{n % 5}" for n in range(50)])
    parts = split(table(range(50)), RANDOM, moment=MOMENT)
    with pytest.raises(TrainingError, match="groups outside the test part, and 20 folds"):
        folds(rows, declared(kind="grouped", groups=["patient"], folds=20), parts=parts)


@pytest.mark.parametrize("pipeline", [RANDOM, STRATIFIED, GROUPED])
def test_the_audit_finds_no_leak_in_a_split_that_is_sound(pipeline):
    rng = np.random.default_rng(7)
    patients = [f"p{n}" for n in rng.integers(0, 60, 600)]
    rows = table(range(600), patients=patients, cured=(rng.random(600) < 0.4).tolist())
    parts = split(rows, pipeline, moment=MOMENT)
    roles = Roles(
        target="cured",
        features=("patient",),
        key=("id",),
        groups=("patient",),
        interval="_interval",
    )
    found = audit(rows, roles=roles, parts={part.name: part.rows for part in parts}, seed=7)
    leaks = {str(each.leak) for each in found.findings}
    assert leaks == (set() if pipeline is GROUPED else {"shared_groups"})


def test_blocks_are_days_groups_or_rows():
    rows = table(range(300), patients=[f"p{n % 40}" for n in range(300)])
    by_time = declared(validation="2 days", test="2 days")
    found = {p.split.kind: blocks_of(rows, p) for p in (by_time, GROUPED, RANDOM)}
    told = {kind: (b.unit, b.units, len(np.unique(b.code))) for kind, b in found.items()}
    assert told == {
        "time": ("day", 9, 9),
        "grouped": ("group", 40, 40),
        "random": ("row", 300, MOST),
    }
    grouped = found["grouped"].code
    assert len({*zip(grouped, rows.column("patient").to_pylist(), strict=True)}) == 40


@pytest.mark.parametrize(
    ("given_split", "told"),
    [
        ({"validation": "20%", "test": "20%"}, "`validation` of a split of kind `time` is days"),
        ({"kind": "random", "validation": "3 days", "test": "20%"}, "is a share, such as '20%'"),
        ({"kind": "random", "validation": "60%", "test": "40%"}, "leave no row to train on"),
        ({"kind": "grouped", **SHARES}, "names its `groups`"),
        ({"kind": "random", "validation": "0%", "test": "20%"}, "more than 0% and less than 100%"),
        ({"validation": "a bit", "test": "2 days"}, "neither days such as '31 days' nor a share"),
        ({"validation": "6 hours", "test": "2 days"}, "a number of whole days"),
    ],
)
def test_a_split_that_is_no_split_is_refused_with_what_to_write(given_split, told):
    with pytest.raises(ValidationError, match=told):
        Split.model_validate(given_split)


def test_a_split_that_stood_before_keeps_its_digest():
    split_by_time = Split.model_validate(
        {"kind": "time", "validation": "31 days", "test": "30 days"}
    )
    assert split_by_time.model_dump(mode="json", exclude_defaults=True) == {
        "validation": "31 days",
        "test": "30 days",
    }
    assert digest_of(split_by_time) == digest_of({"validation": "31 days", "test": "30 days"})
    dealt = Split.model_validate({"kind": "random", "validation": "12.5%", "test": 0.2})
    assert dealt.model_dump(mode="json")["validation"] == "12.5%"
    assert Split.model_validate(dealt.model_dump(mode="json")) == dealt

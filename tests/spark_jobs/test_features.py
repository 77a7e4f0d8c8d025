"""Features know nothing that was not known at `at`, and are the same however the work is cut."""

from __future__ import annotations

import shutil
from datetime import date

import pytest

from headrace.errors import FeatureError
from headrace.intervals import features_due
from headrace.lake import Table
from spark_jobs import features

# The interval 2 December begins at 05:00Z; its moment of prediction is 10:00Z.
DEC1, DEC2, DEC3 = (f"2013-12-0{day}T17:00:00Z" for day in (1, 2, 3))


@pytest.fixture(scope="module")
def two_days(tmp_path_factory, trips_in):
    """Two days of trips, with an arrival on each side of 10:00Z on 2 December; built once."""
    folder = tmp_path_factory.mktemp("two_days")
    trips = trips_in(folder)
    trips.deliver(
        "trips",
        "a.csv",
        f"1,A,{DEC1},5",
        f"2,A,{DEC1},6",
        f"3,B,{DEC2},7",
        f"4,A,{DEC2},8",
    )
    trips.deliver(
        "arrivals",
        "a.csv",
        f"1,{DEC1},10,2013-12-02T10:00:00Z",
        f"2,{DEC1},50,2013-12-02T10:00:01Z",
        f"4,{DEC2},20,2013-12-03T01:00:00Z",
    )
    trips.deliver(
        "weather",
        "a.csv",
        "A,1.5,2013-12-02T04:00:00Z",
        "A,2.5,2013-12-02T10:00:00Z",
        "A,9.5,2013-12-02T10:00:01Z",
        "B,4.5,2013-12-02T03:59:59Z",
    )
    for source in ("lines", "trips", "arrivals", "weather"):
        trips.publish(source)
    trips.build()
    return folder


@pytest.fixture
def built(two_days, tmp_path, trips_in):
    """A copy of `two_days`: a lake holds no absolute path."""
    shutil.copytree(two_days, tmp_path, dirs_exist_ok=True)
    return trips_in(tmp_path)


def gold_of(trips, *columns):
    return [tuple(row[column] for column in columns) for row in trips.gold()]


def test_one_row_of_features_per_row(built):
    assert gold_of(built, "id", "line", "km", "seats") == [
        (1, "A", 5, 50),
        (2, "A", 6, 50),
        (3, "B", 7, 60),
        (4, "A", 8, 50),
    ]


def test_latest_takes_the_newest_known_at_the_moment_and_not_older_than_within(built):
    assert gold_of(built, "id", "temp") == [(1, None), (2, None), (3, None), (4, 2.5)]


def test_history_ends_at_the_moment_and_starts_after_its_span(built):
    assert gold_of(built, "id", "delay_2d") == [(1, None), (2, None), (3, None), (4, 10)]


def test_targets_are_null_until_they_are_known(built):
    assert gold_of(built, "id", "late") == [(1, False), (2, True), (3, None), (4, True)]


def test_what_becomes_known_later_changes_no_feature(built):
    before = gold_of(built, "id", "temp", "delay_2d", "_fingerprint")
    built.deliver("weather", "b.csv", "A,99,2013-12-02T10:00:02Z")
    built.deliver("arrivals", "b.csv", f"3,{DEC2},999,2013-12-02T20:00:00Z")
    built.publish("weather")
    built.publish("arrivals")
    result = built.build()
    assert gold_of(built, "id", "temp", "delay_2d", "_fingerprint") == before
    assert (result.units, result.rows["built"]) == (("2013-12-02",), 0)
    assert gold_of(built, "id", "late")[2] == (3, True)  # its target is filled in


def test_a_late_fact_makes_only_the_intervals_in_its_reach_stale(built):
    built.deliver("weather", "b.csv", "B,7.5,2013-12-02T09:00:00Z")
    built.publish("weather")
    due = features_due(built.pipeline, built.lake)
    assert [interval.day for interval in due.stale] == [date(2013, 12, 2)]
    assert built.build().outcome == "already_done"  # what was delivered stays
    assert gold_of(built, "id", "temp")[2] == (3, None)
    built.build(stale=True)
    assert gold_of(built, "id", "temp") == [(1, None), (2, None), (3, 7.5), (4, 2.5)]
    assert features_due(built.pipeline, built.lake).stale == ()


def test_a_new_day_builds_that_day_alone(built):
    before = {f.path for f in Table(built.lake.gold("trips")).files}
    built.deliver("trips", "b.csv", f"5,A,{DEC3},1")
    built.publish("trips")
    assert built.build().units == ("2013-12-03",)
    after = {f.path for f in Table(built.lake.gold("trips")).files}
    assert before < after
    assert gold_of(built, "id", "delay_2d")[4] == (
        5,
        80 / 3,
    )


def test_many_rows_are_built_in_portions_of_whole_intervals(built, monkeypatch):
    expected = built.gold()
    shutil.rmtree(built.lake.gold("trips"))
    monkeypatch.setattr(features, "_MOST_ROWS", 3)
    built.build()
    assert built.gold() == expected
    assert Table(built.lake.gold("trips")).version == 1  # two days of two rows: two commits


def test_building_again_writes_no_version(built):
    version = Table(built.lake.gold("trips")).version
    assert built.build().outcome == "already_done"
    assert Table(built.lake.gold("trips")).version == version


def test_many_columns_are_no_reason_to_build_again(built):
    """Delta's readers take the bounds of the first 32 columns alone, unless a table says so."""
    shutil.rmtree(built.lake.gold("trips"))
    many = ", ".join(f"km_{number}: km + {number}" for number in range(40))
    built.declare(("km: km}", f"km: km, {many}}}"))
    assert built.build().outcome == "done"
    due = features_due(built.pipeline, built.lake)
    assert (due.missing, due.unlabelled, due.stale, len(due.current)) == ((), (), (), 2)
    assert built.build().outcome == "already_done"


def test_rows_published_after_the_decision_wait_for_the_next_one(built):
    from spark_jobs import features

    shutil.rmtree(built.lake.gold("trips"))
    due = features_due(built.pipeline, built.lake)
    before = sum(interval.rows for interval in due.missing)
    built.deliver("trips", "late.csv", "77,A,2013-12-02T12:00:00Z,1")
    built.publish("trips")
    result = features.build(built.spark, built.lake, pipeline=built.pipeline, due=due)
    assert result.rows["built"] == before == len(built.gold())


def test_a_late_row_of_a_built_day_waits_while_the_days_targets_are_filled_in(built):
    before = len(built.gold())
    built.deliver("trips", "late.csv", f"78,A,{DEC2},1")
    built.deliver("arrivals", "late.csv", f"78,{DEC2},10,2013-12-03T02:00:00Z")
    for source in ("trips", "arrivals"):
        built.publish(source)
    assert built.build().rows == {"built": 0, "labelled": 3}
    assert len(built.gold()) == before
    assert [str(each.day) for each in features_due(built.pipeline, built.lake).stale] == [
        "2013-12-02"
    ]
    built.build(stale=True)
    assert len(built.gold()) == before + 1


def test_a_changed_declaration_makes_every_interval_stale(built):
    built.declare(("over: 2 days", "over: 1 days"))
    assert len(features_due(built.pipeline, built.lake).stale) == 2


@pytest.mark.parametrize("partitions", [1, 2, 4])
def test_content_does_not_depend_on_partitions(built, partitions):
    from spark_jobs import gold

    built.declare(("delay: int", "delay: double"), ("over: 2 days", "over: 3 days"))
    due = features_due(built.pipeline, built.lake)
    conf = built.spark.conf
    before = conf.get("spark.sql.shuffle.partitions")
    conf.set("spark.sql.shuffle.partitions", partitions)
    try:
        with gold.gold_rows(
            built.spark,
            built.lake,
            pipeline=built.pipeline,
            intervals=due.stale,
            versions=due.versions,
        ) as made:
            rows = made.collect()
    finally:
        conf.set("spark.sql.shuffle.partitions", before)
    assert sorted((row["id"], row["delay_2d"], row["temp"]) for row in rows) == [
        (1, None, None),
        (2, None, None),
        (3, None, None),
        (4, 10.0, 2.5),
    ]


def test_a_day_of_25_hours_is_one_interval(trips):
    trips.deliver(
        "trips",
        "a.csv",
        "1,A,2013-11-03T04:00:00Z,1",
        "2,A,2013-11-04T04:59:59Z,1",
        "3,A,2013-11-04T05:00:00Z,1",
    )
    trips.deliver("arrivals", "a.csv", "1,2013-11-03T04:00:00Z,1,2013-11-03T09:59:59Z")
    trips.deliver("weather", "a.csv", "A,1,2013-11-03T10:00:00Z")
    for source in ("lines", "trips", "arrivals", "weather"):
        trips.publish(source)
    trips.build()
    assert [str(row["_interval"]) for row in trips.gold()] == [
        "2013-11-03",
        "2013-11-03",
        "2013-11-04",
    ]
    assert gold_of(trips, "temp", "delay_2d")[0] == (1, 1)  # 05:00 is 10:00Z again that morning


NA_OF_ARRIVALS = "path: landing/arrivals/*\n    null_value: NA"
TARGET = "{name: late, of: arrivals, value: delay > 15}"


def as_target(value, task):
    """The changes of a declaration that make another target of it, and let something learn it."""
    return (
        (TARGET, f'{{name: late, of: arrivals, value: "{value}", task: {task}}}'),
        ("[logistic_regression]", "[lightgbm]"),
    )


@pytest.fixture
def arrived(trips):
    """Three trips of a day, and how two of them ended; not built."""
    trips.deliver("trips", "a.csv", f"1,A,{DEC1},5", f"2,A,{DEC1},6", f"3,A,{DEC1},6")
    trips.deliver(
        "arrivals",
        "a.csv",
        f"1,{DEC1},10,2013-12-02T10:00:00Z",
        f"2,{DEC1},NA,2013-12-02T11:00:00Z",
    )
    trips.deliver("weather", "a.csv", "A,1.5,2013-12-02T04:00:00Z")
    return trips


@pytest.mark.parametrize(
    ("task", "value", "kind", "targets"),
    [
        (
            "multiclass",
            "case when delay > 15 then 'late' when delay is not null then 'on time' end",
            "string",
            ["on time", None, None],
        ),
        ("multiclass", "delay % 4", "int32", [2, None, None]),
        ("regression", "delay / 4", "double", [2.5, None, None]),
        ("regression", "delay", "int32", [10, None, None]),
    ],
)
def test_a_target_keeps_the_type_of_its_value(arrived, task, value, kind, targets):
    arrived.declare(*as_target(value, task), ("path: landing/arrivals/*", NA_OF_ARRIVALS))
    for source in ("lines", "trips", "arrivals", "weather"):
        arrived.publish(source)
    arrived.build()
    assert str(Table(arrived.lake.gold("trips")).schema.field("late").type) == kind
    assert [late for _, late in gold_of(arrived, "id", "late")] == targets


@pytest.mark.parametrize(
    ("task", "value", "kind"),
    [
        ("binary", "coalesce(delay, 0)", "int"),
        ("multiclass", "sqrt(delay)", "double"),
        ("regression", "concat('a', delay)", "string"),
    ],
)
def test_a_target_of_a_type_that_its_task_cannot_have_is_told_with_its_line(
    arrived, task, value, kind
):
    arrived.declare(*as_target(value, task), ("path: landing/arrivals/*", NA_OF_ARRIVALS))
    for source in ("lines", "trips", "arrivals", "weather"):
        arrived.publish(source)
    with pytest.raises(FeatureError) as caught:
        arrived.build()
    assert f"a {task} target cannot be of type {kind}" in str(caught.value)
    assert "pipeline.yaml:" in str(caught.value)
    assert "target.value" in str(caught.value)

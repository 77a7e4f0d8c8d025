"""Landing files in an object store, through Spark."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from headrace import plan
from headrace.errors import Transient, UnreadableInput
from headrace.lake import Table

NOW = datetime(2014, 1, 1, tzinfo=UTC)
NOON = "2013-12-01T17:00:00Z"
pytestmark = pytest.mark.usefixtures("workers")


@pytest.fixture
def workers(spark, bucket, monkeypatch):
    """Spark's Python workers get the variables that a user's have from the start of the command."""
    for name, value in bucket.variables.items():
        monkeypatch.setitem(spark.sparkContext.environment, name, value)


def deliver(trips, bucket, name, *lines):
    path = trips.deliver("trips", name, *lines)
    bucket.put(f"landing/trips/{name}", path.read_bytes())


def in_store(trips):
    trips.declare(
        ("path: landing/trips/*", "path: s3://feeds/landing/trips/*"),
        ("timezone: A", "roots: [landing, 's3://feeds/landing']\ntimezone: A"),
    )


def bronze(trips):
    rows = Table(trips.lake.bronze("trips")).arrow().to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def test_rows_from_a_store_are_those_of_the_same_files_on_a_disk(trips, trips_in, bucket, tmp_path):
    deliver(trips, bucket, "a.csv", f"1,A,{NOON},2.5", "x,A,yesterday,1")
    deliver(trips, bucket, "b.csv", f"2,B,{NOON},NA")
    _, local = trips.publish("trips")
    (tmp_path / "other").mkdir()
    other = trips_in(tmp_path / "other")
    in_store(other)
    _, stored = other.publish("trips")
    assert (stored.units, stored.rows) == (local.units, local.rows)
    assert bronze(other) == bronze(trips)
    assert other.quarantine("trips") == trips.quarantine("trips")
    assert other.publish("trips")[0].units == ()


@pytest.mark.parametrize(
    ("what", "kind", "told"),
    [
        ("changed", Transient, "a landing file changed while it was read"),
        ("refused", UnreadableInput, "does not let us read"),
    ],
)
def test_what_a_worker_meets_in_a_store_is_told_as_ours(what, kind, told, trips, bucket):
    from spark_jobs import ingest

    in_store(trips)
    deliver(trips, bucket, "a.csv", f"1,A,{NOON},2.5")
    landing = plan.look_at(trips.pipeline, trips.lake, "trips")
    if what == "changed":
        bucket.put("landing/trips/a.csv", b"id,line,leaves,km\n")
    else:
        bucket.ask("reset-auth", "0")
    source = trips.pipeline.sources["trips"]
    try:
        with pytest.raises(kind, match=told) as error:
            ingest.ingest(trips.spark, trips.lake, "trips", source=source, landing=landing, now=NOW)
    finally:
        bucket.ask("reset-auth", "1000000")
    assert "trips/a.csv" in str(error.value)
    assert "\n  -> " in str(error.value)
    assert bucket.secret not in str(error.value)
    assert not Table.exists(trips.lake.bronze("trips"))

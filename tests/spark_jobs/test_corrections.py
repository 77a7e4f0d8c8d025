"""A correction stands beside what it corrects, from when it was known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import headrace
from headrace.lake import Table

DEC1 = "2013-12-01T17:00:00Z"
LATEST = ("    references: trips\n", "    references: trips\n    on_conflict: latest\n")
DATED_BY_US = ("    known_at: seen\n", "    event_time: seen\n    on_conflict: latest\n")
SEEN = "2013-12-01T09:00:00Z"


def counts(published):
    return {name: published[1].rows[name] for name in ("silver", "quarantine", "duplicates")}


def test_a_later_row_of_the_same_key_is_a_correction_and_the_target_follows_it(trips):
    trips.declare(LATEST, ("key: [id]", "key: [id, leaves]"))
    trips.deliver("trips", "a.csv", f"1,A,{DEC1},5")
    trips.deliver("arrivals", "a.csv", f"1,{DEC1},10,2013-12-02T01:00:00Z")
    for source in ("lines", "trips", "arrivals"):
        trips.publish(source)
    trips.deliver("weather", "a.csv", f"A,1,{SEEN}")
    trips.publish("weather")
    trips.build()
    assert [row["late"] for row in trips.gold()] == [False]

    trips.deliver("arrivals", "b.csv", f"1,{DEC1},99,2013-12-05T01:00:00Z")
    assert counts(trips.publish("arrivals")) == {"silver": 1, "quarantine": 0, "duplicates": 0}
    assert len(trips.silver("arrivals")) == 2
    assert trips.build().rows == {"built": 0, "labelled": 1}
    assert [row["late"] for row in trips.gold()] == [True]

    # The same row again says nothing; another delay of the same moment is a conflict.
    trips.deliver("arrivals", "c.csv", f"1,{DEC1},99,2013-12-05T01:00:00.000Z")
    trips.deliver("arrivals", "d.csv", f"1,{DEC1},98,2013-12-05T01:00:00Z")
    assert counts(trips.publish("arrivals")) == {"silver": 0, "quarantine": 1, "duplicates": 1}


def test_without_known_at_a_correction_is_known_from_its_ingestion(trips):
    trips.declare(DATED_BY_US)
    start = datetime(2014, 1, 1, tzinfo=UTC)

    def come(day, *temps):
        for number, temp in enumerate(temps):
            trips.deliver("weather", f"{day}{number}.csv", f"A,{temp},{SEEN}")
        return counts(trips.publish("weather", now=start + timedelta(days=day)))

    new, same = {"silver": 1, "quarantine": 0, "duplicates": 0}, {"silver": 0, "quarantine": 0}
    assert come(0, "1.0") == new
    assert come(1, "2.0") == new
    assert come(2, "2") == {**same, "duplicates": 1}  # what stands, in other letters
    assert come(3, "1.00") == new  # taken back
    # The newest again, a correction, the same one again, and another one of the same moment.
    assert come(4, "1.000", "3.0", "3.00", "4.0") == {"silver": 1, "quarantine": 1, "duplicates": 2}
    assert Table(trips.lake.silver("weather")).arrow().num_rows == 4

    lake = headrace.open(trips.lake.root)
    for day, temp in ((0, 1.0), (1, 2.0), (2, 2.0), (3, 1.0), (5, 3.0)):
        at = start + timedelta(days=day)
        rows = lake.known(trips.folder / "pipeline.yaml", "weather", at=at)
        assert rows["temp"].to_pylist() == [temp]

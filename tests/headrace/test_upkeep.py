"""What `verify`, `history` and `maintain` say of small lakes that are made, and broken, by hand."""

from __future__ import annotations

import json
import os
import time
from datetime import date

import pyarrow as pa
import pytest

from headrace.browse import OpenLake
from headrace.errors import CorruptArtifact
from headrace.lake import Table, commit, stage_file
from headrace.lake.claims import Disk, claimed
from headrace.lake.history import history
from headrace.maintain import busy, maintain
from headrace.verify import verify

PLACED = {"_file": "weather/a.csv", "_file_sha256": "f" * 64, "_batch": "b1"}


def lines(*numbers, **columns):
    return pa.Table.from_pylist([{**PLACED, "_row": n, **columns} for n in numbers])


def put(table, content, unit, **told):
    return commit(
        table,
        [stage_file(table, content)],
        schema=content.schema,
        unit=unit,
        metadata={"headrace": json.dumps(told)},
    )


@pytest.fixture
def made(lake):
    """Five lines read: three in silver, one in quarantine, one a duplicate."""
    put(lake.bronze("weather"), lines(2, 3, 4, 5, 6), "weather/ingest/b1", batch="b1")
    put(lake.quarantine("weather"), lines(5, _reason="no"), "weather/check/b1", rows=1)
    put(lake.silver("weather"), lines(2, 3, 4, temp=1.5), "weather/check/b1", duplicates=1)
    return lake


def broken(lake):
    return {finding.name: finding for finding in verify(lake.root) if finding.state == "fail"}


def data_files(table):
    return [table / file.path for file in Table(table).files]


def test_a_lake_that_holds_what_it_promises_has_no_finding(made):
    assert broken(made) == {}
    balance = next(f for f in verify(made.root) if f.name == "balance of weather")
    assert balance.found == "5 lines read, 4 in silver or quarantine, 1 duplicates"


def test_a_line_that_stands_twice_is_found(made):
    put(made.silver("weather"), lines(5, temp=2.5), "weather/replay/x", duplicates=0)
    assert "1 lines stand twice" in broken(made)["balance of weather"].found


def test_a_line_that_was_lost_is_found(made):
    put(made.bronze("weather"), lines(7), "weather/ingest/b1again")
    assert "1 lines are in neither" in broken(made)["balance of weather"].found


def test_a_row_of_no_line_is_found(made):
    put(made.silver("weather"), lines(99, temp=2.5), "weather/replay/x")
    assert "1 rows come from no line" in broken(made)["balance of weather"].found


def test_a_flipped_bit_and_a_missing_file_are_found_and_named(made):
    (file,) = data_files(made.silver("weather"))
    content = bytearray(file.read_bytes())
    content[40] ^= 1
    file.write_bytes(content)
    data_files(made.bronze("weather"))[0].unlink()
    assert {"silver/weather", "bronze/weather"} <= broken(made).keys()


def test_history_tells_the_commits_of_a_subject_in_order(made):
    events = history(made.root, OpenLake(made.root).tables(), subject="weather")
    assert [(event.table, event.unit) for event in events] == [
        ("bronze/weather", "weather/ingest/b1"),
        ("quarantine/weather", "weather/check/b1"),
        ("silver/weather", "weather/check/b1"),
    ]
    assert events[-1].told == {"duplicates": 1}
    assert history(made.root, OpenLake(made.root).tables(), subject="weather", unit="c") == []


@pytest.fixture
def with_orphans(made):
    """Beside the table's own file two that were never committed: one ten days old, one new."""
    table = made.silver("weather")
    old, new = (table / stage_file(table, lines(8, temp=0.5)).path for _ in range(2))
    os.utime(old, (time.time() - 10 * 86_400,) * 2)
    return old, new


def surplus(lake, **options):
    return {found.table: found.files for found in maintain(lake.root, **options) if found.files}


def test_maintain_removes_what_no_version_names_only_when_it_is_old_and_asked_to(
    made, with_orphans
):
    old, new = with_orphans
    before = Table(made.silver("weather")).arrow()
    assert surplus(made) == {"silver/weather": 1}
    assert old.exists()
    assert surplus(made, apply=True) == {"silver/weather": 1}
    assert (old.exists(), new.exists()) == (False, True)
    assert Table(made.silver("weather")).arrow().equals(before)
    version = Table(made.silver("weather")).version
    assert surplus(made, apply=True) == {}
    assert Table(made.silver("weather")).version == version


@pytest.fixture
def rebuilt(lake):
    """Gold of a day that was built three times, long ago."""
    gold, day = lake.gold("flights"), date(2014, 1, 1)
    for number, pinned in ((1.0, "old"), (2.0, "pinned"), (3.0, "new")):
        rows = pa.table({"x": [number]})
        commit(
            gold,
            [stage_file(gold, rows, partition={"_interval": day})],
            schema=pa.schema([("x", pa.float64()), ("_interval", pa.date32())]),
            unit=f"flights/features/{pinned}",
            partition_by=["_interval"],
            replace=[("_interval", "=", day.isoformat())] if number > 1 else None,
        )
    for log in (gold / "_delta_log").glob("*.json"):  # as if it were long ago
        text = log.read_text()
        for action in [json.loads(line) for line in text.splitlines()]:
            if "remove" in action:
                moment = str(action["remove"]["deletionTimestamp"])
                text = text.replace(moment, str(int(moment) - 30 * 86_400_000))
        log.write_text(text)
    return gold


def test_maintain_keeps_the_version_that_a_model_was_trained_on(lake, rebuilt):
    model = lake.models("flights") / ("d" * 32)
    model.mkdir(parents=True)
    record = {"model": "d" * 32, "files": {}, "data": {"table": "gold/flights", "version": 1}}
    (model / "record.json").write_text(json.dumps(record))
    assert surplus(lake, apply=True) == {"gold/flights": 1}
    assert surplus(lake, apply=True) == {}
    assert Table(rebuilt, 1).arrow(["x"]).to_pylist() == [{"x": 2.0}]
    assert Table(rebuilt).arrow(["x"]).to_pylist() == [{"x": 3.0}]


def test_maintain_keeps_the_version_that_standing_scores_were_made_of(lake, rebuilt):
    rows = pa.table({"score": [0.5], "_model": ["d" * 32], "_fingerprint": ["f" * 32]})
    day, scores = date(2014, 1, 1), lake.scores("flights")
    for made_of in (0, 1):  # scored again: the first no longer stands
        commit(
            scores,
            [stage_file(scores, rows, partition={"_interval": day})],
            schema=rows.schema.append(pa.field("_interval", pa.date32())),
            unit=f"flights/score/{day}",
            partition_by=["_interval"],
            recorded=made_of,
            repeatable=True,
            metadata={"headrace": json.dumps({"gold": made_of})},
        )
    assert surplus(lake, apply=True) == {"gold/flights": 1}
    assert Table(rebuilt, 1).arrow(["x"]).to_pylist() == [{"x": 2.0}]
    with pytest.raises(CorruptArtifact):
        Table(rebuilt, 0).arrow(["x"])
    assert "versions of gold/flights" not in broken(lake)
    (rebuilt / Table(rebuilt, 1).files[0].path).unlink()
    assert "not there any more: [1]" in broken(lake)["versions of gold/flights"].found


def test_no_version_is_forgotten_with_the_years(lake):
    """Delta cleans its log when it writes a checkpoint, which is every hundred commits."""
    table, rows = lake.bronze("weather"), pa.table({"a": [1]})
    for number in range(101):
        commit(
            table, [stage_file(table, rows)], schema=rows.schema, unit=f"weather/ingest/{number}"
        )
        if number == 98:
            for log in (table / "_delta_log").iterdir():
                os.utime(log, (time.time() - 400 * 86_400,) * 2)
    assert list((table / "_delta_log").glob("*.checkpoint.parquet"))
    assert Table(table, 3).arrow().num_rows == 4
    assert len(history(lake.root, ("bronze/weather",), subject="weather")) == 101


def test_a_lake_is_busy_as_long_as_a_run_holds_a_claim(made):
    assert busy(made.root) == ""
    with claimed(Disk(made.claims), ["weather/ingest/b1"], owner="r1"):
        assert busy(made.root) == "r1"
    assert busy(made.root) == ""

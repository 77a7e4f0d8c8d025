"""Landing files in an object store, against a real S3 server on loopback."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from moto.server import ThreadedMotoServer

from headrace.errors import Transient, UnreadableInput
from headrace.lake import lines, stores
from headrace.lake.formats import FORMATS
from headrace.lake.landing import look, register
from headrace.lake.stores import StoredFile, place

NOW = datetime(2014, 1, 1, tzinfo=UTC)


def parquet(table: pa.Table, **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


TABLE = pa.table({"k": range(5000), "v": [f"{n} é" for n in range(5000)]})
ROWS = [f"{n},{n} é" for n in range(5000)]
CONTENT = {
    ("csv", "a.csv"): "\n".join(["k,v", *ROWS]).encode(),
    ("csv", "a.csv.gz"): gzip.compress("\n".join(["k,v", *ROWS]).encode()),
    ("json", "a.jsonl"): b"\n".join(orjson.dumps(row) for row in TABLE.to_pylist()),
    ("parquet", "a.parquet"): parquet(TABLE, row_group_size=1000),
}


def rows(form, file):
    parts = [
        pa.Table.from_batches(FORMATS[form].read(split), lines.LINES)
        for split in FORMATS[form].splits(file)
    ]
    return pa.concat_tables(parts).to_pylist(), len(parts)


def looked(lake, pattern="s3://feeds/landing/weather/*.csv"):
    return look(lake, "weather", pattern, inspect=lines.inspect)


@pytest.mark.parametrize(("form", "name"), CONTENT)
def test_an_object_is_inspected_cut_and_read_as_the_same_file_on_a_disk(
    form, name, bucket, tmp_path, monkeypatch
):
    monkeypatch.setattr(lines, "_SPLIT_BYTES", 20_000)
    monkeypatch.setattr(lines, "_CHUNK_BYTES", 5_000)
    monkeypatch.setattr("headrace.lake.parquet_rows._SPLIT_ROWS", 2_000)
    monkeypatch.setattr(stores, "_READ_BYTES", 3_000)
    content = CONTENT[form, name]
    (tmp_path / name).write_bytes(content)
    stored, local = place(bucket.put(f"landing/{name}", content)), tmp_path / name
    inspected = FORMATS[form].inspect(stored)
    assert inspected == FORMATS[form].inspect(local)
    assert inspected.sha256 == hashlib.sha256(content).hexdigest()
    assert rows(form, stored) == rows(form, local)
    assert len(rows(form, stored)[0]) == 5000
    assert rows(form, stored)[1] == {"a.csv.gz": 1, "a.parquet": 3}.get(name, rows(form, local)[1])


def test_objects_are_named_batched_and_remembered_as_files_are(bucket, lake):
    for key in ("b.csv", "a.csv", "a.csv.done", "_tmp.csv", ".hidden.csv", "deep/c.csv", "a.txt"):
        bucket.put(f"landing/weather/{key}", f"k\n{key}\n".encode())
    landing = looked(lake)
    (batch,) = landing.pending
    assert [file.name for file in batch.files] == ["weather/a.csv", "weather/b.csv"]
    assert landing.growing == ()
    register(lake, "weather", landing, seen_at=NOW)
    again = look(lake, "weather", "s3a://feeds/landing/weather/*.csv", inspect=None)  # opens none
    assert [(b.id, b.registered) for b in again.pending] == [(batch.id, True)]


def test_a_young_object_is_not_waited_for(bucket, lake):
    bucket.put("landing/weather/a.csv", b"k\n1\n")
    started = time.monotonic()
    assert len(looked(lake).pending) == 1
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize(
    "pattern",
    ["*.csv", "?.csv", "[!b].csv", "*", "**", "**/*.csv", "x/*", "x/**/*.csv", "*/*.csv", "a.csv"],
)
def test_a_glob_finds_what_it_finds_on_a_disk(pattern, bucket, lake, tmp_path):
    for key in ("a.csv", "b.csv", "c d+%20é.csv", "x/a.csv", "x/y/b.csv", ".h/a.csv", "x/.h/a.csv"):
        bucket.put(f"landing/weather/{key}", b"k\n1\n" + key.encode())
        path = tmp_path / "weather" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"k\n1\n" + key.encode())
        path.with_name(path.name + ".done").touch()
    found = [
        sorted(file.name for batch in looked(lake, top + pattern).pending for file in batch.files)
        for top in ("s3://feeds/landing/weather/", f"{tmp_path}/weather/")
    ]
    assert found[0] == found[1] != []


def test_objects_right_below_the_bucket_are_named_by_it(bucket, lake):
    bucket.put("a.csv", b"k\n1\n")
    (batch,) = looked(lake, "s3://feeds/*.csv").pending
    assert [file.name for file in batch.files] == ["feeds/a.csv"]


def test_a_replaced_object_has_another_state(bucket):
    file = StoredFile(bucket.put("a.csv", b"k\n1\n"))
    before = file.stat()
    assert file.stat() == before
    bucket.put("a.csv", b"k\n1\n2\n")
    assert file.stat() != before


@pytest.mark.usefixtures("bucket")
def test_an_object_that_went_away_is_told_as_a_file_would_be(tmp_path):
    gone = StoredFile("s3://feeds/gone.csv")
    for form in FORMATS.values():
        assert form.inspect(gone) == form.inspect(tmp_path / "gone.csv")
    with pytest.raises(FileNotFoundError):
        gone.stat()


@pytest.mark.usefixtures("bucket")
def test_no_object_and_no_bucket_say_so(lake):
    with pytest.raises(UnreadableInput, match=r"no landing file matches \(source weather") as none:
        looked(lake)
    assert "deliver a file" in str(none.value)
    with pytest.raises(UnreadableInput, match=r"no such bucket \(path s3://other/\*\.csv") as none:
        looked(lake, "s3://other/*.csv")
    assert "mend `path`" in str(none.value)


def test_a_key_that_the_store_does_not_know_is_told_and_not_shown(bucket, lake):
    file = StoredFile(bucket.put("landing/weather/a.csv", b"k\n1\n"))
    bucket.ask("reset-auth", "0")
    try:
        for call in (lambda: looked(lake), file.open, file.stat, lambda: lines.inspect(file)):
            with pytest.raises(UnreadableInput, match="does not let us read") as told:
                call()
            assert "AWS_ACCESS_KEY_ID" in str(told.value)
            assert bucket.secret not in str(told.value) + str(told.value.__cause__)
    finally:
        bucket.ask("reset-auth", "1000000")


def test_a_store_that_cannot_be_reached_is_told_within_seconds(bucket, lake, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes calls and never answers
        for host in (f"us:{bucket.secret}@127.0.0.1:1", f"127.0.0.1:{silent.getsockname()[1]}"):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}")
            started = time.monotonic()
            with pytest.raises(Transient, match=r"cannot be reached \(.*endpoint 127") as told:
                looked(lake)
            assert time.monotonic() - started < 30
            assert bucket.secret not in str(told.value)


def test_a_store_that_goes_away_in_the_middle_is_told_and_sets_no_file_aside(bucket, monkeypatch):
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    requests.put(f"{endpoint}/feeds", timeout=10).raise_for_status()
    monkeypatch.setattr(stores, "_READ_BYTES", 1000)
    urls = {form: type(bucket)(endpoint).put(name, CONTENT[form, name]) for form, name in CONTENT}
    with (
        StoredFile(urls["csv"]).open() as text,
        pq.ParquetFile(StoredFile(urls["parquet"]).open_raw()) as table,
    ):
        assert len(text.read(1000)) == 1000
        server.stop()
        with pytest.raises(Transient, match="cannot be reached"):
            text.read(1000)
        with pytest.raises(Transient, match="cannot be reached"):
            table.read_row_group(0)
    for form, url in urls.items():
        with pytest.raises(Transient, match="cannot be reached"):
            FORMATS[form].inspect(StoredFile(url))


def test_a_local_file_starts_no_store(tmp_path):
    assert place(f"{tmp_path}/a.csv") == Path(tmp_path / "a.csv")
    assert not stores.is_url(f"{tmp_path}/a.csv")

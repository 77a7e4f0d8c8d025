"""Every kind of bad input, in each format: set aside or in quarantine by name, and nothing lost.

All files of a format are delivered at once: whatever is wrong with one, the others land.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace import plan
from headrace.errors import SchemaChanged
from headrace.lake import Lake, Table
from headrace.lake.landing import Landing
from headrace.spec import load

PIPELINE = """
name: readings
timezone: UTC
sources:
  readings:
    path: landing/readings/*
    format: {format}
    schema:
      {{id: int, name: string, amount: double, n: bigint, at: timestamp, day: date, ok: boolean}}
    key: [id]
    event_time: at
  ends:
    path: landing/ends/*
    schema: {{id: int, late: boolean, at: timestamp, ended: timestamp}}
    key: [id]
    event_time: at
    known_at: ended
    references: readings
features: {{rows: readings, at: "05:00", columns: {{name: name}}}}
target: {{name: late, of: ends, value: late}}
split: {{kind: time, validation: 1 days, test: 1 days}}
training: {{algorithms: [logistic_regression], first: 2014-01-04, every: 31 days}}
"""
NOW = datetime(2014, 1, 1, tzinfo=UTC)
NAMES = ["id", "name", "amount", "n", "at", "day", "ok"]
SOUND = ["x", "1.5", "7", "2013-12-01 08:00:00", "2013-12-01", "true"]
LONG = 17 << 20


@dataclass(frozen=True)
class Bad:
    """A landing file and what must become of it.

    Attributes:
        content: Its bytes.
        silver: Keys of its rows that are sound.
        quarantine: Row number -> part of its reason.
        aside: Part of the reason why it cannot be read at all.
        name: The file's, if its end matters.
    """

    content: bytes
    silver: Sequence[int] = ()
    quarantine: Mapping[int, str] = field(default_factory=dict)
    aside: str = ""
    name: str = ""


def row(key: object, **cells: str) -> str:
    named = dict(zip(NAMES, [str(key), *SOUND], strict=True)) | cells
    return ",".join(named.values())


def csv(*rows: str | bytes, end: bytes = b"\n") -> bytes:
    lines = [line if isinstance(line, bytes) else line.encode() for line in rows]
    return b"\n".join([",".join(NAMES).encode(), *lines]) + end


def parquet(table: pa.Table | None = None) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}) if table is None else table, sink, write_page_checksum=True)
    return sink.getvalue()


def cell(key: int, column: str, text: str) -> Bad:
    """A file of one row with a cell that cannot be read, and one sound row."""
    told = f"{column}: cannot read '{text}' as "
    return Bad(csv(row(key, **{column: text}), row(key + 1)), [key + 1], {2: told})


CSV = {
    "zero bytes": Bad(b"", aside="the file is empty"),
    "header only": Bad(csv()),
    "last line cut": Bad(csv(row(100), "101,x,1.", end=b""), [100], {3: "the 7 cells"}),
    "line too long": Bad(csv(row(110) + ",more", row(111)), [111], {2: "the 7 cells"}),
    "line too short": Bad(csv("120,x", row(121)), [121], {2: "the 7 cells"}),
    "quote not closed": Bad(csv(row(130, name='"x'), row(131)), [131], {2: "a quote is not"}),
    "nul byte": Bad(csv(row(140, name="a\0b"), row(141)), [141], {2: "holds a NUL byte"}),
    "bom": Bad(b"\xef\xbb\xbf" + csv(row(150)), [150]),
    "latin-1": Bad(csv(row(160, name="é").encode("latin-1"), row(161)), [161], {2: "not UTF-8"}),
    "utf-16": Bad(csv(row(165)).decode().encode("utf-16"), aside="UTF-16"),
    "windows line ends": Bad(csv(row(170) + "\r", row(171) + "\r"), [170, 171]),
    "gzip": Bad(gzip.compress(csv(row(180))), [180], name="whole.csv.gz"),
    "gzip cut": Bad(gzip.compress(csv(row(185)))[:-9], aside="cut or damaged", name="cut.csv.gz"),
    "parquet named csv": Bad(parquet(), aside="it is a Parquet file"),
    "zip": Bad(b"PK\x03\x04" + b"\0" * 50, aside="zip archive"),
    "endless line": Bad(b"x" * LONG, aside="longer than 16 MiB"),
    "text in an int": cell(200, "n", "many"),
    "2^63": cell(210, "n", str(2**63)),
    "2^31 in an int": Bad(csv(row(2**31), row(221)), [221], {2: "id: cannot read"}),
    "nan": cell(230, "amount", "NaN"),
    "infinity": cell(240, "amount", "-Infinity"),
    "too great for a double": cell(250, "amount", "1e400"),
    "30 February": cell(260, "day", "2013-02-30"),
    "year 10000": cell(270, "at", "10000-01-01 00:00:00"),
    "year 0001": Bad(csv(row(280, at="0001-01-01 00:00:00", day="0001-01-01")), [280]),
    "time without zone": Bad(csv(row(290, at="2013-12-01T08:00:00")), [290]),
    "no key": Bad(csv(row(""), row(301)), [301], {2: "id: is null"}),
    "no time": Bad(csv(row(310, at=""), row(311)), [311], {2: "at: is null"}),
    "another row of a key": Bad(
        csv(row(320), row(320, name="y")), [320], {3: "another row of the same key"}
    ),
    "the same line twice": Bad(csv(row(330), row(330)), [330]),
    "the same row in two files, a": Bad(csv(row(340)), [340]),
    "the same row in two files, b": Bad(csv(row(340), row(341)), [341]),
    "the same file under two names, a": Bad(csv(row(350)), [350]),
    "the same file under two names, b": Bad(csv(row(350))),
}


def line(key: object, **cells: object) -> str:
    values = [key, "x", 1.5, 7, "2013-12-01T08:00:00Z", "2013-12-01", True]
    return json.dumps(dict(zip(NAMES, values, strict=True)) | cells)


def jsonl(*rows: str | bytes, end: bytes = b"\n") -> bytes:
    return b"\n".join(r if isinstance(r, bytes) else r.encode() for r in rows) + end


def odd(key: int, text: str, told: str) -> Bad:
    """A file of one bad line and one sound one."""
    return Bad(jsonl(text, line(key)), [key], {1: told})


JSON = {
    "zero bytes": Bad(b"", aside="the file is empty"),
    "blank lines": Bad(jsonl("", line(100), ""), [100]),
    "last line cut": Bad(jsonl(line(105), line(106)[:30], end=b""), [105], {2: "is not JSON"}),
    "no object": odd(110, "[1, 2]", "is not a JSON object"),
    "csv": odd(115, row(1), "is not JSON"),
    "two objects": odd(120, line(1) + line(2), "is not JSON"),
    "quote not closed": odd(125, '{"id": 1, "name": "x}', "is not JSON"),
    "nul byte": Bad(jsonl(b'{"id": 1, "name": "a\0"}', line(130)), [130], {1: "holds a NUL byte"}),
    "bom": Bad(b"\xef\xbb\xbf" + jsonl(line(135)), [135]),
    "latin-1": Bad(
        jsonl(line(1).replace("x", "é").encode("latin-1"), line(140)), [140], {1: "not UTF-8"}
    ),
    "half a character": odd(145, line(1).replace('"x"', '"\\ud800"'), "is not JSON"),
    "gzip": Bad(gzip.compress(jsonl(line(150))), [150], name="whole.json.gz"),
    "gzip cut": Bad(gzip.compress(jsonl(line(1)))[:-9], aside="cut", name="cut.json.gz"),
    "parquet named json": Bad(parquet(), aside="it is a Parquet file"),
    "depth bomb": odd(155, '{"id":' + "[" * 5000 + "]" * 5000 + "}", "is not JSON"),
    "text in an int": odd(160, line(1, n="many"), "n: cannot read 'many' as bigint"),
    "object in an int": odd(165, line(1, n={"a": 1}), "n: cannot read '{\"a\":1}' as bigint"),
    "2^63": odd(170, line(1, n=2**63), "n: cannot read"),
    "nan": odd(175, line(1, amount=float("nan")), "is not JSON"),
    "too great for a double": odd(180, line(1).replace("1.5", "1e400"), "is not JSON"),
    "30 February": odd(185, line(1, day="2013-02-30"), "day: cannot read"),
    "no key": odd(190, line(None), "id: is null"),
    "a key left out": Bad(jsonl('{"id": 195, "at": "2013-12-01T08:00:00Z"}'), [195]),
    "another name": odd(200, line(1).replace('"name"', '"label"'), "not declared: label"),
    "another case": odd(205, line(1).replace('"name"', '"Name"'), "not declared: Name"),
    "one more": odd(210, line(1, more=1), "not declared: more"),
    "a key twice": odd(215, line(1).replace('"n"', '"name"'), "a key stands twice"),
    "another row of a key": Bad(jsonl(line(220), line(220, n=8)), [220], {2: "of the same key"}),
    "the same line twice": Bad(jsonl(line(225), line(225)), [225]),
}


def table(*keys: int | None, **columns: Any) -> pa.Table:
    made = {
        "id": pa.array(keys, pa.int32()),
        "name": ["x"] * len(keys),
        "amount": [1.5] * len(keys),
        "n": pa.array([7] * len(keys), pa.int64()),
        "at": pa.array(
            [datetime(2013, 12, 1, 8, tzinfo=UTC)] * len(keys), pa.timestamp("us", "UTC")
        ),
        "day": [date(2013, 12, 1)] * len(keys),
        "ok": [True] * len(keys),
    }
    return pa.table(made | columns)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


ODD_TEXT = 'a \\u0000 spelt out, a "quote", a \\, a\nline, é, \x01'
PARQUET = {
    "zero bytes": Bad(b"", aside="is not a Parquet file"),
    "no rows": Bad(parquet(table())),
    "cut": Bad(parquet(table(1))[:-9], aside="is not a Parquet file"),
    "csv named parquet": Bad(csv(row(1)), aside="is not a Parquet file"),
    "flipped bit": Bad(flipped(parquet(table(1, 2)), 30), aside="is not a Parquet file that can"),
    "odd text": Bad(parquet(table(100, name=[ODD_TEXT])), [100]),
    "nul byte": Bad(parquet(table(105, 106, name=["a\0b", "x"])), [106], {1: "holds a NUL byte"}),
    "not UTF-8": Bad(
        parquet(table(1, name=pa.array([b"\xe9"]).view(pa.string()))), aside="that can be read"
    ),
    "nan": Bad(parquet(table(110, 111, amount=[float("nan"), 1.0])), [111], {1: "amount: cannot"}),
    "infinity": Bad(parquet(table(115, amount=[float("inf")])), [], {1: "amount: cannot read"}),
    "text in an int": Bad(parquet(table(120, 121, n=["many", "8"])), [121], {1: "n: cannot read"}),
    "2^63": Bad(parquet(table(125, n=pa.array([2**63], pa.uint64()))), [], {1: "n: cannot read"}),
    "2^31 in an int": Bad(
        parquet(table(130).set_column(0, "id", pa.array([2**31]))), [], {1: "id: cannot read"}
    ),
    "nanoseconds": Bad(parquet(table(135, at=pa.array([NOW], pa.timestamp("ns", "UTC")))), [135]),
    "dictionary": Bad(parquet(table(140, name=pa.array(["x"]).dictionary_encode())), [140]),
    "a list": Bad(parquet(table(1, name=[["x"]])), aside="name (list<element: string>)"),
    "bytes": Bad(parquet(table(1, name=[b"x"])), aside="name (binary)"),
    "no key": Bad(parquet(table(None, 145)), [145], {1: "id: is null"}),
    "another row of a key": Bad(parquet(table(150, 150, n=[7, 8])), [150], {2: "of the same key"}),
    "the same row twice": Bad(parquet(table(155, 155)), [155]),
}
KINDS = {"csv": CSV, "json": JSON, "parquet": PARQUET}
CASES = [(form, name) for form, files in KINDS.items() for name in files]


class Feed:
    """A source of one format, in a folder of its own."""

    def __init__(self, folder: Path, form: str, spark: Any) -> None:
        self.folder, self.form, self.spark = folder, form, spark
        self.lake = Lake(folder / "lake")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pipeline.yaml").write_text(PIPELINE.format(format=form))
        self.pipeline = load(folder / "pipeline.yaml")

    def deliver(self, name: str, content: bytes) -> None:
        path = self.folder / "landing" / "readings" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (time.time() - 60,) * 2)

    def publish(self) -> tuple[Landing, dict[str, int]]:
        from spark_jobs import check, ingest

        landing = plan.look_at(self.pipeline, self.lake, "readings")
        source = self.pipeline.sources["readings"]
        ingest.ingest(self.spark, self.lake, "readings", source=source, landing=landing, now=NOW)
        checked = check.check(
            self.spark,
            self.lake,
            "readings",
            pipeline=self.pipeline,
            landing=landing,
            run="r",
            now=NOW,
        )
        return landing, dict(checked.rows)

    def silver(self) -> list[dict[str, Any]]:
        return Table(self.lake.silver("readings")).arrow().to_pylist()

    def quarantine(self) -> list[dict[str, Any]]:
        return Table(self.lake.quarantine("readings")).arrow().to_pylist()


@pytest.fixture(scope="session")
def feeds(spark, tmp_path_factory) -> Callable[[str], Feed]:
    return lambda form: Feed(tmp_path_factory.mktemp(form) / "f", form, spark)


@pytest.fixture(scope="session")
def delivered(feeds) -> Mapping[str, tuple[Feed, Landing, dict[str, int]]]:
    """Each format's files, delivered at once and published."""
    done = {}
    for form, files in KINDS.items():
        feed = feeds(form)
        for name, bad in files.items():
            feed.deliver(_file(form, name), bad.content)
        done[form] = (feed, *feed.publish())
    return done


def _file(form: str, name: str) -> str:
    return KINDS[form][name].name or f"{name.replace(' ', '-')}.{form}"


@pytest.mark.parametrize(("form", "name"), CASES)
def test_a_bad_file_loses_none_of_its_sound_rows_and_each_other_has_its_reason(
    delivered, form, name
):
    feed, landing, _ = delivered[form]
    file, bad = f"readings/{_file(form, name)}", KINDS[form][name]
    aside = [other.problem for other in landing.set_aside if other.name == file]
    assert [bad.aside in (problem or "") for problem in aside] == ([True] if bad.aside else [])
    assert [r["id"] for r in feed.silver() if r["_file"] == file] == list(bad.silver)
    found = {r["_row"]: r["_reason"] for r in feed.quarantine() if r["_file"] == file}
    assert found.keys() == bad.quarantine.keys()
    assert all(part in found[number] for number, part in bad.quarantine.items())


@pytest.mark.parametrize("form", KINDS)
def test_the_balance_is_exact(delivered, form):
    feed, _, rows = delivered[form]
    wanted = KINDS[form].values()
    assert rows["silver"] == sum(len(bad.silver) for bad in wanted) == len(feed.silver())
    assert rows["quarantine"] == sum(len(bad.quarantine) for bad in wanted)
    assert rows["duplicates"] == {"csv": 2, "json": 1, "parquet": 1}[form]
    assert rows["read"] == rows["silver"] + rows["quarantine"] + rows["duplicates"]
    assert Table(feed.lake.bronze("readings")).arrow(["_row"]).num_rows == rows["read"]


def test_values_are_the_same_in_every_format(delivered):
    """The sound rows of all three are the same row but for the key, and for what a case changes."""
    told = {
        form: {
            tuple(row[name] for name in NAMES[2:]) for row in feed.silver() if row["name"] == "x"
        }
        for form, (feed, _, _) in delivered.items()
    }
    common = (1.5, 7, datetime(2013, 12, 1, 8, tzinfo=UTC), date(2013, 12, 1), True)
    assert all(common in rows for rows in told.values())


def test_a_text_of_a_parquet_row_comes_back_as_it_was(delivered):
    assert ODD_TEXT in {row["name"] for row in delivered["parquet"][0].silver()}


def test_a_moment_of_the_first_year_is_itself(delivered):
    early = next(row for row in delivered["csv"][0].silver() if row["id"] == 280)
    assert early["at"] == datetime(1, 1, 1, tzinfo=UTC)
    assert early["day"] == date(1, 1, 1)


@pytest.mark.parametrize("form", KINDS)
def test_the_corrected_files_complete_it(feeds, form):
    feed = feeds(form)
    sound = {"csv": csv(row(1)), "json": jsonl(line(1)), "parquet": parquet(table(1))}[form]
    more = {"csv": csv(row(2)), "json": jsonl(line(2)), "parquet": parquet(table(2))}[form]
    feed.deliver(f"a.{form}", sound)
    feed.deliver(f"b.{form}", b"")
    assert len(feed.publish()[0].set_aside) == 1
    feed.deliver(f"b.{form}", more)
    landing, _ = feed.publish()
    assert not landing.set_aside
    assert {row["id"] for row in feed.silver()} == {1, 2}
    assert not feed.publish()[1]["read"]


@pytest.mark.parametrize(
    "content",
    [
        csv(row(1)).replace(b"name", b"label"),
        csv(row(1)).replace(b"name", b"Name"),
        csv(row(1) + ",9").replace(b",ok\n", b",ok,more\n"),
        csv(row(1)).replace(b"name", b"amount"),
    ],
    ids=["renamed", "another case", "extra", "twice"],
)
def test_changed_columns_stop_the_source_until_they_are_mended(feeds, content):
    feed = feeds("csv")
    feed.deliver("a.csv", content)
    with pytest.raises(SchemaChanged):
        feed.publish()
    assert not Table.exists(feed.lake.bronze("readings"))
    feed.deliver("a.csv", csv(row(1)))
    feed.publish()
    assert [row["id"] for row in feed.silver()] == [1]


@pytest.mark.parametrize("renamed", [{"label": ["x"]}, {"Name": ["x"]}], ids=["renamed", "case"])
def test_changed_columns_of_parquet_stop_it_too(feeds, renamed):
    feed = feeds("parquet")
    changed = table(1).drop_columns(["name"])
    feed.deliver(
        "a.parquet",
        parquet(
            pa.table({**dict(zip(changed.column_names, changed.columns, strict=True)), **renamed})
        ),
    )
    with pytest.raises(SchemaChanged):
        feed.publish()
    feed.deliver("a.parquet", parquet(table(1)))
    feed.publish()
    assert [row["id"] for row in feed.silver()] == [1]

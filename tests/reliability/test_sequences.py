"""Any sequence of deliveries, stages, mends, maintenance and crashes, held against plain Python.

Hypothesis chooses the sequences. Each step is done to a lake, by the stages as a run calls them,
and to a `Model` of dicts and lists; after it readers must find in the lake what the model holds.

    HEADRACE_SEQUENCES=100 make test ARGS=tests/reliability/test_sequences.py

runs so many of them, and longer ones.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flows.execution import Execution, Request, opened
from headrace import faults
from headrace.errors import ChecksFailed, EngineLost
from headrace.lake import Lake, Table, application_id
from headrace.lake.claims import Disk, claimed
from headrace.maintain import busy, maintain
from headrace.settings import Settings
from headrace.spec import load
from headrace.verify import verify

LONG = "HEADRACE_SEQUENCES" in os.environ
SEQUENCES, STEPS = int(os.environ.get("HEADRACE_SEQUENCES", "6")), 20 if LONG else 12

PIPELINE = """
name: rides
timezone: UTC
sources:
  trips:
    path: landing/trips/*
    schema: {id: int, line: string, leaves: timestamp, km: double}
    key: [id]
    event_time: leaves
  arrivals:
    path: landing/arrivals/*
    schema: {id: int, leaves: timestamp, delay: int, arrived: timestamp}
    key: [id]
    event_time: leaves
    known_at: arrived
    references: trips
checks:
  trips:
    - expect_column_values_to_be_between: {column: km, min_value: LEAST_KM}
    - expect_table_row_count_to_be_between: {max_value: MOST_ROWS}
features:
  rows: trips
  at: 05:00 of the interval
  columns: {line: line, km: km}
  history: {delay_2d: {of: arrivals, value: sum(delay), by: [line], over: 2 days}}
target: {name: late, of: arrivals, value: delay > 15}
split: {kind: time, validation: 1 days, test: 1 days}
training: {algorithms: [logistic_regression], first: 2013-12-01, every: 31 days}
"""
SOURCES = ("trips", "arrivals")
HEADERS = {"trips": "id,line,leaves,km", "arrivals": "id,leaves,delay,arrived"}
RULES = [{"LEAST_KM": least, "MOST_ROWS": most} for least in (0, -10) for most in (5, 50)]
CORRUPT = {"zero.csv": b"", "parquet.csv": b"PAR1\x15\x04", "cut.csv.gz": gzip.compress(b"id")[:-4]}


# What must stand, in plain Python.


@dataclass(frozen=True)
class File:
    """A landing file; `lines` is None if it is corrupt."""

    content: bytes
    lines: tuple[str, ...] | None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, order=True)
class Line:
    """A line in bronze: a file's name, the number there (the header has 1), the file's digest."""

    file: str
    row: int
    sha256: str
    raw: str


def typed(source: str, raw: str) -> tuple | None:
    """The cells of a line as their types; None if one does not parse, or one is missing."""
    moment = datetime.fromisoformat
    types = {"trips": (int, str, moment, float), "arrivals": (int, moment, int, moment)}[source]
    try:
        return tuple(kind(cell) for kind, cell in zip(types, raw.split(","), strict=True))
    except ValueError:
        return None


Batch = frozenset[str]  # the digests of its files


def batch_id(batch: Batch) -> str:
    return hashlib.sha256(",".join(sorted(batch)).encode()).hexdigest()[:32]


@dataclass
class Source:
    """What was delivered of a source, and what must have become of it."""

    name: str
    landing: dict[str, File] = field(default_factory=dict)
    registered: list[Batch] = field(default_factory=list)  # oldest first
    bronze: dict[Batch, list[Line]] = field(default_factory=dict)
    published: set[Batch] = field(default_factory=set)
    silver: dict[Line, tuple] = field(default_factory=dict)
    quarantine: dict[Line, tuple[str, ...]] = field(default_factory=dict)  # -> rules it breaks
    duplicates: int = 0
    half_replayed: set[Line] = field(default_factory=set)  # in silver, still in quarantine too

    def pending(self) -> list[dict[str, str]]:
        """Batches not published yet, as digest -> name of the file.

        Those that are registered and whose files all lie there, oldest first; the rest is one more.
        The same bytes under two names count once, under the first.
        """
        done = {sha for batch in self.published for sha in batch}
        names = sorted(self.landing, reverse=True)
        left = {self.landing[n].sha256: n for n in names if self.landing[n].lines is not None}
        left = {sha: name for sha, name in left.items() if sha not in done}
        found = []
        for batch in self.registered:
            if batch <= left.keys():
                found += [{sha: left.pop(sha) for sha in batch}]
        return [*found, left] if left else found

    def set_aside(self) -> list[str]:
        return sorted(name for name, file in self.landing.items() if file.lines is None)

    def register(self) -> None:
        self.registered += [b for b in map(frozenset, self.pending()) if b not in self.registered]

    def ingest(self, *, most: int | None = None) -> None:
        """Pending batches come to bronze: all, or the first few."""
        for batch in self.pending()[:most]:
            self.bronze.setdefault(
                frozenset(batch),
                [
                    Line(f"{self.name}/{name}", row, sha, raw)
                    for sha, name in batch.items()
                    for row, raw in enumerate(self.landing[name].lines, start=2)
                ],
            )

    def publishable(self, rules: dict[str, int]) -> list[Batch]:
        """Pending batches in bronze that break no rule on the table."""
        pending = [frozenset(batch) for batch in self.pending()]
        return [b for b in pending if b in self.bronze and not self.too_many(b, rules)]

    def too_many(self, batch: Batch, rules: dict[str, int]) -> bool:
        rows = sum(typed(self.name, line.raw) is not None for line in self.bronze[batch])
        return self.name == "trips" and rows > rules["MOST_ROWS"]

    def check(self, rules: dict[str, int], *, most: int | None = None) -> None:
        """Batches are published: all that can be, or the first few."""
        for batch in self.publishable(rules)[:most]:
            self.published.add(batch)
            self.judge(self.bronze[batch], rules)

    def replay(self, rules: dict[str, int], *, silver_only: bool = False) -> None:
        """What is in quarantine is judged again; of a run that ended early, silver alone heard."""
        waiting = {line: self.quarantine[line] for line in self.quarantine.keys() - self.silver}
        before = deepcopy(self.quarantine), self.duplicates
        self.quarantine.clear()
        self.judge(list(waiting), rules)
        if silver_only:
            self.quarantine, self.duplicates = before
        self.half_replayed = self.quarantine.keys() & self.silver

    def judge(self, lines: list[Line], rules: dict[str, int]) -> None:
        """Each line comes to silver or quarantine, or is a duplicate.

        Of rows with the same key the one in silver stands, else the first sound one, else the
        first. The others are duplicates if all is equal, and conflicts if not.
        """
        rows = {line: typed(self.name, line.raw) for line in lines}
        standing = {row[0]: row for row in self.silver.values()}

        def broken(line: Line) -> tuple[str, ...]:
            row = rows[line]
            low = self.name == "trips" and row is not None and row[3] < rules["LEAST_KM"]
            return ("column_values_to_be_between_km",) if low else ()

        for line in sorted(lines, key=lambda line: (broken(line), line)):
            row, verdict = rows[line], broken(line)
            if row is None:
                self.quarantine[line] = ("_parse",)
                continue
            is_first = row[0] not in standing
            first = standing.setdefault(row[0], row)
            if not is_first and row == first:
                self.duplicates += 1
            elif not is_first:
                self.quarantine[line] = (*verdict, "_conflict")
            elif verdict:
                self.quarantine[line] = verdict
            else:
                self.silver[line] = row


@dataclass
class Model:
    """All sources, the rules that are declared, and the features as they were delivered."""

    rules: dict[str, int] = field(default_factory=lambda: RULES[0])
    sources: dict[str, Source] = field(default_factory=lambda: {n: Source(n) for n in SOURCES})
    gold: dict[date, dict[int, dict]] = field(default_factory=dict)  # day -> id -> row

    def features_now(self) -> dict[date, dict[int, dict]]:
        """What every interval would hold if it were built now."""
        trips = {row[0]: row for row in self.sources["trips"].silver.values()}
        arrivals = {row[0]: row for row in self.sources["arrivals"].silver.values()}
        days: dict[date, dict[int, dict]] = {}
        for number, (_, line, leaves, km) in trips.items():
            at = leaves.replace(hour=5)
            delays = [
                delay
                for about, _, delay, arrived in arrivals.values()
                if at - timedelta(days=2) < arrived <= at
                and about in trips
                and trips[about][1] == line
            ]
            late = arrivals[number][2] > 15 if number in arrivals else None
            known = sum(delays) if delays else None
            row = {"id": number, "line": line, "km": km, "delay_2d": known, "late": late}
            days.setdefault(leaves.date(), {})[number] = row
        return days

    def build(self, *, stale: bool = False) -> None:
        """Missing intervals are built. What stands keeps its features, and gets its targets."""
        for day, rows in self.features_now().items():
            if stale or day not in self.gold:
                self.gold[day] = rows
            else:
                self.gold[day] = relabelled(self.gold[day], rows)


def relabelled(rows: dict[int, dict], now: dict[int, dict]) -> dict[int, dict]:
    return {number: {**row, "late": now[number]["late"]} for number, row in rows.items()}


# What is delivered: few keys, so that they meet often; of one key always on the same day.

IDS = st.integers(1, 8)


def leaves(number: int) -> datetime:
    return datetime(2013, 12, 1 + number % 4, 12, tzinfo=UTC)


def trip(number: int, line: str, km: str) -> str:
    return f"{number},{line},{leaves(number).isoformat()},{km}"


def arrival(number: int, delay: str, hours: int) -> str:
    left = leaves(number)
    return f"{number},{left.isoformat()},{delay},{(left + timedelta(hours=hours)).isoformat()}"


KM = st.sampled_from(["1", "1", "2.5", "-5", "-5", "-6", "-50", "far"])
LINES = {
    "trips": st.builds(trip, IDS, st.sampled_from("AB"), KM) | st.just("4,A"),
    "arrivals": st.builds(
        arrival, IDS, st.sampled_from(["0", "30", "30", "late"]), st.sampled_from([2, 20, 40])
    ),
}
DELIVERY = st.sampled_from(SOURCES).flatmap(
    lambda source: st.tuples(st.just(source), st.lists(LINES[source], min_size=1, max_size=4))
)


def sound(source: str, name: str, lines: list[str]) -> File:
    text = "\n".join([HEADERS[source], *lines, ""]).encode()
    packed = gzip.compress(text, mtime=0) if name.endswith(".gz") else text
    return File(packed, tuple(lines))


class Sequence(RuleBasedStateMachine):
    """A lake and its model, to which the same things happen."""

    def __init__(self, folder: Path, start: tuple[Path, Model] | None = None) -> None:
        super().__init__()
        self.folder, self.model, self.prepared = folder, Model(), start
        self.lake = Lake(folder / "lake")
        self.moments = iter(range(int(time.time()) - 100_000, 2**40))
        self.runs = 0
        self.readers: list[tuple[Table, object]] = []  # an opened table, and what it held then
        self.pins: list[tuple[int, object]] = []  # versions of gold that a model names
        folder.mkdir(parents=True)
        self.declare(self.model.rules)

    def teardown(self) -> None:
        for source in SOURCES:
            if self.model.sources[source].half_replayed:  # the next replay completes it
                self._replay_alone(source)
        self.lake_holds_what_the_model_holds()
        assert_sound(self.lake)
        shutil.rmtree(self.folder)

    # What happens outside.

    @initialize(prepared=st.booleans())
    def begin(self, prepared: bool) -> None:
        if prepared and self.prepared:
            folder, model = self.prepared
            shutil.copytree(folder, self.folder, dirs_exist_ok=True)
            self.model = deepcopy(model)
            return
        self.deliver("trips", "50.csv", sound("trips", "50.csv", [trip(1, "A", "1")]))
        self.deliver("arrivals", "50.csv", sound("arrivals", "50.csv", [arrival(1, "0", 2)]))

    @rule(delivery=DELIVERY)
    def file_arrives(self, delivery: tuple[str, list[str]]) -> None:
        """Its keys may be new or stand already; of an interval that is built, it is late."""
        source, lines = delivery
        name = self.unused(source)
        self.deliver(source, name, sound(source, name, lines))

    @rule(delivery=DELIVERY, data=st.data())
    def file_is_mended(self, delivery: tuple[str, list[str]], data: st.DataObject) -> None:
        source, lines = delivery
        name = data.draw(st.sampled_from(sorted(self.model.sources[source].landing)))
        self.deliver(source, name, sound(source, name, lines))

    @rule(source=st.sampled_from(SOURCES), data=st.data())
    def same_bytes_arrive_again(self, source: str, data: st.DataObject) -> None:
        landing = self.model.sources[source].landing
        names = sorted(name for name in landing if name.endswith(".csv"))
        self.deliver(source, self.unused(source), landing[data.draw(st.sampled_from(names))])

    @rule(source=st.sampled_from(SOURCES), name=st.sampled_from(sorted(CORRUPT)))
    def corrupt_file_arrives(self, source: str, name: str) -> None:
        self.deliver(source, name, File(CORRUPT[name], None))

    @rule(rules=st.sampled_from(RULES))
    def rules_are_mended(self, rules: dict[str, int]) -> None:
        self.declare(rules)

    # What runs do.

    @precondition(lambda self: self.with_pending())
    @rule(data=st.data())
    def ingest(self, data: st.DataObject) -> None:
        self._ingest_alone(data.draw(st.sampled_from(self.with_pending())))

    @precondition(lambda self: self.with_publishable())
    @rule(data=st.data())
    def check(self, data: st.DataObject) -> None:
        source = data.draw(st.sampled_from(self.with_publishable()))
        with self.run(only="check") as execution:
            self._check(execution, source)
        self.model.sources[source].check(self.model.rules)

    @precondition(lambda self: self.with_pending())
    @rule()
    def ingest_and_check(self) -> None:
        with self.run() as execution:
            for source in SOURCES:
                self._ingest(execution, source)
                self.model.sources[source].register()
                self.model.sources[source].ingest()
                self._check(execution, source)
                self.model.sources[source].check(self.model.rules)

    @precondition(lambda self: self.with_quarantine())
    @rule(data=st.data(), twice=st.sampled_from([False, False, True]))
    def replay(self, data: st.DataObject, twice: bool) -> None:
        source = data.draw(st.sampled_from(self.with_quarantine()))
        self._replay_alone(source)
        if twice:
            with self.nothing_written():
                self._replay(source)

    @precondition(lambda self: self.can_build())
    @rule(stale=st.booleans())
    def build(self, stale: bool) -> None:
        with self.run(only="features", stale=stale) as execution:
            execution.features()
        self.model.build(stale=stale)

    @precondition(lambda self: not self.with_pending() and self.can_build())
    @rule()
    def run_again_with_nothing_new(self) -> None:
        self._whole_run()  # it may note a corrupt file
        with self.nothing_written():
            self._whole_run()
        self.model.build()

    @precondition(lambda self: self.versions())
    @rule()
    def maintain(self) -> None:
        self._age()
        assert busy(self.lake.root) == ""
        list(maintain(self.lake.root, keep_days=1, apply=True))
        with self.nothing_written():
            assert not any(found.files for found in maintain(self.lake.root, keep_days=1))

    # What goes wrong.

    @precondition(lambda self: self.with_pending() or self.versions())
    @rule(data=st.data(), moment=st.sampled_from(faults.MOMENTS))
    def crash(self, data: st.DataObject, moment: str) -> None:
        stages = {
            "ingest": self.with_pending(),
            "check": self.with_publishable(),
            "replay": self.with_quarantine(),
            "features": [""] if self.can_build() else [],
            "maintain": [""] if self.versions() else [],
        }
        stage, source = data.draw(
            st.sampled_from([(stage, each) for stage, found in stages.items() for each in found])
        )
        self._crash(f"{stage}.{moment}:raise", source, data)

    @precondition(lambda self: self.with_pending() or self.with_quarantine())
    @rule(
        data=st.data(),
        moment=st.sampled_from(["after_commit:raise:1", "after_staged_write:raise:2"]),
        at_once=st.booleans(),
    )
    def crash_between_two_commits(self, data: st.DataObject, moment: str, at_once: bool) -> None:
        """Of quarantine and silver; it is tried again at once, or other things happen first."""
        stages = [("check", source) for source in self.with_pending()]
        stages += [("replay", source) for source in self.with_quarantine()]
        stage, source = data.draw(st.sampled_from(stages))
        if stage == "check":
            self._ingest_alone(source)
        self._crash(f"{stage}.{moment}", source, data)
        if at_once and stage == "check":
            self.ingest_and_check()
        elif at_once:
            self._replay_alone(source)

    def _crash(self, fault: str, source: str, data: st.DataObject) -> None:
        faults._passed.clear()  # noqa: SLF001 - a process of its own would begin at none
        os.environ[faults.VARIABLE] = fault
        try:
            getattr(self, f"_crash_in_{fault.partition('.')[0]}")(source, data)
        finally:
            del os.environ[faults.VARIABLE]

    def _crash_in_ingest(self, name: str, _: st.DataObject) -> None:
        source = self.model.sources[name]
        batches = [frozenset(batch) for batch in source.pending()]
        with lost(), self.run(only="ingest") as execution:
            self._ingest(execution, source.name)
        files = Table.if_exists(self.lake.files)
        known = set(files.arrow(["batch"])["batch"].to_pylist()) if files else set()
        if {batch_id(batch) for batch in batches} <= known:
            source.register()
        source.ingest(most=self.committed("bronze", source.name, "ingest", batches))

    def _crash_in_check(self, name: str, _: st.DataObject) -> None:
        source = self.model.sources[name]
        batches = source.publishable(self.model.rules)
        with lost(), self.run(only="check") as execution:
            self._check(execution, source.name)
        source.check(self.model.rules, most=self.committed("silver", source.name, "check", batches))

    def _crash_in_replay(self, name: str, _: st.DataObject) -> None:
        source = self.model.sources[name]
        before = self.versions()
        with lost():
            self._replay(name)
        after = self.versions()
        changed = {table for table, version in after.items() if version != before[table]}
        if f"quarantine/{name}" in changed:
            source.replay(self.model.rules)
        elif f"silver/{name}" in changed:
            source.replay(self.model.rules, silver_only=True)

    def _crash_in_features(self, _: str, data: st.DataObject) -> None:
        stale = data.draw(st.booleans())
        with lost(), self.run(only="features", stale=stale) as execution:
            execution.features()
        if not Table.exists(self.lake.gold("rides")):
            return
        now, stands = self.model.features_now(), self.gold()
        for day, rows in stands.items():  # each interval is as before or as after, never between
            before = self.model.gold.get(day)
            allowed = [before, relabelled(before, now[day])] if before else []
            allowed += [now[day]] if stale or not before else []
            assert rows in allowed, day
        assert stands.keys() >= self.model.gold.keys()
        self.model.gold = stands

    def _crash_in_maintain(self, *_: object) -> None:
        self._age()
        with lost():
            list(maintain(self.lake.root, keep_days=1, apply=True))

    # What readers do.

    @precondition(lambda self: self.versions() and len(self.readers) < 3)
    @rule(data=st.data())
    def reader_opens_a_table(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.versions())))
        table = Table(self.lake.root / name)
        self.readers.append((table, table.arrow()))

    @precondition(lambda self: self.model.gold and len(self.pins) < 2)
    @rule()
    def model_is_trained(self) -> None:
        table = Table(self.lake.gold("rides"))
        digest = f"{table.version:032}"
        record = {
            "model": digest,
            "files": {},
            "data": {"table": "gold/rides", "version": table.version},
        }
        folder = self.lake.models("rides") / digest
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "record.json").write_text(json.dumps(record))
        self.pins.append((table.version, table.arrow()))

    # What must hold after each step.

    @invariant()
    def lake_holds_what_the_model_holds(self) -> None:
        for name, source in self.model.sources.items():
            bronze = [line for lines in source.bronze.values() for line in lines]
            assert self.lines("bronze", name) == Counter(bronze)
            assert self.lines("silver", name) == Counter(list(source.silver))
            assert self.silver(name) == Counter(source.silver.values())
            assert self.quarantine(name) == Counter(source.quarantine.items())
            read = sum(len(source.bronze[batch]) for batch in source.published)
            stands = len(source.silver) + len(source.quarantine) - len(source.half_replayed)
            assert read == stands + source.duplicates
        if Table.exists(self.lake.gold("rides")) or self.model.gold:
            assert self.gold() == self.model.gold

    @invariant()
    def verify_finds_nothing(self) -> None:
        if not any(s.half_replayed for s in self.model.sources.values()):
            assert_sound(self.lake)

    @invariant()
    def old_versions_read_as_they_did(self) -> None:
        for table, content in self.readers:
            assert table.arrow().equals(content)
        for version, content in self.pins:
            assert Table(self.lake.gold("rides"), version).arrow().equals(content)

    @invariant()
    def no_claim_is_held(self) -> None:
        assert Disk(self.lake.claims).held() == []

    # How the steps are done.

    def declare(self, rules: dict[str, int]) -> None:
        text = PIPELINE
        for name, value in rules.items():
            text = text.replace(name, str(value))
        (self.folder / "pipeline.yaml").write_text(text)
        self.model.rules = rules

    def unused(self, source: str) -> str:
        """A name for the next file, by turns before and after all that are there."""
        count = len(self.model.sources[source].landing)
        return f"{50 + count if count % 2 else 50 - count:02}.csv"

    def deliver(self, source: str, name: str, file: File) -> None:
        path = self.folder / "landing" / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        os.utime(path, (next(self.moments),) * 2)  # long ago, or a run would wait
        self.model.sources[source].landing[name] = file

    @contextmanager
    def run(self, only: str | None = None, *, stale: bool = False) -> Iterator[Execution]:
        """A run, its units claimed; it finds in the landing folders what the model has."""
        self.runs += 1
        place = Settings(lake=self.lake.root, short_runs=True)
        request = Request(self.pipeline, place, f"r{self.runs}", only=only, stale=stale)
        with opened(request) as (execution, other):
            assert other is None
            for name, landing in execution.landings.items():
                source = self.model.sources[name]
                assert sorted(Path(f.name).name for f in landing.set_aside) == source.set_aside()
                assert [(b.id, [Path(f.name).name for f in b.files]) for b in landing.pending] == [
                    (batch_id(frozenset(b)), sorted(b.values())) for b in source.pending()
                ]
            yield execution

    @property
    def pipeline(self):
        return load(self.folder / "pipeline.yaml")

    def _ingest_alone(self, source: str) -> None:
        with self.run(only="ingest") as execution:
            self._ingest(execution, source)
        self.model.sources[source].register()
        self.model.sources[source].ingest()

    def _replay_alone(self, source: str) -> None:
        self._replay(source)
        self.model.sources[source].replay(self.model.rules)

    def _whole_run(self) -> None:
        with self.run() as execution:
            for source in SOURCES:
                execution.ingest(source)
                execution.check(source)
            execution.features()

    def _ingest(self, execution: Execution, source: str) -> None:
        if source in execution.sources:
            execution.ingest(source)

    def _check(self, execution: Execution, source: str) -> None:
        """A batch with too many rows fails the stage, at its end."""
        if source not in execution.sources:
            return
        found, rules = self.model.sources[source], self.model.rules
        batches = [b for b in map(frozenset, found.pending()) if b in found.bronze]
        if any(found.too_many(batch, rules) for batch in batches):
            with pytest.raises(ChecksFailed):
                execution.check(source)
        else:
            execution.check(source)

    def _replay(self, source: str) -> None:
        """As `headrace quarantine replay` does it."""
        self.runs += 1
        place = Settings(lake=self.lake.root, short_runs=True)
        request = Request(self.pipeline, place, f"r{self.runs}")
        unit = application_id(source, "replay", "all")
        with (
            claimed(Disk(self.lake.claims), [unit], owner=request.run) as other,
            Execution(request) as execution,
        ):
            assert other is None
            execution.replay(source)

    def _age(self) -> None:
        """Makes everything a month older; who has an old version open ends first."""
        self.readers.clear()
        month = 30 * 86_400
        for path in self.lake.root.rglob("*.parquet"):
            os.utime(path, (path.stat().st_mtime - month,) * 2)
        for path in self.lake.root.rglob("_delta_log/*.json"):
            actions = [json.loads(line) for line in path.read_text().splitlines()]
            for action in actions:
                if "remove" in action:
                    action["remove"]["deletionTimestamp"] -= month * 1000
            path.write_text("".join(json.dumps(action) + "\n" for action in actions))

    @contextmanager
    def nothing_written(self) -> Iterator[None]:
        before = self.versions()
        yield
        assert self.versions() == before

    def with_pending(self) -> list[str]:
        return [source.name for source in self.model.sources.values() if source.pending()]

    def with_publishable(self) -> list[str]:
        rules, sources = self.model.rules, self.model.sources.values()
        return [source.name for source in sources if source.publishable(rules)]

    def with_quarantine(self) -> list[str]:
        return [source.name for source in self.model.sources.values() if source.quarantine]

    def can_build(self) -> bool:
        return all(self.model.sources[name].published for name in SOURCES)

    # What stands.

    def versions(self) -> dict[str, int]:
        """Table -> version, without that of the verdicts: each run adds its own."""
        found = (log.parent for log in self.lake.root.rglob("_delta_log"))
        names = {path.relative_to(self.lake.root).as_posix(): path for path in found}
        return {name: Table(path).version for name, path in names.items() if name != "checks"}

    def committed(self, layer: str, source: str, stage: str, batches: list[Batch]) -> int:
        """How many of the batches a table records; the first ones, since they come in order."""
        table = Table.if_exists(self.lake.root / layer / source)
        units = [application_id(source, stage, batch_id(batch)) for batch in batches]
        recorded = [table is not None and bool(table.recorded(unit)) for unit in units]
        assert recorded == sorted(recorded, reverse=True)
        return sum(recorded)

    def rows(self, layer: str, source: str) -> list[dict]:
        table = Table.if_exists(self.lake.root / layer / source)
        return table.arrow().to_pylist() if table else []

    def lines(self, layer: str, source: str) -> Counter[Line]:
        """The lines that the rows of bronze or silver come from."""
        raw = {(r["_file_sha256"], r["_row"]): r["_raw"] for r in self.rows("bronze", source)}
        return Counter(
            Line(r["_file"], r["_row"], r["_file_sha256"], raw[r["_file_sha256"], r["_row"]])
            for r in self.rows(layer, source)
        )

    def silver(self, source: str) -> Counter[tuple]:
        columns = HEADERS[source].split(",")
        return Counter(tuple(r[name] for name in columns) for r in self.rows("silver", source))

    def quarantine(self, source: str) -> Counter[tuple[Line, tuple[str, ...]]]:
        """Rows of batches that silver records; others do not count."""
        published = {batch_id(batch) for batch in self.model.sources[source].published}
        return Counter(
            (
                Line(r["_file"], r["_row"], r["_file_sha256"], r["_raw"]),
                tuple(r["_failed_rules"]),
            )
            for r in self.rows("quarantine", source)
            if r["_batch"] in published
        )

    def gold(self) -> dict[date, dict[int, dict]]:
        days: dict[date, dict[int, dict]] = {}
        columns = ["id", "line", "km", "delay_2d", "late", "_interval"]
        rows = Table(self.lake.gold("rides")).arrow(columns).to_pylist()
        for row in rows:
            days.setdefault(row.pop("_interval"), {})[row["id"]] = row
        assert len(rows) == sum(map(len, days.values())), "a row stands twice"
        return days


@contextmanager
def lost() -> Iterator[None]:
    """A run that ends at a fault point; or does not come to it, and is as any other."""
    try:
        yield
    except EngineLost as error:
        assert "made to fail" in str(error)  # noqa: PT017 - it need not be raised


def assert_sound(lake: Lake) -> None:
    if lake.root.is_dir():
        assert [finding for finding in verify(lake.root) if finding.state == "fail"] == []


@pytest.fixture(scope="module")
def two_days(spark, tmp_path_factory):  # noqa: ARG001 - the session that runs is the one used
    """A lake with two built intervals and rows in quarantine, and its model."""
    made = Sequence(tmp_path_factory.mktemp("sequence") / "two_days")
    trips = [trip(4, "A", "1"), trip(8, "B", "-5"), trip(1, "A", "2.5"), trip(1, "A", "far")]
    arrivals = [arrival(4, "0", 2), arrival(4, "0", 2), arrival(8, "30", 20)]
    for source, lines in (("trips", trips), ("arrivals", arrivals)):
        made.deliver(source, "50.csv", sound(source, "50.csv", lines))
    made.ingest_and_check()
    made.build(stale=False)
    return made.folder, made.model


@pytest.mark.timeout(0 if LONG else 600)
def test_whatever_happens_in_whatever_order_the_lake_holds_what_it_must(
    two_days, tmp_path, monkeypatch
):
    monkeypatch.setattr("headrace.lake.compact.FEWEST", 2)  # such lakes have few files
    numbers = iter(range(10**9))
    run_state_machine_as_test(
        lambda: Sequence(tmp_path / str(next(numbers)), two_days),
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            print_blob=True,
            phases=[Phase.generate],  # a sequence is read sooner than it is shrunk
            suppress_health_check=list(HealthCheck),
        ),
    )

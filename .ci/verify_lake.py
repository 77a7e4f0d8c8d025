"""Verifies the lake of the flight_delays example with DuckDB over delta-rs alone.

Neither Spark nor Headrace takes part, so neither can hide its own mistakes.

    python .ci/verify_lake.py LAKE

Prints one line per verified fact, and ends with exit code 1 at the first wrong one, with the rows
that show it.
"""

# ruff: noqa: S608 -- the SQL is made of our own table and column names

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

FLIGHT = ("carrier", "flight", "origin", "time_hour")
WEATHER = ("temp", "wind_speed", "precip", "visib", "pressure")
POSITION = ("_file_sha256", "_row")
STORED = ("silver", "quarantine")
SHOWN_ROWS = 5
TOLERANCE = 1e-9  # relative; sums of floats may be added in another order


@dataclass(frozen=True)
class Expected:
    """What the lake must hold; the defaults are the flights of 2013."""

    pipeline: str = "flight_delays"
    zone: str = "America/New_York"
    at: time_of_day = time_of_day(5)
    first: date = date(2013, 12, 1)
    last: date = date(2013, 12, 31)
    rows: Mapping[str, int] = field(
        default_factory=lambda: {
            "schedule": 336_776,
            "arrivals": 327_346,
            "weather": 26_115,
            "planes": 3_322,
            "airports": 1_458,
            "airlines": 16,
        }
    )
    keys: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {
            "schedule": FLIGHT,
            "arrivals": FLIGHT,
            "weather": ("origin", "time_hour"),
            "planes": ("tailnum",),
            "airports": ("faa",),
            "airlines": ("carrier",),
        }
    )


class Wrong(Exception):
    """A fact that does not hold, with rows that show it."""


class Verification:
    """One lake under scrutiny: its tables as DuckDB views, and the facts found so far."""

    def __init__(self, lake: Path, expected: Expected) -> None:
        self.lake = lake
        self.expected = expected
        self.facts = 0
        self._db = duckdb.connect()
        self._tables: dict[str, DeltaTable] = {}

    def table(self, name: str) -> DeltaTable:
        """The Delta table at a path below the lake, at its newest version."""
        if name not in self._tables:
            if not DeltaTable.is_deltatable(str(self.lake / name)):
                message = f"there is no table {name}"
                raise Wrong(message)
            self._tables[name] = DeltaTable(str(self.lake / name))
        return self._tables[name]

    def view(self, view: str, name: str, columns: Sequence[str]) -> None:
        """Makes columns of a table a view; moments become UTC without a zone."""
        dataset = self.table(name).to_pyarrow_dataset()
        missing = [column for column in columns if column not in dataset.schema.names]
        if missing:
            message = f"{name} lacks {', '.join(missing)}; it has {dataset.schema.names}"
            raise Wrong(message)
        self._db.register(view, _without_zones(dataset.to_table(columns=list(columns))))

    def count(self, rows: str) -> int:
        """The number of rows of a view or of `view WHERE ...`."""
        return int(self.all(f"SELECT count(*) FROM {rows}")[0][0])

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self._db.execute(query).fetchall()

    def none(self, query: str, claim: str) -> None:
        """Asserts that a query finds nothing."""
        found = self._db.execute(query)
        names = [column[0] for column in found.description or ()]
        rows = found.fetchmany(SHOWN_ROWS)
        if rows:
            lines = "\n".join(f"    {row}" for row in [tuple(names), *rows])
            message = f"not so: {claim}\n{lines}"
            raise Wrong(message)

    def equal(self, found: object, expected: object, claim: str) -> None:
        """Asserts that two figures are equal."""
        if found != expected:
            message = f"not so: {claim}: found {found}, expected {expected}"
            raise Wrong(message)

    def register(self, view: str, rows: pa.Table) -> None:
        """Makes an Arrow table a view."""
        self._db.register(view, rows)

    def keep(self, view: str, query: str) -> None:
        """Computes a query once and keeps the result."""
        self._db.execute(f"CREATE OR REPLACE TEMP TABLE {view} AS {query}")

    def fact(self, what: str, figures: str) -> None:
        """Tells a verified fact."""
        self.facts += 1
        print(f"  {what:<24} {figures}")


def verify(lake: Path, expected: Expected | None = None) -> int:
    """Verifies everything; returns the number of facts.

    Raises:
        Wrong: At the first fact that does not hold.
    """
    found = Verification(lake, expected or Expected())
    for source in found.expected.rows:
        _source(found, source)
    _gold(found)
    _labels(found)
    _point_in_time(found)
    _scores(found)
    _models(found)
    return found.facts


def _source(on: Verification, source: str) -> None:
    """Every line read is in silver, in quarantine or was counted as a duplicate, batch by batch."""
    key = on.expected.keys[source]
    on.view("bronze", f"bronze/{source}", ("_raw", "_columns", "_file", "_batch", *POSITION))
    on.view("silver", f"silver/{source}", ("_file", "_batch", *POSITION, *key))
    if (on.lake / "quarantine" / source / "_delta_log").is_dir():
        columns = ("_raw", "_file", "_batch", "_failed_rules", "_reason", *POSITION)
        on.view("quarantine", f"quarantine/{source}", columns)
    else:
        on.register("quarantine", _no_quarantine())
    on.equal(on.count("bronze"), on.expected.rows[source], f"rows read of {source}")
    batches, duplicates = _batches(on, source)
    _lines(on, source, duplicates=duplicates)
    _unique(on, "silver", key, f"keys of silver/{source} are unique")
    parts = {"silver": on.count("silver"), "quarantine": on.count("quarantine")}
    figures = " + ".join(f"{rows:,} {name}" for name, rows in parts.items())
    read = on.expected.rows[source]
    on.fact(source, f"{read:>9,} read = {figures} + {duplicates:,} duplicates, {batches} batches")


def _batches(on: Verification, source: str) -> tuple[int, int]:
    """Number of batches and of duplicates, after each batch was found to balance."""
    told = _balances(on.table(f"silver/{source}"))
    batches = on.all("SELECT _batch, count(*) FROM bronze GROUP BY ALL ORDER BY ALL")
    duplicates = 0
    for batch, read in batches:
        if batch not in told:
            message = f"not so: a commit of silver/{source} tells of batch {batch} ({read:,} rows)"
            raise Wrong(message)
        parts = {name: on.count(f"{name} WHERE _batch = '{batch}'") for name in STORED}
        parts["duplicates"] = told[batch]["duplicates"]
        claim = f"batch {batch} of {source}: rows read are {parts}"
        on.equal(sum(parts.values()), read, claim)
        recorded = {name: told[batch][name] for name in ("read", *parts)}
        on.equal(recorded, {"read": read, **parts}, f"batch {batch} of {source}: recorded balance")
        duplicates += parts["duplicates"]
    return len(batches), duplicates


def _lines(on: Verification, source: str, *, duplicates: int) -> None:
    """Lines stand once in bronze, and at most once in silver or quarantine; none is lost."""
    at = ", ".join(POSITION)
    stood = f"(SELECT {at} FROM silver UNION ALL SELECT {at} FROM quarantine)"
    for rows, where in (("bronze", "bronze"), (stood, "silver or quarantine")):
        on.none(
            f"SELECT {at}, count(*) FROM {rows} GROUP BY ALL HAVING count(*) > 1",
            f"lines of {source} stand once in {where}",
        )
    on.none(f"SELECT * FROM {stood} ANTI JOIN bronze USING ({at})", f"rows of {source} were read")
    on.none(
        f"SELECT * FROM bronze ANTI JOIN {stood} USING ({at}) OFFSET {duplicates}",
        f"lines of {source} are in silver or quarantine, but for {duplicates} duplicates",
    )
    on.none(
        "SELECT * FROM quarantine WHERE len(_failed_rules) = 0 OR coalesce(_reason, '') = ''",
        f"quarantined rows of {source} say why",
    )


def _gold(on: Verification) -> None:
    """One row of features per scheduled flight, in the interval of its New York day."""
    pipeline = on.expected.pipeline
    on.view("schedule", "silver/schedule", (*FLIGHT, "dest", "tailnum"))
    names = ("dest", "plane_year", "plane_seats", *WEATHER, "route_delay_7d")
    columns = (*FLIGHT, *names, "late", "_target_known_at", "_interval", "_fingerprint", "_labels")
    on.view("gold", f"gold/{pipeline}", columns)
    on.register("days", _days(on))
    key = ", ".join(FLIGHT)
    _unique(on, "gold", FLIGHT, f"keys of gold/{pipeline} are unique")
    on.none(
        f"SELECT * FROM schedule ANTI JOIN gold USING ({key})",
        "every scheduled flight has features",
    )
    on.none(
        f"SELECT * FROM gold ANTI JOIN schedule USING ({key})", "features are of scheduled flights"
    )
    on.none(
        f"SELECT {key}, _interval FROM gold LEFT JOIN days USING (_interval) "
        "WHERE day_begins IS NULL OR time_hour < day_begins OR time_hour >= day_ends",
        "features stand in the interval of their New York day",
    )
    on.none(
        "SELECT _interval, count(DISTINCT _fingerprint) AS found FROM gold GROUP BY ALL "
        "HAVING count(DISTINCT _fingerprint) <> 1",
        "an interval of gold has one fingerprint",
    )
    rows, intervals = on.all("SELECT count(*), count(DISTINCT _interval) FROM gold")[0]
    on.fact("gold", f"{rows:>9,} rows, those of silver/schedule, in {intervals} intervals")


def _labels(on: Verification) -> None:
    """The target is that of the arrival of the same flight, and empty where none is known."""
    on.view("arrivals", "silver/arrivals", (*FLIGHT, "arr_delay", "arrived_at"))
    key = ", ".join(FLIGHT)
    on.none(
        f"SELECT {key}, late, arr_delay, _target_known_at, arrived_at "
        f"FROM gold LEFT JOIN arrivals USING ({key}) WHERE late IS DISTINCT FROM (arr_delay > 15) "
        "OR _target_known_at IS DISTINCT FROM arrived_at",
        "the target is arr_delay > 15, known when the flight arrived",
    )
    known, late = on.all("SELECT count(late), count(*) FILTER (late) FROM gold")[0]
    on.fact("targets", f"{known:>9,} known, {late:,} late, all as silver/arrivals tells")


def _point_in_time(on: Verification) -> None:
    """Every row of features, computed again from silver with nothing known after their moment."""
    on.view("weather", "silver/weather", ("origin", "time_hour", *WEATHER))
    on.view("planes", "silver/planes", ("tailnum", "year", "seats"))
    on.keep("asked", "SELECT gold.*, day_at FROM gold JOIN days USING (_interval)")
    _history(on)
    _latest(on)
    _lookups(on)
    rows, history, weather, planes = on.all(
        "SELECT count(*), count(route_delay_7d), count(temp), count(plane_year) FROM asked"
    )[0]
    found = f"{history} with history, {weather} with weather, {planes} with a plane"
    on.fact("point in time", f"{rows:>9,} rows computed again: {found}")


def _history(on: Verification) -> None:
    key = ", ".join(FLIGHT)
    close = f"abs(route_delay_7d - again) <= {TOLERANCE} * abs(again)"
    on.none(
        f"""
        WITH facts AS (SELECT * FROM arrivals JOIN schedule USING ({key})),
        computed AS (
            SELECT {_named("g", FLIGHT)}, g.day_at, any_value(g.route_delay_7d) AS route_delay_7d,
                avg(f.arr_delay) AS again
            FROM asked g LEFT JOIN facts f ON f.carrier = g.carrier AND f.dest = g.dest
                AND f.arrived_at <= g.day_at AND f.arrived_at > g.day_at - INTERVAL 7 DAYS
            GROUP BY ALL)
        SELECT * FROM computed
        WHERE (again IS NULL) <> (route_delay_7d IS NULL) OR NOT coalesce({close}, true)
        """,
        "route_delay_7d is the mean of what was known at 05:00",
    )


def _latest(on: Verification) -> None:
    differs = " OR ".join(f"g.{name} IS DISTINCT FROM w.{name}" for name in WEATHER)
    given = " OR ".join(f"g.{name} IS NOT NULL" for name in WEATHER)
    on.none(
        f"""
        SELECT {_named("g", FLIGHT)}, g.day_at, w.time_hour AS observed,
            {_named("g", WEATHER)}, {_named("w", WEATHER)}
        FROM asked g ASOF LEFT JOIN weather w
            ON w.origin = g.origin AND w.time_hour <= g.day_at
        WHERE CASE WHEN w.time_hour >= g.day_at - INTERVAL 6 HOURS THEN {differs} ELSE {given} END
        """,
        "weather is the newest observation of the last 6 hours at 05:00",
    )


def _lookups(on: Verification) -> None:
    on.none(
        f"""
        SELECT {_named("g", FLIGHT)}, s.tailnum, g.plane_year, p.year, g.plane_seats, p.seats
        FROM asked g JOIN schedule s USING ({", ".join(FLIGHT)})
            LEFT JOIN planes p ON p.tailnum = s.tailnum
        WHERE g.plane_year IS DISTINCT FROM p.year OR g.plane_seats IS DISTINCT FROM p.seats
        """,
        "plane_year and plane_seats are those of the tail number",
    )


def _scores(on: Verification) -> None:
    """Exactly one sound score for each flight of the scored days."""
    expected, key = on.expected, ", ".join(FLIGHT)
    name = f"scores/{expected.pipeline}"
    columns = ("score", "prediction", "_model", "_fingerprint", "_run", "_interval")
    on.view("scores", name, (*FLIGHT, *columns))
    on.keep(
        "due",
        f"SELECT {key}, _interval FROM schedule JOIN days "
        "ON time_hour >= day_begins AND time_hour < day_ends "
        f"WHERE _interval BETWEEN DATE '{expected.first}' AND DATE '{expected.last}'",
    )
    _unique(on, "scores", FLIGHT, f"keys of {name} are unique")
    for rows, others, claim in (
        ("due", "scores", "each flight of the scored days has a score"),
        ("scores", "due", "scores are of flights of the scored days"),
    ):
        on.none(f"SELECT * FROM {rows} ANTI JOIN {others} USING ({key}, _interval)", claim)
    on.none(
        "SELECT * FROM scores WHERE prediction IS NULL OR _run IS NULL "
        "OR NOT coalesce(isfinite(score) AND score BETWEEN 0 AND 1, false)",
        "scores are within 0 and 1, with prediction and run",
    )
    on.none(
        "SELECT _interval, count(DISTINCT _model), count(DISTINCT _fingerprint) FROM scores "
        "GROUP BY ALL HAVING count(DISTINCT _model) <> 1 OR count(DISTINCT _fingerprint) <> 1",
        "an interval is scored by one model from one state of the data",
    )
    rows, intervals, low, mean, high = on.all(
        "SELECT count(*), count(DISTINCT _interval), min(score), avg(score), max(score) FROM scores"
    )[0]
    on.equal(intervals, (expected.last - expected.first).days + 1, "intervals scored")
    figures = f"one per flight, from {low:.4f} to {high:.4f}, mean {mean:.4f}"
    on.fact("scores", f"{rows:>9,} in {intervals} intervals, {figures}")


def _models(on: Verification) -> None:
    """The files of each model that scored are what its record and its name say."""
    for (model,) in on.all("SELECT DISTINCT _model FROM scores ORDER BY ALL"):
        folder = on.lake / "models" / on.expected.pipeline / model
        if not (folder / "record.json").is_file():
            message = f"there is no record of model {model}"
            raise Wrong(message)
        record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        for name, digest in record["files"].items():
            content = (folder / name).read_bytes()
            on.equal(
                hashlib.sha256(content).hexdigest(), digest, f"SHA-256 of {name} of model {model}"
            )
        listed = json.dumps([sorted(map(list, record["files"].items()))], separators=(",", ":"))
        on.equal(
            hashlib.sha256(listed.encode()).hexdigest()[: len(model)],
            model,
            f"name of model {model}",
        )
        on.fact("model", f"{model}: {len(record['files'])} files as their digests say")


def _balances(silver: DeltaTable) -> dict[str, Mapping[str, int]]:
    """Batch -> the balance that the commits of silver tell."""
    told: dict[str, Mapping[str, int]] = {}
    for commit in silver.history():  # newest first
        outer = commit.get("headrace") or commit.get("userMetadata") or "{}"
        balance = json.loads(outer) if isinstance(outer, str) else outer
        balance = balance.get("headrace", balance)
        if "batch" in balance:
            told.setdefault(balance["batch"], balance)
    return told


def _unique(on: Verification, view: str, key: Sequence[str], claim: str) -> None:
    names = ", ".join(key)
    on.none(f"SELECT {names}, count(*) FROM {view} GROUP BY ALL HAVING count(*) > 1", claim)


def _days(on: Verification) -> pa.Table:
    """The intervals of gold, in UTC: when each begins and ends, and its moment of prediction."""
    zone, at = ZoneInfo(on.expected.zone), on.expected.at

    def utc(day: date, clock: time_of_day = time_of_day()) -> datetime:
        return datetime.combine(day, clock, zone).astimezone(UTC).replace(tzinfo=None)

    days = [day for (day,) in on.all("SELECT DISTINCT _interval FROM gold ORDER BY ALL")]
    return pa.table(
        {
            "_interval": pa.array(days, pa.date32()),
            "day_begins": pa.array([utc(day) for day in days], pa.timestamp("us")),
            "day_ends": pa.array(
                [utc(day + timedelta(days=1)) for day in days], pa.timestamp("us")
            ),
            "day_at": pa.array([utc(day, at) for day in days], pa.timestamp("us")),
        }
    )


def _named(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


def _no_quarantine() -> pa.Table:
    texts = ("_raw", "_file", "_file_sha256", "_batch", "_reason")
    schema = {name: pa.string() for name in texts} | {"_row": pa.int64()}
    return pa.schema({**schema, "_failed_rules": pa.list_(pa.string())}).empty_table()


def _without_zones(rows: pa.Table) -> pa.Table:
    def plain(kind: pa.DataType) -> pa.DataType:
        return pa.timestamp("us") if pa.types.is_timestamp(kind) else kind

    return rows.cast(pa.schema([(column.name, plain(column.type)) for column in rows.schema]))


def main(arguments: Sequence[str]) -> int:
    """Verifies the lake named on the command line."""
    if len(arguments) != 1:
        print("usage: verify_lake.py LAKE", file=sys.stderr)
        return 2
    started = time.monotonic()
    try:
        facts = verify(Path(arguments[0]))
    except Wrong as wrong:
        print(wrong, file=sys.stderr)
        return 1
    print(f"{facts} facts verified in {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

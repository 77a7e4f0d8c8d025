"""Computes features of 200 random flights again, with DuckDB straight from the landing files.

No table but gold takes part, and no code of Headrace: what Spark read, checked, joined and wrote is
held against the files as they arrived.

    python .ci/verify_features.py LAKE LANDING

Ends with exit code 1 if a feature differs, with the rows that show it.
"""

# ruff: noqa: S608 -- the SQL is made of our own names

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
from deltalake import DeltaTable

ROWS = 200
FLIGHT = "carrier, flight, origin, time_hour"
WEATHER = ("temp", "wind_speed", "precip", "visib", "pressure")
# The rows that the rules of the example put aside; each rule is named there.
SOUND = {
    "weather": "wind_speed IS NULL OR wind_speed BETWEEN 0 AND 200",
    "planes": "tailnum <> 'N14629'",
}
FEATURES = (
    "hour",
    "weekday",
    "month",
    "distance",
    "plane_year",
    "plane_seats",
    *WEATHER,
    "late",
)


def main(lake: str, landing: str) -> int:
    """The number of rows that differ."""
    db = _loaded(lake, landing)
    again = _again()
    differs = " OR ".join(f"g.{name} IS DISTINCT FROM r.{name}" for name in FEATURES)
    wrong = db.execute(
        f"""
        WITH r AS ({again})
        SELECT r.*, g.* FROM r LEFT JOIN gold g ON (g.carrier, g.flight, g.origin)
            = (r.carrier, r.flight, r.origin) AND g.time_hour = r.time_hour::TIMESTAMPTZ
        WHERE {differs} OR (g.route_delay_7d IS NULL) <> (r.route_delay_7d IS NULL)
            OR abs(g.route_delay_7d - r.route_delay_7d) > 1e-9 * greatest(1, abs(r.route_delay_7d))
        """
    )
    names = [column[0] for column in wrong.description or ()]
    rows = wrong.fetchall()
    for row in rows[:5]:
        print(dict(zip(names, row, strict=True)))
    had = db.execute(
        f"WITH r AS ({again}) "
        "SELECT count(*), count(route_delay_7d), count(temp), count(plane_year) FROM r"
    ).fetchall()[0]
    print(
        f"{had[0]} flights computed again from the landing files: {had[1]} with history, "
        f"{had[2]} with weather, {had[3]} with a plane; {len(rows)} differ"
    )
    return len(rows) or had[0] != ROWS


def _loaded(lake: str, landing: str) -> duckdb.DuckDBPyConnection:
    """The landing files, gold, and the flights that are asked for."""
    db = duckdb.connect()
    db.execute("SET TimeZone = 'UTC'")
    for source in ("schedule", "arrivals", "weather", "planes"):
        files = Path(landing, source, "*.csv").as_posix()
        db.execute(
            f"CREATE TABLE {source} AS SELECT * FROM read_csv('{files}', nullstr='NA') "
            f"WHERE {SOUND.get(source, 'true')}"
        )
    gold = DeltaTable(str(Path(lake, "gold", "flight_delays"))).to_pyarrow_dataset().to_table()
    db.register("gold", gold)
    # Of each flight what was known at five in New York on its day; each form by its definition.
    db.execute(
        f"""
        CREATE TABLE asked AS
        SELECT s.*, day, timezone('America/New_York', day + INTERVAL 5 HOURS) AS asked_at
        FROM (SELECT *, date_trunc('day', timezone('America/New_York', time_hour::TIMESTAMPTZ))
              AS day FROM schedule) s
        USING SAMPLE reservoir({ROWS} ROWS)
        """
    )
    return db


def _again() -> str:
    """Features and target of the flights that are asked for, as a query."""
    newest = ", ".join(
        f"(SELECT {name} FROM weather w WHERE w.origin = a.origin "
        "AND w.time_hour::TIMESTAMPTZ <= asked_at "
        "AND w.time_hour::TIMESTAMPTZ >= asked_at - INTERVAL 6 HOURS "
        f"ORDER BY time_hour DESC LIMIT 1) AS {name}"
        for name in WEATHER
    )
    return f"""
        SELECT {FLIGHT}, a.hour, isodow(day) % 7 + 1 AS weekday, month(day) AS month, distance,
            (SELECT year FROM planes p WHERE p.tailnum = a.tailnum) AS plane_year,
            (SELECT seats FROM planes p WHERE p.tailnum = a.tailnum) AS plane_seats, {newest},
            (SELECT avg(arr_delay) FROM arrivals f JOIN schedule s USING ({FLIGHT})
             WHERE f.carrier = a.carrier AND s.dest = a.dest
             AND f.arrived_at::TIMESTAMPTZ <= asked_at
             AND f.arrived_at::TIMESTAMPTZ > asked_at - INTERVAL 168 HOURS)
                AS route_delay_7d,
            (SELECT arr_delay > 15 FROM arrivals f
             WHERE (f.carrier, f.flight, f.origin, f.time_hour)
             = (a.carrier, a.flight, a.origin, a.time_hour)) AS late
        FROM asked a
    """


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:3])))

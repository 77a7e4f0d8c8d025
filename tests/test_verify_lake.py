"""The independent check of a lake finds what is wrong in a small forged one."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

SCRIPT = Path(__file__).parent.parent / ".ci" / "verify_lake.py"
FLIGHT = ["carrier", "flight", "origin", "time_hour"]
DAY = datetime(2013, 12, 1, tzinfo=UTC)


def utc(day, hour):
    return DAY + timedelta(days=day - 1, hours=hour)


# Two flights of 1 December, one of the 2nd; 12:00 UTC is 7:00 in New York.
SCHEDULE = [
    {
        "carrier": "AA",
        "flight": n,
        "origin": "JFK",
        "time_hour": utc(day, 12),
        "dest": "MIA",
        "tailnum": "N1",
    }
    for n, day in ((1, 1), (2, 1), (3, 2))
]
# The first lands on the 1st, so the 2nd may know it; the second has not landed by 05:00 on the 2nd.
ARRIVALS = [
    {**{name: SCHEDULE[0][name] for name in FLIGHT}, "arr_delay": 20, "arrived_at": utc(1, 15)},
    {**{name: SCHEDULE[1][name] for name in FLIGHT}, "arr_delay": 90, "arrived_at": utc(2, 11)},
]
WEATHER = ["temp", "wind_speed", "precip", "visib", "pressure"]
HOURS = [
    {"origin": "JFK", "time_hour": utc(2, hour)} | dict.fromkeys(WEATHER, float(hour))
    for hour in (3, 9, 11)
]
SOURCES = {
    "schedule": SCHEDULE,
    "arrivals": ARRIVALS,
    "weather": HOURS,
    "planes": [{"tailnum": "N1", "year": 1999, "seats": 100}],
    "airports": [{"faa": "JFK"}],
    "airlines": [{"carrier": "AA"}],
}


@pytest.fixture(scope="module")
def verification():
    spec = importlib.util.spec_from_file_location("verify_lake", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def verify(verification, lake):
    rows = {name: len(found) + (name == "weather") for name, found in SOURCES.items()}
    expected = verification.Expected(rows=rows, last=date(2013, 12, 2))
    return lambda: verification.verify(lake, expected)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return forge(tmp_path_factory.mktemp("forged"))


@pytest.fixture
def lake(sound, tmp_path):
    return Path(shutil.copytree(sound, tmp_path / "lake"))


def write(path, rows, *, mode="append", schema=None, **balance):
    metadata = {"userMetadata": json.dumps({"headrace": balance})}
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema)
    properties = CommitProperties(custom_metadata=metadata)
    write_deltalake(str(path), table, mode=mode, commit_properties=properties, schema_mode="merge")


def forge(root):
    for source, rows in SOURCES.items():
        place = [
            {"_file": "f.csv", "_file_sha256": "f", "_row": n, "_batch": "b"} for n in range(9)
        ]
        lines = [
            {"_raw": "x", "_columns": "c", **at}
            for at in place[: len(rows) + (source == "weather")]
        ]
        bad = [{"_raw": "x", "_failed_rules": ["wind"], "_reason": "1048", **place[len(rows)]}] * (
            source == "weather"
        )
        write(root / "bronze" / source, lines)
        if bad:
            write(root / "quarantine" / source, bad)
        told = {"read": len(lines), "silver": len(rows), "quarantine": len(bad), "duplicates": 0}
        write(
            root / "silver" / source,
            [r | at for r, at in zip(rows, place, strict=False)],
            batch="b",
            **told,
        )
    write(root / "gold" / "flight_delays", gold())
    model = forge_model(root / "models" / "flight_delays")
    write(root / "scores" / "flight_delays", scores(model))
    return root


def gold():
    nothing = dict.fromkeys(WEATHER) | {"route_delay_7d": None}
    plane = {"plane_year": 1999, "plane_seats": 100, "dest": "MIA"}
    known = [
        {"late": True, "_target_known_at": utc(1, 15)},
        {"late": True, "_target_known_at": utc(2, 11)},
        {"late": None, "_target_known_at": None},
    ]
    told = [nothing, nothing, dict.fromkeys(WEATHER, 9.0) | {"route_delay_7d": 20.0}]
    return [
        {name: flight[name] for name in FLIGHT}
        | plane
        | features
        | target
        | {"_interval": day(flight), "_fingerprint": "f", "_labels": "l"}
        for flight, features, target in zip(SCHEDULE, told, known, strict=True)
    ]


def day(flight):
    return flight["time_hour"].date()


def scores(model):
    return [
        {name: flight[name] for name in FLIGHT}
        | {"score": 0.25, "prediction": False, "_model": model, "_fingerprint": "f", "_run": "r"}
        | {"_interval": day(flight)}
        for flight in SCHEDULE
    ]


def forge_model(folder):
    digest = hashlib.sha256(b"weights").hexdigest()
    name = hashlib.sha256(f'[[["model.txt","{digest}"]]]'.encode()).hexdigest()[:32]
    (folder / name).mkdir(parents=True)
    (folder / name / "model.txt").write_bytes(b"weights")
    (folder / name / "record.json").write_text(json.dumps({"files": {"model.txt": digest}}))
    return name


def test_sound_lake_is_verified(verify, capsys):
    assert verify() == len(SOURCES) + 5
    told = capsys.readouterr().out
    assert "4 read = 3 silver + 1 quarantine + 0 duplicates" in told
    assert "3 rows computed again: 1 with history, 1 with weather, 3 with a plane" in told


def stored(row, *, line=0, file="f"):
    return row | {"_file": "f.csv", "_file_sha256": file, "_row": line, "_batch": "b"}


def test_lost_row_is_found(verification, verify, lake):
    told = {"batch": "b", "read": 2, "silver": 2, "quarantine": 0, "duplicates": 0}
    write(lake / "silver" / "arrivals", [stored(ARRIVALS[0])], mode="overwrite", **told)
    with pytest.raises(verification.Wrong, match=r"batch b of arrivals: .*found 1, expected 2"):
        verify()


def test_balance_that_the_commit_tells_wrongly_is_found(verification, verify, lake):
    told = {"batch": "b", "read": 2, "silver": 2, "quarantine": 0, "duplicates": 0}
    write(lake / "silver" / "airports", [stored({"faa": "JFK"})], mode="overwrite", **told)
    with pytest.raises(verification.Wrong, match="batch b of airports: recorded balance"):
        verify()


def test_row_that_was_never_read_is_found(verification, verify, lake):
    told = {"batch": "b", "read": 1, "silver": 1, "quarantine": 0, "duplicates": 0}
    rows = [stored({"faa": "EWR"}, line=5, file="other")]
    write(lake / "silver" / "airports", rows, mode="overwrite", **told)
    with pytest.raises(verification.Wrong, match="rows of airports were read"):
        verify()


def test_doubled_score_is_found(verification, verify, lake):
    model = next((lake / "models" / "flight_delays").iterdir()).name
    write(lake / "scores" / "flight_delays", scores(model)[:1])
    with pytest.raises(
        verification.Wrong, match=r"(?s)keys of scores/flight_delays are unique.*'AA', 1"
    ):
        verify()


def test_flight_without_a_score_is_found(verification, verify, lake):
    model = next((lake / "models" / "flight_delays").iterdir()).name
    write(lake / "scores" / "flight_delays", scores(model)[1:], mode="overwrite")
    with pytest.raises(verification.Wrong, match="each flight of the scored days has a score"):
        verify()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.5, -0.1])
def test_unsound_score_is_found(verification, verify, lake, value):
    model = next((lake / "models" / "flight_delays").iterdir()).name
    rows = [row | {"score": value} for row in scores(model)]
    write(lake / "scores" / "flight_delays", rows, mode="overwrite")
    with pytest.raises(verification.Wrong, match="scores are within 0 and 1"):
        verify()


@pytest.mark.parametrize(
    ("feature", "value", "claim"),
    [
        (
            "route_delay_7d",
            55.0,
            "what was known at 05:00",
        ),  # the mean with the flight still in the air
        ("route_delay_7d", None, "what was known at 05:00"),
        ("temp", 11.0, "newest observation"),  # observed at 06:00 in New York
        ("plane_year", 2000, "those of the tail number"),
    ],
)
def test_feature_from_the_future_or_nowhere_is_found(
    verification, verify, lake, *, feature, value, claim
):
    rows = gold()
    rows[2][feature] = value
    write(lake / "gold" / "flight_delays", rows, mode="overwrite")
    with pytest.raises(verification.Wrong, match=claim):
        verify()


def test_model_file_that_changed_is_found(verification, verify, lake):
    (file,) = (lake / "models" / "flight_delays").glob("*/model.txt")
    file.write_bytes(b"weightz")
    with pytest.raises(verification.Wrong, match=r"SHA-256 of model\.txt"):
        verify()


def test_command_ends_with_1_and_shows_the_wrong_fact(lake):
    done = subprocess.run(
        [sys.executable, SCRIPT, lake], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "rows read of schedule: found 3, expected 336776" in done.stderr

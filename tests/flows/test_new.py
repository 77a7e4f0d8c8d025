"""A pipeline file from a look at files: what it guesses of feeds of several kinds."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.spec import load

NUMBERS = range(600)  # parcels, ten a day from 1 January on


def due(number):
    return datetime(2026, 1, 1, 8, tzinfo=UTC) + timedelta(days=number // 10, hours=number % 10)


def stamp(moment):
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def planned(number):
    km = "far" if number == 1 else f"{number % 60}.5"
    return [f"P{number}", stamp(due(number)), ["north", "south"][number % 3 > 0], km]


def delivered(number):
    late = number * 7 % 90 - 30
    return [f"P{number}", stamp(due(number)), late, stamp(due(number) + timedelta(minutes=late))]


@pytest.fixture
def landing(folder):
    """The landing folder, empty; nothing of another pipeline is beside it."""
    (folder / "pipeline.yaml").unlink()
    for path in (folder / "landing").rglob("*.csv"):
        path.unlink()
    return folder / "landing"


def deliver(path, header, rows, *, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [delimiter.join(map(str, cells)) for cells in (header, *rows)]
    path.write_text("\n".join(lines) + "\n")


PLANNED = ["parcel", "due", "depot", "distance_km"]
DELIVERED = ["parcel", "due", "minutes_late", "delivered_at"]


def deliver_parcels(landing):
    deliver(landing / "planned" / "2026.csv", PLANNED, map(planned, NUMBERS))
    deliver(landing / "delivered" / "2026.csv", DELIVERED, map(delivered, NUMBERS))


def made(headrace, *words):
    code, out, err = headrace("new", "parcels", *words)
    assert code == 0, err
    return load("pipeline.yaml"), out


def test_two_feeds_of_parcels_become_a_valid_pipeline(headrace, landing):
    deliver_parcels(landing)
    pipeline, out = made(headrace)
    planned, delivered = pipeline.sources["planned"], pipeline.sources["delivered"]
    assert {name: str(kind) for name, kind in planned.columns.items()} == {
        "parcel": "string",
        "due": "timestamp",
        "depot": "string",
        "distance_km": "double",
    }
    assert (planned.key, planned.event_time, planned.known_at) == (("parcel",), "due", None)
    assert (delivered.known_at, delivered.references) == ("delivered_at", "planned")
    assert pipeline.features.rows == "planned"
    assert pipeline.features.at.hour == 7
    assert pipeline.target.value.startswith("minutes_late > ")
    assert out.splitlines()[-1].startswith("next: look at each guess")
    code, _, _ = headrace("validate")
    assert code == 0


def test_every_guess_is_marked_and_a_wrong_cell_is_told(headrace, landing, folder):
    deliver_parcels(landing)
    made(headrace)
    lines = (folder / "pipeline.yaml").read_text().splitlines()
    guessed = [
        line.partition("#")[0].split(":")[0].strip() for line in lines if "# guess: " in line
    ]
    expected = {"key", "event_time", "known_at", "at", "value", "split", "first", "timezone"}
    assert expected <= set(guessed)
    assert any("but for 1 of 600 cells, such as 'far'" in line for line in lines)


def test_the_training_leaves_days_before_it_and_after_it(headrace, landing):
    deliver_parcels(landing)  # 60 days
    pipeline, _ = made(headrace)
    assert str(pipeline.training.first) == "2026-02-15"
    assert pipeline.split.validation == pipeline.split.test == timedelta(days=10)


def test_json_lines_parquet_and_other_delimiters_lead_to_the_same(headrace, landing):
    (landing / "planned").mkdir(exist_ok=True)
    lines = [json.dumps(dict(zip(PLANNED, planned(n), strict=True))) for n in NUMBERS]
    (landing / "planned" / "a.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    rows = [dict(zip(DELIVERED, delivered(n), strict=True)) for n in NUMBERS]
    for row in rows:
        row |= {name: datetime.fromisoformat(row[name]) for name in ("due", "delivered_at")}
    (landing / "delivered").mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), landing / "delivered" / "a.parquet")
    deliver(
        landing / "depots" / "a.csv", ["depot", "size"], [("north", 3), ("south", 8)], delimiter=";"
    )
    pipeline, _ = made(headrace)
    sources = pipeline.sources
    assert [sources[name].format for name in ("planned", "delivered", "depots")] == [
        "json",
        "parquet",
        "csv",
    ]
    assert sources["planned"].path == "landing/planned/*.jsonl.gz"
    assert sources["depots"].delimiter == ";"
    assert sources["depots"].timeless
    assert pipeline.features.lookups["depots"].columns == {"size": "size"}
    assert sources["delivered"].known_at == "delivered_at"


def test_a_text_for_null_is_found_and_does_not_make_a_number_a_text(headrace, landing):
    rows = [[*planned(n)[:3], "NA" if n % 50 == 0 else n] for n in NUMBERS]
    deliver(landing / "planned" / "a.csv", PLANNED, rows)
    deliver(landing / "delivered" / "a.csv", DELIVERED, map(delivered, NUMBERS))
    pipeline, _ = made(headrace)
    assert pipeline.sources["planned"].null_value == "NA"
    assert pipeline.sources["planned"].columns["distance_km"] == "int"


def test_numbers_with_leading_zeros_stay_texts(headrace, landing):
    rows = [[*planned(n)[:2], f"{n % 7:05}", 1.5] for n in NUMBERS]
    deliver(landing / "planned" / "a.csv", PLANNED, rows)
    deliver(landing / "delivered" / "a.csv", DELIVERED, map(delivered, NUMBERS))
    pipeline, _ = made(headrace)
    assert pipeline.sources["planned"].columns["depot"] == "string"


def test_one_file_with_everything_is_declared_twice_and_says_so(headrace, folder):
    (folder / "pipeline.yaml").unlink()
    rows = [[f"C{n}", stamp(due(n)), n % 5, ["true", "false"][n % 4 > 0]] for n in NUMBERS]
    deliver(folder / "customers.csv", ["customer", "asked_at", "calls", "churned"], rows)
    code, out, err = headrace("new", "churn", "customers.csv")
    pipeline = load("pipeline.yaml")
    assert (code, err) == (0, "")
    assert "declared twice" in out
    assert pipeline.target.of == "customers_outcome"
    assert pipeline.target.value == "churned"
    assert "churned" not in pipeline.features.columns
    assert pipeline.sources["customers"].path == "customers.csv"


def test_a_large_file_is_sampled(headrace, landing):
    many = range(30_000)
    deliver(landing / "planned" / "a.csv", PLANNED, ([*planned(n)[:3], "1.5"] for n in many))
    deliver(landing / "delivered" / "a.csv", DELIVERED, map(delivered, many))
    _, _ = made(headrace)
    text = Path("pipeline.yaml").read_text()
    looked = int(text.split("planned:  # ")[1].split(" rows")[0].replace(",", ""))
    assert 2_000 < looked < 15_000
    assert "looked at, a sample" in text
    assert "first: 2032-02" in text  # the last rows were seen: three quarters of 3,000 days


def test_a_file_there_is_left_unless_forced(headrace, landing, folder):
    deliver_parcels(landing)
    (folder / "pipeline.yaml").write_text("mine")
    code, _, err = headrace("new", "parcels")
    assert code == 2
    assert "there is a file already" in err
    assert (folder / "pipeline.yaml").read_text() == "mine"
    code, _, _ = headrace("new", "parcels", "--force")
    assert code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["Parcels"], "'Parcels' is not a name"),
        (["parcels", "nowhere"], "there is no such file or folder (path nowhere)"),
        (["parcels"], "no file that ends with .csv"),
        (["parcels", "numbers.csv"], "no feed has both a moment and a value"),
        (["parcels", "capitals.csv"], "column 'Parcel No' cannot be declared"),
        (["parcels", "empty.csv"], "the file is empty"),
        (["parcels", "latin.csv"], "not UTF-8"),
        (["parcels", "constant.csv"], "no feed has both a moment and a value"),
        (["parcels", "twice.csv"], "column 'a' stands twice in the header"),
        (["parcels", "no.parquet"], "the file cannot be read"),
        (["parcels", "cut.csv.gz"], "the file cannot be read"),
        (["parcels", "garbage.csv.gz"], "the file cannot be read"),
    ],
)
@pytest.mark.usefixtures("landing")
def test_files_that_make_no_pipeline_exit_2_and_say_why(headrace, folder, words, told):
    deliver(folder / "numbers.csv", ["a", "b"], [(n, n * n) for n in range(9)])
    deliver(folder / "capitals.csv", ["Parcel No", "due"], [(1, "2026-01-01T08:00:00Z")])
    (folder / "empty.csv").write_text("")
    deliver(folder / "constant.csv", ["a", "due"], [(1, "2026-01-01T08:00:00Z")] * 9)
    deliver(folder / "twice.csv", ["a", "due", "a"], [(1, "2026-01-01T08:00:00Z", 2)])
    (folder / "no.parquet").write_bytes(b"PAR1")
    (folder / "cut.csv.gz").write_bytes(gzip.compress(b"a,b\n" + bytes(range(256)) * 99)[:60])
    (folder / "garbage.csv.gz").write_bytes(b"a,b\n1,2\n")
    (folder / "latin.csv").write_bytes("größe,b\n1,2\n".encode("latin-1"))
    code, out, err = headrace("new", *words)
    assert (code, out) == (2, "")
    assert told in err


@pytest.mark.usefixtures("landing")
def test_a_day_that_there_is_not_is_a_wrong_cell(headrace, folder):
    rows = [(n, stamp(due(n)), n * 7 % 90) for n in NUMBERS]
    rows[5] = (5, "2026-02-30T08:00:00Z", 3)
    deliver(folder / "late.csv", ["id", "due", "late"], rows)
    code, _, err = headrace("new", "parcels", "late.csv")
    assert code == 0, err
    assert "2026-02-30T08:00:00Z" in (folder / "pipeline.yaml").read_text()


def test_columns_named_as_words_of_sql_are_quoted(headrace, landing):
    header = ["parcel", "due", "select", "case"]
    rows = ([f"P{n}", stamp(due(n)), n % 7, n % 3] for n in NUMBERS)
    deliver(landing / "planned" / "2026.csv", header, rows)
    header = ["parcel", "due", "interval", "delivered_at"]
    rows = ([f"P{n}", stamp(due(n)), n * 7 % 90, stamp(due(n))] for n in NUMBERS)
    deliver(landing / "delivered" / "2026.csv", header, rows)
    headrace("new", "parcels", "landing")
    pipeline = load("pipeline.yaml", environ={})
    assert pipeline.features.columns["select"] == "`select`"
    assert pipeline.target.value == "`interval` > 67"


@pytest.mark.parametrize("values", [[0, 0, 0, 1, 7, 7, 7, 7, 7, 7], [1000001, 1000002, 1000003]])
def test_a_target_is_true_of_some_rows_and_not_of_all(headrace, landing, values):
    deliver_parcels(landing)
    rows = ([f"P{n}", stamp(due(n)), values[n % len(values)], stamp(due(n))] for n in NUMBERS)
    deliver(landing / "delivered" / "2026.csv", DELIVERED, rows)
    headrace("new", "parcels", "landing")
    least = float(load("pipeline.yaml", environ={}).target.value.removeprefix("minutes_late > "))
    assert min(values) <= least < max(values)


def test_a_target_of_two_large_numbers_is_the_larger_one(headrace, landing):
    deliver_parcels(landing)
    rows = ([f"P{n}", stamp(due(n)), 1_000_001 + n % 2, stamp(due(n))] for n in NUMBERS)
    deliver(landing / "delivered" / "2026.csv", DELIVERED, rows)
    headrace("new", "parcels", "landing")
    assert load("pipeline.yaml", environ={}).target.value == "minutes_late = 1000002"

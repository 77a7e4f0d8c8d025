"""Cells marked `pii` are hidden, and a line that cannot be cut is hidden as a whole."""

import json

import pyarrow as pa
import pytest

from headrace.lake import append
from headrace.masking import HIDDEN, MASK, Mask, hidden_of, masked, recorded
from headrace.profiles import without_values
from headrace.report import write
from headrace.spec.model import Pipeline

HEADER = ("id", "name", "city")
OF_NAMES = Mask(frozenset({"name"}))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("1,Ada,Rome", f"1,{MASK},Rome"),
        ('1,"Ada, Countess",Rome', f"1,{MASK},Rome"),
        ("1,,Rome", "1,,Rome"),
        ("1,Ada", HIDDEN),
        ("1,Ada,Rome,more", HIDDEN),
        ('1,"Ada,Rome', HIDDEN),
    ],
)
def test_marked_cells_of_a_csv_line_are_hidden(raw, shown):
    assert OF_NAMES.line(raw, HEADER) == shown


def test_line_without_a_known_header_is_hidden_as_a_whole():
    assert OF_NAMES.line("1,Ada,Rome", None) == HIDDEN
    assert OF_NAMES.line("1,Ada,Rome", ("id", "nom", "city")) == HIDDEN


@pytest.mark.parametrize("raw", ["[1]", "{", "Ada", "[" * 100_000])
def test_json_line_that_is_no_object_is_hidden_as_a_whole(raw):
    assert Mask(frozenset({"name"}), "json").line(raw, None) == HIDDEN


def test_marked_keys_of_a_json_line_are_hidden():
    shown = Mask(frozenset({"name"}), "json").line('{"id": 1, "name": {"first": "Ada"}}', None)
    assert json.loads(shown or "") == {"id": 1, "name": MASK}


def test_reason_names_the_marked_column_and_hides_its_value():
    told = "id: cannot read 'x' as int; name: cannot read 'Ada' as ' as int' as int"
    shown = OF_NAMES.reason(told)
    assert shown == f"id: cannot read 'x' as int; name: cannot read '{MASK}' as int"


def test_features_made_of_a_marked_column_are_hidden_and_no_others():
    people = {
        "path": "landing/people/*.csv",
        "schema": {"id": "int", "name": "string", "home": "string", "at": "timestamp"},
        "key": ["id"],
        "event_time": "at",
        "pii": ["name", "home"],
    }
    homes = {
        "path": "landing/homes/*.csv",
        "schema": {"home": "string", "owner": "string", "rooms": "int"},
        "key": ["home"],
        "timeless": True,
        "pii": ["owner"],
    }
    visits = {
        "path": "landing/visits/*.csv",
        "schema": {"id": "int", "paid": "double", "guests": "int", "known": "timestamp"},
        "key": ["id", "known"],
        "known_at": "known",
        "references": "people",
        "pii": ["paid"],
    }
    over = {"of": "visits", "by": ["id"], "over": "7 days"}
    pipeline = Pipeline.model_validate(
        {
            "name": "stays",
            "timezone": "UTC",
            "sources": {"people": people, "homes": homes, "visits": visits},
            "features": {
                "rows": "people",
                "at": "05:00",
                "columns": {"initial": "left(NAME, 1)", "hour": "hour(at)"},
                "lookups": {
                    "homes": {"on": ["home"], "columns": {"whose": "owner", "size": "rooms"}}
                },
                "history": {
                    "spent": {**over, "value": "sum(paid)"},
                    "company": {**over, "value": "avg(guests)"},
                },
                "encodings": {
                    "often": {**over, "kind": "frequency"},
                    "worth": {**over, "kind": "mean", "value": "paid"},
                },
            },
            "target": {"name": "late", "of": "visits", "value": "guests > 1"},
            "split": {"kind": "time", "validation": "1 days", "test": "1 days"},
            "training": {"algorithms": ["lightgbm"], "first": "2013-12-01", "every": "30 days"},
        }
    )
    made = {"initial", "whose", "spent", "worth"}
    marked = {"name", "home", "owner", "paid"}
    assert hidden_of(pipeline, "gold/stays") == made | marked
    assert hidden_of(pipeline, "silver/visits") == {"paid"}


def test_a_null_of_a_hidden_column_stays_null():
    assert masked({"name": "Ada", "home": None}, {"name", "home"}) == {"name": MASK, "home": None}


def test_newest_run_tells_the_mask(lake):
    for run, marked in (("r1", ["id"]), ("r2", ["name"])):
        path = lake.runs(run) / "about" / "run.json"
        path.parent.mkdir(parents=True)
        spec = {"sources.people.pii": marked, "sources.people.delimiter": ";"}
        path.write_text(json.dumps({"spec": spec}))
    assert recorded(lake, "people") == Mask(frozenset({"name"}), delimiter=";")
    assert recorded(lake, "others") == Mask(frozenset())


def test_profile_of_a_marked_column_keeps_no_value():
    rows = pa.table(
        {
            "column": ["name", "name", "city", None],
            "statistic": ["missing", "top", "top", "rows"],
        }
    )
    kept = without_values(rows, {"name"}).to_pylist()
    assert [tuple(row.values()) for row in kept] == [
        ("name", "missing"),
        ("city", "top"),
        (None, "rows"),
    ]


def test_no_marked_value_reaches_the_page(lake):
    people = {
        "path": "landing/people/*.csv",
        "schema": {"id": "int", "name": "string", "at": "timestamp"},
        "key": ["id"],
        "event_time": "at",
        "pii": ["name"],
    }
    pipeline = Pipeline.model_validate(
        {
            "name": "visits",
            "timezone": "UTC",
            "sources": {"people": people},
            "features": {"rows": "people", "at": "05:00", "columns": {"hour": "hour(at)"}},
            "target": {"name": "late", "of": "people", "value": "id > 1"},
            "split": {"kind": "time", "validation": "1 days", "test": "1 days"},
            "training": {"algorithms": ["lightgbm"], "first": "2013-12-01", "every": "30 days"},
        }
    )
    rows = {
        "_raw": ["7,Ada"],
        "_file": ["people/a.csv"],
        "_file_sha256": ["f"],
        "_row": pa.array([2], pa.int64()),
        "_batch": ["b"],
        "_failed_rules": [["_parse"]],
        "_reason": ["name: cannot read 'Ada' as int"],
    }
    append(lake.quarantine("people"), pa.table(rows), unit="people/quarantine/b")
    files = {"source": ["people"], "sha256": ["f"], "columns": [["id", "name"]]}
    append(lake.files, pa.table(files), unit="people/files/b")
    counts = {"read": 1, "silver": 0, "quarantine": 1, "duplicates": 0}
    path = lake.runs("r1") / "check-people.json"
    path.parent.mkdir(parents=True)
    told = {"name": "check", "subject": "people", "units": ["b"], "outcome": "done", "rows": counts}
    told |= {"seconds": 1.0, "tables": {}, "notes": [], "detail": {"batches": {"b": counts}}}
    path.write_text(json.dumps(told))
    html = write(pipeline, lake, run="r1").read_text(encoding="utf-8")
    assert f"7,{MASK}" in html
    assert "Ada" not in html

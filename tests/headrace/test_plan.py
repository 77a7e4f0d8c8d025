"""What a run would do, decided without an engine."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from headrace import intervals, plan
from headrace.lake import append
from headrace.lake.landing import Landing, LandingFile
from headrace.spec import load
from headrace.stage import Outcome

EXAMPLE = Path(__file__).parents[2] / "examples" / "flight_delays" / "pipeline.yaml"


@pytest.fixture(scope="module")
def flights():
    return load(EXAMPLE)


def test_a_new_file_that_cannot_be_read_is_work_to_do(flights, lake):
    bad = LandingFile(Path("bad.csv"), "weather/bad.csv", 3, 1, "f" * 64, (), "it is UTF-16 text")
    landing = Landing((), 12, (bad,), (bad,), ())
    stages = plan.plan(flights, lake, {"weather": landing})
    (stage,) = [each for each in stages if each.outcome is Outcome.MISSING]
    assert (stage.name, stage.why) == ("ingest", "cannot be read: weather/bad.csv")


def test_a_known_unreadable_file_is_told_and_no_work(flights, lake):
    bad = LandingFile(Path("bad.csv"), "weather/bad.csv", 3, 1, "f" * 64, (), "it is UTF-16 text")
    stages = plan.plan(flights, lake, {"weather": Landing((), 12, (bad,), (), ())})
    told = [each for each in stages if each.subject == "weather"]
    assert {each.outcome for each in told} == {Outcome.ALREADY_DONE}
    assert told[0].why == "12 files published, 1 set aside: bad.csv"


@pytest.mark.parametrize(
    ("day", "first"),
    [
        (date(2013, 3, 20), date(2013, 3, 14)),
        (date(2013, 3, 12), date(2013, 3, 5)),  # the clock went forward: 7 days end at 04:00
        (date(2013, 11, 6), date(2013, 10, 31)),  # it went back: they end at 06:00
    ],
)
def test_a_span_is_so_many_hours_also_where_the_clock_is_changed(flights, day, first):
    reached = intervals._reached(flights, day, timedelta(days=7))  # noqa: SLF001 - its rule
    assert (reached[0], reached[-1]) == (first, day)


def test_costs_of_errors_and_calibration_make_no_interval_due_again(flights, lake):
    hour = pa.scalar(datetime(2013, 3, 20, 12, tzinfo=UTC), pa.timestamp("us", "UTC"))
    for name in ("schedule", "arrivals"):
        moments = {
            column: pa.array([hour])
            for column, kind in flights.sources[name].columns.items()
            if kind == "timestamp"
        }
        append(lake.silver(name), pa.table({**moments, "_batch": ["b" * 32]}), unit=f"{name}/1")
    priced = flights.target.model_copy(update={"costs": {"false_positive": 1.0}})
    training = flights.training.model_copy(update={"calibration": "auto"})
    changed = flights.model_copy(update={"target": priced, "training": training})
    (found,) = intervals.features_due(flights, lake).missing
    assert intervals.features_due(changed, lake).missing == (found,)

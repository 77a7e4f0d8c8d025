from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.errors import TrainingError
from headrace.evaluation.splits import time_split
from headrace.spec.model import Pipeline

KEY = {"id": "int", "day": "timestamp"}
PIPELINE = Pipeline.model_validate(
    {
        "name": "flights",
        "timezone": "America/New_York",
        "sources": {
            "schedule": {"path": "s/*.csv", "schema": KEY, "key": ["id"], "event_time": "day"},
            "arrivals": {"path": "a/*.csv", "schema": KEY, "key": ["id"], "known_at": "day"},
        },
        "features": {"rows": "schedule", "at": "05:00", "columns": {"id": "id"}},
        "target": {"name": "late", "of": "arrivals", "value": "id > 1"},
        "split": {"validation": "3 days", "test": "2 days"},
        "training": {
            "algorithms": ["lightgbm"],
            "first": "2013-11-06",
            "every": "30 days",
        },
    }
)
MOMENT = date(2013, 11, 6)  # test: 4 and 5; validation: 1 to 3, over the end of summer time


def at(day, hour=12, month=11):
    return datetime(2013, month, day, hour, tzinfo=UTC)


def table(*rows):
    """Rows of (interval, when the target was known); the target is unknown where that is None."""
    return pa.table(
        {
            "_interval": pa.array([day for day, _ in rows], pa.date32()),
            "late": pa.array([None if known is None else True for _, known in rows]),
            "_target_known_at": pa.array([known for _, known in rows], pa.timestamp("us", "UTC")),
        }
    )


OCTOBER, THIRD, FIFTH = date(2013, 10, 31), date(2013, 11, 3), date(2013, 11, 5)
SOUND = [(OCTOBER, at(31, month=10)), (THIRD, at(3)), (FIFTH, at(5))]


def places(parts):
    return [part.rows.tolist() for part in parts]


def test_parts_are_counted_back_from_the_moment():
    parts = time_split(table(*SOUND), PIPELINE, moment=MOMENT)
    assert places(parts) == [[0], [1], [2]]
    assert [(part.first, part.end) for part in parts] == [
        (None, date(2013, 11, 1)),
        (date(2013, 11, 1), date(2013, 11, 4)),
        (date(2013, 11, 4), MOMENT),
    ]


def test_rows_of_the_moment_and_later_are_in_no_part():
    later = [(MOMENT, at(5)), (date(2013, 12, 1), at(5))]
    assert places(time_split(table(*SOUND, *later), PIPELINE, moment=MOMENT)) == [[0], [1], [2]]


def test_a_target_known_when_the_next_part_begins_is_too_late():
    # 05:00 in New York is 09:00 UTC in summer time (1 November) and 10:00 UTC after it (4 and 6).
    edges = [
        (OCTOBER, at(1, 9)),
        (THIRD, at(4, 10)),
        (FIFTH, at(6, 10)),
        (OCTOBER, at(1, 9) - timedelta(microseconds=1)),
        (THIRD, at(4, 10) - timedelta(microseconds=1)),
        (FIFTH, at(6, 10) - timedelta(microseconds=1)),
    ]
    parts = time_split(table(*edges), PIPELINE, moment=MOMENT)
    assert places(parts) == [[3], [4], [5]]
    assert [part.known_too_late for part in parts] == [1, 1, 1]


def test_rows_without_a_target_are_left_out_and_counted():
    parts = time_split(table(*SOUND, (OCTOBER, None), (FIFTH, None)), PIPELINE, moment=MOMENT)
    assert places(parts) == [[0], [1], [2]]
    assert [part.without_target for part in parts] == [1, 0, 1]


def test_an_empty_part_is_an_error_that_names_its_days():
    with pytest.raises(
        TrainingError, match="the validation part, 2013-11-01 to 2013-11-03, has no row"
    ):
        time_split(table(SOUND[0], SOUND[2]), PIPELINE, moment=MOMENT)


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.dates(date(2013, 10, 25), date(2013, 11, 10)),
            st.none()
            | st.integers(0, 18 * 24 * 60).map(lambda m: at(25, month=10) + timedelta(minutes=m)),
        ),
        max_size=40,
    )
)
def test_no_part_knows_anything_of_the_next(rows):
    given_rows = [*SOUND, *rows]
    parts = time_split(table(*given_rows), PIPELINE, moment=MOMENT)
    for part in parts:
        for place in part.rows:
            day, when = given_rows[place]
            assert day < part.end
            assert when < PIPELINE.at(part.end)
    counted = sum(len(part.rows) + part.without_target + part.known_too_late for part in parts)
    assert counted == sum(day < MOMENT for day, _ in given_rows)

"""The same series one period ago, as gold tells it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from headrace.evaluation.gate import Decision
from headrace.evaluation.intervals import Interval
from headrace.evaluation.metric import Metric
from headrace.evaluation.power import Power
from headrace.evaluation.season import PERIODS, Season, out_of_season, seasonal
from headrace.evaluation.splits import Part, Parts

FIRST = date(2012, 1, 2)


def at(day):
    return datetime(day.year, day.month, day.day, 5, tzinfo=UTC)


def table(days, sold, *, store="a", late=timedelta(hours=20)):
    """A row a day of one store, whose target is known when the day is over."""
    known = [at(day) + late for day in days]
    return pa.table(
        {
            "_interval": pa.array(days, pa.date32()),
            "store": [store] * len(days),
            "day": pa.array(days, pa.date32()),
            "sold": np.asarray(sold, dtype=float),
            "_target_known_at": pa.array(known, pa.timestamp("us", "UTC")),
        }
    )


def parts_of(rows):
    """The first six tenths, two tenths, two tenths."""
    cuts = [0, rows * 6 // 10, rows * 8 // 10, rows]
    spans = zip(("train", "validation", "test"), cuts[:-1], cuts[1:], strict=True)
    return Parts(*(Part(n, None, FIRST, at(FIRST), np.arange(a, b), 0, 0) for n, a, b in spans))


def found(rows, *, key=("store", "day"), parts=None):
    y = rows["sold"].to_numpy()
    return seasonal(rows, y, key=key, at=at, parts=parts or parts_of(len(y)), metric=Metric.MAE)


def of_days(count):
    return [FIRST + timedelta(days=n) for n in range(count)]


def of_months(count):
    return [date(2010 + n // 12, n % 12 + 1, 1) for n in range(count)]


RNG = np.random.default_rng(3)
WEEK = np.array([50, 20, 30, 25, 60, 90, 5])
YEAR = np.array([10, 12, 20, 35, 50, 70, 80, 75, 45, 30, 15, 40])


@pytest.mark.parametrize(
    ("days", "sold", "period"),
    [
        (of_days(140), WEEK[np.arange(140) % 7] + RNG.normal(size=140), "a week"),
        (of_months(60), YEAR[np.arange(60) % 12] + RNG.normal(size=60), "a year"),
        (of_months(60), np.cumsum(RNG.normal(size=60)), "a month"),
        (of_days(140), np.cumsum(RNG.normal(size=140)), "a day"),
    ],
)
def test_the_period_is_found_on_validation(days, sold, period):
    season = found(table(days, sold))
    assert (season.period, season.series) == (period, ("store",))


def test_a_forecast_is_the_value_of_the_same_series_one_period_ago():
    one, other = np.arange(140.0), 1000 + np.arange(140.0)
    rows = pa.concat_tables(
        [table(of_days(140), one, store="a"), table(of_days(140), other, store="b")]
    )
    rows = rows.take(np.random.default_rng(4).permutation(280))
    season = found(rows)
    days = (rows["_interval"].cast(pa.int32()).to_numpy()) - (FIRST - date(1970, 1, 1)).days
    offset = np.where(np.array(rows["store"].to_pylist()) == "b", 1000, 0)
    expected = np.where(days == 0, np.nan, offset + days - 1)
    assert season.period == "a day"
    np.testing.assert_array_equal(season.forecast, expected)


def test_a_value_that_was_not_known_in_time_is_not_used():
    rows = table(of_days(140), np.arange(140.0), late=timedelta(days=2))
    season = found(rows)
    assert season.period == "a week"  # yesterday's comes too late
    assert np.isnan(season.forecast[:7]).all()


@pytest.mark.parametrize(
    ("period", "day", "earlier"),
    [
        ("a year", "2012-02-29", None),
        ("a year", "2013-02-28", "2012-02-28"),
        ("a month", "2013-03-31", None),
        ("a month", "2013-01-31", "2012-12-31"),
        ("52 weeks", "2013-01-07", "2012-01-09"),
    ],
)
def test_a_month_and_a_year_go_by_the_calendar(period, day, earlier):
    found = PERIODS[period](np.array([day], "datetime64[D]"))[0]
    assert str(found) == (earlier or "NaT")


@pytest.mark.parametrize("key", [("store",), ("row",)])
def test_rows_that_are_no_series_of_one_value_a_day_have_none(key):
    days = of_days(70)
    rows = pa.concat_tables([table(days, np.arange(70.0)), table(days, np.arange(70.0))])
    rows = rows.append_column("row", pa.array(range(140)))
    assert found(rows, key=key) is None


def test_a_period_that_most_rows_lack_is_not_judged():
    days = [FIRST + timedelta(days=11 * n) for n in range(30)]
    assert found(table(days, np.arange(30.0))) is None


SEASON = Season("a year", ("city",), np.array([0]), np.array([1.0]))
POWER = Power(1.0, 10, 20, 0.5, "day", Metric.MAE)
PROMOTED = Decision(True, "ridge", "mean", Interval(2.0, 1.0, 3.0), POWER, "ridge beats mean.")


@pytest.mark.parametrize(
    ("champion", "outcome"),
    [(True, "the champion stays"), (False, "the baseline mean is shipped")],
)
def test_what_does_not_beat_the_season_is_not_promoted_and_the_reason_is_told(champion, outcome):
    gain = Interval(3.0, -1.0, 7.0)
    kept = out_of_season(PROMOTED, gain, SEASON, instead="mean", champion=champion)
    assert (kept.promoted, kept.shipped) == (False, "mean")
    assert kept.sentence.startswith(
        "ridge does not beat city as it was a year ago by more than noise (+3, 95% interval -1 to "
        f"+7): {outcome}."
    )


def test_what_beats_the_season_is_left_as_the_gate_decided():
    gain = Interval(3.0, 1.0, 5.0)
    assert out_of_season(PROMOTED, gain, SEASON, instead="mean", champion=False) is PROMOTED


def test_a_row_without_a_value_one_period_ago_is_as_another_predicts():
    season = Season("a day", (), np.zeros(3, int), np.array([1.0, np.nan, 3.0]))
    part = Part("test", None, FIRST, at(FIRST), np.array([1, 2]), 0, 0)
    found = season.predicted(part, otherwise=np.array([7.0, 8.0]))
    assert {name: each.tolist() for name, each in found.items()} == {
        "the series as it was a day ago": [7.0, 3.0]
    }


def test_the_note_counts_the_series_that_a_candidate_does_worse_in():
    season = Season("a day", ("shop",), np.array([0, 0, 1, 1, 2]), np.zeros(5))
    part = Part("test", None, FIRST, at(FIRST), np.arange(5), 0, 0)
    own, other = np.array([1.0, 1, 1, 1, 1]), np.array([0.0, 1, 2, 1, 0])
    predicted = {season.called: own, "ridge": other}
    told = season.note(part, np.zeros(5), predicted, candidate="ridge", value="mae 1 against 0.8")
    assert told == (
        "shop as it was a day ago: mae 1 against 0.8; ridge is farther off in 1 of 3 series"
    )

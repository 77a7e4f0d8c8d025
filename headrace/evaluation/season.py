"""The seasonal naive forecast: a series is as it was one period ago, told by gold itself.

No model and no feature takes part, so a forecast is held against it even where the features know
no season (Hyndman and Athanasopoulos 2021, Forecasting: Principles and Practice, section 5.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.evaluation.gate import Decision, withdrawn
from headrace.evaluation.intervals import LEVEL, Interval
from headrace.evaluation.metrics import Booleans, Floats, Integers, Metric, measured
from headrace.evaluation.splits import Part, Parts
from headrace.models.algorithms.algorithm import Task

_Days = np.ndarray[Any, np.dtype[np.datetime64]]
_MOST_MISSING = 0.2  # of validation or test: a period that more rows lack is not judged
_NOWHERE = np.datetime64("NaT")


def _months_ago(days: _Days, months: int) -> _Days:
    """The same day of an earlier month; none where that month is shorter."""
    month = days.astype("datetime64[M]")
    earlier = month - np.timedelta64(months, "M")
    found: _Days = earlier.astype("datetime64[D]") + (days - month.astype("datetime64[D]"))
    return np.where(found.astype("datetime64[M]") == earlier, found, _NOWHERE)


PERIODS: Mapping[str, Callable[[_Days], _Days]] = {
    "a day": lambda days: days - np.timedelta64(1, "D"),
    "a week": lambda days: days - np.timedelta64(7, "D"),
    "a month": lambda days: _months_ago(days, 1),
    "52 weeks": lambda days: days - np.timedelta64(364, "D"),
    "a year": lambda days: _months_ago(days, 12),
}


@dataclass(frozen=True)
class Season:
    """The period that forecasts validation best, and its forecast.

    Attributes:
        period: A key of `PERIODS`.
        series: The columns of the key that name a series; none where all rows are one.
        line: The number of the series of each row.
        forecast: Of each row, the target of its series one period ago; NaN where there is none that
            was known at the row's moment of prediction.
    """

    period: str
    series: tuple[str, ...]
    line: Integers
    forecast: Floats

    @property
    def called(self) -> str:
        """The forecast for people."""
        return f"{' and '.join(self.series) or 'the series'} as it was {self.period} ago"

    def note(
        self, part: Part, y: Floats, predicted: Mapping[str, Floats], *, candidate: str, value: str
    ) -> str:
        """What the forecast and a candidate are worth on a part, for people.

        Args:
            part: The test part.
            y: Its targets.
            predicted: This forecast, under `called`, and the candidate's, of its rows.
            candidate: The other.
            value: Both as the metric tells them, for people.
        """
        _, line = np.unique(self.line[part.rows], return_inverse=True)
        own, other = (
            np.bincount(line, np.abs(predicted[name] - y)) for name in (self.called, candidate)
        )
        worse = int((other > own).sum())
        of_series = f"; {candidate} is farther off in {worse:,} of {len(own):,} series"
        return f"{self.called}: {value}{of_series if len(own) > 1 else ''}"

    def predicted(self, part: Part, *, otherwise: Floats) -> dict[str, Floats]:
        """The forecast of a part under its name; of a row that has none, what another predicts."""
        found = self.forecast[part.rows]
        return {self.called: np.where(np.isnan(found), otherwise, found)}


def seasonal(
    rows: pa.Table,
    y: Floats,
    *,
    key: Sequence[str],
    at: Callable[[date], datetime],
    parts: Parts,
    metric: Metric,
) -> Season | None:
    """The best seasonal naive forecast; None where rows are no series of one value a day.

    Args:
        rows: With `_interval`, `_target_known_at` and the key.
        y: The target of a regression; NaN where it is not known.
        key: Of the rows; its columns of times aside, it names the series.
        at: The moment of prediction of an interval.
        parts: Which rows are in which part; the period is chosen on validation.
        metric: What the pipeline is judged by.
    """
    series = tuple(name for name in key if not pa.types.is_temporal(rows.schema.field(name).type))
    days = rows.column("_interval").to_numpy().astype("datetime64[D]")
    line = _numbered(rows, series)
    if not _one_a_day(line, days):
        return None
    known = rows.column("_target_known_at").cast(pa.timestamp("us", "UTC"))
    known_at = known.to_numpy().astype("datetime64[us]")
    asked_at = _moments(days, at)
    held = parts.validation.rows
    middle = float(np.median(y[parts.train.rows]))
    best: tuple[float, Season] | None = None
    for period, earlier in PERIODS.items():
        place = _places(line, days, earlier(days))
        usable = (place >= 0) & (known_at[place] <= asked_at)  # false of a time that is not known
        forecast = np.where(usable, y[place], np.nan)
        if any(
            np.isnan(forecast[part.rows]).mean() > _MOST_MISSING
            for part in (parts.validation, parts.test)
        ):
            continue
        season = Season(period, series, line, forecast)
        told = season.predicted(parts.validation, otherwise=np.full(len(held), middle))
        value = measured(y[held], told[season.called], Task.REGRESSION)[metric]
        gain = metric.gain(value, 0.0)
        if best is None or gain > best[0]:
            best = gain, season
    return best[1] if best else None


def out_of_season(
    decision: Decision, gain: Interval, season: Season, *, instead: str, champion: bool
) -> Decision:
    """The gate's decision, unless what it would promote does not beat the season.

    Args:
        decision: Of the gate.
        gain: Of the candidate that it promotes, over the season.
        season: The season.
        instead: The candidate that predicts if this one does not.
        champion: Whether that is the champion.
    """
    if not decision.promoted or gain.above_zero:
        return decision
    outcome = withdrawn(instead, champion=champion)
    sentence = (
        f"{decision.shipped} does not beat {season.called} by more than noise ({gain.value:+.4g}, "
        f"{LEVEL:.0%} interval {gain.low:+.4g} to {gain.high:+.4g}): {outcome}. Give that value to "
        f"the features, such as by `latest` with a `lag`, for models and baselines to use."
    )
    return replace(decision, promoted=False, shipped=instead, sentence=sentence)


def _numbered(rows: pa.Table, series: Sequence[str]) -> Integers:
    """A number for the series of each row."""
    if not series:
        return np.zeros(rows.num_rows, dtype=np.int64)
    names = rows.select(list(series)).to_pandas()
    number = names.groupby(list(series), sort=False, dropna=False).ngroup()
    return np.asarray(number, dtype=np.int64)


def _one_a_day(line: Integers, days: _Days) -> bool:
    """Whether no series has two rows on a day, and some have more than one day."""
    pairs = np.unique(_joined(line, days.astype(np.int64)))
    return len(pairs) == len(line) > len(np.unique(line))


def _joined(line: Integers, day: Integers) -> Integers:
    """Series and day as one number; days since 1970 are fewer than a million."""
    return line * 2_000_000 + day + 1_000_000


def _moments(days: _Days, at: Callable[[date], datetime]) -> np.ndarray[Any, Any]:
    found, place = np.unique(days, return_inverse=True)
    moments = [at(day).astimezone(UTC).replace(tzinfo=None) for day in found.tolist()]
    return np.array(moments, dtype="datetime64[us]")[place]


def _places(line: Integers, days: _Days, earlier: _Days) -> Integers:
    """Of each row, the row of its series on the earlier day; -1 where there is none."""
    own = _joined(line, days.astype(np.int64))
    order = np.argsort(own, kind="stable")
    missing: Booleans = np.isnat(earlier)
    wanted = _joined(line, np.where(missing, days, earlier).astype(np.int64))
    found = order[np.minimum(np.searchsorted(own, wanted, sorter=order), len(own) - 1)]
    return np.where(missing | (own[found] != wanted), -1, found)

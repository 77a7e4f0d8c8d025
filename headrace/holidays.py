"""Public holidays of a day; which days they are is told by the package `holidays`."""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headrace.spec.forms import Holiday

_FARTHEST = 366  # days looked at; a country without a holiday in a year gives null


def holiday_value(declared: Holiday, day: date) -> bool | int | None:
    """Whether a day is a public holiday, or how many days it is to the next or since the last.

    Args:
        declared: Country, subdivision and which value; a holiday itself is 0 days away.
        day: Of the interval, in the pipeline's zone.

    Returns:
        A boolean for `is_holiday`, else whole days; None where there is none within a year.

    Example:
        >>> from headrace.spec.forms import Holiday
        >>> holiday_value(Holiday(country="US", value="days_until"), date(2013, 12, 23))
        2
    """
    if declared.value == "is_holiday":
        return _is_holiday(declared.country, declared.subdivision, day)
    step = 1 if declared.value == "days_until" else -1
    away = (
        days
        for days in range(_FARTHEST + 1)
        if _is_holiday(declared.country, declared.subdivision, day + timedelta(days=step * days))
    )
    return next(away, None)


def _is_holiday(country: str, subdivision: str | None, day: date) -> bool:
    return day in _of_year(country, subdivision, day.year)


@cache
def _of_year(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    import holidays  # ours has its name, but imports are absolute

    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))

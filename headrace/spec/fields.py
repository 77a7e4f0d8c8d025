"""The kinds of values a declaration holds: names, spans of time, moments, columns."""

from __future__ import annotations

import re
from datetime import date, time, timedelta
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
)

from headrace.spec.problems import shown

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DURATION = re.compile(r"([0-9]{1,5})\s*(minute|hour|day|week)s?")
_LONGEST = timedelta(days=36_525)  # moments stay within the calendar of Python and of Spark
_FIRST, _LAST = date(1900, 1, 1), date(2199, 12, 31)
_SHARE = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,3})?)\s*%")
_LIMIT = re.compile(r"([0-9]{1,5})\s*(s|m|h|seconds?|minutes?|hours?)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_UNITS = {"day": 1440, "hour": 60, "minute": 1}  # in minutes
_AT = re.compile(r"([0-9]{2}):([0-9]{2})(?: of the interval)?")
_COUNTRY = re.compile(r"[A-Z]{2,3}")  # ISO 3166
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _like(pattern: re.Pattern[str], what: str) -> AfterValidator:
    """Accepts a text that the whole pattern matches; `what` ends the message about any other."""

    def checked(value: str) -> str:
        if not pattern.fullmatch(value):
            message = f"{shown(value)} is not a {what}"
            raise ValueError(message)
        return value

    return AfterValidator(checked)


def _duration(value: object) -> object:
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, timedelta):
            return value
        message = f"{shown(value)} is not a duration such as '6 hours' or '7 days'"
        raise ValueError(message)
    found = timedelta(**{f"{match[2]}s": int(match[1])})
    if found > _LONGEST:
        message = f"{shown(value)} is longer than a hundred years"
        raise ValueError(message)
    return found


def _in_words(value: timedelta) -> str:
    minutes = value // timedelta(minutes=1)
    unit, size = next((unit, size) for unit, size in _UNITS.items() if minutes % size == 0)
    return f"{minutes // size} {unit}s"


def _portion(value: object) -> object:
    """A share such as `20%` as a number below 1, or else whole days."""
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None and not isinstance(value, float):
        if isinstance(value, str) and not _DURATION.fullmatch(value.strip()):
            message = f"{shown(value)} is neither days such as '31 days' nor a share such as '20%'"
            raise ValueError(message)
        found = _duration(value)
        return _whole_days(_positive(found)) if isinstance(found, timedelta) else found
    share = value if match is None else float(match[1]) / 100
    if not isinstance(share, float) or not 0 < share < 1:
        message = "must be more than 0% and less than 100%"
        raise ValueError(message)
    return share


def _portion_in_words(value: timedelta | float) -> str:
    return f"{100 * value:.10g}%" if isinstance(value, float) else _in_words(value)


def _limit(value: object) -> object:
    match = _LIMIT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, timedelta):
            return value
        message = f"{shown(value)} is not a limit of time such as '30s' or '10m'"
        raise ValueError(message)
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2][0]])


def _in_seconds(value: timedelta) -> str:
    return f"{value // timedelta(seconds=1)}s"


def _positive(value: timedelta) -> timedelta:
    if not value:
        message = "must be longer than nothing"
        raise ValueError(message)
    return value


def _whole_days(value: timedelta) -> timedelta:
    if value % timedelta(days=1):
        message = "must be a number of whole days, such as '31 days'"
        raise ValueError(message)
    return value


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            found = date.fromisoformat(value)
            if _FIRST <= found <= _LAST:
                return found
    except ValueError:
        pass  # such as a thirteenth month; a year that no data is of, too, is no day
    message = f"{shown(value)} is not a day such as '2013-12-01'"
    raise ValueError(message)


def _time_of_day(value: object) -> object:
    match = _AT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, time):
            return value
        message = f"{shown(value)} is not a time of day such as '05:00'"
        raise ValueError(message)
    try:
        return time(int(match[1]), int(match[2]))
    except ValueError:
        message = f"{shown(value)} is not a time of day such as '05:00'"
        raise ValueError(message) from None


_zones = cache(available_timezones)  # reads a few hundred file names


def _zone(value: str) -> str:
    if value not in _zones():
        message = f"{shown(value)} is not a time zone such as 'America/New_York' or 'UTC'"
        raise ValueError(message)
    return value


def _listed(value: object) -> object:
    """Accepts `[a, b]` as short for `{a: a, b: b}`."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return value
    for index, name in enumerate(value):
        if name in value[:index]:
            message = f"{shown(name)} stands twice"
            raise ValueError(message)
    return {name: name for name in value}


def _keyed(value: object) -> object:
    """Accepts `[a, b]` as short for `{a: null, b: null}`: the key, column by column."""
    found = _listed(value)
    return dict.fromkeys(found) if found is not value and isinstance(found, dict) else found


Name = Annotated[str, _like(NAME, "name: a lower-case letter, then letters, digits and _")]
Country = Annotated[str, _like(_COUNTRY, "country code such as 'US'")]
Function = Annotated[str, _like(_FUNCTION, "function such as 'my_features.flights:with_ratio'")]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_positive),
    PlainSerializer(_in_words, when_used="json"),
]
Limit = Annotated[
    timedelta,
    BeforeValidator(_limit),
    AfterValidator(_positive),
    PlainSerializer(_in_seconds, when_used="json"),
]
Days = Annotated[Duration, AfterValidator(_whole_days)]
Portion = Annotated[
    timedelta | float,
    BeforeValidator(_portion),
    PlainSerializer(_portion_in_words, when_used="json"),
]
Day = Annotated[date, BeforeValidator(_day)]
TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str, when_used="json"),
]
Zone = Annotated[str, AfterValidator(_zone)]
Renamed = Annotated[dict[Name, Name], BeforeValidator(_listed)]  # new name -> column it comes from
On = Annotated[Renamed, Field(min_length=1)]  # column of `rows` -> column it is matched with
OnKey = Annotated[dict[Name, Name | None], BeforeValidator(_keyed), Field(min_length=1)]
Taken = Annotated[Renamed, Field(min_length=1)]  # feature -> column it comes from
Columns = Annotated[tuple[Name, ...], Field(min_length=1)]


class Declared(BaseModel):
    """Base of everything declared: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

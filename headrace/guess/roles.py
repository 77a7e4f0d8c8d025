"""What feeds seem to be for: keys, times, what is known later, the target."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from zoneinfo import ZoneInfo

from headrace.errors import UsageError
from headrace.guess import features
from headrace.guess.columns import Guessed, guessed, moment, null_value
from headrace.guess.feeds import Feed
from headrace.guess.source import Source, measures

_KNOWN = re.compile(r"arriv|deliver|land|end|clos|finish|return|known|updat|complet|paid|resol|out")
_MOST_KEY = 4  # columns of a key
_SHARE = 0.75  # of the rows lie below the threshold of a numeric target
_ZONES = (
    *("UTC", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *("Europe/London", "Europe/Berlin", "Europe/Moscow", "Asia/Kolkata", "Asia/Shanghai"),
    *("Asia/Tokyo", "Australia/Sydney", "America/Sao_Paulo"),
)


@dataclass(frozen=True)
class Roles:
    """Everything that a pipeline file says, as far as it can be guessed.

    Attributes:
        sources: In order: rows, outcomes, the others.
        rows: The source that is predicted for.
        outcomes: The source of the target.
        zone: Whose days are the intervals.
        at: Hour of the prediction, in that zone.
        columns: Feature -> expression.
        lookups: Source -> (column of rows, column of theirs, feature -> column).
        latest: Source -> (columns that are matched, feature -> column).
        by: Column of rows that a history groups by.
        target: Its value, as Spark SQL.
        measure: The expression that the history averages.
        share: How often the target is true in the sample; None where it was not worked out.
        days: First and last day of the rows that were looked at.
        notes: What the reader must know beside.
    """

    sources: tuple[Source, ...]
    rows: Source
    outcomes: Source
    zone: str
    at: int
    columns: Mapping[str, str]
    lookups: Mapping[str, tuple[str, str, Mapping[str, str]]]
    latest: Mapping[str, tuple[tuple[str, ...], Mapping[str, str]]]
    by: str | None
    target: str
    measure: str
    share: float | None
    days: tuple[date, date]
    notes: tuple[str, ...] = field(default=())


def roles(feeds: Sequence[Feed]) -> Roles:
    """Guesses what each feed is for.

    Raises:
        UsageError: No feed has a moment, or none a value that could be predicted.
    """
    nulls = null_value(feeds)
    seen = [
        Source(feed, feed.name, guessed(feed, null=nulls[feed.name]), nulls[feed.name], ())
        for feed in feeds
    ]
    rows, outcomes, notes = _pair(seen)
    used = (rows.feed.name, outcomes.feed.name)
    others = [_other(each, rows) for each in seen if each.feed.name not in used]
    zone = _zone(rows)
    moments = rows.columns[str(rows.event_time)].moments
    days = sorted({moment.astimezone(ZoneInfo(zone)).date() for moment in moments})
    own = dict(features.own(rows, outcomes))
    lookups = dict(features.lookups(rows, others, own))
    taken = {*own, *(name for _, _, new in lookups.values() for name in new)}
    target, measure, share = _target(outcomes, rows)
    return Roles(
        sources=(rows, outcomes, *others),
        rows=rows,
        outcomes=outcomes,
        zone=zone,
        at=_hour(moments, zone),
        columns=own,
        lookups=lookups,
        latest=dict(features.latest(rows, others, taken)),
        by=features.group(rows, own),
        target=target,
        measure=measure,
        share=share,
        days=(days[0], days[-1]),
        notes=notes,
    )


def _pair(seen: Sequence[Source]) -> tuple[Source, Source, tuple[str, ...]]:
    """What is known beforehand, and what becomes known later of the same key."""
    found = []
    for rows in seen:
        for outcomes in seen:
            shared = [name for name in rows.columns if name in outcomes.columns]
            key = _key(shared, [rows, outcomes])
            happened = [name for name in _moments(rows) if name in shared]
            later = [name for name in _moments(outcomes) if name not in shared]
            if rows is not outcomes and key and happened and later and measures(outcomes, shared):
                event = happened[0]
                found.append((rows, outcomes, key, event, _latest_known(outcomes, later)))
    if found:
        rows, outcomes, key, event, known = max(found, key=lambda each: each[0].feed.rows)
        about = _with(rows, key=key, event_time=event)
        return about, _with(outcomes, key=key, event_time=event, known_at=known, about=about), ()
    return _alone(seen)


def _alone(seen: Sequence[Source]) -> tuple[Source, Source, tuple[str, ...]]:
    """One feed that holds both: it is declared twice, and its values are known at their moment."""
    able = [each for each in seen if _moments(each) and measures(each, ())]
    if not able:
        message = "no feed has both a moment and a value that could be predicted"
        found = "; ".join(
            f"{each.name}: {', '.join(f'{n} {c.type}' for n, c in each.columns.items())}"
            for each in seen
        )
        raise UsageError(
            message,
            hint=f"a moment is written as 2026-01-31T08:00:00Z. There are {found}",
        )
    one = max(able, key=lambda each: each.feed.rows)
    moments = _moments(one)
    could = [name for name, column in one.columns.items() if _can_be_key(column)]
    key = _key(list(one.columns), [one]) or tuple(could[:_MOST_KEY])
    rows = _with(one, key=key, event_time=moments[0])
    outcomes = _with(
        one,
        name=f"{one.name}_outcome",
        key=key,
        event_time=moments[0],
        known_at=_latest_known(one, moments),
        about=rows,
    )
    note = (
        f"{one.name} tells both what is known beforehand and what becomes known: it is declared "
        "twice, and features must use none of what comes later"
    )
    return rows, outcomes, (note,)


def _with(
    source: Source,
    *,
    key: tuple[str, ...],
    event_time: str | None,
    known_at: str | None = None,
    about: Source | None = None,
    name: str = "",
) -> Source:
    return Source(
        source.feed,
        name or source.name,
        source.columns,
        source.null,
        key,
        event_time,
        known_at,
        about.name if about else None,
    )


def _other(source: Source, rows: Source) -> Source:
    """A feed that is neither: timeless, or with a moment of its own."""
    moments = _moments(source)
    shared = [name for name in source.columns if name in rows.columns]
    rest = [name for name in source.columns if name not in shared]
    key = _key([*shared, *rest], [source])
    if moments and (not key or moments[0] in key or len(key) > 1):
        key = key or tuple(dict.fromkeys([*shared[:_MOST_KEY], moments[0]]))
        return _with(source, key=key, event_time=moments[0], known_at=moments[0])
    if key:
        return _with(source, key=key[:_MOST_KEY], event_time=None)
    return _with(source, key=(next(iter(source.columns)),), event_time=None)


def _moments(source: Source) -> list[str]:
    return [
        name
        for name, column in source.columns.items()
        if column.type == "timestamp" and column.missing <= len(column.cells) // 2
    ]


def _latest_known(source: Source, moments: Sequence[str]) -> str:
    named = [name for name in moments if _KNOWN.search(name)]

    def middle(name: str) -> datetime:
        found = sorted(source.columns[name].moments)
        return found[len(found) // 2] if found else datetime.min.replace(tzinfo=UTC)

    return max(named or moments, key=middle)


def _key(names: Sequence[str], sources: Sequence[Source]) -> tuple[str, ...]:
    """The columns that tell rows apart: one alone, else all that sources share, else a few."""
    able = [name for name in names if all(_can_be_key(each.columns[name]) for each in sources)]
    alone = [name for name in able if sources[0].columns[name].type != "timestamp"]
    for name in alone:
        if all(_is_unique(each, (name,)) for each in sources):
            return (name,)
    if len(sources) > 1:
        return tuple(able) if all(_is_unique(each, able) for each in sources) else ()
    for size in range(2, _MOST_KEY + 1):
        for some in combinations(able[: 2 * _MOST_KEY], size):
            if _is_unique(sources[0], some):
                return some
    return ()


def _can_be_key(column: Guessed) -> bool:
    return column.type not in {"double", "boolean"} and column.missing == 0


def _is_unique(source: Source, names: Sequence[str]) -> bool:
    cells = [source.columns[name].cells for name in names]
    return bool(cells) and len(set(zip(*cells, strict=True))) == source.feed.rows > 0


def _target(outcomes: Source, rows: Source) -> tuple[str, str, float | None]:
    """The target's value, what its history averages, and how often it is true."""
    shared = () if outcomes.feed is rows.feed else rows.columns
    able = measures(outcomes, shared)
    if not able:
        message = f"no column of {outcomes.name} varies and could be predicted"
        raise UsageError(message, hint="name the feeds of which one holds what is to be foreseen")
    column, name = outcomes.columns[able[0]], features.in_sql(able[0])
    if column.type == "boolean":
        true = [cell.lower() == "true" for cell in column.present]
        return name, f"avg(cast({name} as int))", sum(true) / max(len(true), 1)
    numbers = sorted(column.numbers)
    if len(set(numbers)) == 2:  # noqa: PLR2004  # then it says yes or no
        return (
            f"{name} = {numbers[-1]:.15g}",
            f"avg({name})",
            numbers.count(numbers[-1]) / len(numbers),
        )
    threshold, share = _threshold(numbers)
    return f"{name} > {threshold:.15g}", f"avg({name})", share


def _threshold(numbers: Sequence[float]) -> tuple[float, float]:
    """What a quarter of sorted numbers lie above, with few digits, and the share that does.

    Some lie above it and some do not, however many are equal.
    """
    exact = numbers[int(len(numbers) * _SHARE)]
    below = max(number for number in numbers if number < numbers[-1])
    for threshold in (float(f"{exact:.2g}"), exact, below):
        share = sum(number > threshold for number in numbers) / len(numbers)
        if 0 < share < 1:
            break
    return threshold, share


def _zone(rows: Source) -> str:
    """UTC, unless a column of hours tells another zone."""
    hours = rows.columns.get("hour")
    moments = rows.columns[str(rows.event_time)]
    if hours is None or hours.type != "int" or moments.naive:
        return "UTC"
    pairs = [
        (int(hour), text)
        for hour, text in zip(hours.cells, moments.cells, strict=True)
        if hour is not None and text is not None
    ]
    step = max(1, len(pairs) // 500)
    asked = [(hour, moment(text)) for hour, text in pairs[::step]]
    for zone in _ZONES:
        own = ZoneInfo(zone)
        if asked and all(told.astimezone(own).hour == hour % 24 for hour, told in asked):
            return zone
    return "UTC"


def _hour(moments: Sequence[datetime], zone: str) -> int:
    """The full hour before nearly all of a day's events."""
    hours = sorted(moment.astimezone(ZoneInfo(zone)).hour for moment in moments)
    return max(0, hours[len(hours) // 100] - 1)


def span(first: date, last: date) -> tuple[int, date]:
    """Days of validation and of test each, and the day of the first training."""
    days = (last - first).days + 1
    return max(1, days // 6), last - timedelta(days=max(1, days // 4) - 1)

"""What a user declares in `pipeline.yaml`, as frozen pydantic models; no file is read here."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    StrictBool,
    StringConstraints,
    model_validator,
)

from headrace.spec.problems import shown

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_DURATION = re.compile(r"([0-9]{1,5})\s*(minute|hour|day|week)s?")
_LONGEST = timedelta(days=36_525)  # moments stay within the calendar of Python and of Spark
_FIRST, _LAST = date(1900, 1, 1), date(2199, 12, 31)
_UNITS = {"day": 1440, "hour": 60, "minute": 1}  # in minutes
_AT = re.compile(r"([0-9]{2}):([0-9]{2})(?: of the interval)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        message = f"{shown(value)} is not a name: a lower-case letter, then letters, digits and _"
        raise ValueError(message)
    return value


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


Name = Annotated[str, AfterValidator(_name)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    AfterValidator(_positive),
    PlainSerializer(_in_words, when_used="json"),
]
Days = Annotated[Duration, AfterValidator(_whole_days)]
Day = Annotated[date, BeforeValidator(_day)]
TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str, when_used="json"),
]
Zone = Annotated[str, AfterValidator(_zone)]
Renamed = Annotated[dict[Name, Name], BeforeValidator(_listed)]  # new name -> column it comes from
Columns = Annotated[tuple[Name, ...], Field(min_length=1)]


class ColumnType(StrEnum):
    """Types a landing column may have, under Spark SQL's names."""

    STRING = "string"
    INT = "int"
    BIGINT = "bigint"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


class Declared(BaseModel):
    """Base of everything declared: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Source(Declared):
    """A feed of files with one schema; its rows end in silver or in quarantine.

    A time zone is taken from the cell where it names one, else `time_zone` of the source (UTC by
    default).
    """

    kind: Literal["files"] = "files"
    path: str = Field(description="glob of the landing files, under a root of `roots`")
    format: Literal["csv", "json", "parquet"] = Field(
        "csv", description="`json` is one object per line"
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(min_length=1, max_length=1)] = '"'
    null_value: str = Field("", description="the text that stands for null, beside an empty cell")
    time_zone: Zone = Field("UTC", description="zone of timestamps that name none")
    columns: dict[Name, ColumnType] = Field(alias="schema", min_length=1)
    key: Columns
    event_time: Name | None = Field(
        None, description="when it happened; places a row in an interval"
    )
    known_at: Name | None = Field(None, description="no cell may be used before this moment")
    timeless: StrictBool = Field(False, description="true at any time, as a list of airports is")
    references: Name | None = Field(None, description="source whose row of this key it is about")
    on_changed_columns: Literal["fail", "adapt"] = Field(
        "fail",
        description="`adapt` reads a missing column as null and leaves an unknown one in bronze",
    )


class Action(StrEnum):
    """What happens when a rule is broken."""

    QUARANTINE = "quarantine"  # the row goes to quarantine; row rules only, and their default
    FAIL = "fail"  # the batch stays unpublished; the default of table rules
    WARN = "warn"  # recorded and reported


class ValuesOf(Declared):
    """A value set read from another source's silver: `{source: planes, column: tailnum}`."""

    source: Name
    column: Name


class Check(Declared):
    """One Great Expectations rule: its own name and arguments, and what happens when it is broken.

    In the file: `- expect_x: {column: c, ...}` with `action:` and `name:` beside it.
    """

    expectation: str
    arguments: dict[str, Any] = Field(default_factory=dict)  # GX's own; any JSON value
    action: Action | None = None  # None: the default of the rule's kind, filled in by `load`
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        if not isinstance(value, dict) or "expectation" in value:
            return value
        others = [key for key in value if key not in {"action", "name"}]
        rules = (
            others
            if len(others) == 1
            else [key for key in others if str(key).startswith("expect_")]
        )
        if len(rules) != 1 or "arguments" in others:
            message = "a check names one expectation, such as `expect_column_values_to_not_be_null`"
            raise ValueError(message)
        rest = {key: value[key] for key in value if key != rules[0]}
        arguments = {} if value[rules[0]] is None else value[rules[0]]
        return {"expectation": rules[0], "arguments": arguments, **rest}

    @property
    def rule(self) -> str:
        """Name in `_failed_rules` and verdicts: given, or made of expectation and columns."""
        if self.name:
            return self.name
        parts = [self.arguments.get(key) for key in ("column", "column_A", "column_B")]
        parts += self.arguments.get("column_list") or []
        return "_".join(
            [self.expectation.removeprefix("expect_"), *(str(part) for part in parts if part)]
        )


class Lookup(Declared):
    """Columns of a timeless source, joined by its whole key; null where the key is not found."""

    on: Columns
    columns: Renamed


class Latest(Declared):
    """Columns of the newest row with the same `on` and `at - within <= known_at <= at`."""

    on: Columns
    within: Duration
    columns: Renamed


class History(Declared):
    """An aggregate over rows of `of` with the same `by` and `at - over < known_at <= at`.

    `by` and `value` may also use columns of the source that `of` references.
    """

    of: Name
    value: str = Field(description="a Spark SQL aggregate, such as avg(arr_delay)")
    by: Columns
    over: Duration


class Features(Declared):
    """One row of features per row of the source `rows`, as known at `at` of its interval."""

    rows: Name
    at: TimeOfDay
    columns: dict[Name, str] = Field(default_factory=dict, description="feature -> Spark SQL")
    lookups: dict[Name, Lookup] = Field(default_factory=dict, description="timeless source")
    latest: dict[Name, Latest] = Field(default_factory=dict, description="source with known_at")
    history: dict[Name, History] = Field(default_factory=dict, description="feature -> history")

    @property
    def names(self) -> tuple[str, ...]:
        """Feature columns in declared order: columns, lookups, latest, history."""
        joined = [
            name
            for form in (self.lookups, self.latest)
            for part in form.values()
            for name in part.columns
        ]
        return (*self.columns, *joined, *self.history)


class Target(Declared):
    """What is predicted: Spark SQL over a source whose rows are known later than `at`."""

    name: Name
    of: Name
    value: str
    task: Literal["binary"] = "binary"


class Split(Declared):
    """Parts of the rows by interval, counted back from the training moment: test is the last.

    What `groups` names must not be in two parts; the audit before training holds it.
    """

    kind: Literal["time"] = "time"
    validation: Days
    test: Days
    groups: tuple[Name, ...] = Field(
        (), description="features or columns of the key, such as a patient"
    )


class Leak(StrEnum):
    """Kinds of leaks that the audit before training looks for; see docs/audit.md."""

    PERFECT_FEATURE = "perfect_feature"
    COLLAPSING_FEATURE = "collapsing_feature"
    REPEATED_ROWS = "repeated_rows"
    SHARED_GROUPS = "shared_groups"
    KNOWN_AFTER_AT = "known_after_at"
    REBUILT_LOOKUP = "rebuilt_lookup"
    FITTED_ON_TEST = "fitted_on_test"
    ROW_ORDER = "row_order"


class Allowance(Declared):
    """A finding of the audit that may stand, and why; it covers findings in these columns."""

    leak: Leak
    columns: tuple[Name, ...] = Field(
        (), description="those of the finding; none where it is rows as a whole"
    )
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Training(Declared):
    """Which algorithms, judged by what, and when.

    A model is trained at `first` and then each `every`, with what was known at `features.at` of
    that day.
    """

    algorithms: Annotated[tuple[Name, ...], Field(min_length=1)]
    metric: Literal["roc_auc", "pr_auc", "log_loss", "brier"] = "roc_auc"
    trials: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 6
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 7
    first: Day
    every: Days
    allow: tuple[Allowance, ...] = Field((), description="findings of the audit that may stand")


class Schedule(Declared):
    """When a scheduled run starts, in the pipeline's time zone."""

    cron: str


class Pipeline(Declared):
    """The whole of `pipeline.yaml`."""

    name: Name
    description: str = ""
    timezone: Zone
    interval: Literal["day"] = "day"
    roots: Annotated[tuple[str, ...], Field(min_length=1)] = ("landing",)
    env: tuple[str, ...] = Field((), description="variables that `${env:NAME}` may name")
    sources: Annotated[dict[Name, Source], Field(min_length=1)]
    checks: dict[Name, tuple[Check, ...]] = Field(default_factory=dict)
    features: Features
    target: Target
    split: Split
    training: Training
    schedule: Schedule | None = None

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The folder that relative roots and paths start from: the pipeline file's."""
        return self._folder

    def placed_in(self, folder: Path) -> Self:
        """The same pipeline, with its relative roots and paths taken from `folder`."""
        placed = self.model_copy()
        placed._folder = folder.absolute()  # noqa: SLF001 - its own class
        return placed

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose calendar days are the intervals."""
        return ZoneInfo(self.timezone)

    def at(self, interval: date) -> datetime:
        """The moment of prediction of an interval, aware, in the pipeline's zone."""
        return datetime.combine(interval, self.features.at, tzinfo=self.zone)

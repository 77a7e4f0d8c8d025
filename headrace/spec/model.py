"""What a user declares in `pipeline.yaml`, as frozen pydantic models; no file is read here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
_COUNTRY = re.compile(r"[A-Z]{2,3}")  # ISO 3166
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*")
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


def _country(value: str) -> str:
    if not _COUNTRY.fullmatch(value):
        message = f"{shown(value)} is not a country code such as 'US'"
        raise ValueError(message)
    return value


def _function(value: str) -> str:
    if not _FUNCTION.fullmatch(value):
        message = f"{shown(value)} is not a function such as 'my_features.flights:with_ratio'"
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
On = Annotated[Renamed, Field(min_length=1)]  # column of `rows` -> column it is matched with
OnKey = Annotated[dict[Name, Name | None], BeforeValidator(_keyed), Field(min_length=1)]
Taken = Annotated[Renamed, Field(min_length=1)]  # feature -> column it comes from
Columns = Annotated[tuple[Name, ...], Field(min_length=1)]
INGESTED_AT = "_ingested_at"  # a column of ours in bronze and silver


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
    valid_from: Name | None = Field(
        None, description="from when a row holds; part of the key, so that one key has a history"
    )
    valid_to: Name | None = Field(
        None, description="until when it holds; null: until a row with a later `valid_from`"
    )
    references: Name | None = Field(None, description="source whose row of this key it is about")
    on_conflict: Literal["quarantine", "latest"] = Field(
        "quarantine", description="same key, other values; `latest`: a correction, from when known"
    )
    on_changed_columns: Literal["fail", "adapt"] = Field(
        "fail",
        description="`adapt` reads a missing column as null and leaves an unknown one in bronze",
    )

    @property
    def clock(self) -> str:
        """The column that tells when a row was known: `known_at`, or when it was ingested."""
        return self.known_at or INGESTED_AT

    @property
    def happened(self) -> str:
        """The column by which one row is newer than another of the same key."""
        return self.valid_from or self.event_time or self.clock


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


class Joined(Declared):
    """What a source adds to a row; the source is that of the same name, or `of`."""

    of: Name | None = Field(None, description="the source, where the name is not its own")

    def source(self, name: str) -> str:
        """The source, for what is declared under `name`."""
        return self.of or name


class Lookup(Joined):
    """Columns of the one row with the same key; null where there is none.

    Of a timeless source, or of one with `valid_from`: then of the row that held at `at`, as far as
    was known then.
    """

    on: OnKey
    columns: Taken

    def pairs(self, source: Source) -> list[tuple[str, str]]:
        """Column of `rows` and column of the source, for each that is matched.

        A list stands for the source's key: by name, where the names are those of the key, else
        column by column. A mapping names both.
        """
        key = [column for column in source.key if column != source.valid_from]
        by_name = self.named or set(self.on) == set(key)
        theirs = [their or our for our, their in self.on.items()] if by_name else key
        return list(zip(self.on, theirs, strict=False))

    @property
    def named(self) -> bool:
        """Whether `on` names the source's columns too."""
        return any(their is not None for their in self.on.values())


class Latest(Joined):
    """Columns of the newest row with the same `on` that was known at `at`, not older than `within`.

    The newest by `event_time`, where the source has one, else by `known_at`; so is its age. A row
    known before it happens is not used before it does.
    """

    on: On
    within: Duration
    columns: Taken
    lag: Annotated[int, Field(strict=True, ge=0, le=1_000)] = Field(
        0, description="how many newer rows are passed over"
    )


class Grouped(Declared):
    """Made of the rows of `of` with the same `by` and `at - over < known_at <= at`.

    `by` and `value` may also use columns of the source that `of` references. A corrected row counts
    when it was first known, with the values known at `at`.
    """

    of: Name
    by: On
    over: Duration


class History(Grouped):
    """An aggregate over them."""

    value: str = Field(description="a Spark SQL aggregate, such as avg(arr_delay)")
    last: Annotated[int, Field(strict=True, ge=1, le=10_000)] | None = Field(
        None, description="only the newest so many of them"
    )


class Encoding(Grouped):
    """A category as a number, made of history alone.

    `frequency`: its share of the rows. `mean`: the mean of `value`, drawn towards that of all rows
    as if `smoothing` rows had it (Micci-Barreca 2001, with a fixed weight); a category without rows
    gets the mean of all.
    """

    kind: Literal["frequency", "mean"]
    value: str | None = Field(None, description="Spark SQL over a row of `of`; for `mean`")
    smoothing: Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)] = 20.0


class Holiday(Declared):
    """Public holidays, of the day of the interval; as the package `holidays` knows them."""

    country: Annotated[str, AfterValidator(_country)]
    subdivision: str | None = Field(None, description="such as NY")
    value: Literal["is_holiday", "days_until", "days_since"] = "is_holiday"


class Step(Declared):
    """A function `DataFrame -> DataFrame` of an installed module, which adds columns.

    It sees the rows and features of the intervals that are built, and nothing else.
    """

    function: Annotated[str, AfterValidator(_function)] = Field(
        description="such as my_features.flights:with_ratio"
    )
    adds: Columns


class Features(Declared):
    """One row of features per row of the source `rows`, as known at `at` of its interval."""

    rows: Name
    at: TimeOfDay
    columns: dict[Name, str] = Field(default_factory=dict, description="feature -> Spark SQL")
    lookups: dict[Name, Lookup] = Field(default_factory=dict, description="name or source")
    latest: dict[Name, Latest] = Field(default_factory=dict, description="name or source")
    history: dict[Name, History] = Field(default_factory=dict, description="feature -> history")
    encodings: dict[Name, Encoding] = Field(default_factory=dict, description="feature -> encoding")
    holidays: dict[Name, Holiday] = Field(default_factory=dict, description="feature -> holidays")
    steps: tuple[Step, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Feature columns, form by form, in declared order."""
        joined = [
            name
            for form in (self.lookups, self.latest)
            for part in form.values()
            for name in part.columns
        ]
        added = [name for step in self.steps for name in step.adds]
        return (*self.columns, *joined, *self.history, *self.encodings, *self.holidays, *added)

    @property
    def carried(self) -> list[str]:
        """Columns of `rows` by which other sources are joined, sorted."""
        on: list[Iterable[str]] = [form.on for form in self.lookups.values()]
        on += [form.on for form in self.latest.values()]
        on += [form.by for form in self.grouped.values()]
        return sorted({column for each in on for column in each})

    @property
    def grouped(self) -> dict[str, History | Encoding]:
        """Histories and encodings, by feature."""
        return {**self.history, **self.encodings}

    @property
    def sources(self) -> set[str]:
        """Sources that features are made of, beside `rows`."""
        joined = (*self.lookups.items(), *self.latest.items())
        return {form.source(name) for name, form in joined} | {
            form.of for form in self.grouped.values()
        }


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


@dataclass(frozen=True)
class Places:
    """Where the parts of a pipeline stand in its file; two pipelines do not differ by them.

    Attributes:
        marks: Dotted path, such as `features.history.delay` -> `pipeline.yaml:118:5`.
    """

    marks: Mapping[str, str] = field(default_factory=dict, compare=False)


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
    _places: Places = PrivateAttr(default_factory=Places)

    @property
    def folder(self) -> Path:
        """The folder that relative roots and paths start from: the pipeline file's."""
        return self._folder

    def placed_in(self, folder: Path, places: Places | None = None) -> Self:
        """The same pipeline, with its relative roots and paths taken from `folder`.

        Args:
            folder: The pipeline file's.
            places: Where its parts stand in the file.
        """
        placed = self.model_copy()
        placed._folder = folder.absolute()  # noqa: SLF001 - its own class
        placed._places = places or Places()  # noqa: SLF001 - its own class
        return placed

    def place(self, path: str) -> str:
        """Where a part of the pipeline stands, for messages: `pipeline.yaml:118:5 features.at`."""
        found = self._places.marks.get(path)
        return f"{found} {path}" if found else path

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose calendar days are the intervals."""
        return ZoneInfo(self.timezone)

    def at(self, interval: date) -> datetime:
        """The moment of prediction of an interval, aware, in the pipeline's zone."""
        return datetime.combine(interval, self.features.at, tzinfo=self.zone)

"""What a user declares in `pipeline.yaml`, as frozen pydantic models; no file is read here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr, StrictBool, model_validator

from headrace.errors import UsageError
from headrace.evaluation.metric import METRICS
from headrace.models.algorithms.algorithm import Task
from headrace.spec.costs import Costs
from headrace.spec.fields import Columns, Declared, Name, Zone
from headrace.spec.forms import Features
from headrace.spec.problems import unknown
from headrace.spec.training import Split, Training

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


class Source(Declared):
    """A feed of files with one schema; its rows end in silver or in quarantine.

    A time zone is taken from the cell where it names one, else `time_zone` of the source (UTC by
    default).
    """

    kind: Literal["files"] = Field("files", description="landing files are all there is yet")
    path: str = Field(description="glob of the landing files, under a root of `roots`")
    format: Literal["csv", "json", "parquet"] = Field(
        "csv", description="`json` is one object per line"
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        ",", description="of cells, in `csv`"
    )
    quote: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        '"', description="around a cell that holds a delimiter"
    )
    null_value: str = Field("", description="the text that stands for null, beside an empty cell")
    time_zone: Zone = Field("UTC", description="zone of timestamps that name none")
    columns: dict[Name, ColumnType] = Field(
        alias="schema", min_length=1, description="every column of the files, and its type"
    )
    key: Columns = Field(description="what tells one row from another; null in none of them")
    pii: tuple[Name, ...] = Field(
        (), description="columns of personal data, hidden wherever rows or values are shown"
    )
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

    source: Name = Field(description="whose silver is read")
    column: Name = Field(description="whose values are the set")


class Check(Declared):
    """One Great Expectations rule: its own name and arguments, and what happens when it is broken.

    In the file: `- expect_x: {column: c, ...}` with `action:` and `name:` beside it.
    """

    expectation: str = Field(description="a rule of Great Expectations; the key, in short form")
    arguments: dict[str, Any] = Field(  # any JSON value
        default_factory=dict, description="its own; the value, in short form"
    )
    action: Action | None = Field(  # filled in by `load`
        None, description="unless told, `quarantine` for rules about rows, else `fail`"
    )
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")] | None = Field(
        None, description="in `_failed_rules` and reports; made of rule and columns unless told"
    )

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


class Target(Declared):
    """What is predicted: Spark SQL over a source whose rows are known later than `at`.

    A row whose `value` is null has no target, and is neither learned from nor judged on.
    """

    name: Name = Field(description="of its column in gold")
    of: Name = Field(description="the source that tells it")
    value: str = Field(description="true or false; a text or a whole number; or any number")
    task: Task = Field(
        Task.BINARY, description="`multiclass`: one of several texts or whole numbers"
    )
    costs: Costs | None = Field(
        None, description="of errors, by which `prediction` is decided; see docs/calibration.md"
    )


class Schedule(Declared):
    """When a scheduled run starts, in the pipeline's time zone."""

    cron: str = Field(description="five fields, as `0 5 * * *`; in the pipeline's time zone")


@dataclass(frozen=True)
class Places:
    """Where the parts of a pipeline stand in its file; two pipelines do not differ by them.

    Attributes:
        marks: Dotted path, such as `features.history.delay` -> `pipeline.yaml:118:5`.
    """

    marks: Mapping[str, str] = field(default_factory=dict, compare=False)


class Pipeline(Declared):
    """The whole of `pipeline.yaml`."""

    name: Name = Field(description="of the tables `gold/<name>`, `scores/<name>`, `models/<name>`")
    description: str = Field("", description="for people; on the page of a run")
    timezone: Zone = Field(description="whose calendar days are the intervals")
    interval: Literal["day"] = Field("day", description="the unit of features and scores")
    roots: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        ("landing",), description="folders, or places in a store, that landing files are read from"
    )
    env: tuple[str, ...] = Field((), description="variables that `${env:NAME}` may name")
    sources: Annotated[dict[Name, Source], Field(min_length=1)] = Field(
        description="feeds of landing files, by name"
    )
    checks: dict[Name, tuple[Check, ...]] = Field(
        default_factory=dict, description="rules of each source"
    )
    features: Features = Field(description="what a model may use")
    target: Target = Field(description="what it learns to predict")
    split: Split = Field(description="which rows it learns from, and is judged on")
    training: Training = Field(description="how and when it is trained")
    schedule: Schedule | None = Field(None, description="when a scheduled run starts")

    @model_validator(mode="after")
    def _judged_as_its_task_is(self) -> Self:
        """Names the metric that the task is judged by where the file names none."""
        if "metric" not in self.training.model_fields_set and self.target.task is not Task.BINARY:
            judged = self.training.model_copy(update={"metric": METRICS[self.target.task][0]})
            object.__setattr__(self, "training", judged)  # it is frozen once it is made
        return self

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

    def source(self, name: str) -> Source:
        """The source of a name.

        Raises:
            UsageError: There is none; the message gives the nearest name.
        """
        if name not in self.sources:
            raise UsageError(
                unknown("source", name, self.sources),
                pipeline=self.name,
                hint="take a name of `sources` in the pipeline file",
            )
        return self.sources[name]

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

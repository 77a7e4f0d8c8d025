"""The forms of features that a pipeline declares, and what each is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from headrace.spec.fields import (
    Columns,
    Country,
    Declared,
    Duration,
    Function,
    Name,
    On,
    OnKey,
    Taken,
    TimeOfDay,
)

if TYPE_CHECKING:
    from headrace.spec.model import Source


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

    on: OnKey = Field(description="by what the row is found")
    columns: Taken = Field(description="what is taken of it")

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

    on: On = Field(description="by what the rows are found")
    within: Duration = Field(description="an older row is not used")
    columns: Taken = Field(description="what is taken of the newest")
    lag: Annotated[int, Field(strict=True, ge=0, le=1_000)] = Field(
        0, description="how many newer rows are passed over"
    )


class Grouped(Declared):
    """Made of the rows of `of` with the same `by` and `at - over < known_at <= at`.

    `by` and `value` may also use columns of the source that `of` references. A corrected row counts
    when it was first known, with the values known at `at`.
    """

    of: Name = Field(description="the source whose rows are taken together")
    by: On = Field(description="by what they are found")
    over: Duration = Field(description="how far back; a row counts by when it was known")


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

    kind: Literal["frequency", "mean"] = Field(description="which number")
    value: str | None = Field(None, description="Spark SQL over a row of `of`; for `mean`")
    smoothing: Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)] = Field(
        20.0, description="rows of the mean of all that are added"
    )


class Holiday(Declared):
    """Public holidays, of the day of the interval; as the package `holidays` knows them."""

    country: Country = Field(description="such as US")
    subdivision: str | None = Field(None, description="such as NY")
    value: Literal["is_holiday", "days_until", "days_since"] = Field(
        "is_holiday", description="whether the day is one, or days to the next or the last"
    )


class Step(Declared):
    """A function `DataFrame -> DataFrame` of an installed module, which adds columns.

    It sees the rows and features of the intervals that are built, and nothing else.
    """

    function: Function = Field(description="such as my_features.flights:with_ratio")
    adds: Columns = Field(description="the features it makes")


class Features(Declared):
    """One row of features per row of the source `rows`, as known at `at` of its interval."""

    rows: Name = Field(description="the source; one row of features for each of its rows")
    at: TimeOfDay = Field(description="the moment of prediction, on the clock of `timezone`")
    columns: dict[Name, str] = Field(default_factory=dict, description="feature -> Spark SQL")
    lookups: dict[Name, Lookup] = Field(default_factory=dict, description="name or source")
    latest: dict[Name, Latest] = Field(default_factory=dict, description="name or source")
    history: dict[Name, History] = Field(default_factory=dict, description="feature -> history")
    encodings: dict[Name, Encoding] = Field(default_factory=dict, description="feature -> encoding")
    holidays: dict[Name, Holiday] = Field(default_factory=dict, description="feature -> holidays")
    steps: tuple[Step, ...] = Field((), description="functions of yours, in order")

    @property
    def names(self) -> tuple[str, ...]:
        """Feature columns, form by form, in declared order."""
        return tuple(self.made_by)

    @property
    def made_by(self) -> dict[str, tuple[str, str | None]]:
        """Feature -> where its form is declared, and the source of it beside `rows`."""
        found: dict[str, tuple[str, str | None]] = {
            name: (f"features.columns.{name}", None) for name in self.columns
        }
        joined: dict[str, Mapping[str, Lookup | Latest]] = {
            "lookups": self.lookups,
            "latest": self.latest,
        }
        for kind, declared in joined.items():
            for name, part in declared.items():
                place = f"features.{kind}.{name}"
                found |= dict.fromkeys(part.columns, (place, part.source(name)))
        for name, form in self.grouped.items():
            kind = "history" if name in self.history else "encodings"
            found[name] = (f"features.{kind}.{name}", form.of)
        found |= {name: (f"features.holidays.{name}", None) for name in self.holidays}
        for index, step in enumerate(self.steps):
            found |= dict.fromkeys(step.adds, (f"features.steps[{index}]", None))
        return found

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
        return {source for _, source in self.made_by.values() if source is not None}

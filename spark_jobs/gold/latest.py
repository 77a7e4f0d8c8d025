"""Columns of the newest row of a source: the form `latest`, and look-ups that hold for a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from headrace.spec.forms import Latest
from headrace.spec.model import Source
from spark_jobs.gold import point_in_time as pit
from spark_jobs.gold.build import Build
from spark_jobs.gold.newest import Facts, newest
from spark_jobs.gold.point_in_time import carried, keyed
from spark_jobs.gold.silver import standing


@dataclass(frozen=True)
class _Newest:
    """A form that takes columns of the newest row of a source.

    Attributes:
        facts: The rows.
        columns: The features.
        holds: Whether the newest row may be used, given a column of it by name.
    """

    facts: Facts
    columns: Sequence[str]
    holds: Callable[[Callable[[str], Column]], Column]


def with_latest(rows: DataFrame, build: Build) -> DataFrame:
    """Adds the columns of every form that takes the newest row of a source."""
    features, sources = build.pipeline.features, build.pipeline.sources
    together: dict[tuple[str, ...], list[_Newest]] = {}
    for name, lookup in features.lookups.items():
        if sources[lookup.source(name)].valid_from is not None:
            together.setdefault(tuple(lookup.on), []).append(_dated(build, name))
    for name, latest in features.latest.items():
        source = sources[latest.source(name)]
        told_by_key = {source.happened, *latest.on.values()} <= set(source.key)
        moved = source.on_conflict == "latest" and not told_by_key
        if latest.lag or moved:
            rows = _with_nth(rows, build, name)
        else:
            together.setdefault(tuple(latest.on), []).append(_latest(build, name))
    for on, forms in together.items():
        rows = _with_newest(rows, build, forms, on=on)
    return rows


def _dated(build: Build, name: str) -> _Newest:
    """Columns of the row that held at `at`, as far as was known then."""
    lookup = build.pipeline.features.lookups[name]
    of = lookup.source(name)
    source = build.pipeline.sources[of]
    facts = build.silver.rows(of).where(_usable(source) <= F.lit(build.asked[1]))
    ends = F.col(source.valid_to) if source.valid_to else F.lit(None).cast("timestamp")
    known = keyed(
        facts,
        dict(lookup.pairs(source)),
        *_moments(source),
        *_named(lookup.columns),
        ends.alias("_until"),
    )
    told = Facts(known, [*lookup.columns, "_until"], build.silver.size(of))
    return _Newest(
        told,
        [*lookup.columns],
        lambda own: own("_until").isNull() | (own("_until") > F.col("_at")),
    )


def _latest(build: Build, name: str) -> _Newest:
    latest = build.pipeline.features.latest[name]
    of = latest.source(name)
    source = build.pipeline.sources[of]
    facts = keyed(
        _recent(build, name, latest), latest.on, *_moments(source), *_named(latest.columns)
    )
    told = Facts(facts, [*latest.columns], build.silver.size(of))
    since = F.col("_at") - pit.seconds(latest.within)
    return _Newest(told, [*latest.columns], lambda own: own("_happened") >= since)


def _recent(build: Build, name: str, latest: Latest) -> DataFrame:
    """The rows of a source that may be the newest, for one interval or another."""
    source = build.pipeline.sources[latest.source(name)]
    reach = (build.asked[0] - latest.within, build.asked[1])
    facts = build.silver.rows(latest.source(name), **{source.happened: reach})
    return facts.where(F.col(source.clock) <= F.lit(reach[1]))


def _with_newest(
    rows: DataFrame, build: Build, forms: Sequence[_Newest], *, on: Sequence[str]
) -> DataFrame:
    """All forms that are matched by the same columns, in one pass."""
    keys = [carried(ours) for ours in on]
    count = sum(interval.rows for interval in build.intervals)
    found = newest(rows, [form.facts for form in forms], on=keys, count=count)
    values = [
        F.when(form.holds(_of_place(place)), _of_place(place)(column)).alias(column)
        for place, form in enumerate(forms)
        for column in form.columns
    ]
    return found.select(*rows.columns, *values)


def _with_nth(rows: DataFrame, build: Build, name: str) -> DataFrame:
    """By going through every fact in reach: for corrections that move it, and for lags."""
    latest = build.pipeline.features.latest[name]
    of = latest.source(name)
    source = build.pipeline.sources[of]
    facts = _recent(build, name, latest)
    if source.on_conflict == "latest":
        facts = build.silver.all_versions(of, facts, until=build.asked[1])
    facts = standing(facts, source)
    fact = F.struct(*_moments(source)[1:], *_named(latest.columns)).alias("_fact")
    first = F.col(source.happened).alias("_first")
    known = keyed(
        facts, latest.on, _moments(source)[0].alias("_known"), first, F.col("_until"), fact
    )
    on = [carried(ours) for ours in latest.on]
    # A span leaves out its beginning, and `within` does not.
    span = latest.within + timedelta(seconds=1)
    reached = pit.reaching(known, build.moments, span=span)
    found = pit.nth_newest(reached, on=on, order=["_happened", "_known"], nth=latest.lag)
    young = F.col("_fact._happened") >= F.col("_at") - pit.seconds(latest.within)
    values = [F.when(young, F.col(f"_fact.{new}")).alias(new) for new in latest.columns]
    return build.answered(rows, found.select(*on, "_interval", *values), latest.on)


def _usable(source: Source) -> Column:
    """From when a row may be the newest: it is known, and has happened."""
    if source.clock == source.happened:
        return F.col(source.clock)
    return F.greatest(F.col(source.clock), F.col(source.happened))


def _moments(source: Source) -> list[Column]:
    return [
        _usable(source).alias("_usable"),
        F.col(source.happened).alias("_happened"),
        F.col(source.clock).alias("_known"),
    ]


def _named(columns: Mapping[str, str]) -> list[Column]:
    return [F.col(column).alias(new) for new, column in columns.items()]


def _of_place(place: int) -> Callable[[str], Column]:
    return lambda column: F.col(f"_{place}_{column}")

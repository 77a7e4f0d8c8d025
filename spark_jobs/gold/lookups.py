"""Look-ups in a source whose rows hold for all time; those that hold for a time are in `latest`."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.errors import FeatureError
from headrace.spec.forms import Lookup
from headrace.spec.model import Pipeline
from spark_jobs.gold.build import Build
from spark_jobs.gold.point_in_time import carried, keyed

_OFFENDERS = 5  # keys that a message names


def with_timeless(rows: DataFrame, build: Build, name: str, *, lookup: Lookup) -> DataFrame:
    """Adds the columns of the one row that matches; nulls where none does.

    Raises:
        FeatureError: Several rows of the source match alike.
    """
    of = lookup.source(name)
    source = build.pipeline.sources[of]
    pairs = lookup.pairs(source)
    facts = build.silver.rows(of)
    theirs = [their for _, their in pairs]
    if {*theirs} != {*source.key}:
        _demand_unique(facts, theirs, build.pipeline, name=name, of=of)
    values = [F.col(column).alias(new) for new, column in lookup.columns.items()]
    right = keyed(facts, dict(pairs), *values)
    return rows.join(right, [carried(ours) for ours in dict(pairs)], "left")


def _demand_unique(
    facts: DataFrame, columns: Sequence[str], pipeline: Pipeline, *, name: str, of: str
) -> None:
    known = facts.dropna(subset=list(columns))
    twice = known.groupBy(*columns).count().where("count > 1").orderBy(*columns)
    found = twice.limit(_OFFENDERS + 1).collect()
    if found:
        told = "; ".join(
            ", ".join(f"{c}={row[c]!r}" for c in columns) + f" ({row['count']} rows)"
            for row in found[:_OFFENDERS]
        ) + ("; ..." if len(found) > _OFFENDERS else "")
        message = f"look-up {name}: {of} has several rows for {told}"
        raise FeatureError(
            message,
            at=pipeline.place(f"features.lookups.{name}"),
            hint=f"match it by {of}'s key, or declare `valid_from` if each holds for a time",
        )

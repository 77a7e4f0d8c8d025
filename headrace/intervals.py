"""Which batches have rows in which interval, and the fingerprints that follow.

Reads one column per source; the batches of its rows are told by the log, where it can.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, time, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake import Lake, Table, application_id, digest
from headrace.lake.table import DataFile
from headrace.spec.model import Pipeline

FEATURES_VERSION = 1  # raised by hand when the meaning of spark_jobs/features.py changes
LABELS_VERSION = 1
SCORE_VERSION = 1  # raised by hand when scores of the same features and model would change
_DAY = timedelta(days=1)
_PORTION_ROWS = 1_000_000

Silver = Mapping[str, Table]  # source -> its table
Batches = Mapping[date, Mapping[str, int]]  # day -> batch -> rows


@dataclass(frozen=True)
class Interval:
    """An interval of a pipeline, as silver has it now.

    Attributes:
        day: The calendar day, in the pipeline's zone.
        rows: Rows of the source `features.rows`; the rows that gold will have.
        fingerprint: Of everything its features are made of; 32 hex digits.
        labels: Of everything its targets are made of; 32 hex digits.
    """

    day: date
    rows: int
    fingerprint: str
    labels: str


@dataclass(frozen=True)
class FeaturesDue:
    """What gold lacks, and what it has; intervals in order.

    Attributes:
        missing: Intervals without features; a run builds them.
        unlabelled: Intervals whose targets became known, or changed, since; a run fills them in.
        stale: Intervals whose features would come out differently today; only `backfill --stale`
            builds them again.
        current: Intervals that stand as they should.
        recorded: How often gold had been committed to; a commit decided on this is refused later.
        versions: Source -> the version of its silver table that this was decided on.
    """

    missing: tuple[Interval, ...]
    unlabelled: tuple[Interval, ...]
    stale: tuple[Interval, ...]
    current: tuple[Interval, ...]
    recorded: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def days(self) -> list[date]:
        """Every interval that silver has rows for."""
        parts = (self.missing, self.unlabelled, self.stale, self.current)
        return sorted({interval.day for part in parts for interval in part})

    def among(self, days: Collection[date]) -> FeaturesDue:
        """The same for some of the days."""

        def kept(part: tuple[Interval, ...]) -> tuple[Interval, ...]:
            return tuple(interval for interval in part if interval.day in days)

        return FeaturesDue(
            kept(self.missing),
            kept(self.unlabelled),
            kept(self.stale),
            kept(self.current),
            self.recorded,
            self.versions,
        )


def features_due(pipeline: Pipeline, lake: Lake) -> FeaturesDue:
    """Compares the intervals that silver has rows for with those that stand in gold."""
    gold = Table.if_exists(lake.gold(pipeline.name))
    standing = (
        {
            f.partition["_interval"]: (f.least.get("_fingerprint"), f.least.get("_labels"))
            for f in gold.files
        }
        if gold
        else {}
    )
    due: dict[str, list[Interval]] = {"missing": [], "unlabelled": [], "stale": [], "current": []}
    silver = _silver(pipeline, lake)
    for interval in intervals(pipeline, silver):
        fingerprint, labels = standing.get(interval.day, (None, None))
        if interval.day not in standing:
            kind = "missing"
        elif labels != interval.labels:
            kind = "unlabelled"
        else:
            kind = "current" if fingerprint == interval.fingerprint else "stale"
        due[kind].append(interval)
        if kind == "unlabelled" and fingerprint != interval.fingerprint:
            due["stale"].append(interval)
    recorded = (gold.recorded(gold_unit(pipeline)) if gold else None) or 0
    return FeaturesDue(
        **{kind: tuple(found) for kind, found in due.items()},
        recorded=recorded,
        versions={name: table.version for name, table in silver.items()},
    )


def gold_unit(pipeline: Pipeline) -> str:
    """The application transaction id that every commit to gold carries, so that two conflict."""
    return application_id(pipeline.name, "features", "gold")


def _silver(pipeline: Pipeline, lake: Lake) -> Silver:
    found = {name: Table.if_exists(lake.silver(name)) for name in pipeline.sources}
    return {name: table for name, table in found.items() if table is not None}


def intervals(pipeline: Pipeline, silver: Silver) -> list[Interval]:
    """Every interval that silver has rows of `features.rows` for, in order.

    Args:
        pipeline: What is declared.
        silver: Source -> its table, of those that have one.
    """
    features, sources = pipeline.features, pipeline.sources
    rows = _event_days(pipeline, silver, features.rows)
    timeless = {name: sorted(_all_batches(silver.get(name))) for name in features.lookups}
    known = {
        name: _known_days(pipeline, silver, name)
        for name in {*features.latest, *(history.of for history in features.history.values())}
    }
    referenced = {
        of: _event_days(pipeline, silver, name)
        for of in {history.of for history in features.history.values()}
        if (name := sources[of].references)
    }
    targets = _event_days(pipeline, silver, pipeline.target.of)
    declared = digest(
        FEATURES_VERSION,
        features.model_dump(mode="json"),
        pipeline.timezone,
        {n: s.known_at for n, s in sources.items()},
    )
    declared_target = digest(LABELS_VERSION, pipeline.target.model_dump(mode="json"))

    so_far: dict[str, set[str]] = {of: set() for of in referenced}
    arriving = {of: sorted(days.items(), reverse=True) for of, days in referenced.items()}

    def fingerprint(day: date) -> str:
        for of, left in arriving.items():
            while left and left[-1][0] <= day:
                so_far[of].update(left.pop()[1])
        parts: dict[str, object] = {"rows": _within(rows, [day]), **timeless}
        for name, latest in features.latest.items():
            parts[f"latest {name}"] = _within(known[name], _reached(pipeline, day, latest.within))
        for name, history in features.history.items():
            parts[f"history {name}"] = _within(
                known[history.of], _reached(pipeline, day, history.over)
            )
            if history.of in referenced:
                # What was known of late may be about a row of long ago.
                parts[f"referenced {name}"] = sorted(so_far[history.of])
        return digest(declared, parts)

    return [
        Interval(
            day=day,
            rows=sum(rows[day].values()),
            fingerprint=fingerprint(day),
            labels=digest(declared_target, _within(targets, [day])),
        )
        for day in sorted(rows)
    ]


def _event_days(pipeline: Pipeline, silver: Silver, name: str) -> Batches:
    """Rows per local calendar day of `event_time`, and batch."""
    column = pipeline.sources[name].event_time
    return _count(silver.get(name), column, pipeline.timezone, time.min) if column else {}


def _known_days(pipeline: Pipeline, silver: Silver, name: str) -> Batches:
    """Rows per interval d with at(d - 1) < known_at <= at(d), and batch."""
    column = pipeline.sources[name].known_at
    return _count(
        silver.get(name),
        str(column),
        pipeline.timezone,
        pipeline.features.at,
        upper=True,
    )


def _count(
    table: Table | None, column: str, zone: str, at: time, *, upper: bool = False
) -> Batches:
    if table is None:
        return {}
    shift = timedelta(hours=at.hour, minutes=at.minute) + (
        timedelta(microseconds=1) if upper else timedelta()
    )
    counted: dict[date, Counter[str]] = {}
    for files in _portions(table.files):
        moments, batches = _with_batches(table, column, files)
        local = pc.local_timestamp(moments.cast(pa.timestamp("us", tz=zone)))
        days = pc.subtract(local, pa.scalar(shift, pa.duration("us"))).cast(pa.date32(), safe=False)
        grouped = (
            pa.table({"day": days, "batch": batches})
            .group_by(["day", "batch"])
            .aggregate([([], "count_all")])
        )
        for row in grouped.to_pylist():
            day = row["day"] + _DAY if upper else row["day"]
            counted.setdefault(day, Counter())[row["batch"]] += row["count_all"]
    return counted


def _portions(files: Sequence[DataFile]) -> Iterator[Sequence[DataFile]]:
    """Files to be read at once: many small ones, or one big one."""
    held: list[DataFile] = []
    for file in files:
        if held and sum(each.rows or 0 for each in held) + (file.rows or 0) > _PORTION_ROWS:
            yield held
            held = []
        held.append(file)
    if held:
        yield held


def _with_batches(
    table: Table, column: str, files: Sequence[DataFile]
) -> tuple[pa.ChunkedArray, pa.Array | pa.ChunkedArray]:
    """A column of some files, and the batch of each row.

    The log tells that of files of one batch: millions of equal texts need not be read.
    """
    if any(file.batch is None or file.rows is None for file in files):
        rows = table.arrow([column, "_batch"], files=files)
        return rows[column], rows["_batch"]
    batches = pa.DictionaryArray.from_arrays(
        np.repeat(np.arange(len(files), dtype=np.int32), [file.rows or 0 for file in files]),
        [file.batch for file in files],
    )
    return table.arrow([column], files=files)[column], batches


def _all_batches(table: Table | None) -> set[str]:
    told = {file.batch for file in table.files} if table else set()
    if table is not None and None in told:
        return set(table.arrow(["_batch"])["_batch"].to_pylist())
    return {batch for batch in told if batch is not None}


def _reached(pipeline: Pipeline, day: date, reach: timedelta) -> list[date]:
    """The intervals d whose facts, those with at(d - 1) < known_at <= at(d), a span can reach."""
    start = (pipeline.at(day).astimezone(UTC) - reach).astimezone(pipeline.zone)
    at = pipeline.features.at
    first = (start.replace(tzinfo=None) - timedelta(hours=at.hour, minutes=at.minute)).date() + _DAY
    return [first + n * _DAY for n in range((day - first) // _DAY + 1)]


def _within(batches: Batches, days: Iterable[date]) -> list[str]:
    return sorted({batch for day in days for batch in batches.get(day, {})})

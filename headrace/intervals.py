"""Which batches have rows in which interval, and the fingerprints that follow.

Reads one or two columns per source, of files that were not looked at before; the batches of their
rows are told by the log, where it can.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

from headrace.errors import FeatureError
from headrace.holidays import holiday_value
from headrace.lake import Lake, Table, application_id, digest
from headrace.lake.days import Clock, Days, days_of
from headrace.spec.expressions import columns_of
from headrace.spec.forms import Encoding, History
from headrace.spec.model import Pipeline, Source

FEATURES_VERSION = 2  # raised by hand when the meaning of spark_jobs/features.py changes
LABELS_VERSION = 2
SCORE_VERSION = 1  # raised by hand when scores of the same features and model would change
_DAY = timedelta(days=1)

Silver = Mapping[str, Table]  # source -> its table


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
    def intervals(self) -> list[Interval]:
        """Every interval that silver has rows for, in order."""
        parts = (self.missing, self.unlabelled, self.stale, self.current)
        return sorted({i.day: i for part in parts for i in part}.values(), key=lambda i: i.day)

    @property
    def days(self) -> list[date]:
        """Every day that silver has rows for."""
        return [interval.day for interval in self.intervals]

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
    for interval in intervals(pipeline, silver, cache=lake.cache):
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


def intervals(pipeline: Pipeline, silver: Silver, *, cache: Path) -> list[Interval]:
    """Every interval that silver has rows of `features.rows` for, in order.

    Args:
        pipeline: What is declared.
        silver: Source -> its table, of those that have one.
        cache: Folder in which what data files hold is remembered.

    Raises:
        FeatureError: A step's module is not installed.
    """
    features, sources = pipeline.features, pipeline.sources

    def days(name: str, *columns: str, known: bool, about: str | None = None) -> Days:
        clock = Clock(columns, pipeline.timezone, features.at if known else None, about)
        return days_of(silver.get(name), clock, cache=cache)

    def happened(name: str) -> Days:
        column = sources[name].event_time
        return days(name, column, known=False) if column else Days()

    rows, targets = happened(features.rows), happened(pipeline.target.of)
    declared = digest(
        FEATURES_VERSION,
        features.model_dump(mode="json"),
        pipeline.timezone,
        {name: _meaning(source) for name, source in sources.items()},
        # In their order, which is the meaning: a digest sorts names.
        [lookup.pairs(sources[lookup.source(name)]) for name, lookup in features.lookups.items()],
        [list(latest.columns.items()) for latest in features.latest.values()],
        [_code(pipeline, index) for index in range(len(features.steps))],
    )
    outcome = _meaning(sources[pipeline.target.of])
    told = pipeline.target.model_dump(mode="json", exclude={"costs"})  # they change no target
    declared_target = digest(LABELS_VERSION, told, outcome)
    made_of: list[Callable[[date], object]] = [lambda day: rows.batches([day])]
    for name, lookup in features.lookups.items():
        of = lookup.source(name)
        source = sources[of]
        if source.valid_from is None:
            made_of.append(_constant(sorted(_all_batches(silver.get(of)))))
        else:
            found = days(of, *_usable(source), known=True)
            made_of.append(_so_far(rows, found))
    for name, latest in features.latest.items():
        of = latest.source(name)
        source = sources[of]
        if source.on_conflict == "latest" and source.happened not in source.key:
            # A correction may take away a row that happens long after it was known.
            made_of.append(_so_far(rows, days(of, source.clock, known=True)))
        else:
            found = days(of, *_usable(source), known=True)
            # Its beginning counts, which that of a span does not.
            made_of.append(_in_reach(pipeline, found, latest.within + timedelta(microseconds=1)))
    for form in features.grouped.values():
        about = about_of(pipeline, form)
        seen = about.event_time if about and about.event_time else None
        linked = seen if seen in sources[form.of].key else None  # then it is the same moment
        found = days(form.of, sources[form.of].clock, known=True, about=linked)
        made_of.append(_in_reach(pipeline, found, form.over))
        if about is not None and about.event_time is None:
            behind_all = _all_batches(silver.get(str(sources[form.of].references)))
            made_of.append(_constant(sorted(behind_all)))
        elif about is not None:
            behind = happened(str(sources[form.of].references))
            made_of.append(
                _about(pipeline, found, behind, form.over) if linked else _so_far(rows, behind)
            )
    made_of.extend(partial(holiday_value, holiday) for holiday in features.holidays.values())
    return [
        Interval(
            day=day,
            rows=rows.count(day),
            fingerprint=digest(declared, [part(day) for part in made_of]),
            labels=digest(declared_target, targets.batches([day])),
        )
        for day in rows.sorted
    ]


def about_of(pipeline: Pipeline, form: History | Encoding) -> Source | None:
    """The source that the one of a form references, where the form uses a column of it."""
    source = pipeline.sources[form.of]
    used = {*form.by.values(), *(columns_of(form.value) if form.value else ())}
    if source.references is None or used <= source.columns.keys():
        return None
    return pipeline.sources[source.references]


def _usable(source: Source) -> tuple[str, ...]:
    """The columns whose greatest is when a row may first be used as the newest."""
    return tuple(dict.fromkeys([source.clock, source.happened]))


def _constant(value: object) -> Callable[[date], object]:
    told = digest(value)
    return lambda _day: told


def _in_reach(pipeline: Pipeline, found: Days, span: timedelta) -> Callable[[date], object]:
    return lambda day: found.batches(_reached(pipeline, day, span))


def _about(
    pipeline: Pipeline, found: Days, behind: Days, span: timedelta
) -> Callable[[date], object]:
    """Batches of the rows that the facts in reach are about, by the day of those rows."""
    return lambda day: behind.batches(found.about(_reached(pipeline, day, span)))


def _so_far(rows: Days, found: Days) -> Callable[[date], object]:
    """All batches with a row up to a day, as a chain of digests: long pasts cost no more."""
    days = sorted({*rows.sorted, *found.sorted})
    links = accumulate(
        days,
        lambda before, day: digest(before, told) if (told := found.batches([day])) else before,
        initial="",
    )
    return dict(zip(days, list(links)[1:], strict=True)).__getitem__


def _meaning(source: Source) -> tuple[object, ...]:
    """What a source declares that changes which of its rows are used."""
    moments = (source.known_at, source.event_time, source.valid_from, source.valid_to)
    return (*moments, source.key, source.references, source.on_conflict)


def _code(pipeline: Pipeline, index: int) -> str:
    """Tells the code of a step's module from any other."""
    module = pipeline.features.steps[index].function.partition(":")[0]
    place = pipeline.place(f"features.steps[{index}].function")
    try:
        found = find_spec(module)
    except Exception as error:  # whatever the package around it does when it is imported
        message = f"module {module!r} cannot be imported: {error}"
        hint = f"mend the module; `python -c 'import {module}'` shows what is wrong with it"
        raise FeatureError(message, at=place, hint=hint) from error
    if found is None or found.origin is None or not Path(found.origin).is_file():
        message = f"no module {module!r} with a file of its own can be imported"
        raise FeatureError(
            message,
            at=place,
            hint="install it, or name its folder in PYTHONPATH",
        )
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()


def _all_batches(table: Table | None) -> set[str]:
    told = {file.batch for file in table.files} if table else set()
    if table is not None and None in told:
        return set(table.arrow(["_batch"])["_batch"].to_pylist())
    return {batch for batch in told if batch is not None}


def _is_unclear(moment: datetime) -> bool:
    """Whether the clock is changed at that local time, so that days by the clock are not exact."""
    return moment.utcoffset() != moment.replace(fold=1).utcoffset()


def _reached(pipeline: Pipeline, day: date, reach: timedelta) -> Sequence[date]:
    """The intervals d whose facts, those with at(d - 1) < known_at <= at(d), a span can reach."""
    start = (pipeline.at(day).astimezone(UTC) - reach).astimezone(pipeline.zone)
    at = pipeline.features.at
    first = (start.replace(tzinfo=None) - timedelta(hours=at.hour, minutes=at.minute)).date() + _DAY
    edges = {edge + n * _DAY for edge in (first, day) for n in (-1, 0, 1)}
    if any(_is_unclear(pipeline.at(edge)) for edge in edges):
        first, day = first - _DAY, day + _DAY
    return [first + n * _DAY for n in range((day - first) // _DAY + 1)]

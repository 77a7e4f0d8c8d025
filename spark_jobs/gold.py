"""Rows of gold from silver: each form that a pipeline declares, joined in turn; writes nothing.

Only what the intervals can reach is read: silver's files are passed over by the bounds that the log
keeps of their times and keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from importlib import import_module

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import (
    AtomicType,
    BinaryType,
    BooleanType,
    ByteType,
    DataType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NullType,
    ShortType,
    StringType,
)

from headrace.errors import FeatureError
from headrace.holidays import holiday_value
from headrace.intervals import Interval, about_of
from headrace.lake import Lake, Table
from headrace.models.algorithms.algorithm import Task
from headrace.spec.expressions import columns_of
from headrace.spec.forms import Encoding, History, Latest, Lookup, Step
from headrace.spec.model import ColumnType, Pipeline, Source
from spark_jobs import delta
from spark_jobs import point_in_time as pit
from spark_jobs.newest import Facts, newest
from spark_jobs.point_in_time import Aggregate, Moments, carried, keyed

_OFFENDERS = 5  # keys that a message names
_DAY = timedelta(days=1)
_WHOLE: tuple[type[DataType], ...] = (ByteType, ShortType, IntegerType, LongType)
_TARGETS: dict[Task, tuple[type[DataType], ...]] = {
    Task.BINARY: (BooleanType,),
    Task.MULTICLASS: (StringType, *_WHOLE),
    Task.REGRESSION: (*_WHOLE, FloatType, DoubleType, DecimalType),
}


@dataclass(frozen=True)
class Silver:
    """The published rows of each source, at the versions that fingerprints tell of."""

    spark: SparkSession
    lake: Lake
    pipeline: Pipeline
    versions: Mapping[str, int]

    def rows(self, name: str, **bounds: tuple[object, object]) -> DataFrame:
        """A source's rows; with bounds, both included, those within them alone."""
        return delta.read(
            self.spark, self.lake.silver(name), version=self.versions.get(name), bounds=bounds
        )

    def size(self, name: str) -> int:
        """How many rows a source has, as its log tells."""
        files = Table.at(self.lake.silver(name), self.versions.get(name)).files
        return sum(file.rows or 0 for file in files)

    def near(self, name: str, others: DataFrame) -> DataFrame:
        """A source's rows that may have the key of one of the others."""
        return delta.read_near(
            self.spark,
            self.lake.silver(name),
            others,
            key=self.pipeline.sources[name].key,
            version=self.versions.get(name),
        )


@contextmanager
def gold_rows(
    spark: SparkSession,
    lake: Lake,
    *,
    pipeline: Pipeline,
    intervals: Sequence[Interval],
    versions: Mapping[str, int],
    sample: int | None = None,
) -> Iterator[DataFrame]:
    """Features and target of the given intervals; what was kept to compute them is freed after.

    Args:
        spark: The session.
        lake: Where silver stands.
        pipeline: What is declared.
        intervals: Those to build, with their fingerprints.
        versions: Source -> the version of its silver table that the fingerprints tell of.
        sample: Only so many rows, chosen by a hash of their key; all if None.

    Raises:
        FeatureError: A feature cannot be computed as it is declared.
    """
    with ExitStack() as kept:
        yield _Gold(spark, lake, pipeline, intervals, versions, kept).rows(sample)


def stamps(spark: SparkSession, intervals: Sequence[Interval]) -> DataFrame:
    """One row per interval: its fingerprints."""
    rows = [(each.day, each.fingerprint, each.labels) for each in intervals]
    return spark.createDataFrame(rows, "_interval date, _fingerprint string, _labels string")


def with_target(rows: DataFrame, silver: Silver, *, keys: DataFrame) -> DataFrame:
    """Adds the target and `_target_known_at`; both null where the outcome is not in the lake.

    Args:
        rows: One per row of features, with its key.
        silver: Where the outcomes stand.
        keys: The same keys, cheaply read.

    Raises:
        FeatureError: The target's value is of no type that its task can have.
    """
    pipeline = silver.pipeline
    target, source = pipeline.target, pipeline.sources[pipeline.target.of]
    key = list(source.key)
    outcomes = silver.near(target.of, keys)
    if source.on_conflict == "latest":
        newest = Window.partitionBy(*key).orderBy(F.desc(source.clock))
        outcomes = outcomes.withColumn("_nth", F.row_number().over(newest)).where("_nth = 1")
    value = F.expr(target.value).alias(target.name)
    moment = F.col(str(source.known_at)).alias("_target_known_at")
    columns = [*map(F.col, key), value, moment]
    told = _selected(outcomes, {"target.value": value}, pipeline, columns)
    found, fitting = told.schema[target.name].dataType, _TARGETS[target.task]
    if not isinstance(found, fitting):
        message = f"a {target.task} target cannot be of type {found.simpleString()}"
        hint = f"cast it; it may be {', '.join(kind().simpleString() for kind in fitting)}"
        raise FeatureError(message, at=pipeline.place("target.value"), hint=hint)
    return rows.join(told, key, "left")


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


@dataclass(frozen=True)
class _Gold:
    spark: SparkSession
    lake: Lake
    pipeline: Pipeline
    intervals: Sequence[Interval]
    versions: Mapping[str, int]
    kept: ExitStack

    @cached_property
    def silver(self) -> Silver:
        return Silver(self.spark, self.lake, self.pipeline, self.versions)

    @cached_property
    def moments(self) -> Moments:
        return Moments.of(self.spark, self.pipeline, [each.day for each in self.intervals])

    @cached_property
    def asked(self) -> tuple[datetime, datetime]:
        # In UTC, since a span is so many hours, also where the clock is changed in it.
        at = [self.pipeline.at(interval.day).astimezone(UTC) for interval in self.intervals]
        return min(at), max(at)

    def rows(self, sample: int | None) -> DataFrame:
        features, sources = self.pipeline.features, self.pipeline.sources
        made = own = self._own(sample)
        newest: dict[tuple[str, ...], list[_Newest]] = {}
        for name, lookup in features.lookups.items():
            if sources[lookup.source(name)].valid_from is None:
                made = self._with_timeless(made, name, lookup)
            else:
                newest.setdefault(tuple(lookup.on), []).append(self._dated(name, lookup))
        for name, latest in features.latest.items():
            source = sources[latest.source(name)]
            told_by_key = {source.happened, *latest.on.values()} <= set(source.key)
            moved = source.on_conflict == "latest" and not told_by_key
            if latest.lag or moved:
                made = self._with_nth(made, name, latest)
            else:
                newest.setdefault(tuple(latest.on), []).append(self._latest(name, latest))
        for on, forms in newest.items():
            made = self._with_newest(made, forms, on)
        made = self._with_histories(made)
        if features.holidays:
            made = made.join(F.broadcast(self._holidays()), "_interval", "left")
        for index, step in enumerate(features.steps):
            made = self._with_step(made, step, f"features.steps[{index}]")
        made = with_target(made, self.silver, keys=own)
        made = made.join(F.broadcast(stamps(self.spark, self.intervals)), "_interval")
        key = sources[features.rows].key
        columns = dict.fromkeys([*key, *features.names, self.pipeline.target.name])
        return made.select(*columns, "_target_known_at", "_fingerprint", "_labels", "_interval")

    def _own(self, sample: int | None) -> DataFrame:
        """The rows of the intervals, with the features that are made of their own columns."""
        features, pipeline = self.pipeline.features, self.pipeline
        source = pipeline.sources[features.rows]
        event_time = str(source.event_time)
        begin = datetime.combine(self.moments.first, time(), tzinfo=pipeline.zone)
        end = datetime.combine(self.moments.last + _DAY, time(), tzinfo=pipeline.zone)
        # A clock that is changed at midnight makes the local day a little longer than that.
        bounds = (begin - timedelta(hours=2), end + timedelta(hours=2))
        rows = pit.with_interval(
            self.silver.rows(features.rows, **{event_time: bounds}), pipeline, event_time=event_time
        ).join(F.broadcast(self.moments.frame), "_interval")
        if sample is not None:
            rows = rows.orderBy(F.xxhash64(*source.key), *source.key).limit(sample)
        named = {n: F.expr(sql).alias(n) for n, sql in features.columns.items()}
        return _selected(
            rows,
            {f"features.columns.{name}": column for name, column in named.items()},
            pipeline,
            [
                *(F.col(name) for name in source.key if name not in named),
                *named.values(),
                *(F.col(name).alias(carried(name)) for name in features.carried),
                F.col("_interval"),
                F.col("_at"),
            ],
        )

    def _with_timeless(self, rows: DataFrame, name: str, lookup: Lookup) -> DataFrame:
        of = lookup.source(name)
        source = self.pipeline.sources[of]
        pairs = lookup.pairs(source)
        facts = self.silver.rows(of)
        theirs = [their for _, their in pairs]
        if {*theirs} != {*source.key}:
            self._demand_unique(facts, theirs, name, of)
        values = [F.col(column).alias(new) for new, column in lookup.columns.items()]
        right = keyed(facts, dict(pairs), *values)
        return rows.join(right, [carried(ours) for ours in dict(pairs)], "left")

    def _demand_unique(self, facts: DataFrame, columns: Sequence[str], name: str, of: str) -> None:
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
                at=self.pipeline.place(f"features.lookups.{name}"),
                hint=f"match it by {of}'s key, or declare `valid_from` if each holds for a time",
            )

    def _dated(self, name: str, lookup: Lookup) -> _Newest:
        """Columns of the row that held at `at`, as far as was known then."""
        of = lookup.source(name)
        source = self.pipeline.sources[of]
        facts = self.silver.rows(of).where(_usable(source) <= F.lit(self.asked[1]))
        ends = F.col(source.valid_to) if source.valid_to else F.lit(None).cast("timestamp")
        known = keyed(
            facts,
            dict(lookup.pairs(source)),
            *_moments(source),
            *_named(lookup.columns),
            ends.alias("_until"),
        )
        told = Facts(known, [*lookup.columns, "_until"], self.silver.size(of))
        return _Newest(
            told,
            [*lookup.columns],
            lambda own: own("_until").isNull() | (own("_until") > F.col("_at")),
        )

    def _latest(self, name: str, latest: Latest) -> _Newest:
        source = self.pipeline.sources[latest.source(name)]
        facts = keyed(
            self._recent(name, latest), latest.on, *_moments(source), *_named(latest.columns)
        )
        told = Facts(facts, [*latest.columns], self.silver.size(latest.source(name)))
        since = F.col("_at") - pit.seconds(latest.within)
        return _Newest(told, [*latest.columns], lambda own: own("_happened") >= since)

    def _recent(self, name: str, latest: Latest) -> DataFrame:
        """The rows of a source that may be the newest, for one interval or another."""
        source = self.pipeline.sources[latest.source(name)]
        reach = (self.asked[0] - latest.within, self.asked[1])
        facts = self.silver.rows(latest.source(name), **{source.happened: reach})
        return facts.where(F.col(source.clock) <= F.lit(reach[1]))

    def _with_newest(
        self, rows: DataFrame, forms: Sequence[_Newest], on: Sequence[str]
    ) -> DataFrame:
        """All forms that are matched by the same columns, in one pass."""
        keys = [carried(ours) for ours in on]
        count = sum(interval.rows for interval in self.intervals)
        found = newest(rows, [form.facts for form in forms], on=keys, count=count)
        values = [
            F.when(form.holds(_of_place(place)), _of_place(place)(column)).alias(column)
            for place, form in enumerate(forms)
            for column in form.columns
        ]
        return found.select(*rows.columns, *values)

    def _with_nth(self, rows: DataFrame, name: str, latest: Latest) -> DataFrame:
        """By going through every fact in reach: for corrections that move it, and for lags."""
        source = self.pipeline.sources[latest.source(name)]
        facts = self._recent(name, latest)
        if source.on_conflict == "latest":
            facts = self._all_versions(latest.source(name), facts, until=self.asked[1])
        facts = self._versions(facts, source)
        fact = F.struct(*_moments(source)[1:], *_named(latest.columns)).alias("_fact")
        first = F.col(source.happened).alias("_first")
        known = keyed(
            facts, latest.on, _moments(source)[0].alias("_known"), first, F.col("_until"), fact
        )
        on = [carried(ours) for ours in latest.on]
        # A span leaves out its beginning, and `within` does not.
        span = latest.within + timedelta(seconds=1)
        reached = pit.reaching(known, self.moments, span=span)
        found = pit.nth_newest(reached, on=on, order=["_happened", "_known"], nth=latest.lag)
        young = F.col("_fact._happened") >= F.col("_at") - pit.seconds(latest.within)
        values = [F.when(young, F.col(f"_fact.{new}")).alias(new) for new in latest.columns]
        return self._answered(rows, found.select(*on, "_interval", *values), latest.on)

    def _all_versions(self, of: str, facts: DataFrame, *, until: datetime) -> DataFrame:
        """The rows of the same keys too that are out of reach: what they were, or have become."""
        source = self.pipeline.sources[of]
        key = list(source.key)
        whole = self.silver.near(of, facts).where(F.col(source.clock) <= F.lit(until))
        return whole.join(facts.select(*key).distinct(), key, "left_semi")

    def _versions(self, facts: DataFrame, source: Source) -> DataFrame:
        """With `_first` and `_until`; where nothing is corrected each row stands for good."""
        if source.on_conflict != "latest":
            never = F.lit(None).cast("timestamp")
            return facts.withColumns({"_first": F.col(source.clock), "_until": never})
        return pit.versions(facts, key=source.key, known=source.clock)

    def _with_histories(self, rows: DataFrame) -> DataFrame:
        """Histories and encodings; those of one source and key are made in one pass."""
        features = self.pipeline.features
        groups: dict[tuple[str, tuple[tuple[str, str], ...], bool], list[str]] = {}
        forms = features.grouped
        for name, form in forms.items():
            linked = about_of(self.pipeline, form) is not None
            groups.setdefault((form.of, tuple(form.by.items()), linked), []).append(name)
        for (of, by, _), names in groups.items():
            on = [carried(ours) for ours, _ in by]
            declared = {name: forms[name] for name in names}
            facts = self._facts(of, dict(by), declared)
            aggregates = [
                each for name, form in declared.items() for each in _aggregates(name, form)
            ]
            try:
                answers = pit.aggregated(facts, aggregates, self.moments, on=on)
            except AnalysisException as error:
                raise self._blamed(facts, declared, error) from error
            rows = self._answered(rows, answers, dict(by))
            encodings = {name: f for name, f in declared.items() if isinstance(f, Encoding)}
            if encodings:
                rows = pit.encoded(rows, answers, encodings, on=on)
        return rows

    def _facts(
        self, of: str, by: Mapping[str, str], forms: Mapping[str, History | Encoding]
    ) -> DataFrame:
        """What the forms use of the facts in reach, with `_known`, `_first` and `_until`.

        With a total `_order` where it matters: for sums of floats, and for the newest of some.
        """
        source = self.pipeline.sources[of]
        span = max(form.over for form in forms.values())
        reach = (self.asked[0] - span, self.asked[1])
        facts = self.silver.rows(of, **{source.clock: reach})
        if source.on_conflict == "latest":
            facts = self._all_versions(of, facts, until=reach[1])
        facts = self._versions(facts, source)
        types = dict(source.columns)
        about = next(filter(None, (about_of(self.pipeline, f) for f in forms.values())), None)
        if about is not None:
            name = str(source.references)
            extra = {c: kind for c, kind in about.columns.items() if c not in types}
            behind = self.silver.near(name, facts).select(*source.key, *extra)
            facts = facts.join(behind, list(source.key))
            types |= extra
        used = {c for f in forms.values() if f.value for c in columns_of(f.value)}
        floats = any(types[c] is ColumnType.DOUBLE for c in used)
        means = any(isinstance(f, Encoding) and f.kind == "mean" for f in forms.values())
        lasts = any(isinstance(f, History) and f.last for f in forms.values())
        order = [F.struct(*source.key).alias("_order")] if floats or means or lasts else []
        moments = [F.col(source.clock).alias("_known"), F.col("_first"), F.col("_until")]
        return keyed(facts, by, *map(F.col, sorted(used)), *moments, *order)

    def _blamed(
        self, facts: DataFrame, forms: Mapping[str, History | Encoding], error: AnalysisException
    ) -> FeatureError:
        for name, form in forms.items():
            for each in _aggregates(name, form):
                try:
                    facts.agg(F.expr(each.sql))
                except AnalysisException as found:
                    kind = "history" if isinstance(form, History) else "encodings"
                    return _wrong(self.pipeline, f"features.{kind}.{name}.value", found)
        return _wrong(self.pipeline, "features.history", error)

    def _holidays(self) -> DataFrame:
        declared = self.pipeline.features.holidays
        rows = [
            (each.day, *(holiday_value(holiday, each.day) for holiday in declared.values()))
            for each in self.intervals
        ]
        kinds = {"is_holiday": "boolean", "days_until": "int", "days_since": "int"}
        schema = ", ".join(f"{name} {kinds[holiday.value]}" for name, holiday in declared.items())
        return self.spark.createDataFrame(rows, f"_interval date, {schema}")

    def _with_step(self, rows: DataFrame, step: Step, path: str) -> DataFrame:
        module, _, function = step.function.partition(":")
        place = self.pipeline.place(path)
        try:
            made: object = getattr(import_module(module), function)(rows)
        except Exception as error:
            message = f"step {step.function} failed: {type(error).__name__}: {error}"
            raise FeatureError(message, at=place, hint="mend the function") from error
        if not isinstance(made, DataFrame):
            message = f"step {step.function} returned {type(made).__name__}, not a DataFrame"
            raise FeatureError(message, at=place, hint="return the frame it was given, with `adds`")
        doubled = [name for name, times in Counter(made.columns).items() if times > 1]
        if doubled:
            message = f"step {step.function} returned column {doubled[0]} twice"
            raise FeatureError(message, at=place, hint="join with one of the two dropped")
        odd = [n for n in step.adds if n in made.columns and not _is_plain(made.schema[n].dataType)]
        if odd:
            kind = made.schema[odd[0]].dataType.simpleString()
            message = f"step {step.function} made {odd[0]} of type {kind}, which no feature can be"
            raise FeatureError(message, at=place, hint="cast it to int, double, string or the like")
        lost = [name for name in (*rows.columns, *step.adds) if name not in made.columns]
        if lost:
            shown = sorted(lost, key=lambda name: name.startswith("_"))[:8]  # ours last
            message = f"step {step.function} returned no column {', '.join(shown)}"
            raise FeatureError(
                message, at=place, hint="return the frame it was given, with `adds` added to it"
            )
        return made.select(*rows.columns, *(name for name in step.adds if name not in rows.columns))

    def _answered(self, rows: DataFrame, answers: DataFrame, on: Iterable[str]) -> DataFrame:
        """Each row with the answer for its key and interval; nulls where there is none.

        The answers are computed and kept, so that Spark knows their size before it plans the join:
        mostly they are few, then they go to the rows, and the rows need no shuffle.
        """
        small = answers.persist()
        self.kept.callback(small.unpersist)
        small.count()
        return rows.join(small, [*map(carried, on), "_interval"], "left")


def _is_plain(kind: DataType) -> bool:
    return isinstance(kind, AtomicType) and not isinstance(kind, BinaryType | NullType)


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


def _aggregates(name: str, form: History | Encoding) -> list[Aggregate]:
    if isinstance(form, History):
        return [Aggregate(name, form.value, form.over, form.last)]
    if form.kind == "frequency":
        return [Aggregate(f"_n_{name}", "count(1)", form.over)]
    value = f"cast(({form.value}\n) as double)"
    return [
        Aggregate(f"_n_{name}", f"count({value})", form.over),
        Aggregate(f"_s_{name}", f"sum({value})", form.over),
    ]


def _selected(
    rows: DataFrame, named: Mapping[str, Column], pipeline: Pipeline, columns: Sequence[Column]
) -> DataFrame:
    """The columns; where Spark refuses one that is declared, its place in the file is told."""
    try:
        return rows.select(*columns)
    except AnalysisException as error:
        for path, column in named.items():
            try:
                rows.select(column)
            except AnalysisException as found:
                raise _wrong(pipeline, path, found) from error
        raise


def _wrong(pipeline: Pipeline, path: str, error: AnalysisException) -> FeatureError:
    said = str(error).strip().partition("\n")[0].partition("] ")
    message = f"Spark refuses the expression: {(said[2] or said[0]).partition('; line')[0]}"
    return FeatureError(message, at=pipeline.place(path), hint="mend it in the pipeline file")

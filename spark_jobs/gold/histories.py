"""Histories and encodings: aggregates of what was known before each interval, group by group."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from headrace.errors import FeatureError
from headrace.intervals import about_of
from headrace.spec.expressions import columns_of
from headrace.spec.forms import Encoding, History
from headrace.spec.model import ColumnType, Pipeline
from spark_jobs.gold import point_in_time as pit
from spark_jobs.gold.build import Build
from spark_jobs.gold.point_in_time import Aggregate, carried, keyed
from spark_jobs.gold.refused import refused
from spark_jobs.gold.silver import standing


def with_histories(rows: DataFrame, build: Build) -> DataFrame:
    """Adds histories and encodings; those of one source and key are made in one pass.

    Raises:
        FeatureError: Spark refuses the value of one.
    """
    pipeline = build.pipeline
    groups: dict[tuple[str, tuple[tuple[str, str], ...], bool], list[str]] = {}
    forms = pipeline.features.grouped
    for name, form in forms.items():
        linked = about_of(pipeline, form) is not None
        groups.setdefault((form.of, tuple(form.by.items()), linked), []).append(name)
    for (of, by, _), names in groups.items():
        on = [carried(ours) for ours, _ in by]
        declared = {name: forms[name] for name in names}
        facts = _facts(build, of, dict(by), forms=declared)
        aggregates = [each for name, form in declared.items() for each in _aggregates(name, form)]
        try:
            answers = pit.aggregated(facts, aggregates, build.moments, on=on)
        except AnalysisException as error:
            raise _blamed(facts, declared, pipeline, error=error) from error
        rows = build.answered(rows, answers, dict(by))
        encodings = {name: f for name, f in declared.items() if isinstance(f, Encoding)}
        if encodings:
            rows = pit.encoded(rows, answers, encodings, on=on)
    return rows


def _facts(
    build: Build, of: str, by: Mapping[str, str], *, forms: Mapping[str, History | Encoding]
) -> DataFrame:
    """What the forms use of the facts in reach, with `_known`, `_first` and `_until`.

    With a total `_order` where it matters: for sums of floats, and for the newest of some.
    """
    source = build.pipeline.sources[of]
    span = max(form.over for form in forms.values())
    reach = (build.asked[0] - span, build.asked[1])
    facts = build.silver.rows(of, **{source.clock: reach})
    if source.on_conflict == "latest":
        facts = build.silver.all_versions(of, facts, until=reach[1])
    facts = standing(facts, source)
    types = dict(source.columns)
    about = next(filter(None, (about_of(build.pipeline, f) for f in forms.values())), None)
    if about is not None:
        name = str(source.references)
        extra = {c: kind for c, kind in about.columns.items() if c not in types}
        behind = build.silver.near(name, facts).select(*source.key, *extra)
        facts = facts.join(behind, list(source.key))
        types |= extra
    used = {c for f in forms.values() if f.value for c in columns_of(f.value)}
    floats = any(types[c] is ColumnType.DOUBLE for c in used)
    means = any(isinstance(f, Encoding) and f.kind == "mean" for f in forms.values())
    lasts = any(isinstance(f, History) and f.last for f in forms.values())
    order = [F.struct(*source.key).alias("_order")] if floats or means or lasts else []
    moments = [F.col(source.clock).alias("_known"), F.col("_first"), F.col("_until")]
    return keyed(facts, by, *map(F.col, sorted(used)), *moments, *order)


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


def _blamed(
    facts: DataFrame,
    forms: Mapping[str, History | Encoding],
    pipeline: Pipeline,
    *,
    error: AnalysisException,
) -> FeatureError:
    """The one of the forms whose value Spark refuses."""
    for name, form in forms.items():
        for each in _aggregates(name, form):
            try:
                facts.agg(F.expr(each.sql))
            except AnalysisException as found:
                kind = "history" if isinstance(form, History) else "encodings"
                return refused(pipeline, f"features.{kind}.{name}.value", found)
    return refused(pipeline, "features.history", error)

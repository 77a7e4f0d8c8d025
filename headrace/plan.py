"""What a run would do, and why: from file digests and Delta logs alone, with no engine started."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from headrace.intervals import SCORE_VERSION, FeaturesDue, features_due
from headrace.lake import Lake, Table, application_id, digest, landing
from headrace.lake.formats import inspector
from headrace.lake.landing import Landing
from headrace.spec import landing_glob
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, Stage

_STALE_SCORES = "its features changed; `headrace backfill --stale` scores it again"


def plan(pipeline: Pipeline, lake: Lake, landings: Mapping[str, Landing]) -> list[Stage]:
    """Every unit of work of a pipeline and what is known of it, in the order of the stages.

    Args:
        pipeline: What is declared.
        lake: What stands.
        landings: Source -> what its landing folder holds, from `headrace.lake.landing.look`.
    """
    arriving = [stage for name, found in landings.items() for stage in _arrivals(name, found, lake)]
    incoming = any(stage.outcome is Outcome.MISSING for stage in arriving)
    due = features_due(pipeline, lake)
    features = list(_features(pipeline, due, incoming=incoming))
    trainings = list(_trainings(pipeline, lake, due, waiting=bool(due.missing) or incoming))
    scores = list(_scores(pipeline, lake, due, waiting=incoming))
    return [*arriving, *features, *trainings, *scores]


def look(pipeline: Pipeline, lake: Lake) -> dict[str, Landing]:
    """What lies in every source's landing folder, sources side by side.

    Raises:
        UnreadableInput: A folder does not exist, or holds no file of the source.
    """
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda name: look_at(pipeline, lake, name), pipeline.sources)
        return dict(zip(pipeline.sources, found, strict=True))


def look_at(pipeline: Pipeline, lake: Lake, name: str) -> Landing:
    """What lies in the landing folder of one source."""
    source = pipeline.sources[name]
    pattern = landing_glob(pipeline, name)
    inspect = inspector(source.format, delimiter=source.delimiter, quote=source.quote)
    return landing.look(lake, name, pattern, inspect=inspect)


def trainings_due(pipeline: Pipeline, lake: Lake, *, until: date | None) -> list[date]:
    """Days whose training is due and not done: `first`, then each `every`, up to `until`."""
    table = Table.if_exists(lake.evaluations)
    return [day for day in _training_days(pipeline, until) if not _trained(pipeline, table, day)]


def scores_due(pipeline: Pipeline, lake: Lake, *, stale: bool = False) -> list[date]:
    """Intervals with features, from the first training on, that have no scores.

    With `stale` also those whose scores were made of other features than stand now.
    """
    made = Table.if_exists(lake.gold(pipeline.name))
    days = sorted(_stamps(made))
    return unscored(
        pipeline,
        made,
        Table.if_exists(lake.scores(pipeline.name)),
        [day for day in days if day >= pipeline.training.first],
        stale=stale,
    )


def unscored(
    pipeline: Pipeline,
    gold: Table | None,
    scores: Table | None,
    days: Iterable[date],
    *,
    stale: bool = False,
) -> list[date]:
    """Those of the days without scores; with `stale` also those whose features changed since."""
    made, scored = _stamps(gold), _stamps(scores)
    return [
        day
        for day in days
        if not _scored(pipeline, scores, day) or (stale and _is_stale(day, made, scored))
    ]


def _stamps(table: Table | None) -> dict[date, str | None]:
    """Interval -> fingerprint, as the log of a partitioned table tells."""
    files = table.files if table else ()
    return {file.partition["_interval"]: file.least.get("_fingerprint") for file in files}


def _is_stale(
    day: date, made: Mapping[date, str | None], scored: Mapping[date, str | None]
) -> bool:
    return bool(scored.get(day)) and day in made and scored[day] != digest(made[day], SCORE_VERSION)


def _training_days(pipeline: Pipeline, until: date | None) -> Iterable[date]:
    day = pipeline.training.first
    while until is not None and day <= until:
        yield day
        day += pipeline.training.every


def _trained(pipeline: Pipeline, evaluations: Table | None, day: date) -> bool:
    return evaluations is not None and bool(
        evaluations.recorded(application_id(pipeline.name, "train", day.isoformat()))
    )


def _scored(pipeline: Pipeline, scores: Table | None, day: date) -> bool:
    return scores is not None and bool(
        scores.recorded(application_id(pipeline.name, "score", day.isoformat()))
    )


def _arrivals(name: str, found: Landing, lake: Lake) -> Iterable[Stage]:
    bronze = Table.if_exists(lake.bronze(name))
    for batch in found.pending:
        files = f"{len(batch.files)} new file{'s' if len(batch.files) > 1 else ''}"
        ingested = bronze is not None and bool(
            bronze.recorded(application_id(name, "ingest", batch.id))
        )
        yield _stage(
            "ingest", name, batch.id, Outcome.ALREADY_DONE if ingested else Outcome.MISSING, files
        )
        yield _stage(
            "check",
            name,
            batch.id,
            Outcome.MISSING,
            "in bronze, not published" if ingested else files,
        )
    if found.new_problems:
        names = ", ".join(file.name for file in found.new_problems[:3])
        yield _stage("ingest", name, "set aside", Outcome.MISSING, f"cannot be read: {names}")
    if found.growing:
        why = f"still growing: {', '.join(found.growing[:3])}"
        yield _stage("ingest", name, "growing", Outcome.WAITING, why)
    if not found.pending:
        why = f"{found.published} file{'s' if found.published != 1 else ''} published"
        if found.set_aside:
            why += f", {len(found.set_aside)} set aside: " + ", ".join(
                Path(f.name).name for f in found.set_aside[:3]
            )
        yield _stage("ingest", name, "all files", Outcome.ALREADY_DONE, why)
        yield _stage("check", name, "all batches", Outcome.ALREADY_DONE, why)


def _features(pipeline: Pipeline, due: FeaturesDue, *, incoming: bool) -> Iterable[Stage]:
    stale = {interval.day for interval in due.stale}
    for part, outcome, why in (
        (due.missing, Outcome.MISSING, "no features yet"),
        (due.unlabelled, Outcome.MISSING, "targets became known"),
        (
            due.stale,
            Outcome.STALE,
            "its inputs or its declaration changed; `headrace backfill --stale` builds it again",
        ),
        (due.current, Outcome.ALREADY_DONE, "same inputs, same declaration"),
    ):
        for interval in part:
            if outcome is not Outcome.ALREADY_DONE or interval.day not in stale:
                yield _stage(
                    "features",
                    pipeline.name,
                    interval.day.isoformat(),
                    outcome,
                    why,
                    interval.fingerprint,
                )
    if incoming:
        yield _stage(
            "features", pipeline.name, "new rows", Outcome.WAITING, "for new files to be published"
        )


def _trainings(
    pipeline: Pipeline, lake: Lake, due: FeaturesDue, *, waiting: bool
) -> Iterable[Stage]:
    table = Table.if_exists(lake.evaluations)
    until = max(due.days, default=None)
    for day in _training_days(pipeline, until):
        done = _trained(pipeline, table, day)
        outcome = Outcome.ALREADY_DONE if done else Outcome.WAITING if waiting else Outcome.MISSING
        why = "its evaluation stands" if done else f"due every {pipeline.training.every.days} days"
        yield _stage("train", pipeline.name, day.isoformat(), outcome, why)
    if until is None:
        yield _stage(
            "train",
            pipeline.name,
            pipeline.training.first.isoformat(),
            Outcome.WAITING,
            "for features",
        )


def _scores(pipeline: Pipeline, lake: Lake, due: FeaturesDue, *, waiting: bool) -> Iterable[Stage]:
    table = Table.if_exists(lake.scores(pipeline.name))
    made, scored = _stamps(Table.if_exists(lake.gold(pipeline.name))), _stamps(table)
    for day in (day for day in due.days if day >= pipeline.training.first):
        if _scored(pipeline, table, day):
            stale = _is_stale(day, made, scored)
            outcome = Outcome.STALE if stale else Outcome.ALREADY_DONE
            why = _STALE_SCORES if stale else "scored"
        else:
            outcome = Outcome.MISSING if day in made else Outcome.WAITING
            why = "no scores yet"
        yield _stage("score", pipeline.name, day.isoformat(), outcome, why)
    if waiting or not due.days:
        yield _stage("score", pipeline.name, "new rows", Outcome.WAITING, "for features")


def _stage(  # noqa: PLR0917 - in the order of the table that people read
    name: str, subject: str, unit: str, outcome: Outcome, why: str, fingerprint: str = ""
) -> Stage:
    return Stage(
        name=name,
        subject=subject,
        unit=unit,
        fingerprint=fingerprint or unit,
        outcome=outcome,
        why=why,
    )

"""Puts the page of a run, or of a profile, together and writes it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from headrace import held
from headrace.errors import CorruptArtifact
from headrace.lake import Lake
from headrace.models.algorithms.algorithm import Task
from headrace.profiles import Profile
from headrace.report import wording
from headrace.report.audit import audit
from headrace.report.balance import balances
from headrace.report.charts import ErrorBars, day_chart, error_bars
from headrace.report.closer import closer
from headrace.report.distributions import distributions
from headrace.report.drift import drift
from headrace.report.flow import TITLES, flow
from headrace.report.index import INDEX, listed_runs
from headrace.report.inspection import inspection
from headrace.report.outcome import finding
from headrace.report.pairs import pairs
from headrace.report.profiles import PROFILE, drawn, newest_profiles, page_of
from headrace.report.records import Records, read_records
from headrace.report.scores import scores, series
from headrace.report.search import curve_charts
from headrace.report.timings import processor_seconds, scoring_cost, timings
from headrace.report.training import Estimate, Training, higher_is_better, title, told, training
from headrace.report.verdicts import source_checks
from headrace.report.versions import versions
from headrace.spec.model import Pipeline


def write(pipeline: Pipeline, lake: Lake, *, run: str, core_hour_price: str | None = None) -> Path:
    """Writes the page of a run, and the list of all; running again replaces both.

    Args:
        pipeline: What is declared.
        lake: The lake.
        run: The run.
        core_hour_price: Amount and currency, as the setting has it; without it no price is told.

    Raises:
        UsageError: There is no such run.
    """
    html = render(pipeline, lake, run=run, core_hour_price=core_hour_price)
    page = _save(html, lake.report(run))
    write_index(lake)
    return page


def write_index(lake: Lake) -> Path:
    """Writes `reports/index.html`, which lists the pages that stand beside it."""
    pages = _pages(lake)
    html = (
        _environment()
        .get_template("index.html")
        .render(
            runs=listed_runs(lake, pages),
            pages=len(pages),
            profiles=sorted(path.name for path in lake.report(INDEX).parent.glob(f"{PROFILE}*")),
            written=datetime.now(UTC),
        )
    )
    return _save(html, lake.report(INDEX))


def write_profile(lake: Lake, profile: Profile) -> Path:
    """Writes the page of a profile; running again replaces it by the same."""
    html = _environment().get_template("profile.html").render(**drawn(profile))
    return _save(html, page_of(lake, profile))


def _save(html: str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(html.encode("utf-8", "replace"))
    partial.replace(path)
    return path


def latest(lake: Lake) -> Path | None:
    """The page of a run that was written last, or None."""
    return max(_pages(lake), key=lambda path: (path.stat().st_mtime, path.name), default=None)


def _pages(lake: Lake) -> list[Path]:
    """The pages of runs."""
    return [
        path
        for path in (lake.root / "reports").glob("*.html")
        if not path.name.startswith((".", PROFILE)) and path.stem != INDEX
    ]


def render(pipeline: Pipeline, lake: Lake, *, run: str, core_hour_price: str | None = None) -> str:
    """The page of a run as HTML."""
    records = read_records(pipeline, lake, run=run)
    balanced = balances(pipeline, lake, records)
    checks = source_checks(pipeline, lake, records)
    trained = training(pipeline, records)
    scored = scores(pipeline, lake, records)
    drawn_by, of_values = series(pipeline.target), pipeline.target.task is Task.REGRESSION
    looked_at = newest_profiles(lake, pipeline)
    models = scored.models if scored else ()
    if trained and trained.model and trained.model not in models:
        models = (trained.model, *models)
    return (
        _environment()
        .get_template("page.html")
        .render(
            pipeline=pipeline,
            run=run,
            records=records,
            finding=finding(pipeline, records, balances=balanced, checks=checks, scores=scored),
            balances=balanced,
            flow=flow(pipeline, balanced, records),
            flow_titles=TITLES,
            set_aside=_set_aside(pipeline, records),
            checks=checks,
            audit=audit(pipeline, lake, records),
            training=trained,
            error_bars_of={name: error_bars(found) for name, found in trained.estimates.items()}
            if trained
            else {},
            closer=closer(trained),
            gain_bars=_gain_bars(trained) if trained else None,
            curve_charts=curve_charts(trained.record.result.detail) if trained else [],
            inspection=inspection(trained),
            scores=scored,
            held=_held(pipeline, lake),
            drift=drift(pipeline, lake, records, trained=trained),
            distributions=distributions(scored, trained, task=pipeline.target.task),
            pairs=pairs(pipeline, lake, [one for one, _ in looked_at], trained=trained),
            timings=timings(records),
            processor_seconds=processor_seconds(records),
            scoring_cost=scoring_cost(scored.record.result if scored else None, core_hour_price),
            series=drawn_by,
            day_chart=day_chart(scored.days, drawn_by, from_zero=not of_values)
            if scored and scored.days
            else None,
            profiles=looked_at,
            versions=versions(lake, records, pipeline=pipeline.name, models=models),
            written=datetime.now(UTC),
        )
    )


def _set_aside(pipeline: Pipeline, records: Records) -> list[tuple[str, list[Any], list[str]]]:
    """Source, files set aside with their problems, other notes; sources that have either."""
    told = []
    for source in pipeline.sources:
        result = records.find("ingest", source)
        if result is not None:
            files = result.detail.get("set_aside") or []
            told.append(
                (source, files, [note for note in result.notes if not _repeats(note, files)])
            )
    return [entry for entry in told if entry[1] or entry[2]]


def _held(pipeline: Pipeline, lake: Lake) -> list[held.Held]:
    """What waits for a person; nothing where a table is damaged, which `headrace verify` tells."""
    try:
        return held.everything(lake, pipeline.name)
    except CorruptArtifact:
        return []


def _repeats(note: str, files: list[Any]) -> bool:
    return any(str(file.get("file")) in note for file in files)


def _gain_bars(trained: Training) -> ErrorBars | None:
    """The gain against no gain; in the winner's colour only if its interval excludes zero."""
    gain = trained.gain
    if gain.get("value") is None:
        return None
    low = gain.get("low")
    role = "gain" if low is not None and low > 0 else "baseline"
    estimate = Estimate("gain", role, gain["value"], low, gain.get("high"))
    return error_bars([estimate], with_zero=True)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("headrace.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": wording.count,
        "metric": wording.metric,
        "percent": wording.percent,
        "figure": wording.figure,
        "duration": wording.duration,
        "moment": wording.moment,
        "shown": wording.shown,
        "observed": wording.observed,
        "span": wording.span,
        "listed": wording.listed,
        "title_of_metric": title,
        "of_metric": told,
        "higher_is_better": higher_is_better,
    }
    return environment

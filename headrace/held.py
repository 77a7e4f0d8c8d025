"""What the guard of stability holds until a named person releases it: forecasts, and models.

Forecasts of an interval are scored into `held`, not into `scores`; a model that the gate would
have promoted is stored, and not made champion. `headrace.release` releases them. Nothing leaves
`held`: what was released can be told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import UsageError
from headrace.evaluation import history
from headrace.evaluation.history import Trained
from headrace.evaluation.inspection.stability import Verdict
from headrace.lake import Lake, Table, application_id
from headrace.models import registry
from headrace.spec.problems import nearest

_INTERVAL = "_interval"
_MOMENT = pa.timestamp("us", "UTC")
RELEASES = pa.schema(
    [
        ("pipeline", pa.string()),
        ("kind", pa.string()),
        ("unit", pa.string()),
        ("content", pa.string()),
        ("rows", pa.int64()),
        ("by", pa.string()),
        ("reason", pa.string()),
        ("released_at", _MOMENT),
    ]
)
_OF_A_PREDICTION = "prediction "  # how the reason of a row begins that was refused for its score
FEWEST_DIGITS = 4  # of a model's digest


class Kind(StrEnum):
    """What is held."""

    FORECASTS = "forecasts"
    MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class Release:
    """One row of `releases`.

    Attributes:
        pipeline: The pipeline.
        kind: Of what was held.
        unit: The interval, or the digest of the model.
        content: Which scoring of the interval, so that another one is not released with it.
        rows: How many forecasts.
        by: The person.
        reason: Theirs.
        released_at: When, UTC.
    """

    pipeline: str
    kind: str
    unit: str
    content: str
    rows: int
    by: str
    reason: str
    released_at: datetime


@dataclass(frozen=True, kw_only=True)
class Held:
    """The forecasts of an interval, or a model, that were held.

    Attributes:
        kind: Which of the two.
        unit: The interval, or the digest of the model.
        content: As in `Release`.
        rows: How many forecasts; 0 for a model.
        why: The reason, of the farthest forecast, in a sentence.
        model: The digest of the model.
        run: The run that held them.
        scoring: Number of the interval's scoring, which is the next to be committed; else 0.
        release: Who released it, if anyone has.
        published: Whether the forecasts are among the scores, or the model was made champion.
    """

    kind: Kind
    unit: str
    content: str
    rows: int
    why: str
    model: str
    run: str
    scoring: int
    release: Release | None
    published: bool

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values, but for the moment."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**told, "release": vars(self.release) if self.release else None}


def everything(lake: Lake, pipeline: str) -> list[Held]:
    """Everything of a pipeline that was ever held and still stands, released or not.

    Models first, then intervals, each in order of time. Reads no scores.
    """
    return [*models(lake, pipeline), *_forecasts(lake, pipeline)]


def models(lake: Lake, pipeline: str) -> list[Held]:
    """The models that trainings held, released or not, in order of time."""
    trainings = [
        trained
        for trained in history.trainings(lake, pipeline)
        if trained.result.detail.get("held", {}).get("verdict") == Verdict.HELD
    ]
    if not trainings:
        return []
    made = _by_unit(lake, pipeline)
    promoted = {row.model for row in registry.promotions(lake, pipeline)}
    return [_model(trained, made, promoted) for trained in trainings]


def releases(lake: Lake, pipeline: str) -> list[Release]:
    """The releases of a pipeline, oldest first."""
    table = Table.if_exists(lake.releases)
    rows = table.arrow(RELEASES.names).to_pylist() if table else []
    mine = [Release(**row) for row in rows if row["pipeline"] == pipeline]
    return sorted(mine, key=lambda each: each.released_at)


def waiting(lake: Lake, pipeline: str) -> dict[date, int]:
    """Interval -> forecasts that are held and not among its scores; read from the logs alone."""
    standing = _scorings(lake, pipeline).items()
    return {day: scoring.rows for day, scoring in standing if not scoring.published}


def rows_of(lake: Lake, pipeline: str, *, day: date) -> pa.Table | None:
    """The forecasts of an interval that were held, released or not; None where none were."""
    table = Table.if_exists(lake.held(pipeline))
    if table is None:
        return None
    rows = table.arrow(partitions={_INTERVAL: [day]})
    return rows if rows.num_rows else None


def named(lake: Lake, pipeline: str, unit: str) -> Held:
    """What a person means by an interval, or by how a digest begins.

    Raises:
        UsageError: Nothing of the sort is held; or it was refused, which no one can release.
    """
    known = everything(lake, pipeline)
    found = [each for each in known if each.unit == unit]
    if not found and len(unit) >= FEWEST_DIGITS:
        found = [
            each for each in known if each.kind is Kind.MODEL and each.unit.startswith(unit.lower())
        ]
    if len(found) == 1:
        return found[0]
    if found:
        message = f"{unit!r} is the beginning of {len(found)} models that were held"
        raise UsageError(message, hint=f"give more of one: {_listed(found)}")
    if refused := _refused(lake, pipeline, unit):
        raise UsageError(
            refused,
            pipeline=pipeline,
            hint="what is refused cannot be released: mend the features or train another model",
        )
    near = nearest(unit, [each.unit for each in known])
    message = f"nothing of {unit!r} is held" + (f"; did you mean {near!r}?" if near else "")
    open_ones = [each for each in known if not each.published] or known
    hint = f"there are {_listed(open_ones)}" if known else "nothing of this pipeline was ever held"
    raise UsageError(message, pipeline=pipeline, hint=hint)


@dataclass(frozen=True)
class _Scoring:
    """The newest scoring of an interval, of which forecasts were held.

    Attributes:
        number: Its number.
        fingerprint: Of the features that it used.
        rows: How many forecasts were held.
        published: Whether they were released since.
    """

    number: int
    fingerprint: str
    rows: int
    published: bool


def _scorings(lake: Lake, pipeline: str) -> dict[date, _Scoring]:
    """Each interval with forecasts that were held by the scoring that stands; by the logs alone.

    The number that the log of scores records for an interval grows by one with each scoring and
    with each release, so it tells them apart: held by the scoring that it names, it waits; by the
    one before, it was released.
    """
    table, scores = (Table.if_exists(of(pipeline)) for of in (lake.held, lake.scores))
    if table is None or scores is None:
        return {}
    stamps = {f.partition[_INTERVAL]: f.least.get("_fingerprint") for f in scores.files if f.rows}
    files = [file for file in table.files if file.rows]
    rows: Counter[date] = Counter()
    for file in files:
        rows[file.partition[_INTERVAL]] += file.rows or 0
    found = {}
    for file in files:
        day = file.partition[_INTERVAL]
        number, fingerprint = file.least["_scoring"], file.least["_fingerprint"]
        recorded = scores.recorded(application_id(pipeline, "score", day.isoformat())) or 0
        same = stamps.get(day) in {None, fingerprint}
        if recorded not in {number, number + 1} or not same:
            continue  # of a scoring that was ended before its scores stood: it will be done again
        found[day] = _Scoring(number, fingerprint, rows[day], recorded == number + 1)
    return dict(sorted(found.items()))


def _forecasts(lake: Lake, pipeline: str) -> Iterator[Held]:
    """Of each interval, the newest scoring, if its scores were committed."""
    standing = _scorings(lake, pipeline)
    if not standing:
        return
    made, days = _by_unit(lake, pipeline), {day: list[dict[str, Any]]() for day in standing}
    columns = [_INTERVAL, "_reason", "_model", "_run"]
    rows = Table(lake.held(pipeline)).arrow(columns, partitions={_INTERVAL: list(standing)})
    for row in rows.to_pylist():
        days[row[_INTERVAL]].append(row)
    for day, scoring in standing.items():
        unit, content = day.isoformat(), f"{scoring.number}.{scoring.fingerprint[:8]}"
        farthest = max(days[day], key=lambda row: (_times(row["_reason"]), row["_reason"]))
        yield Held(
            kind=Kind.FORECASTS,
            unit=unit,
            content=content,
            rows=scoring.rows,
            why=farthest["_reason"],
            model=farthest["_model"],
            run=farthest["_run"],
            scoring=scoring.number,
            release=made.get((Kind.FORECASTS, unit, content)),
            published=scoring.published,
        )


def _model(
    trained: Trained, made: Mapping[tuple[str, str, str], Release], promoted: Collection[str]
) -> Held:
    told = trained.result.detail["held"]
    stability = trained.result.detail["inspection"]["stability"]
    return Held(
        kind=Kind.MODEL,
        unit=told["model"],
        content="model",
        rows=0,
        why=f"{told['candidate']} of {trained.result.units[0]}: {stability['sentence']}",
        model=told["model"],
        run=trained.run,
        scoring=0,
        release=made.get((Kind.MODEL, told["model"], "model")),
        published=told["model"] in promoted,
    )


def _by_unit(lake: Lake, pipeline: str) -> dict[tuple[str, str, str], Release]:
    return {(each.kind, each.unit, each.content): each for each in releases(lake, pipeline)}


def _refused(lake: Lake, pipeline: str, unit: str) -> str:
    """What was refused by this name, in a sentence; nothing where nothing was."""
    for trained in history.trainings(lake, pipeline):
        told, decision = (trained.result.detail.get(name, {}) for name in ("held", "decision"))
        mine = len(unit) >= FEWEST_DIGITS and str(told.get("model")).startswith(unit.lower())
        if mine and told["verdict"] == Verdict.REFUSED:
            return f"the model {told['model']} was refused: {decision['sentence']}"
    table = Table.if_exists(lake.refused(pipeline))
    files = table.files if table else ()
    days = {str(file.partition[_INTERVAL]): file.partition[_INTERVAL] for file in files}
    if table is None or unit not in days:
        return ""
    reasons = table.arrow(["_reason"], partitions={_INTERVAL: [days[unit]]})["_reason"]
    found = reasons.filter(pc.starts_with(reasons, _OF_A_PREDICTION))
    if not len(found):
        return ""
    return f"{len(found):,} forecasts of {unit} were refused, such as: {found[0].as_py()}"


def _times(reason: str) -> float:
    """How far a forecast is from the median, in ranges, as its reason tells."""
    found = re.search(r" is ([\d,]+) times ", reason)
    return float(found[1].replace(",", "")) if found else 0.0


def _listed(found: Iterable[Held]) -> str:
    return ", ".join(each.unit if each.kind is Kind.FORECASTS else each.unit[:12] for each in found)

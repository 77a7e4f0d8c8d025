"""What the guard of stability holds until a named person releases it: forecasts, and models.

Forecasts of an interval are scored into `held`, not into `scores`; a model that the gate would
have promoted is stored, and not made champion. A release is a row of `releases` first; then its
forecasts go into `scores` in one commit, or its model becomes champion. A release that was ended
between the two is completed by the next one. Nothing leaves `held`: what was released can be told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import UsageError
from headrace.evaluation import history
from headrace.evaluation.inspection.stability import Verdict
from headrace.lake import Lake, Table, append, application_id, commit, stage_file
from headrace.lake.history import history as events_of
from headrace.models import registry
from headrace.spec.problems import nearest

_INTERVAL = "_interval"
_MOMENT = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
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
_FEWEST_DIGITS = 4  # of a model's digest


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
    made = {(each.kind, each.unit, each.content): each for each in releases(lake, pipeline)}
    return [*_models(lake, pipeline, made), *_forecasts(lake, pipeline, made)]


def releases(lake: Lake, pipeline: str) -> list[Release]:
    """The releases of a pipeline, oldest first."""
    table = Table.if_exists(lake.releases)
    rows = table.arrow(_SCHEMA.names).to_pylist() if table else []
    mine = [Release(**row) for row in rows if row["pipeline"] == pipeline]
    return sorted(mine, key=lambda each: each.released_at)


def waiting(lake: Lake, pipeline: str) -> dict[date, int]:
    """Interval -> forecasts that are held and not among its scores."""
    return {
        date.fromisoformat(each.unit): each.rows
        for each in _forecasts(lake, pipeline, {})
        if not each.published
    }


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
    if not found and len(unit) >= _FEWEST_DIGITS:
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


def release(
    lake: Lake, pipeline: str, what: Held, *, by: str, reason: str, now: datetime
) -> tuple[Release, bool]:
    """Records who releases something, then publishes it; a second time changes nothing.

    Args:
        lake: The lake.
        pipeline: The pipeline.
        what: From `named`.
        by: The person.
        reason: Why it is right to use it.
        now: The moment, UTC.

    Returns:
        The release that stands, which may be an earlier one, and whether this call published it.

    Raises:
        UsageError: `by` or `reason` is blank.
        CommitConflict: The interval was scored anew, or a model promoted, in between; look again.
    """
    if not by.strip() or not reason.strip():
        message = "a release takes the name of a person and a reason"
        raise UsageError(message, hint='`--by "Ada Byron" --reason "the shop had a sale"`')
    if what.release is None:
        made = Release(
            pipeline=pipeline,
            kind=str(what.kind),
            unit=what.unit,
            content=what.content,
            rows=what.rows,
            by=by.strip(),
            reason=reason.strip(),
            released_at=now,
        )
        row = pa.Table.from_pylist([vars(made)], schema=_SCHEMA)
        unit = application_id(pipeline, "release", f"{what.unit}.{what.content}")
        append(lake.releases, row, unit=unit)
    stands = next(
        each
        for each in releases(lake, pipeline)
        if (each.kind, each.unit, each.content) == (what.kind, what.unit, what.content)
    )
    if what.published:
        return stands, False
    publish = _publish if what.kind is Kind.FORECASTS else _promote
    publish(lake, pipeline, what, stands)
    return stands, True


def _forecasts(
    lake: Lake, pipeline: str, made: Mapping[tuple[str, str, str], Release]
) -> Iterator[Held]:
    """Of each interval, the newest scoring, if its scores were committed.

    The number that the log of scores records for an interval grows by one with each scoring and
    with each release, so it tells them apart: held by the scoring that it names, it waits; by the
    one before, it was released.
    """
    table, scores = (Table.if_exists(of(pipeline)) for of in (lake.held, lake.scores))
    if table is None or scores is None:
        return
    columns = [_INTERVAL, "_reason", "_scoring", "_model", "_fingerprint", "_run", "prediction"]
    days: dict[date, list[dict[str, Any]]] = {}
    for row in table.arrow(columns).to_pylist():
        days.setdefault(row[_INTERVAL], []).append(row)
    stamps = {f.partition[_INTERVAL]: f.least.get("_fingerprint") for f in scores.files if f.rows}
    for day, rows in sorted(days.items()):
        first, unit = rows[0], day.isoformat()
        recorded = scores.recorded(application_id(pipeline, "score", unit)) or 0
        scoring, fingerprint = first["_scoring"], first["_fingerprint"]
        same = stamps.get(day) in {None, fingerprint}
        if recorded not in {scoring, scoring + 1} or not same:
            continue  # of a scoring that was ended before its scores stood: it will be done again
        content = f"{scoring}.{fingerprint[:8]}"
        farthest = max(rows, key=lambda row: (_times(row["_reason"]), row["_reason"]))
        yield Held(
            kind=Kind.FORECASTS,
            unit=unit,
            content=content,
            rows=len(rows),
            why=farthest["_reason"],
            model=first["_model"],
            run=first["_run"],
            scoring=scoring,
            release=made.get((Kind.FORECASTS, unit, content)),
            published=recorded == scoring + 1,
        )


def _models(
    lake: Lake, pipeline: str, made: Mapping[tuple[str, str, str], Release]
) -> Iterator[Held]:
    trainings = [
        trained
        for trained in history.trainings(lake, pipeline)
        if trained.result.detail.get("held", {}).get("verdict") == Verdict.HELD
    ]
    promoted = {row.model for row in registry.promotions(lake, pipeline)} if trainings else set()
    for trained in trainings:
        told = trained.result.detail["held"]
        stability = trained.result.detail["inspection"]["stability"]
        yield Held(
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


def _publish(lake: Lake, pipeline: str, what: Held, made: Release) -> None:
    """Appends the forecasts to the scores of their interval, as the next commit of that interval.

    So whoever has decided to score the interval anew before is refused, and decides again.
    """
    scores, day = Table(lake.scores(pipeline)), date.fromisoformat(what.unit)
    names = [name for name in scores.schema.names if name != _INTERVAL]
    rows = Table(lake.held(pipeline)).arrow(names, partitions={_INTERVAL: [day]})
    unit = application_id(pipeline, "score", what.unit)
    told = {
        **_told_before(lake, pipeline, unit),
        "rows": rows.num_rows,
        "released_by": made.by,
        "reason": made.reason,
    }
    commit(
        lake.scores(pipeline),
        [stage_file(lake.scores(pipeline), rows, partition={_INTERVAL: day})],
        schema=scores.schema,
        unit=unit,
        partition_by=(_INTERVAL,),
        recorded=what.scoring,
        repeatable=True,
        metadata={"headrace": json.dumps(told)},
    )


def _told_before(lake: Lake, pipeline: str, unit: str) -> dict[str, Any]:
    """What the scoring told: maintenance keeps the version of features that it names."""
    events = events_of(lake.root, (f"scores/{pipeline}",), subject=pipeline)
    return next((dict(each.told) for each in reversed(events) if each.unit == unit), {})


def _promote(lake: Lake, pipeline: str, what: Held, made: Release) -> None:
    """Makes the model champion from its training on; what was scored since is left as it is."""
    seen = registry.aliases(lake, pipeline)
    moment = datetime.fromisoformat(registry.record(lake, pipeline, what.model)["moment"])
    before = seen.champion(at=moment)
    alias = registry.Alias(
        pipeline=pipeline,
        alias=registry.CHAMPION,
        model=what.model,
        moment=moment.astimezone(UTC),
        previous=before.model if before else None,
        decision=f"It was held ({what.why.rstrip('.')}) and released by {made.by}: {made.reason}",
        run=what.run,
        decided_at=made.released_at,
    )
    registry.promote(lake, alias, seen=seen)


def _refused(lake: Lake, pipeline: str, unit: str) -> str:
    """What was refused by this name, in a sentence; nothing where nothing was."""
    for trained in history.trainings(lake, pipeline):
        told, decision = (trained.result.detail.get(name, {}) for name in ("held", "decision"))
        mine = len(unit) >= _FEWEST_DIGITS and str(told.get("model")).startswith(unit.lower())
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

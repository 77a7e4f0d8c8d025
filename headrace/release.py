"""Releases what is held in the name of a person: a row of `releases` first, then its use.

Forecasts go into `scores` in one commit, a model becomes champion. A release that was ended between
the two is completed by the next one.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from headrace.errors import UsageError
from headrace.held import RELEASES, Held, Kind, Release, releases
from headrace.lake import Lake, Table, append, application_id, commit, stage_file
from headrace.lake.history import history as events_of
from headrace.models import registry

_INTERVAL = "_interval"


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
        row = pa.Table.from_pylist([vars(made)], schema=RELEASES)
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

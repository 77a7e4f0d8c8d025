"""The verdicts of each source's checks, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import Lake, Table
from headrace.masking import Mask, headers
from headrace.report.balance import table_at
from headrace.report.quarantine import Quarantined, quarantined
from headrace.report.records import Record, Records
from headrace.spec.model import Action, Pipeline

_MOST_BEFORE = 10


@dataclass(frozen=True)
class Verdict:
    """One rule and what it found.

    Attributes:
        rule: Its name.
        batch: The batch it judged, where the record tells.
        expectation: Great Expectations' name of it.
        arguments: Its arguments as declared, or the column where the record tells no more.
        action: What happens when it is broken.
        rows: Rows it judged, or None where the record does not tell.
        broken: Rows that broke it, or None for rules that do not look at single rows.
        observed: The value found, for rules of the whole table.
        word: The verdict in a word or two.
        grade: `good`, `noted`, `bad` or `empty`, for its colour.
        before: Rows that broke it in earlier batches, or `kept` and `broken`, oldest first.
    """

    rule: str
    batch: str
    expectation: str
    arguments: str
    action: str
    rows: int | None
    broken: int | None
    observed: Any  # any JSON value
    word: str
    grade: str
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceChecks:
    """The checks of a source; without a record where the check failed or was not made."""

    source: str
    record: Record | None
    verdicts: list[Verdict]
    quarantined: list[Quarantined] = field(default_factory=list)
    unjudged: tuple[str, ...] = ()
    problem: str = ""


def source_checks(pipeline: Pipeline, lake: Lake, records: Records) -> list[SourceChecks]:
    """Verdicts and examples of each source, in the order of the pipeline file."""
    checks = {source: records.of.get(("check", source)) for source in pipeline.sources}
    masks = {name: Mask.of(source) for name, source in pipeline.sources.items()}
    unpublished = _unpublished(lake, records, masks)
    return [
        SourceChecks(source, None, found)
        if (found := unpublished.get(source))
        else _of(pipeline, lake, source, record)
        for source, record in checks.items()
    ]


def _unpublished(
    lake: Lake, records: Records, masks: Mapping[str, Mask]
) -> dict[str, list[Verdict]]:
    """Verdicts of checks that failed: they left no record, but the table of checks holds them."""
    told = {result.subject for result in records.own if result.name == "check"}
    found: dict[str, list[Verdict]] = {}
    table = Table.if_exists(lake.checks)
    if table is not None and not {"run", "source"} - set(table.schema.names):
        rows = table.arrow().filter(pc.field("run") == records.run)
        for row in rows.to_pylist():
            if row["source"] not in told:
                arguments = json.loads(row.get("arguments") or "{}")
                mask = masks.get(row["source"], Mask(frozenset()))
                observed = mask.value(str(row.get("column")), row.get("observed"))
                found.setdefault(row["source"], []).append(
                    _verdict({**row, "arguments": arguments, "observed": observed})
                )
    return found


def _of(pipeline: Pipeline, lake: Lake, source: str, record: Record | None) -> SourceChecks:
    if record is None:
        return SourceChecks(source, None, [])
    detail, mask = record.result.detail, Mask.of(pipeline.sources[source])
    told = [
        {**one, "observed": mask.value(str(one.get("column")), one.get("observed"))}
        for one in detail.get("verdicts") or []
    ]
    before = _before(lake, source, record)
    verdicts = [
        replace(verdict, before=before.get(verdict.rule, ())) for verdict in map(_verdict, told)
    ]
    judged = {verdict.rule for verdict in verdicts}
    declared = [check.rule for check in pipeline.checks.get(source, ())]
    unjudged = tuple(rule for rule in declared if rule not in judged) if record.result.units else ()
    try:
        quarantine = table_at(lake.quarantine(source), record.result.tables)
        batches = set(detail.get("batches") or record.result.units)
        found = headers(lake, source) if mask.columns else {}
        rows = quarantined(quarantine, batches, mask=mask, headers=found) if quarantine else []
    except (CorruptArtifact, UsageError) as error:
        return SourceChecks(source, record, verdicts, unjudged=unjudged, problem=str(error))
    return SourceChecks(source, record, verdicts, rows, unjudged)


def _before(lake: Lake, source: str, record: Record) -> dict[str, tuple[str, ...]]:
    """Rule -> what it found in the newest `_MOST_BEFORE` batches judged before the record's."""
    try:
        table = Table.if_exists(lake.checks)
        columns = ["source", "batch", "rule", "success", "unexpected", "checked_at"]
        if table is None or set(columns) - set(table.schema.names):
            return {}
        rows = table.arrow(columns)
    except (CorruptArtifact, UsageError):
        return {}
    mine = pc.equal(rows["source"], source)
    own = pc.is_in(rows["batch"], pa.array(record.result.units, pa.string()))
    earlier = pc.less(rows["checked_at"], pa.scalar(record.written, rows["checked_at"].type))
    rows = rows.filter(pc.and_(mine, pc.and_(pc.invert(own), earlier)))
    found: dict[str, list[str]] = {}
    for row in rows.sort_by("checked_at").to_pylist():
        told = row["unexpected"]
        words = "kept" if row["success"] else "broken"
        found.setdefault(row["rule"], []).append(words if told is None else f"{told:,}")
    return {rule: tuple(each[-_MOST_BEFORE:]) for rule, each in found.items()}


def _verdict(told: Mapping[str, Any]) -> Verdict:
    action = str(told.get("action") or "")
    broken = told.get("unexpected")
    vacuous = bool(told.get("vacuous")) or told.get("rows") == 0
    word, grade = _word(bool(told.get("success")), action, broken, vacuous=vacuous)
    arguments = told.get("arguments") or {"column": told.get("column")}
    return Verdict(
        rule=str(told.get("rule") or ""),
        batch=str(told.get("batch") or ""),
        expectation=str(told.get("expectation") or ""),
        arguments=", ".join(
            f"{key}={value}" for key, value in arguments.items() if value is not None
        ),
        action=action,
        rows=told.get("rows"),
        broken=broken,
        observed=told.get("observed"),
        word=word,
        grade=grade,
    )


def _word(success: bool, action: str, broken: int | None, *, vacuous: bool) -> tuple[str, str]:
    if success and vacuous:
        return "nothing to judge", "empty"
    if success:
        return ("kept, a few broke it", "noted") if broken else ("kept", "good")
    words: dict[str, tuple[str, str]] = {
        Action.QUARANTINE: ("broken: rows set aside", "noted"),
        Action.WARN: ("broken: warned", "noted"),
        Action.FAIL: ("broken: not published", "bad"),
    }
    return words.get(action, ("broken", "bad"))

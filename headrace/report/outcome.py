"""What came of a run, in one sentence and a few notes; nothing is said that no record tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.report.balance import Balance
from headrace.report.records import REPORTED, Records
from headrace.report.scores import Scores
from headrace.report.verdicts import SourceChecks
from headrace.report.wording import count, listed
from headrace.runs import Failure
from headrace.spec.model import Pipeline
from headrace.stage import Outcome


@dataclass(frozen=True)
class Finding:
    """The outcome of a run.

    Attributes:
        grade: `good`, `noted` or `bad`.
        word: The outcome in a word or two.
        sentence: What the run did.
        problems: What is wrong.
        remarks: What to know when reading the page.
    """

    grade: str
    word: str
    sentence: str
    problems: list[str]
    remarks: list[str]


def finding(
    pipeline: Pipeline,
    records: Records,
    *,
    balances: Sequence[Balance],
    checks: Sequence[SourceChecks],
    scores: Scores | None,
) -> Finding:
    """Weighs what the records and the tables tell."""
    problems = [
        f"{one.stage} of {one.subject} failed: {one.error}: {_message(one)}"
        for one in records.failures
    ]
    problems += [f"{one.source}: {text}" for one in balances if one.record for text in one.problems]
    problems += [f"scores: {text}" for text in (scores.problems if scores else ())]
    for one in checks:
        broken = [verdict.rule for verdict in one.verdicts if verdict.grade == "bad"]
        problems += [
            f"{one.source}: rule {rule} is broken, its batch is not published" for rule in broken
        ]
        problems += [f"{one.source}: rule {rule} has no verdict" for rule in one.unjudged]
        problems += (
            [f"{one.source}: quarantine cannot be read: {one.problem}"] if one.problem else []
        )
    problems += [f"a record of this run cannot be read: {text}" for text in records.unreadable]
    remarks = _remarks(records)
    told = sentence(pipeline, records)
    if problems:
        return Finding("bad", "needs attention", told, problems, remarks)
    if _not_reached(records):
        return Finding("noted", "not all stages", told, problems, remarks)
    return Finding("good", "complete", told, problems, remarks)


def sentence(pipeline: Pipeline, records: Records) -> str:
    """What the run did."""
    done = {key: one.result for key, one in records.of.items() if one.outcome is Outcome.DONE}
    if not done:
        again = any(one.outcome is Outcome.ALREADY_DONE for one in records.of.values())
        nothing = "Nothing was left to do: all work it met was already done."
        return nothing if again else "No stage of this run left a record of work done."
    parts = []
    checked = [result for (stage, _), result in done.items() if stage == "check"]
    if checked:
        read, aside = (
            sum(one.rows.get(name, 0) for one in checked) for name in ("read", "quarantine")
        )
        sources = count(len(checked), "source")
        parts.append(
            f"{count(read, 'row')} of {sources} checked, {count(aside)} of them in quarantine"
        )
    elif ingested := [result for (stage, _), result in done.items() if stage == "ingest"]:
        read = sum(one.rows.get("read", 0) for one in ingested)
        parts.append(f"{count(read, 'row')} of {count(len(ingested), 'source')} read")
    if built := done.get(("features", pipeline.name)):
        parts.append(f"features built for {count(built.rows.get('built'), 'row')}")
    if trained := done.get(("train", pipeline.name)):
        parts.append(f"models trained, {_decided(trained.detail.get('decision') or {})}")
    if scored := done.get(("score", pipeline.name)):
        units = count(len(scored.units), pipeline.interval)
        parts.append(f"{count(scored.rows.get('scored'), 'row')} scored for {units}")
        if held := scored.rows.get("held"):
            parts.append(f"{count(held, 'forecast')} held until a person releases them")
    text = "; ".join(parts) or f"{listed(sorted({stage for stage, _ in done}))} done"
    return f"{text[0].upper()}{text[1:]}."


def _message(failure: Failure) -> str:
    """What failed; the leaks that stopped a training stand in a section of their own."""
    told = failure.message.partition("\n")[0]
    return f"{told}; see Leakage audit" if failure.error == "LeakFound" else failure.message


def _not_reached(records: Records) -> list[tuple[str, str]]:
    """Stages that no run has done, and those of earlier runs beside or after this run's last."""
    own = {result.name for result in records.own}
    last = max((place for place, name in enumerate(REPORTED) if name in own), default=-1)
    behind = [key for key in records.elsewhere if REPORTED.index(key[0]) >= last]
    return [*records.missing, *behind]


def _remarks(records: Records) -> list[str]:
    remarks = []
    absent = _not_reached(records)
    if absent:
        text = f"This run has no record of {listed(_by_stage(absent))}"
        remarks.append(f"{text}: it stopped before, or was not asked to do it.")
    unchanged = [key for key in records.elsewhere if key not in absent]
    if unchanged:
        text = f"This run has no record of {listed(_by_stage(unchanged))}"
        remarks.append(f"{text}: it met nothing new there, or was not asked to look.")
    if records.elsewhere:
        remarks.append("What is shown of such a stage is of the newest run that did it.")
    again = [key for key, record in records.of.items() if record.outcome is Outcome.ALREADY_DONE]
    if again:
        text = f"Already done, so left as it is: {listed(_by_stage(again))}"
        remarks.append(f"{text}; what is shown of it is of the run that did it.")
    return remarks


def _by_stage(keys: Sequence[tuple[str, str]]) -> list[str]:
    """Stages, with the subjects of those that work on several: `check (planes, weather)`."""
    named = []
    for stage in REPORTED:
        subjects = [subject for name, subject in keys if name == stage]
        if subjects and stage in {"ingest", "check"}:
            named.append(f"{stage} ({', '.join(subjects)})")
        elif subjects:
            named.append(stage)
    return named


def _decided(decision: Mapping[str, Any]) -> str:
    shipped = decision.get("shipped")
    if not shipped:
        return "no decision recorded"
    return f"{shipped} promoted" if decision.get("promoted") else f"none promoted: {shipped} ships"

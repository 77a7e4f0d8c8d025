"""A run in a page of Markdown, from its records alone: for places that show no HTML of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from headrace.lake import Lake
from headrace.report import wording
from headrace.report.outcome import sentence
from headrace.report.records import Record, Records, read_records
from headrace.report.training import training
from headrace.spec.model import Pipeline
from headrace.stage import Outcome

_UNIT = 12  # digits of a batch: as many as elsewhere
_OUTCOMES = {Outcome.DONE: "done", Outcome.ALREADY_DONE: "already done"}


def summary(pipeline: Pipeline, lake: Lake, *, run: str, page: str = "") -> str:
    """What the run did, what went wrong, the stages, and the decision of the gate.

    Args:
        pipeline: What is declared.
        lake: Where the run left its records.
        run: Its name.
        page: Where the page of the run is, a URL or a path.

    Raises:
        UsageError: There is no such run.
    """
    records = read_records(pipeline, lake, run=run)
    trained = training(pipeline, records)
    parts = [sentence(pipeline, records), *_failures(records), _stages(records)]
    if trained and trained.decision.get("sentence"):
        own = trained.record.run == run
        when = "" if own else f" (run {trained.record.run})"
        parts.append(f"**Gate**{when}: {escaped(trained.decision['sentence'])}")
    if page:
        linked = f"[{page}]({page})" if page.startswith("http") else f"`{page}`"
        parts.append(f"**The whole page**: {linked}")
    return "\n\n".join(parts) + "\n"


def outcome(pipeline: Pipeline, lake: Lake, *, run: str) -> str:
    """What the run did, in a sentence."""
    if not lake.runs(run).is_dir():
        return "no stage left a record"
    return sentence(pipeline, read_records(pipeline, lake, run=run))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def counted(rows: Mapping[str, int]) -> str:
    """Named row counts in words, without those that are zero."""
    told = [f"{wording.count(n)} {name.replace('_', ' ')}" for name, n in rows.items() if n]
    return ", ".join(told) or "—"


def escaped(text: str) -> str:
    r"""Foreign text that Markdown leaves as it is.

    Example:
        >>> escaped("a|b_c\n<i>")
        'a\\|b\\_c &lt;i>'
    """
    for mark in "\\`*_[]|":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split()).replace("<", "&lt;")


def _failures(records: Records) -> Iterator[str]:
    for one in records.failures:
        told = escaped(wording.shown(one.message, 1_000))
        yield f"**{one.stage} of {escaped(one.subject)} failed**: {one.error}: {told}"


def _stages(records: Records) -> str:
    rows = [
        (stage, subject, _OUTCOMES[record.outcome], *_work(record))
        for (stage, subject), record in records.of.items()
        if record.outcome in _OUTCOMES
    ]
    columns = ("Stage", "Of", "In this run", "Time", "Rows", "Units")
    return table(columns, rows) if rows else "No stage left a record."


def _work(record: Record) -> tuple[str, str, str]:
    """Time, rows and units of what this run did; another's would be taken for its own."""
    if record.outcome is not Outcome.DONE:
        return "—", "—", "—"
    result = record.result
    units = wording.span([unit[:_UNIT] for unit in result.units])
    return wording.duration(result.seconds), counted(result.rows), units

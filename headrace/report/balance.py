"""Whether each source's rows add up: as its check recorded them, and as its tables hold them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import Lake, Table
from headrace.report.records import Record, Records
from headrace.spec.model import Pipeline

OUT = ("silver", "quarantine", "duplicates")


@dataclass(frozen=True)
class Balance:
    """The rows of a source's batches.

    Attributes:
        source: The source.
        record: What the check of these batches recorded; None where there is none.
        rows: Recorded counts by name: read, silver, quarantine, duplicates.
        stored: Rows of these batches that the tables hold, by table, as far as it could be counted.
        problems: Why the balance does not hold; empty where it does.
    """

    source: str
    record: Record | None
    rows: Mapping[str, int]
    stored: Mapping[str, int]
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the rows are known and add up."""
        return self.record is not None and not self.problems

    @property
    def batches(self) -> tuple[str, ...]:
        """The batches it is about."""
        if self.record is None:
            return ()
        told = self.record.result.detail.get("batches") or {}
        return tuple(told) or self.record.result.units


def balances(pipeline: Pipeline, lake: Lake, records: Records) -> list[Balance]:
    """The balance of each source, in the order of the pipeline file."""
    checks = {source: records.of.get(("check", source)) for source in pipeline.sources}
    return [_balance(lake, source, record) for source, record in checks.items()]


def table_at(path: Path, versions: Mapping[str, int]) -> Table | None:
    """The table at the version a stage left; the newest where the stage does not tell."""
    if not Table.exists(path):
        return None
    layer = path.parent.name
    return Table(path, versions.get(f"{layer}/{path.name}", versions.get(layer)))


def _balance(lake: Lake, source: str, record: Record | None) -> Balance:
    if record is None:
        return Balance(source, None, {}, {}, ("no check of this source is recorded",))
    rows = record.result.rows
    batches: dict[str, Mapping[str, int]] = record.result.detail.get("batches") or {}
    problems = _unequal(rows, "the source")
    for batch, counts in batches.items():
        problems += _unequal(counts, f"batch {batch[:12]}")
    stored: dict[str, int] = {}
    units = tuple(batches) or record.result.units
    for name, path in (("silver", lake.silver(source)), ("quarantine", lake.quarantine(source))):
        try:
            table = table_at(path, record.result.tables)
            counted = table.rows_by_batch(units) if table else Counter[str]()
        except (CorruptArtifact, UsageError) as error:
            problems.append(f"{name} cannot be read: {error}")
            continue
        stored[name] = counted.total()
        if name in rows and stored[name] != rows[name]:
            problems.append(f"{name} holds {stored[name]:,} rows, not the {rows[name]:,} recorded")
        problems += [
            f"{name} holds {counted[batch]:,} rows of batch {batch[:12]}, not {counts[name]:,}"
            for batch, counts in batches.items()
            if len(batches) > 1 and name in counts and counted[batch] != counts[name]
        ]
    return Balance(source, record, rows, stored, tuple(problems))


def _unequal(counts: Mapping[str, int], what: str) -> list[str]:
    untold = [name for name in ("read", *OUT) if name not in counts]
    if untold:
        return [f"the record of {what} does not tell {', '.join(untold)}"]
    out = sum(counts[name] for name in OUT)
    lost = counts["read"] - out
    if lost == 0:
        return []
    fate = f"{lost:,} lost" if lost > 0 else f"{-lost:,} too many"
    return [f"of {what} {counts['read']:,} rows were read and {out:,} came out: {fate}"]

"""How many rows each rule sent to quarantine, and the first of them as examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake import Table
from headrace.masking import Mask

EXAMPLES = 5
OF_THE_PLATFORM = {
    "_parse": "the line does not parse",
    "_conflict": "another row has the same key and other values",
}
_PLACED = ["_failed_rules", "_batch", "_file", "_row"]
_TEXTS = ["_raw", "_file", "_file_sha256", "_row", "_reason"]


@dataclass(frozen=True)
class Quarantined:
    """Rows that one rule, or the parser, sent to quarantine."""

    rule: str  # its name, or what the platform itself found wrong
    rows: int
    examples: list[dict[str, Any]]  # _raw, _file, _row, _reason


def quarantined(
    table: Table,
    batches: Collection[str],
    *,
    mask: Mask,
    headers: Mapping[str, Sequence[str]],
) -> list[Quarantined]:
    """Rows per broken rule, most first, with the first rows of each by file and line.

    Args:
        table: Of the quarantine of a source.
        batches: Those that are told.
        mask: What of a row is hidden.
        headers: Digest of a landing file -> names of its cells.
    """
    counted: Counter[str] = Counter()
    examples: dict[str, list[dict[str, Any]]] = {}
    known = set(table.schema.names)
    for file in table.files:
        if file.batch is not None and file.batch not in batches:
            continue
        flat = _one_row_per_rule(table.arrow(_PLACED, files=[file]), batches)
        texts = table.arrow([name for name in _TEXTS if name in known], files=[file])
        for entry in pc.value_counts(flat["rule"]).to_pylist():
            rule = entry["values"]
            counted[rule] += entry["counts"]
            first = flat.filter(pc.equal(flat["rule"], rule)).slice(0, EXAMPLES)
            found = [*examples.get(rule, ()), *texts.take(first["position"]).to_pylist()]
            examples[rule] = sorted(found, key=_place)[:EXAMPLES]
    return [
        Quarantined(
            OF_THE_PLATFORM.get(rule, rule),
            number,
            [masked(row, mask=mask, headers=headers) for row in examples[rule]],
        )
        for rule, number in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def masked(
    row: Mapping[str, Any], *, mask: Mask, headers: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """A row of quarantine, its marked cells hidden."""
    header = headers.get(str(row.get("_file_sha256")))
    hidden = {"_raw": mask.line(row["_raw"], header), "_reason": mask.reason(row["_reason"])}
    return {**row, **hidden}


def _one_row_per_rule(rows: pa.Table, batches: Collection[str]) -> pa.Table:
    """Rule and position in the file of each broken rule of these batches, by file and line."""
    ours = pc.is_in(rows["_batch"], pa.array(sorted(batches), pa.string()))
    placed = rows.append_column("position", pa.array(range(len(rows)), pa.int64())).filter(ours)
    placed = placed.sort_by([("_file", "ascending"), ("_row", "ascending")])
    rules = placed["_failed_rules"].combine_chunks()
    positions = placed["position"].take(pc.list_parent_indices(rules))
    return pa.table({"rule": pc.list_flatten(rules), "position": positions})


def _place(example: Mapping[str, Any]) -> tuple[str, int]:
    return str(example["_file"]), int(example["_row"] or 0)

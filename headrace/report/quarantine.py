"""How many rows each rule sent to quarantine, and the first of them as examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake import Table

EXAMPLES = 5
OF_THE_PLATFORM = {
    "_parse": "the line does not parse",
    "_conflict": "another row has the same key and other values",
}
_PLACED = ["_failed_rules", "_batch", "_file", "_row"]
_TEXTS = ["_raw", "_file", "_row", "_reason"]


@dataclass(frozen=True)
class Quarantined:
    """Rows that one rule, or the parser, sent to quarantine."""

    rule: str  # its name, or what the platform itself found wrong
    rows: int
    examples: list[dict[str, Any]]  # _raw, _file, _row, _reason


def quarantined(table: Table, batches: Collection[str]) -> list[Quarantined]:
    """Rows per broken rule, most first, with the first rows of each by file and line."""
    counted: Counter[str] = Counter()
    examples: dict[str, list[dict[str, Any]]] = {}
    for file in table.files:
        if file.batch is not None and file.batch not in batches:
            continue
        flat = _one_row_per_rule(table.arrow(_PLACED, files=[file]), batches)
        texts = table.arrow(_TEXTS, files=[file])
        for entry in pc.value_counts(flat["rule"]).to_pylist():
            rule = entry["values"]
            counted[rule] += entry["counts"]
            first = flat.filter(pc.equal(flat["rule"], rule)).slice(0, EXAMPLES)
            found = [*examples.get(rule, ()), *texts.take(first["position"]).to_pylist()]
            examples[rule] = sorted(found, key=_place)[:EXAMPLES]
    return [
        Quarantined(OF_THE_PLATFORM.get(rule, rule), number, examples[rule])
        for rule, number in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


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

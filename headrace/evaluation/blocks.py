"""Blocks of rows that share their luck: days, groups, or rows by themselves; nothing is judged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.metrics import Integers
from headrace.spec.model import Pipeline

MOST = 200  # blocks of groups or rows: more would tell no more, and cost as many products each

Hashes = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class Blocks:
    """The block of each row.

    Attributes:
        code: Any number, equal for rows of one block.
        unit: What stands in a block: `day`, `group` or `row`.
        units: How many of them there are; as many as blocks, or more.
    """

    code: Integers
    unit: str
    units: int


def blocks_of(rows: pa.Table, pipeline: Pipeline) -> Blocks:
    """Days for a split by time, groups for a grouped one, else the rows.

    Groups and rows beyond `MOST` are dealt to so many blocks in the order of their hashes, which
    keeps a group in one block and the blocks alike.
    """
    if pipeline.split.kind == "time":
        days: Integers = rows.column("_interval").cast(pa.int32()).to_numpy().astype(np.int64)
        return Blocks(days, "day", len(np.unique(days)))
    grouped = pipeline.split.kind == "grouped"
    hashed = group_hashes(rows, pipeline) if grouped else row_hashes(rows, pipeline)
    found, place = np.unique(hashed, return_inverse=True)
    return Blocks(place % MOST, "group" if grouped else "row", len(found))


def row_hashes(rows: pa.Table, pipeline: Pipeline) -> Hashes:
    """A number for each row that its key alone decides."""
    key = pipeline.sources[pipeline.features.rows].key
    return _hashes(names_of(rows.select(list(key))))


def group_hashes(rows: pa.Table, pipeline: Pipeline) -> Hashes:
    """A number for each row that its group alone decides; without a group, its key."""
    names = names_of(rows.select(list(pipeline.split.groups)))
    lone = pc.is_null(names).to_numpy(zero_copy_only=False)
    return np.where(lone, row_hashes(rows, pipeline), _hashes(names))


def names_of(columns: pa.Table) -> pa.Array:
    """One text per row, without case and outer space; null where a column is."""
    texts = []
    for name in columns.column_names:
        column = columns.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        text = column.cast(pa.string())
        if pa.types.is_floating(column.type):  # 7.0 is 7
            text = pc.if_else(*_whole(column), text)
        texts.append(pc.utf8_lower(pc.utf8_trim_whitespace(text)))
    return pc.binary_join_element_wise(*texts, "\x1f", null_handling="emit_null")


def _whole(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Where a number is whole, and its digits there."""
    exact = pc.less(pc.abs(column), 2.0**53)
    whole = pc.fill_null(pc.and_(exact, pc.equal(column, pc.floor(column))), False)
    return whole, pc.if_else(whole, column, 0.0).cast(pa.int64()).cast(pa.string())


def _hashes(names: pa.Array) -> Hashes:
    """The first 64 bits of BLAKE2b of each text: the same on every machine, in every version."""
    encoded = names.dictionary_encode(null_encoding="encode")
    found = [
        int.from_bytes(hashlib.blake2b((text or "").encode(), digest_size=8).digest(), "little")
        for text in encoded.dictionary.to_pylist()
    ]
    hashes: Hashes = np.array(found, dtype=np.uint64)[encoded.indices.to_numpy()]
    return hashes

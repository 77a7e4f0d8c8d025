"""The newest fact that was known at each moment, of many sources in one shuffle, by sorted arrays.

Spark brings the facts and the questions of a key together; each of its tasks then sorts numbers
with numpy instead of rows: an as-of join without a window. The cost grows as n log n, hot keys
included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

_TASK_ROWS = 1_000_000  # facts and questions that a task is meant to hold at once
_QUESTION = -1
_EXACT = 2**62  # numbers below it fit, with one more sum, into 64 bits

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """Rows of one source that may be the newest.

    Attributes:
        frame: The columns that questions are matched by, then `_usable`, `_happened`, `_known`
            (timestamps, not null) and `values`.
        values: The columns to be had of the newest.
        rows: About how many there are.
    """

    frame: DataFrame
    values: Sequence[str]
    rows: int


def newest(asked: DataFrame, facts: Sequence[Facts], *, on: Sequence[str], rows: int) -> DataFrame:
    """For each question the newest fact of each source, among those with `_usable <= _at`.

    The newest is the one that happened last, of several the one known last, of several the one with
    the greatest values in their order; nulls are least. A null in `on` matches nothing.

    Args:
        asked: Distinct questions: `on`, `_interval`, `_at`.
        facts: One per source.
        on: The columns they are matched by.
        rows: About how many questions there are.

    Returns:
        `asked`, and for the i-th source `_<i>_<value>` and `_<i>__happened`; null without a fact.
    """
    slots, parts = _slots(facts)
    timeline = asked.select(
        *on,
        F.lit(_QUESTION).cast("tinyint").alias("_source"),
        _micros("_at").alias("_time"),
        "_interval",
        *(F.lit(None).cast(kind).alias(slot) for slot, kind in slots.items()),
    )
    for place, part in enumerate(facts):
        named = {slot: column for column, slot in parts[place].items()}
        timeline = timeline.unionAll(
            part.frame.select(
                *on,
                F.lit(place).cast("tinyint").alias("_source"),
                _micros("_usable").alias("_time"),
                F.lit(None).cast("date").alias("_interval"),
                *(
                    _held(named[slot]) if slot in named else F.lit(None).cast(kind).alias(slot)
                    for slot, kind in slots.items()
                ),
            )
        )
    tasks = (rows + sum(part.rows for part in facts)) // _TASK_ROWS
    least = int(str(asked.sparkSession.conf.get("spark.sql.shuffle.partitions")))
    # Without a number Spark puts small partitions together.
    placed = timeline.repartition(tasks, *on) if tasks > least else timeline.repartition(*on)
    types = {field.name: field.dataType.simpleString() for field in timeline.schema}
    schema = [f"`{name}` {types[name]}" for name in on] + ["_interval date", "_at timestamp"]
    for place, mapping in enumerate(parts):
        schema += [
            f"`_{place}_{column}` {'timestamp' if column in _CLOCKS else types[slot]}"
            for column, slot in mapping.items()
            if column != "_known"
        ]
    work = partial(_answers, on=list(on), parts=parts)
    answers: DataFrame = placed.mapInArrow(work, ", ".join(schema))
    return answers


_CLOCKS = ("_happened", "_known")


def _slots(facts: Sequence[Facts]) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Columns that sources share: slot -> type, and for each source its column -> slot."""
    slots: dict[str, str] = {}
    parts: list[dict[str, str]] = []
    for part in facts:
        taken: dict[str, int] = {}
        mapping: dict[str, str] = {}
        for column in (*_CLOCKS, *part.values):
            kind = (
                "bigint" if column in _CLOCKS else part.frame.schema[column].dataType.simpleString()
            )
            taken[kind] = taken.get(kind, 0) + 1
            slot = f"_{kind}_{taken[kind]}"
            slots[slot] = kind
            mapping[column] = slot
        parts.append(mapping)
    return slots, parts


def _micros(column: str) -> Column:
    return F.unix_micros(column)


def _held(column: str) -> Column:
    return _micros(column) if column in _CLOCKS else F.col(column)


def _answers(
    batches: Iterable[pa.RecordBatch], *, on: list[str], parts: list[dict[str, str]]
) -> Iterator[pa.RecordBatch]:
    """Of one task: the questions among the rows, each with its newest facts."""
    held = list(batches)
    if not held:
        return
    rows = pa.Table.from_batches(held)
    del held
    keys = _codes([rows[name] for name in on])
    source, time = rows["_source"].to_numpy(), rows["_time"].to_numpy()
    asked = np.flatnonzero(source == _QUESTION)
    questions = rows.take(pa.array(asked))
    columns = [questions[name] for name in (*on, "_interval")]
    columns.append(questions["_time"].cast(pa.timestamp("us", "UTC")))
    names = [*on, "_interval", "_at"]
    for place, mapping in enumerate(parts):
        known = np.flatnonzero((source == place) & (keys >= 0))
        facts = rows.select(list(mapping.values())).take(pa.array(known))
        facts = facts.rename_columns(list(mapping))
        found = newest_of(
            keys[asked], time[asked], keys[known], time[known], order=_ranks(keys[known], facts)
        )
        chosen = facts.take(pa.array(found, mask=found < 0))
        for column in mapping:
            if column != "_known":
                told = chosen[column]
                moment = column in _CLOCKS
                columns.append(told.cast(pa.timestamp("us", "UTC")) if moment else told)
                names.append(f"_{place}_{column}")
    yield from pa.table(columns, names=names).to_batches(max_chunksize=100_000)


def newest_of(
    keys: Integers, at: Integers, fact_keys: Integers, usable: Integers, *, order: Integers
) -> Integers:
    """The place of the newest usable fact of each question, or -1.

    Args:
        keys: Of the questions; a negative one matches nothing.
        at: When each question is asked.
        fact_keys: Of the facts.
        usable: From when each fact may be used, that moment included.
        order: Ranks of the facts, from 0, all different: a greater one is newer.

    Example:
        >>> import numpy as np
        >>> one = np.array([7, 7])
        >>> newest_of(one, np.array([4, 5]), one, np.array([5, 6]), order=np.array([0, 1])).tolist()
        [-1, 0]
    """
    count = len(fact_keys)
    # Facts and questions in one order, by key and time, facts first: then the greatest rank so far
    # within the key is the answer, and one running maximum gives it for all keys at once.
    key = np.concatenate([fact_keys, keys])
    time = np.concatenate([usable * 2, at * 2 + 1])
    value = key * (count + 1) + np.concatenate([order + 1, np.zeros(len(keys), np.int64)])
    placed = _sorted(key, time)
    best = np.empty_like(value)
    best[placed] = np.maximum.accumulate(value[placed])
    rank = best[count:] - keys * (count + 1) - 1
    by_rank = np.empty(count + 1, np.int64)
    by_rank[order] = np.arange(count)
    by_rank[count] = -1  # what a rank of -1 finds
    return np.where(keys >= 0, by_rank[rank], -1)


def _sorted(key: Integers, time: Integers) -> Integers:
    """The order by key, then time."""
    if not len(key):
        return np.empty(0, np.int64)
    least, most = int(time.min()), int(time.max())
    span = most - least + 1
    if (int(key.max()) + 2) * span < _EXACT:
        return np.argsort(key * span + (time - least))
    return np.lexsort((time, key))


def _ranks(keys: Integers, facts: pa.Table) -> Integers:
    """How new each fact is among those of its key; ties are broken by the values."""
    happened, known = (facts[name].to_numpy() for name in _CLOCKS)
    if np.array_equal(happened, known):
        order = _sorted(keys, happened)
    else:
        order = np.lexsort((known, happened, keys))
    same = np.ones(max(len(order) - 1, 0), bool)
    for column in (keys, happened, known):
        same &= column[order][1:] == column[order][:-1]
    if same.any():
        tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        group = np.cumsum(np.insert(~same, 0, False))[tied]
        values = facts.drop_columns(list(_CLOCKS)).take(pa.array(order[tied]))
        by = values.append_column("_group", pa.array(group))
        names = ["_group", *values.column_names]
        ordered = pc.sort_indices(
            by, sort_keys=[(name, "ascending") for name in names], null_placement="at_start"
        )
        order[tied] = order[tied][ordered.to_numpy()]
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    return ranks


def _codes(columns: Sequence[pa.ChunkedArray]) -> Integers:
    """A number for each row, equal for equal keys; -1 where a column is null."""
    codes = np.zeros(len(columns[0]) if columns else 0, np.int64)
    for column in columns:
        encoded = column.combine_chunks().dictionary_encode()
        part = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
        codes = np.where((codes < 0) | (part < 0), -1, codes * (len(encoded.dictionary) + 1) + part)
        if len(columns) > 1:
            present = codes >= 0
            codes[present] = np.unique(codes[present], return_inverse=True)[1]
    return codes

"""The newest fact that was known at each moment, of many sources in one shuffle, by sorted arrays.

Spark brings the facts and the rows of a key together; each of its tasks then sorts numbers with
numpy instead of rows: an as-of join without a window. The cost grows as n log n, hot keys included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from operator import or_

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_TASK_ROWS = 1_000_000  # facts and rows that a task is meant to hold at once
_CLOCKS = ("_happened", "_known")
_HASHED = {"int", "bigint", "string"}
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

    @property
    def columns(self) -> list[str]:
        """What a task needs of a fact, beside when it may be used."""
        return [*_CLOCKS, *self.values]


def newest(rows: DataFrame, facts: Sequence[Facts], *, on: Sequence[str], count: int) -> DataFrame:
    """Each row with the newest fact of each source, among those with `_usable <= _at`.

    The newest is the one that happened last, of several the one known last, of several the one with
    the greatest values in their order; nulls are least. A null in `on` matches nothing.

    Args:
        rows: With `on` and `_at` (a timestamp, not null).
        facts: One per source.
        on: The columns they are matched by.
        count: About how many rows there are.

    Returns:
        `rows`, and for the i-th source `_<i>_<value>` and `_<i>__happened`; null without a fact.
    """
    own = [column for column in rows.columns if column not in on]
    slots, places = _slots([(rows, own), *((each.frame, each.columns) for each in facts)])
    frames = [(rows, "_at"), *((each.frame, "_usable") for each in facts)]
    timeline = frames[0][0]
    for number, (frame, time) in enumerate(frames):
        named = {slot: column for column, slot in places[number].items()}
        part = frame.select(
            *on,
            F.lit(number).cast("tinyint").alias("_part"),
            F.unix_micros(time).alias("_time"),
            *(
                (F.col(named[slot]) if slot in named else F.lit(None).cast(kind)).alias(slot)
                for slot, kind in slots.items()
            ),
        )
        timeline = timeline.unionAll(part) if number else part
    tasks = (count + sum(each.rows for each in facts)) // _TASK_ROWS
    least = int(str(rows.sparkSession.conf.get("spark.sql.shuffle.partitions")))
    # Rows that match nothing must not all come to one task.
    without = reduce(or_, (F.col(name).isNull() for name in on))
    spread = ["_time", *(slot for slot, kind in slots.items() if kind in _HASHED)]
    by = F.when(without, F.xxhash64(*spread)).otherwise(F.xxhash64(*on))
    # Without a number Spark puts small partitions together.
    placed = timeline.repartition(tasks, by) if tasks > least else timeline.repartition(by)
    kinds = {column: rows.schema[column].dataType.simpleString() for column in rows.columns}
    for place, each in enumerate(facts):
        for column in each.columns:
            if column != "_known":
                kinds[f"_{place}_{column}"] = each.frame.schema[column].dataType.simpleString()
    work = partial(_answers, on=list(on), places=places, made=list(kinds))
    answers: DataFrame = placed.mapInArrow(
        work, ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())
    )
    return answers


def _slots(
    parts: Sequence[tuple[DataFrame, Sequence[str]]],
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Columns that the parts share: slot -> type, and for each part its column -> slot."""
    slots: dict[str, str] = {}
    places: list[dict[str, str]] = []
    for frame, columns in parts:
        taken: Counter[str] = Counter()
        mapping: dict[str, str] = {}
        for column in columns:
            kind = frame.schema[column].dataType.simpleString()
            taken[kind] += 1
            slot = f"_{kind}_{taken[kind]}"
            slots[slot] = kind
            mapping[column] = slot
        places.append(mapping)
    return slots, places


def _answers(
    batches: Iterable[pa.RecordBatch],
    *,
    on: list[str],
    places: list[dict[str, str]],
    made: list[str],
) -> Iterator[pa.RecordBatch]:
    """Of one task: its rows, each with its newest facts; the columns `made`, in that order."""
    held = list(batches)
    if not held:
        return
    everything = pa.Table.from_batches(held)
    del held
    keys = _codes([everything[name] for name in on])
    part, time = everything["_part"].to_numpy(), everything["_time"].to_numpy()
    asked = np.flatnonzero(part == 0)
    found = everything.select([*on, *places[0].values()]).take(pa.array(asked))
    columns, names = found.columns, [*on, *places[0]]
    for number, mapping in enumerate(places[1:]):
        known = np.flatnonzero((part == number + 1) & (keys >= 0))
        facts = everything.select(list(mapping.values())).take(pa.array(known))
        facts = facts.rename_columns(list(mapping))
        newest = newest_of(
            keys[asked], time[asked], keys[known], time[known], order=_ranks(keys[known], facts)
        )
        chosen = facts.drop_columns("_known").take(pa.array(newest, mask=newest < 0))
        columns += chosen.columns
        names += [f"_{number}_{column}" for column in chosen.column_names]
    answers = pa.table(columns, names=names).select(made)
    yield from answers.to_batches(max_chunksize=100_000)


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
    happened, known = (facts[name].cast(pa.int64()).to_numpy() for name in _CLOCKS)
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

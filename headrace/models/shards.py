"""The training rows of gold in shares, read batch by batch by whoever could not hold them all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.errors import TrainingError
from headrace.lake import Lake, Table, digest
from headrace.lake.data_files import DataFile
from headrace.lake.table import BATCH_ROWS
from headrace.models.algorithms.algorithm import Task
from headrace.models.encoding import refusals
from headrace.models.summary import Summary
from headrace.spec.model import Pipeline

_BATCH_CELLS = 250_000


@dataclass(frozen=True)
class Shard:
    """Some data files of one version of gold, and which of their rows can be learned from.

    A row is left out, as in a training on one node, where its target is not known, not finite, or
    became known too late, or a feature is infinite.

    Attributes:
        table: Gold's folder.
        version: Of gold.
        files: What to read, in this order.
        features: The features, in order.
        target: The column of the target.
        task: Its kind.
        known_before: Targets known later than this are left out.
    """

    table: Path
    version: int
    files: tuple[DataFile, ...]
    features: tuple[str, ...]
    target: str
    task: Task
    known_before: datetime

    @property
    def batch_rows(self) -> int:
        """The most rows of a batch: some MiB of them, however many features there are."""
        return max(1, min(BATCH_ROWS, _BATCH_CELLS // len(self.features)))

    def batches(self) -> Iterator[pa.Table]:
        """Features and target of the rows, a few at a time; none of the batches is empty.

        Raises:
            CorruptArtifact: A data file is not the one that was committed.
        """
        columns = [*self.features, self.target, "_target_known_at"]
        table = Table(self.table, self.version)
        for batch in table.batches(columns, files=self.files, rows=self.batch_rows):
            kept = self._kept(batch)
            if kept.num_rows:
                yield kept

    def summary(self) -> Summary | None:
        """What the rows are like; None where there are none."""
        parts = [
            Summary.of(batch, self.features, target=self.target, task=self.task)
            for batch in self.batches()
        ]
        return reduce(add, parts) if parts else None

    def _kept(self, rows: pa.Table) -> pa.Table:
        known_at, target = rows.column("_target_known_at"), rows.column(self.target)
        limit = pa.scalar(self.known_before, pa.timestamp("us", "UTC"))
        kept = pc.and_(pc.less(known_at, limit), pc.is_valid(target))
        kept = pc.and_(kept, pc.is_null(refusals(rows, self.features)))
        if pa.types.is_floating(target.type):
            kept = pc.and_(kept, pc.is_finite(target))
        return rows.filter(kept).drop_columns(["_target_known_at"])


def days_of(files: Collection[DataFile], first: date | None, end: date) -> list[DataFile]:
    """The files of the intervals from `first` on, if given, and before `end`."""
    return [
        file
        for file in files
        if (first is None or file.partition["_interval"] >= first)
        and file.partition["_interval"] < end
    ]


def dealt(files: Sequence[DataFile], shares: int) -> list[tuple[DataFile, ...]]:
    """Files in shares of about as many rows each: the largest first, each to the least so far."""
    hands: list[list[DataFile]] = [[] for _ in range(shares)]
    held = [0] * shares
    for file in sorted(files, key=lambda file: (-(file.rows or file.size), file.path)):
        least = held.index(min(held))
        hands[least].append(file)
        held[least] += file.rows or file.size
    return [tuple(sorted(hand, key=lambda file: file.path)) for hand in hands]


def sampled(batches: Iterable[pa.Table], *, key: Sequence[str], share: float) -> Iterator[pa.Table]:
    """About a share of the rows: those whose key hashes low, whatever file they are in.

    Args:
        batches: Any rows, batch by batch.
        key: The columns that tell one row from another.
        share: Above 0 and at most 1.
    """
    from pandas.util import hash_pandas_object

    for rows in batches:
        hashed = hash_pandas_object(rows.select(list(key)).to_pandas(), index=False).to_numpy()
        yield rows.filter(pa.array(hashed < np.uint64(share * (2**64 - 1))))


def content(files: Iterable[DataFile]) -> str:
    """Digest of the content of whole intervals, as gold's log tells it."""
    stamps = {
        (file.partition["_interval"].isoformat(), file.least["_fingerprint"], file.least["_labels"])
        for file in files
    }
    return digest(sorted(stamps))


def training_shard(lake: Lake, pipeline: Pipeline, *, moment: date) -> Shard:
    """All rows of the training part of a time split, in the newest version of gold.

    Raises:
        UsageError: There is no gold table.
        TrainingError: The training part has no interval.
    """
    gold = Table(lake.gold(pipeline.name))
    end = moment - pipeline.split.length("test") - pipeline.split.length("validation")
    files = days_of(gold.files, None, end)
    if not files:
        message = f"the training part, the beginning to {end}, has no features"
        hint = "train at a later moment, or shorten `split`"
        raise TrainingError(message, table=gold.path, hint=hint)
    return Shard(
        gold.path,
        gold.version,
        tuple(files),
        pipeline.features.names,
        pipeline.target.name,
        pipeline.target.task,
        pipeline.at(end),
    )

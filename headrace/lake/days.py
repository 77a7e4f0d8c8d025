"""How many rows of which batch stand on which day, file by file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake import remembered
from headrace.lake.data_files import DataFile
from headrace.lake.fingerprint import digest
from headrace.lake.table import Table

_PORTION_ROWS = 1_000_000
_EPOCH = date(1970, 1, 1)
_MEANING = 1  # raised by hand when what is remembered changes

_FIELDS = 4  # day, batch, day of the row it is about, rows


@dataclass(frozen=True)
class Clock:
    """What places a row on a day.

    Attributes:
        columns: Timestamps, not null; the latest counts.
        zone: Whose calendar days are meant.
        at: None: the calendar day. A time: the day d with at(d - 1) < moment <= at(d).
        about: A timestamp column that places the row it is about on a calendar day.
    """

    columns: tuple[str, ...]
    zone: str
    at: time | None = None
    about: str | None = None


@dataclass(frozen=True)
class Days:
    """Rows by day and batch."""

    counted: Mapping[date, Mapping[str, int]] = field(default_factory=dict)
    referred: Mapping[date, frozenset[date]] = field(default_factory=dict)

    @cached_property
    def sorted(self) -> list[date]:
        """The days that have rows."""
        return sorted(self.counted)

    def count(self, day: date) -> int:
        """Rows of a day."""
        return sum(self.counted.get(day, {}).values())

    def batches(self, days: Iterable[date]) -> list[str]:
        """The batches that have rows on any of the days, sorted."""
        return sorted({batch for day in days for batch in self.counted.get(day, {})})

    def about(self, days: Iterable[date]) -> set[date]:
        """The days of the rows that the rows of these days are about."""
        return set().union(*(self.referred.get(day, frozenset()) for day in days))


def days_of(table: Table | None, clock: Clock, *, cache: Path) -> Days:
    """Counts the rows of a table; none if there is no table.

    Args:
        table: Of silver.
        clock: What places a row on a day.
        cache: Folder in which what files hold is remembered; it need not exist.

    Raises:
        CorruptArtifact: A file that was not looked at before cannot be read.
    """
    if table is None:
        return Days()
    named = digest(_MEANING, clock.columns, clock.zone, str(clock.at), clock.about)

    def entries(new: Sequence[DataFile]) -> dict[str, remembered.Rows]:
        return {
            path: rows
            for portion in _portions(new)
            for path, rows in _entries(table, clock, portion).items()
        }

    place = cache / "days" / table.path.name / f"{named}.json"
    known = remembered.of_each(table.files, place, fields=_FIELDS, work=entries)
    counted: dict[date, Counter[str]] = {}
    referred: dict[date, set[date]] = {}
    for file in table.files:
        for ordinal, batch, about, rows in known[file.path]:
            day = _EPOCH + timedelta(days=ordinal)
            counted.setdefault(day, Counter())[batch] += rows
            if about is not None:
                referred.setdefault(day, set()).add(_EPOCH + timedelta(days=about))
    return Days(counted, {day: frozenset(days) for day, days in referred.items()})


def _entries(table: Table, clock: Clock, files: Sequence[DataFile]) -> dict[str, remembered.Rows]:
    """What each of some files holds."""
    wanted = [*clock.columns, *([clock.about] if clock.about else [])]
    mixed = any(file.batch is None or file.rows is None for file in files)
    rows = table.arrow([*wanted, *(["_batch"] if mixed else [])], files=files)
    places = np.zeros(rows.num_rows, np.int32)
    if len(files) > 1:
        places = np.repeat(np.arange(len(files), dtype=np.int32), [f.rows or 0 for f in files])
    batches = (
        rows["_batch"]
        if mixed
        else pa.DictionaryArray.from_arrays(places, [file.batch for file in files])
    )
    # As numbers: Arrow compares no moments element by element.
    numbers = [
        rows[column].cast(pa.timestamp("us", "UTC")).cast(pa.int64()) for column in clock.columns
    ]
    moments = pc.max_element_wise(*numbers).cast(pa.timestamp("us", "UTC"))
    about = (
        _days(rows[clock.about], clock.zone) if clock.about else pa.nulls(rows.num_rows, pa.int32())
    )
    held = {
        "file": places,
        "day": _days(moments, clock.zone, clock.at),
        "batch": batches,
        "about": about,
    }
    found: dict[str, remembered.Rows] = {file.path: [] for file in files}
    grouped = pa.table(held).group_by(list(held)).aggregate([([], "count_all")])
    for row in grouped.to_pylist():
        entry = [row["day"], row["batch"], row["about"], row["count_all"]]
        found[files[row["file"]].path].append(entry)
    return found


def _days(moments: pa.ChunkedArray, zone: str, at: time | None = None) -> pa.ChunkedArray:
    """Local days since 1970; those by which moments up to `at` are known, if it is given."""
    local = pc.local_timestamp(moments.cast(pa.timestamp("us", tz=zone)))
    if at is not None:
        shift = timedelta(hours=at.hour, minutes=at.minute, microseconds=1)
        local = pc.subtract(local, pa.scalar(shift, pa.duration("us")))
        local = pc.add(local, pa.scalar(timedelta(days=1), pa.duration("us")))
    return local.cast(pa.date32(), safe=False).cast(pa.int32())


def _portions(files: Sequence[DataFile]) -> Iterator[Sequence[DataFile]]:
    """Files to be read at once: many small ones, or one big one, or one that tells no rows."""
    held: list[DataFile] = []
    for file in files:
        lone = file.rows is None
        size = sum(each.rows or 0 for each in held) + (file.rows or 0)
        if held and (lone or held[-1].rows is None or size > _PORTION_ROWS):
            yield held
            held = []
        held.append(file)
    if held:
        yield held

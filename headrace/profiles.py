"""The table `profiles`: what a table's columns look like at one version, as rows; no engine."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake import Committed, Lake, Table, append, application_id

_OF_HIDDEN = ("type", "missing", "distinct", "note", "correlation", "cramers_v", "period_missing")
MEANING = 1  # raised by hand when a statistic changes its meaning: then a version is profiled anew
SCHEMA = pa.schema(
    [
        ("table", pa.string()),  # such as silver/weather
        ("version", pa.int64()),  # of that table
        ("column", pa.string()),  # null where it is of the table as a whole
        ("statistic", pa.string()),
        ("key", pa.string()),  # quantile, top value, other column of a pair, first day of a period
        ("place", pa.int64()),  # order among rows of the same statistic, from 0
        ("low", pa.float64()),  # bounds of a bin
        ("high", pa.float64()),
        ("value", pa.float64()),  # moments are seconds since 1970
        ("rows", pa.int64()),  # that the value is of
        ("text", pa.string()),
        ("profiled_at", pa.timestamp("us", "UTC")),
        ("meaning", pa.int64()),
    ]
)

Row = Mapping[str, Any]  # of SCHEMA


def unit_of(table: str, version: int) -> str:
    """The application transaction id of a profile: the same version is profiled once."""
    layer, _, name = table.partition("/")
    return application_id(name, "profile", f"{layer}-v{version}-{MEANING}")


def keep(
    lake: Lake, rows: Sequence[Row], *, table: str, version: int, profiled_at: datetime
) -> Committed:
    """Writes the rows of a profile, unless they stand there already."""
    same = {
        "table": table,
        "version": version,
        "profiled_at": profiled_at,
        "meaning": MEANING,
    }
    found = pa.Table.from_pylist([{**same, **row} for row in rows], schema=SCHEMA)
    return append(lake.profiles, found, unit=unit_of(table, version))


def recall(lake: Lake, table: str, version: int | None = None) -> pa.Table | None:
    """The rows of a profile as they were written; of the newest version profiled if none is given.

    None where there is no such profile.
    """
    stored = Table.if_exists(lake.profiles)
    if stored is None:
        return None
    rows = stored.arrow()
    mine = pc.and_(pc.equal(rows["table"], table), pc.equal(rows["meaning"], MEANING))
    rows = rows.filter(mine)
    wanted = pc.max(rows["version"]).as_py() if version is None else version
    rows = rows.filter(pc.equal(rows["version"], pa.scalar(wanted, pa.int64())))
    return rows if rows.num_rows else None


def without_values(rows: pa.Table, hidden: Collection[str]) -> pa.Table:
    """The rows of a profile, of the columns `hidden` only what tells none of their values."""
    if not hidden:
        return rows
    shown = pc.invert(pc.is_in(rows["column"], pa.array(sorted(hidden), pa.string())))
    return rows.filter(pc.or_(shown, pc.is_in(rows["statistic"], pa.array(_OF_HIDDEN))))


def profiled(lake: Lake) -> list[str]:
    """The tables that have a profile, sorted."""
    stored = Table.if_exists(lake.profiles)
    return sorted(stored.arrow(["table"])["table"].unique().to_pylist()) if stored else []


@dataclass(frozen=True)
class ColumnProfile:
    """What is known of one column.

    Attributes:
        name: The column.
        type: As Spark names it.
        rows: Of its table.
        of: Statistic -> its rows, in order.
    """

    name: str
    type: str
    rows: int
    of: Mapping[str, Sequence[Row]]

    def __getitem__(self, statistic: str) -> float | None:
        """A statistic that is one number, such as `mean`; None where it has none."""
        rows = self.of.get(statistic, ())
        return rows[0]["value"] if rows else None

    def quantile(self, probability: str) -> float | None:
        """A quantile by its key, such as `0.5`."""
        found = (row["value"] for row in self.of.get("quantile", ()) if row["key"] == probability)
        return next(found, None)

    @property
    def missing(self) -> float:
        """The share of nulls; 0 in an empty table."""
        return (self["missing"] or 0) / self.rows if self.rows else 0.0

    @property
    def is_moment(self) -> bool:
        """Whether its numbers are seconds since 1970."""
        return self.type in {"date", "timestamp", "timestamp_ntz"}


@dataclass(frozen=True)
class Profile:
    """One profile, its rows put in order.

    Attributes:
        table: Such as `silver/weather`.
        version: Of that table.
        rows: In that version.
        profiled_at: When, UTC.
        columns: In the table's order.
        of: Statistic of the table as a whole -> its rows.
    """

    table: str
    version: int
    rows: int
    profiled_at: datetime
    columns: Sequence[ColumnProfile]
    of: Mapping[str, Sequence[Row]]

    @cached_property
    def pairs(self) -> list[tuple[str, Row]]:
        """Statistic and row of each pair of columns, strongest first."""
        found = [
            (statistic, row)
            for column in self.columns
            for statistic in ("correlation", "cramers_v")
            for row in column.of.get(statistic, ())
        ]
        return sorted(found, key=lambda pair: -abs(pair[1]["value"]))

    @property
    def notes(self) -> Iterator[str]:
        """What was left out or cut, and why."""
        for row in self.of.get("note", ()):
            yield row["text"]
        for column in self.columns:
            for row in column.of.get("note", ()):
                yield f"{column.name}: {row['text']}"


def arranged(rows: pa.Table) -> Profile:
    """The profile that `recall` found."""
    told = rows.to_pylist()
    grouped: dict[str | None, dict[str, list[Row]]] = {}
    for row in told:
        grouped.setdefault(row["column"], {}).setdefault(row["statistic"], []).append(row)
    for found in grouped.values():
        for same in found.values():
            same.sort(key=lambda row: row["place"] or 0)
    whole = grouped.pop(None)
    count = int(whole["rows"][0]["value"])
    columns = [
        ColumnProfile(str(name), of["type"][0]["text"], count, of) for name, of in grouped.items()
    ]
    columns.sort(key=lambda column: column.of["type"][0]["place"])
    return Profile(
        told[0]["table"], told[0]["version"], count, told[0]["profiled_at"], columns, whole
    )

"""The lines of landing files that the features of one row were made of, form by form.

Read from silver as it stands, less what came after the score. An expression over them is not worked
out again: that is Spark's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace.intervals import about_of
from headrace.lake import Lake, Table
from headrace.lake.known import as_known
from headrace.masking import Mask, headers
from headrace.spec.forms import Encoding, History, Latest, Lookup
from headrace.spec.model import INGESTED_AT, Pipeline, Source
from headrace.tracing.found import Scored, equal, matching

_MOMENT = pa.timestamp("us", "UTC")
_PLACE = ["_file", "_row", "_batch"]


@dataclass(frozen=True)
class Line:
    """One line of a landing file.

    Attributes:
        file: Its name below the landing folder.
        row: Its number in the file, from 1; of Parquet, the row's.
        batch: The batch that it came in.
        raw: Its text as it arrived, where bronze holds it; without what is hidden.
        known: When it was known, UTC; None for timeless rows, and where that is hidden.
    """

    file: str
    row: int
    batch: str
    raw: str | None
    known: datetime | None


@dataclass(frozen=True)
class Behind:
    """The lines behind one form of features.

    Attributes:
        place: Where the form is declared, such as `features.history.delay`.
        features: Its features.
        source: The source whose lines they are.
        rows: How many lines.
        lines: The newest of them.
        batches: Every batch that one of them came in.
    """

    place: str
    features: tuple[str, ...]
    source: str
    rows: int
    lines: tuple[Line, ...]
    batches: tuple[str, ...]


def lines_behind(
    pipeline: Pipeline, lake: Lake, scored: Scored, *, most: int, show_pii: bool = False
) -> list[Behind]:
    """The lines behind the features of a score, in declared order, and behind its target.

    Args:
        pipeline: What is declared.
        lake: The lake.
        scored: The score.
        most: How many lines of a form are told one by one.
        show_pii: Whether cells of columns marked `pii` are told.
    """
    return list(_Tracer(pipeline, lake, scored, most, show_pii=show_pii).all())


@dataclass(frozen=True)
class _Tracer:
    pipeline: Pipeline
    lake: Lake
    scored: Scored
    most: int
    show_pii: bool

    @property
    def at(self) -> datetime:
        return self.pipeline.at(self.scored.interval).astimezone(UTC)

    def all(self) -> Iterator[Behind]:
        features = self.pipeline.features
        schema = self.scored.features.schema
        key = {name: pa.scalar(v, schema.field(name).type) for name, v in self.scored.key.items()}
        own = self._with_key(features.rows, key)
        yield self._told("features.columns", tuple(features.columns), features.rows, own)
        row = own.slice(0, 1)
        for name, lookup in features.lookups.items():
            found = self._looked_up(lookup, name, row)
            place, of = f"features.lookups.{name}", lookup.source(name)
            yield self._told(place, tuple(lookup.columns), of, found)
        for name, latest in features.latest.items():
            found = self._latest(latest, name, row)
            place, of = f"features.latest.{name}", latest.source(name)
            yield self._told(place, tuple(latest.columns), of, found)
        for name, form in features.grouped.items():
            place = features.made_by[name][0]
            yield self._told(place, (name,), form.of, self._grouped(form, row))
        target = self.pipeline.target
        if set(key) == set(self.pipeline.sources[target.of].key):
            outcome = self._with_key(target.of, key, until=None)
            yield self._told("target", (target.name,), target.of, outcome)

    def _told(self, place: str, features: tuple[str, ...], of: str, rows: pa.Table) -> Behind:
        source = self.pipeline.sources[of]
        newest = rows
        if rows.num_rows > 1:
            newest = rows.take(pc.sort_indices(rows, [(source.clock, "descending")]))
        shown = newest.slice(0, self.most).to_pylist()
        raw = self._raw(of, shown)
        lines = tuple(
            Line(
                each["_file"],
                each["_row"],
                each["_batch"],
                raw.get((each["_file"], each["_row"], each["_batch"])),
                None if source.timeless or self._is_hidden(source) else each[source.clock],
            )
            for each in shown
        )
        batches = tuple(sorted(set(rows["_batch"].to_pylist())))
        return Behind(place, features, of, rows.num_rows, lines, batches)

    def _is_hidden(self, source: Source) -> bool:
        return source.clock in source.pii and not self.show_pii

    def _raw(
        self, of: str, rows: Sequence[Mapping[str, Any]]
    ) -> dict[tuple[str, int, str], str | None]:
        table = Table.if_exists(self.lake.bronze(of))
        batches = {row["_batch"] for row in rows}
        if table is None or not batches:
            return {}
        files = [file for file in table.files if file.batch is None or file.batch in batches]
        found = table.arrow([*_PLACE, "_file_sha256", "_raw"], files=files)
        wanted = pc.is_in(found["_row"], pa.array([row["_row"] for row in rows], pa.int64()))
        mask = Mask(frozenset()) if self.show_pii else Mask.of(self.pipeline.sources[of])
        known = headers(self.lake, of) if mask.columns else {}
        return {
            (row["_file"], row["_row"], row["_batch"]): mask.line(
                row["_raw"], known.get(row["_file_sha256"])
            )
            for row in found.filter(wanted).to_pylist()
        }

    def _silver(self, of: str, columns: Sequence[str]) -> pa.Table:
        """The rows that were there when the score was made, with their places."""
        source, table = self.pipeline.sources[of], Table(self.lake.silver(of))
        wanted = dict.fromkeys([*columns, *source.key, source.clock, *_PLACE, INGESTED_AT])
        return self._then(table.arrow(list(wanted)))

    def _with_key(
        self, of: str, key: Mapping[str, pa.Scalar], *, until: str | None = "score"
    ) -> pa.Table:
        found = matching(Table(self.lake.silver(of)), key)
        return self._then(found) if until else found

    def _then(self, rows: pa.Table) -> pa.Table:
        committed = self.scored.committed
        if committed is None:
            return rows
        return rows.filter(pc.less_equal(rows[INGESTED_AT], pa.scalar(committed.at, _MOMENT)))

    def _usable(self, rows: pa.Table, source: Source, *, at: datetime) -> pa.Table:
        """Rows as they were known at a moment; of a corrected one, the version known then."""
        if source.on_conflict == "latest":
            return as_known(rows, key=source.key, clock=source.clock, at=at)
        return rows.filter(pc.less_equal(rows[source.clock], pa.scalar(at, _MOMENT)))

    def _looked_up(self, lookup: Lookup, name: str, row: pa.Table) -> pa.Table:
        of = lookup.source(name)
        source = self.pipeline.sources[of]
        pairs = lookup.pairs(source)
        held = [c for c in (source.valid_from, source.valid_to) if c]
        rows = self._silver(of, [*(their for _, their in pairs), *held])
        rows = equal(rows, _asked(row, rows.schema, pairs))
        if source.valid_from is None:
            return rows
        newest = _nth(self._usable(rows, source, at=self.at), source, at=self.at, nth=0)
        if source.valid_to and newest.num_rows:
            until = newest[source.valid_to]
            open_ended = pc.fill_null(pc.greater(until, pa.scalar(self.at, _MOMENT)), True)
            newest = newest.filter(open_ended)
        return newest

    def _latest(self, latest: Latest, name: str, row: pa.Table) -> pa.Table:
        of = latest.source(name)
        source = self.pipeline.sources[of]
        rows = self._silver(of, [*latest.on.values(), source.happened])
        rows = self._usable(
            equal(rows, _asked(row, rows.schema, latest.on.items())), source, at=self.at
        )
        newest = _nth(rows, source, at=self.at, nth=latest.lag)
        since = pa.scalar(self.at - latest.within, _MOMENT)
        return newest.filter(pc.greater_equal(newest[source.happened], since))

    def _grouped(self, form: History | Encoding, row: pa.Table) -> pa.Table:
        source, about = self.pipeline.sources[form.of], about_of(self.pipeline, form)
        own = [(ours, their) for ours, their in form.by.items() if their in source.columns]
        rows = self._silver(form.of, [*(their for _, their in own), source.happened])
        rows = equal(rows, _asked(row, rows.schema, own))
        if about is not None:
            others = [pair for pair in form.by.items() if pair not in own]
            behind = self._silver(str(source.references), [their for _, their in others])
            behind = equal(behind, _asked(row, behind.schema, others))
            keys = behind.select(list(source.key))
            rows = rows.join(keys, list(source.key), join_type="left semi")
        first = _first_known(rows, source)
        rows = self._usable(rows, source, at=self.at)
        if first is not None:
            rows = rows.join(first, list(source.key))
        clock = source.clock if first is None else "_first"
        reach = pc.greater(rows[clock], pa.scalar(self.at - form.over, _MOMENT))
        rows = rows.filter(reach)
        if isinstance(form, History) and form.last:
            rows = rows.take(pc.sort_indices(rows, [(source.happened, "descending")]))
            rows = rows.slice(0, form.last)
        return rows


def _asked(
    row: pa.Table,
    schema: pa.Schema,
    pairs: Any,  # noqa: ANN401  # pairs of names, however held
) -> dict[str, pa.Scalar]:
    """What a row asks for: their column -> the value of ours."""
    return {
        their: pa.scalar(row[ours][0].as_py(), schema.field(their).type) for ours, their in pairs
    }


def _nth(rows: pa.Table, source: Source, *, at: datetime, nth: int) -> pa.Table:
    """The newest row that has happened at a moment, or one of those before it."""
    rows = rows.filter(pc.less_equal(rows[source.happened], pa.scalar(at, _MOMENT)))
    order = [(name, "descending") for name in dict.fromkeys([source.happened, source.clock])]
    return rows.take(pc.sort_indices(rows, order)).slice(nth, 1)


def _first_known(rows: pa.Table, source: Source) -> pa.Table | None:
    """When each key was first known, where rows are corrected."""
    if source.on_conflict != "latest":
        return None
    found = rows.group_by(list(source.key)).aggregate([(source.clock, "min")])
    return found.rename_columns([*source.key, "_first"])

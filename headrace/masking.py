"""Hides cells of columns marked `pii` wherever rows are shown; what is stored stays as it is."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from headrace import runs
from headrace.lake import Lake, Table
from headrace.spec.expressions import columns_of

if TYPE_CHECKING:
    from headrace.spec.model import Pipeline, Source

MASK = "•••"
HIDDEN = f"{MASK} (hidden: the line holds columns marked pii, and cannot be cut into cells)"
_USUAL = {"format": "csv", "delimiter": ",", "quote": '"'}


@dataclass(frozen=True)
class Mask:
    """How the lines of a source are cut, and which columns are hidden."""

    columns: frozenset[str]
    format: str = "csv"
    delimiter: str = ","
    quote: str = '"'

    @classmethod
    def of(cls, source: Source) -> Mask:
        """The mask that a source declares."""
        return cls(frozenset(source.pii), source.format, source.delimiter, source.quote)

    def line(self, raw: str | None, header: Sequence[str] | None) -> str | None:
        """A line as it arrived, its marked cells hidden; hidden as a whole where it is in doubt.

        Args:
            raw: The line.
            header: Names of its cells in order; None if they are not known.
        """
        if raw is None or not self.columns:
            return raw
        return self._cells(raw, header) if self.format == "csv" else self._keys(raw)

    def reason(self, text: str | None) -> str | None:
        """Why a row was set aside, without the value of a marked column."""
        for name in sorted(self.columns) if text else ():
            # greedy: a value may itself hold what ends the sentence
            cell = rf"(?s)(?<![\w])({re.escape(name)}: cannot read ').*(' as )"
            text = re.sub(cell, rf"\g<1>{MASK}\g<2>", text or "")
        return text

    def value(self, column: str, value: object) -> object:
        """A value of a column, or the mask."""
        return MASK if column in self.columns and value is not None else value

    def _cells(self, raw: str, header: Sequence[str] | None) -> str:
        if header is None or raw.count(self.quote) % 2:
            return HIDDEN
        try:
            rows = list(csv.reader([raw], delimiter=self.delimiter, quotechar=self.quote))
        except csv.Error:
            return HIDDEN
        if len(rows) != 1 or len(rows[0]) != len(header) or not self.columns <= set(header):
            return HIDDEN
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, quotechar=self.quote, lineterminator="")
        writer.writerow(
            cell and str(self.value(name, cell)) for name, cell in zip(header, rows[0], strict=True)
        )
        return text.getvalue()

    def _keys(self, raw: str) -> str:
        try:
            told = json.loads(raw)
        except (ValueError, RecursionError):
            return HIDDEN
        if not isinstance(told, dict):
            return HIDDEN
        shown = {name: self.value(name, value) for name, value in told.items()}
        return json.dumps(shown, ensure_ascii=False)


def hidden_of(pipeline: Pipeline, table: str) -> frozenset[str]:
    """The columns of a table, such as `silver/weather`, whose values are not shown.

    Of gold they are what any source marks, by name, and the features that are made of it, be it by
    an expression, a look-up, a latest row or an aggregate. What a step adds is shown: nobody knows
    what it is made of.
    """
    layer, _, name = table.partition("/")
    if layer != "gold":
        return frozenset(pipeline.sources[name].pii)
    by_name = {column for source in pipeline.sources.values() for column in source.pii}
    return frozenset({*by_name, *_made_of_marked(pipeline)})


def _made_of_marked(pipeline: Pipeline) -> Iterator[str]:
    features, sources = pipeline.features, pipeline.sources

    def uses(sql: str | None, *of: str | None) -> bool:
        marked = {column.lower() for each in of if each for column in sources[each].pii}
        return bool(sql and marked) and not marked.isdisjoint(columns_of(str(sql)))

    yield from (name for name, sql in features.columns.items() if uses(sql, features.rows))
    for joined in (features.lookups, features.latest):
        for called, form in joined.items():
            marked = sources[form.source(called)].pii
            yield from (name for name, column in form.columns.items() if column in marked)
    for name, grouped in features.grouped.items():
        if uses(grouped.value, grouped.of, sources[grouped.of].references):
            yield name


def masked(row: Mapping[str, Any], hidden: Collection[str]) -> dict[str, Any]:
    """A row with the mask in place of what is hidden; nulls stay."""
    mask = Mask(frozenset(hidden))
    return {name: mask.value(name, value) for name, value in row.items()}


def recorded(lake: Lake, source: str) -> Mask:
    """The mask that the newest run to tell of a source declared; it hides nothing if none does."""
    begin = f"sources.{source}."
    for run in reversed(runs.names(lake.root)):
        spec: Mapping[str, object] = (runs.about(lake.runs(run)) or {}).get("spec") or {}
        if any(name.startswith(begin) for name in spec):
            how = {name: str(spec.get(begin + name, usual)) for name, usual in _USUAL.items()}
            marked = spec.get(f"{begin}pii")
            return Mask(frozenset(marked if isinstance(marked, list) else ()), **how)
    return Mask(frozenset())


def headers(lake: Lake, source: str) -> dict[str, tuple[str, ...]]:
    """Digest of a landing file -> the names of its cells in order."""
    table = Table.if_exists(lake.files)
    if table is None:
        return {}
    rows = table.arrow(["source", "sha256", "columns"])
    rows = rows.filter(pc.equal(rows["source"], source))
    return {row["sha256"]: tuple(row["columns"] or ()) for row in rows.to_pylist()}

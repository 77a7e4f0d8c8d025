"""The picture of rows on their way: what was read, what became of it, features and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.report.balance import Balance
from headrace.report.records import Records
from headrace.report.wording import count
from headrace.spec.model import Pipeline

_WIDTH, _TOP, _GAP, _NOTE = 900, 46, 20, 14
_READ, _SILVER, _FEATURES, _SCORES, _NODE = 150, 400, 640, 780, 8
_THICKEST, _THINNEST, _LEAST_ROW, _NODE_HEIGHT = 64.0, 2.0, 24.0, 12.0
TITLES = ((_READ, "read"), (_SILVER, "silver"), (_FEATURES, "features"), (_SCORES, "scores"))


@dataclass(frozen=True)
class Band:
    """Rows that flow from one place to another; `says` is read aloud and shown on hover."""

    path: str
    kind: str
    width: float
    says: str


@dataclass(frozen=True)
class Node:
    """A place where rows stand; without rows it was not reached."""

    x: float
    y: float
    height: float
    kind: str


@dataclass(frozen=True)
class Label:
    """A text beside a node; `kind` is its class in the style sheet."""

    x: float
    y: float
    anchor: str
    kind: str
    text: str


@dataclass(frozen=True)
class Flow:
    """The whole picture."""

    width: int
    height: float
    node: int
    bands: list[Band]
    nodes: list[Node]
    labels: list[Label]


def flow(pipeline: Pipeline, balances: Sequence[Balance], records: Records) -> Flow:
    """Lays the picture out; a band is as thick as its rows are many, but never below two pixels."""
    reads = {one.source: _read(one, records) for one in balances}
    drawing = _Drawing(max(rows or 0 for rows in reads.values()) or 1)
    middles: dict[str, float] = {}
    y = float(_TOP)
    for balance in balances:
        height = max(_LEAST_ROW, drawing.thick(reads[balance.source]))
        middles[balance.source] = y + height / 2
        noted = drawing.source(balance, y + height / 2, read=reads[balance.source])
        y += height + _GAP + (_NOTE if noted else 0)
    drawing.results(pipeline, records, middles)
    return Flow(_WIDTH, y + 8, _NODE, drawing.bands, drawing.nodes, drawing.labels)


class _Drawing:
    """Bands, nodes and labels as they are laid out, all on the scale of the largest source."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.bands: list[Band] = []
        self.nodes: list[Node] = []
        self.labels: list[Label] = []

    def thick(self, rows: int | None) -> float:
        return round(max(_THINNEST, _THICKEST * min(1.0, (rows or 0) / self._most)), 1)

    def source(self, balance: Balance, y: float, *, read: int | None) -> bool:
        """Draws the row of one source; whether some of its rows were kept out of silver."""
        rows = balance.rows
        self._node(_READ, y, read)
        self.labels.append(Label(_READ - 12, y - 2, "end", "name", balance.source))
        told = "no record" if read is None else count(read, "row")
        self.labels.append(Label(_READ - 12, y + 12, "end", "figure", told))
        if not rows:
            self._node(_SILVER, y, None)
            self._above(_SILVER, y, None, "not checked")
            return False
        self._node(_SILVER, y, rows.get("silver"))
        kept = count(rows.get("silver"), "row")
        self._above(_SILVER, y, rows.get("silver"), kept)
        self._band((_READ, y), (_SILVER, y), rows.get("silver"), f"{balance.source}: {kept} kept")
        words = (("quarantine", "in quarantine"), ("duplicates", "dropped as duplicates"))
        noted = [f"{count(rows[name], 'row')} {word}" for name, word in words if rows.get(name)]
        if not noted:
            return False
        edge = y + self.thick(read) / 2
        below = max(y + _LEAST_ROW / 2, edge) + 13
        out = sum(rows.get(name, 0) for name, _ in words)
        text = " and ".join(noted)
        path = f"M{_READ + _NODE} {edge:.1f} Q{_READ + 30} {below:.1f} {_READ + 56} {below:.1f}"
        self.bands.append(Band(path, "aside", self.thick(out), f"{balance.source}: {text}"))
        self.labels.append(Label(_READ + 62, below + 4, "start", "figure halo aside", text))
        return True

    def results(self, pipeline: Pipeline, records: Records, middles: Mapping[str, float]) -> None:
        """Draws features and scores at the height of the source whose rows they follow."""
        y = middles[pipeline.features.rows]
        built = _rows(records, "features", pipeline.name, "built")
        scored = _rows(records, "score", pipeline.name, "scored")
        joined = {*pipeline.features.sources, pipeline.target.of}
        if built is not None:
            self._band((_SILVER, y), (_FEATURES, y), built, f"{built:,} rows of features")
            for source in sorted(joined - {pipeline.features.rows}):
                says = f"{source} joined as known at the moment of prediction"
                self._band((_SILVER, middles[source]), (_FEATURES, y), None, says, kind="joined")
        if scored is not None:
            self._band((_FEATURES, y), (_SCORES, y), scored, f"{scored:,} rows scored")
        for x, rows in ((_FEATURES, built), (_SCORES, scored)):
            self._node(x, y, rows)
            text = "no record" if rows is None else count(rows, "row")
            self._above(x, y, rows, text)

    def _above(self, x: float, y: float, rows: int | None, text: str) -> None:
        """Puts a figure above its node, where no band runs."""
        top = y - max(_NODE_HEIGHT, self.thick(rows)) / 2
        kind = "figure halo" if rows is not None else "figure halo aside"
        self.labels.append(Label(x + _NODE / 2, round(top - 5, 1), "middle", kind, text))

    def _node(self, x: float, y: float, rows: int | None) -> None:
        height = max(_NODE_HEIGHT, self.thick(rows))
        kind = "node" if rows is not None else "node absent"
        self.nodes.append(Node(x, round(y - height / 2, 1), height, kind))

    def _band(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        rows: int | None,
        says: str,
        *,
        kind: str = "kept",
    ) -> None:
        (x, y), (to_x, to_y) = (start[0] + _NODE, start[1]), end
        half = (x + to_x) / 2
        path = f"M{x} {y:.1f} C{half} {y:.1f} {half} {to_y:.1f} {to_x} {to_y:.1f}"
        self.bands.append(Band(path, kind, self.thick(rows), says))


def _read(balance: Balance, records: Records) -> int | None:
    """Rows of the checked batches, or those ingested where no check is recorded."""
    ingested = _rows(records, "ingest", balance.source, "read")
    return balance.rows.get("read", ingested)


def _rows(records: Records, stage: str, subject: str, name: str) -> int | None:
    result = records.find(stage, subject)
    return result.rows.get(name) if result else None

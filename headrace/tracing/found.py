"""One row of scores by its key, and the row of gold that it was made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from headrace import held
from headrace.errors import CorruptArtifact, UsageError
from headrace.intervals import SCORE_VERSION
from headrace.lake import DataFile, Lake, Table, application_id, digest
from headrace.lake.history import Event, history
from headrace.masking import hidden_of, masked
from headrace.spec.model import Pipeline
from headrace.spec.problems import unknown

_CANDIDATES = 5  # keys that a message lists
_INTERVAL = "_interval"


@dataclass(frozen=True)
class Scored:
    """A score and what it was made of.

    Attributes:
        key: Column of the key -> value.
        interval: The day.
        row: The row of scores, all columns; or of what is held.
        features: The row of gold, all columns; a table of one row.
        gold_version: Of the table that holds them.
        committed: The commit of the score, where the log still tells of it.
    """

    key: Mapping[str, Any]
    interval: date
    row: Mapping[str, Any]
    features: pa.Table
    gold_version: int
    committed: Event | None

    @property
    def is_held(self) -> bool:
        """Whether it waits for a person, and is not among the scores."""
        return "_reason" in self.row

    @property
    def model(self) -> str:
        """The digest of the model."""
        return str(self.row["_model"])


def find(
    pipeline: Pipeline, lake: Lake, given: Mapping[str, str], *, interval: date | None = None
) -> Scored:
    """The one score that has these values in columns of its key.

    Data files whose bounds in the log leave the values out are not opened.

    Args:
        pipeline: Whose scores.
        lake: The lake.
        given: Column of the key -> value as text; moments without a zone are UTC.
        interval: The day, which saves looking into the others.

    Raises:
        UsageError: No score, or several, have these values; or a column is none of the key.
        CorruptArtifact: The features that it was made of are not in the lake.
    """
    table = Table.if_exists(lake.scores(pipeline.name))
    if table is None:
        message = f"{pipeline.name} has no scores yet"
        raise UsageError(message, lake=lake.root, hint="`headrace run` makes them")
    key = pipeline.sources[pipeline.features.rows].key
    values = _values(given, key, table.schema)
    rows = _matching(pipeline, lake, table, values, interval)
    if rows.num_rows == 1:
        row = rows.to_pylist()[0]
        return _with_features(pipeline, lake, row, key)
    if rows.num_rows:
        several = rows.select([*key, _INTERVAL]).slice(0, _CANDIDATES).to_pylist()
        message = f"{rows.num_rows:,} scores have {told(values)}"
        hidden = hidden_of(pipeline, f"gold/{pipeline.name}")
        candidates = "; ".join(told(masked(row, hidden)) for row in several)
        raise UsageError(message, hint=f"name the rest of the key, such as: {candidates}")
    raise _missing(pipeline, lake, table, values, interval)


def scored_from(
    pipeline: Pipeline, lake: Lake, *, day: date, fingerprint: str
) -> tuple[Table, list[DataFile]]:
    """The version of gold that scores of a day were made of, and its files of that day.

    Targets that became known since make a version with the same features: any of them will do.

    Args:
        pipeline: Whose scores.
        lake: The lake.
        day: The interval.
        fingerprint: Of the scores.

    Raises:
        CorruptArtifact: No version that is still there has these features.
    """
    for version in _versions(pipeline, lake, day):
        table = Table(lake.gold(pipeline.name), version)
        files = [file for file in table.files if file.partition[_INTERVAL] == day]
        stamps = {file.least.get("_fingerprint") for file in files}
        if {digest(stamp, SCORE_VERSION) for stamp in stamps if stamp} == {fingerprint}:
            return table, files
    message = f"the features that {day} was scored from are not in the lake any more"
    raise CorruptArtifact(
        message,
        table=lake.gold(pipeline.name),
        hint="restore its log from a backup; `headrace backfill --stale` scores the day anew",
    )


def _matching(
    pipeline: Pipeline,
    lake: Lake,
    table: Table,
    values: Mapping[str, pa.Scalar],
    interval: date | None,
) -> pa.Table:
    """The scores that have these values; where there are none, those that are held."""
    rows = matching(table, values, interval=interval)
    waiting = {} if rows.num_rows else held.waiting(lake, pipeline.name)
    if not waiting:
        return rows
    found = matching(Table(lake.held(pipeline.name)), values, interval=interval)
    return found.filter(pc.is_in(found[_INTERVAL], pa.array(list(waiting), pa.date32())))


def matching(
    table: Table, values: Mapping[str, pa.Scalar], *, interval: date | None = None
) -> pa.Table:
    """The rows of a table that have these values; files that cannot hold them are passed over."""
    files = [
        file
        for file in table.files
        if interval is None or file.partition.get(_INTERVAL) == interval
        if all(_may_hold(file, column, value.as_py()) for column, value in values.items())
    ]
    found = [equal(table.arrow(files=[file]), values) for file in files]
    return pa.concat_tables(found) if found else table.schema.empty_table()


def equal(rows: pa.Table, values: Mapping[str, pa.Scalar]) -> pa.Table:
    """The rows that have these values; none where a value is null."""
    for column, value in values.items():
        rows = rows.filter(pc.equal(rows[column], value))
    return rows


def told(values: Mapping[str, Any]) -> str:
    """Values as they are typed: `carrier=UA flight=1712`."""
    return " ".join(f"{name.lstrip('_')}={_text(value)}" for name, value in values.items())


def _text(value: object) -> str:
    plain = value.as_py() if isinstance(value, pa.Scalar) else value
    return f"{plain:%Y-%m-%dT%H:%M:%SZ}" if isinstance(plain, datetime) else str(plain)


def _values(
    given: Mapping[str, str], key: Sequence[str], schema: pa.Schema
) -> dict[str, pa.Scalar]:
    values = {}
    for column, text in given.items():
        if column not in key:
            message = unknown("column", column, key, of="the key")
            raise UsageError(message, hint=f"the key is {', '.join(key)}")
        kind = schema.field(column).type
        try:
            values[column] = _scalar(text, kind)
        except pa.ArrowInvalid as error:
            message = f"{text!r} is no {kind}"
            raise UsageError(
                message, column=column, hint="write it as the landing file does"
            ) from error
    return values


def _scalar(text: str, kind: pa.DataType) -> pa.Scalar:
    if not pa.types.is_timestamp(kind):
        return pa.scalar(text).cast(kind)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise pa.ArrowInvalid(str(error)) from error
    return pa.scalar(moment, kind)  # one without a zone is taken as UTC


def _may_hold(file: DataFile, column: str, value: Any) -> bool:  # noqa: ANN401  # of any type
    """Whether the bounds of a file leave room for a value; the log rounds them outwards."""
    least, greatest = file.least.get(column), file.greatest.get(column)
    return least is None or greatest is None or bool(least <= value <= greatest)


def _with_features(
    pipeline: Pipeline, lake: Lake, row: Mapping[str, Any], key: Sequence[str]
) -> Scored:
    day = row[_INTERVAL]
    gold, files = scored_from(pipeline, lake, day=day, fingerprint=row["_fingerprint"])
    values = {name: pa.scalar(row[name], gold.schema.field(name).type) for name in key}
    found = equal(gold.arrow(files=files), values)
    if found.num_rows != 1:
        message = f"gold has {found.num_rows} rows of {told(values)} on {day}"
        raise CorruptArtifact(message, table=gold.path, hint="`headrace verify` looks at the rest")
    return Scored(
        key={name: row[name] for name in key},
        interval=day,
        row=row,
        features=found,
        gold_version=gold.version,
        committed=_commit_of(pipeline, lake, day),
    )


def _versions(pipeline: Pipeline, lake: Lake, day: date) -> Iterator[int]:
    """Versions of gold to look at: the newest, then the one that the commit of the scores names."""
    newest = Table(lake.gold(pipeline.name)).version
    yield newest
    event = _commit_of(pipeline, lake, day)
    recorded = event.told.get("gold") if event else None
    if isinstance(recorded, int) and recorded != newest:
        yield recorded


def _commit_of(pipeline: Pipeline, lake: Lake, day: date) -> Event | None:
    events = history(
        lake.root, (f"scores/{pipeline.name}",), subject=pipeline.name, unit=day.isoformat()
    )
    unit = application_id(pipeline.name, "score", day.isoformat())
    # A release adds rows to what was scored, and is no scoring.
    mine = [event for event in events if event.unit == unit and "released_by" not in event.told]
    return mine[-1] if mine else None


def _missing(
    pipeline: Pipeline,
    lake: Lake,
    table: Table,
    values: Mapping[str, pa.Scalar],
    interval: date | None,
) -> UsageError:
    on = f" on {interval}" if interval else ""
    message = f"no score of {pipeline.name} has {told(values)}{on}"
    refused = Table.if_exists(lake.refused(pipeline.name))
    rows = matching(refused, values, interval=interval) if refused else None
    if rows is not None and rows.num_rows:
        reason = rows["_reason"][0].as_py()
        return UsageError(
            f"{message}: the row was refused: {reason}", hint="mend the feature, then train again"
        )
    example = _example(pipeline, table, tuple(values))
    days = sorted(file.partition[_INTERVAL] for file in table.files)
    span = f"scores reach from {days[0]} to {days[-1]}" if days else "there are none"
    return UsageError(message, hint=f"{span}; one of them is {example}" if example else span)


def _example(pipeline: Pipeline, table: Table, columns: Sequence[str]) -> str:
    """A score that there is; nothing where its key is hidden."""
    last = [file for file in table.files if file.rows][-1:]
    rows = table.arrow(list(columns), files=last).slice(0, 1).to_pylist() if last else []
    hidden = hidden_of(pipeline, f"gold/{pipeline.name}")
    return told(rows[0]) if rows and hidden.isdisjoint(columns) else ""

"""Whether a lake holds what it promises: files, balances, keys, references; reads, writes nothing.

Needs no engine and no pipeline file: what stands in the tables is held against itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace import held
from headrace.browse import OpenLake
from headrace.errors import HeadraceError
from headrace.intervals import SCORE_VERSION
from headrace.lake import Lake, Table, application_id, digest
from headrace.lake.history import broken_seals, history
from headrace.machine import Finding, State
from headrace.maintain import pins
from headrace.models import registry

_PLACE = ["_file_sha256", "_row"]


def verify(root: Path) -> Iterator[Finding]:
    """Looks at every table, source, model and score of a lake; one finding for each.

    Args:
        root: The lake's folder.

    Raises:
        UsageError: There is no lake there.
    """
    lake = Lake(root)
    names = OpenLake(root).tables()
    broken = set()
    for name in names:
        finding = _table(lake, name)
        if finding.state == "fail":
            broken.add(name)
        yield finding
    for name in OpenLake(root).unfinished():
        found = "its log holds no commit: a run was ended before its first one, or the log is lost"
        advice = "`headrace run` makes the table; had it rows before, restore it from a backup"
        yield Finding(name, "warn", found, advice)
    yield from _between(lake, names, broken)


def _between(lake: Lake, names: tuple[str, ...], broken: set[str]) -> Iterator[Finding]:
    """What tables say of one another, as far as they can be read."""
    for name in _second(names, "bronze"):
        if not broken & {f"{layer}/{name}" for layer in ("bronze", "silver", "quarantine")}:
            yield _balance(lake, name)
    for name, versions in pins(lake).items():
        if name not in broken:
            yield _references(lake.root / name, versions, name=name)
    for name in _second(names, "aliases", "gold"):
        if "aliases" not in broken:
            yield from _models(lake, name)
        if not broken & {f"{of}/{name}" for of in ("scores", "gold", "refused", "held")}:
            yield from _scores(lake, name)


def _second(names: tuple[str, ...], *layers: str) -> list[str]:
    parts = (name.partition("/") for name in names)
    return [second for layer, _, second in parts if layer in layers and second]


def _table(lake: Lake, name: str) -> Finding:
    """Every data file is there and reads back by its checksums, every commit by its digest."""
    try:
        table = Table(lake.root / name)
        rows = sum(table.arrow(files=[file]).num_rows for file in table.files)
        known = {file.path for file in table.files}
        told = [file.rows for file in table.files]
        altered = broken_seals(table.path)
    except HeadraceError as error:
        return Finding(name, "fail", error.message, error.hint)
    if None not in told and sum(count or 0 for count in told) != rows:
        found = f"{rows:,} rows, and its log tells of {sum(count or 0 for count in told):,}"
        return Finding(name, "fail", found, "restore the table from a backup")
    if altered:
        found = f"commits that are not as they were written: versions {altered}"
        return Finding(name, "fail", found, "restore its folder _delta_log from a backup")
    old = sum(
        path.relative_to(table.path).as_posix() not in known
        for path in table.path.rglob("*.parquet")
        if "_delta_log" not in path.parts
    )
    others = f"; {old:,} files of older versions or of ended runs" if old else ""
    return Finding(name, "ok", f"version {table.version}: {rows:,} rows, all read back{others}")


def _balance(lake: Lake, source: str) -> Finding:
    """Each line of a published batch stands once, in silver or in quarantine, or is a duplicate."""
    name = f"balance of {source}"
    bronze, silver = Table(lake.bronze(source)), Table.if_exists(lake.silver(source))
    if silver is None:
        return Finding(name, "warn", "nothing is published yet", "`headrace run` publishes")
    batches = {str(batch) for batch in bronze.arrow(["_batch"])["_batch"].unique().to_pylist()}
    done = {b for b in batches if silver.recorded(application_id(source, "check", b))}
    read = _places(bronze, done)
    quarantine = Table.if_exists(lake.quarantine(source))
    parts = [silver.arrow(_PLACE)]
    if quarantine is not None:
        parts.append(_places(quarantine, done))
    stands = pa.concat_tables(parts)
    counts = stands.group_by(_PLACE).aggregate([([], "count_all")])
    doubled = pc.sum(pc.greater(counts["count_all"], 1)).as_py() or 0
    unknown = stands.join(read, keys=_PLACE, join_type="left anti").num_rows
    lines, kept = read.num_rows, counts.num_rows
    found = f"{lines:,} lines read, {kept:,} in silver or quarantine, {lines - kept:,} duplicates"
    waiting = len(batches - done)
    if waiting:
        found += f"; {waiting} batches not published"
    lost = lines - kept - _told_duplicates(lake, source, done, default=lines - kept)
    problems = [
        text
        for count, text in (
            (doubled, f"{doubled:,} lines stand twice"),
            (unknown, f"{unknown:,} rows come from no line of bronze"),
            (lost, f"{lost:,} lines are in neither and were no duplicates"),
        )
        if count
    ]
    if problems:
        advice = "report this: it is a defect"
        if doubled:
            advice = f"if a replay ended early, run `quarantine replay` again; else {advice}"
        return Finding(name, "fail", "; ".join([found, *problems]), advice)
    return Finding(name, "ok", found)


def _told_duplicates(lake: Lake, source: str, done: set[str], *, default: int) -> int:
    """The duplicates that the commits tell of; the default where one is cleaned up by now."""
    layers = ("quarantine", "silver") if Table.exists(lake.quarantine(source)) else ("silver",)
    events = history(lake.root, tuple(f"{layer}/{source}" for layer in layers), subject=source)
    told = {event.unit: int(event.told.get("duplicates", 0)) for event in events}
    checked = {application_id(source, "check", batch) for batch in done}
    return sum(told.values()) if checked <= told.keys() else default


def _places(table: Table, batches: set[str]) -> pa.Table:
    rows = table.arrow([*_PLACE, "_batch"])
    return rows.filter(pc.is_in(rows["_batch"], pa.array(sorted(batches), pa.string()))).select(
        _PLACE
    )


def _references(path: Path, versions: set[int], *, name: str) -> Finding:
    """Every version that a model was trained on, or that standing scores were made of, is whole."""
    lost = []
    for version in sorted(versions):
        try:
            files = Table(path, version).files
        except HeadraceError:
            lost.append(version)
        else:
            lost += [version] * (not all((path / file.path).exists() for file in files))
    found = f"{len(versions)} versions that models and scores name"
    if lost:
        found += f"; not there any more: {lost}"
        return Finding(f"versions of {name}", "fail", found, "restore the table from a backup")
    return Finding(f"versions of {name}", "ok", f"{found} can be read")


def _models(lake: Lake, pipeline: str) -> Iterator[Finding]:
    """Every model that was ever champion, or is held, is there, with the digests of its record."""
    told = [
        (row.model, f"champion since {row.moment:%Y-%m-%d %H:%M} UTC")
        for row in registry.promotions(lake, pipeline)
    ]
    waiting = [each for each in held.models(lake, pipeline) if not each.published]
    told += [(each.unit, "held until a person releases it") for each in waiting]
    for model, what in told:
        name = f"model {model[:12]} of {pipeline}"
        try:
            registry.load(lake, pipeline, model)
        except HeadraceError as error:
            yield Finding(name, "fail", error.message, error.hint)
        else:
            yield Finding(name, "ok", f"digests hold; {what}")


def _scores(lake: Lake, pipeline: str) -> Iterator[Finding]:
    """What is scored, held or refused is the rows of features; models are there, stamps gold's."""
    scores, gold = Table.if_exists(lake.scores(pipeline)), Table.if_exists(lake.gold(pipeline))
    if gold is None:
        return
    unfinished = _half_scored(lake, pipeline, scores)
    if unfinished:
        days = ", ".join(map(str, unfinished))
        found = f"not finished: of {days} rows are refused or held, and no scores stand yet"
        yield Finding(f"scoring of {pipeline}", "warn", found, "`headrace run` again completes it")
    if scores is not None:
        yield _balance_of_scores(lake, pipeline, scores, gold, unfinished=unfinished)


def _balance_of_scores(
    lake: Lake, pipeline: str, scores: Table, gold: Table, *, unfinished: Sequence[date]
) -> Finding:
    rows_in, waiting = _rows_by_day(gold), held.waiting(lake, pipeline)
    refused = Table.if_exists(lake.refused(pipeline))
    rows_out = Counter(_rows_by_day(scores))
    rows_out.update(waiting)
    if refused is not None:
        of_days = _rows_by_day(refused).items()
        rows_out.update({day: count for day, count in of_days if day not in unfinished})
    made = {f.partition["_interval"]: f.least.get("_fingerprint") for f in gold.files}
    names = ["_interval", "_model", "_fingerprint"]
    stamps = scores.arrow(names).group_by(names).aggregate([]).to_pylist()
    stale = {
        row["_interval"]
        for row in stamps
        if row["_fingerprint"] != digest(made.get(row["_interval"]), SCORE_VERSION)
    }
    uneven = [day for day, count in rows_out.items() if day not in stale and rows_in[day] != count]
    lost = {row["_model"] for row in stamps} - {
        path.name for path in lake.models(pipeline).glob("*") if path.is_dir()
    }
    name = f"scores of {pipeline}"
    found = f"{sum(rows_out.values()):,} rows scored or refused on {len(rows_out)} intervals"
    if waiting:
        found += f", {sum(waiting.values()):,} of them held until a person releases them"
    state: State = "fail" if uneven or lost else "warn" if stale else "ok"
    advice = []
    if uneven:
        found += f"; not one for each row of features on {', '.join(map(str, sorted(uneven)))}"
        advice.append("report this: it is a defect")
    if lost:
        found += f"; models that are not there: {', '.join(sorted(lost))}"
        advice.append("restore the models from a backup")
    if stale:
        found += f"; {len(stale)} intervals scored from other features than stand now"
        advice.append("`headrace backfill --stale` scores them again")
    released = [
        each for each in held.everything(lake, pipeline) if each.release and not each.published
    ]
    if released:
        state = "fail" if state == "fail" else "warn"
        found += f"; released and not yet used: {', '.join(each.unit for each in released)}"
        advice.append("`headrace release FILE UNIT` again completes it")
    return Finding(name, state, found, "; ".join(advice))


def _half_scored(lake: Lake, pipeline: str, scores: Table | None) -> list[date]:
    """Intervals whose scoring was ended after the commit of its refused or held rows."""
    beside = filter(None, map(Table.if_exists, (lake.refused(pipeline), lake.held(pipeline))))
    days = {day for table in beside for day, count in _rows_by_day(table).items() if count}
    return [
        day
        for day in sorted(days)
        if scores is None or not scores.recorded(application_id(pipeline, "score", day.isoformat()))
    ]


def _rows_by_day(table: Table) -> dict[date, int]:
    counted: dict[date, int] = {}
    for file in table.files:
        day = file.partition["_interval"]
        counted[day] = counted.get(day, 0) + (file.rows or 0)
    return counted

"""`headrace quarantine`: rows that were set aside, shown and judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table as Grid

from flows.completion import sources
from flows.options import (
    DEFAULT,
    ERR,
    OUT,
    AsJson,
    File,
    LakeFolder,
    emit,
    next_step,
    settings_of,
)
from flows.progress import progress
from headrace import runs
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.lake import Lake

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Rows that were set aside: `show` them, and `replay` them after a rule was mended.",
)
SourceName = Annotated[
    str, typer.Argument(help="A source.", show_default=False, autocompletion=sources)
]


@app.command()
def show(
    source: SourceName,
    *,
    lake: LakeFolder = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that break this rule.")] = None,
    file: Annotated[str | None, typer.Option(help="Only rows of this landing file.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to show in full.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Counts the rows in quarantine by rule and by file, and shows the first as they arrived.

    Cells of columns that the pipeline marks `pii` are hidden.

    Example: `headrace quarantine show weather --limit 3`
    """
    from headrace.lake import Lake, Table, application_id
    from headrace.masking import headers, recorded
    from headrace.report.quarantine import masked

    place = Lake(settings_of(lake).lake)
    table = Table.if_exists(place.quarantine(source))
    if table is None:
        _demand_source(source, place)
        if as_json:
            emit(_document(source, [], []))
            return
        OUT.print(f"nothing of {source} is in quarantine")
        next_step("nothing to do; `headrace profile SOURCE` looks at what was kept")
        return
    silver = Table.if_exists(place.silver(source))
    columns = ["_file", "_file_sha256", "_row", "_raw", "_failed_rules", "_reason", "_batch"]
    rows = [
        row
        for row in table.arrow(columns).to_pylist()
        if silver is not None and silver.recorded(application_id(source, "check", row["_batch"]))
        if (rule is None or rule in row["_failed_rules"]) and file in {None, row["_file"]}
    ]
    rows.sort(key=lambda row: (row["_file"], row["_row"]))
    mask = recorded(place, source)
    known = headers(place, source) if mask.columns else {}
    first = [masked(row, mask=mask, headers=known) for row in rows[:limit]]
    if as_json:
        emit(_document(source, rows, first))
    else:
        _print(source, rows, first)


def _demand_source(source: str, lake: Lake) -> None:
    found = sorted(path.name for path in (lake.root / "silver").glob("[!.]*"))
    if source not in found:
        message = f"no source {source!r} in this lake"
        hint = f"there are {', '.join(found)}" if found else "`headrace run FILE` makes them"
        raise UsageError(message, lake=lake.root, hint=hint)


def _print(
    source: str, rows: Sequence[Mapping[str, Any]], first: Sequence[Mapping[str, Any]]
) -> None:
    OUT.print(f"{len(rows):,} row{'' if len(rows) == 1 else 's'} of {source} in quarantine")
    for title, names in _names(rows).items():
        grid = Grid(title, "rows")
        for name, count in Counter(names).most_common():
            grid.add_row(escape(name), f"{count:,}")
        OUT.print(grid)
    for row in first:
        OUT.print(
            f"{escape(repr(row['_file'])[1:-1])} line {row['_row']}: {escape(row['_reason'])}\n"
            f"    {escape(repr(row['_raw'])[1:-1])}",
            soft_wrap=True,
            highlight=False,
        )
    if rows:
        next_step(f"mend the rule or the schema, then `headrace quarantine replay {source} FILE`")
    else:
        next_step("nothing to do; without `--rule` and `--file` every row is counted")


def _names(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The broken rules and the files of rows, a name per row."""
    return {
        "rule": [name for row in rows for name in row["_failed_rules"]],
        "file": [row["_file"] for row in rows],
    }


def _document(
    source: str, rows: Sequence[Mapping[str, Any]], first: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    names = _names(rows)
    told = {"file": "_file", "line": "_row", "rules": "_failed_rules", "reason": "_reason"}
    return {
        "source": source,
        "rows": len(rows),
        "by_rule": dict(Counter(names["rule"]).most_common()),
        "by_file": dict(Counter(names["file"]).most_common()),
        "first": [{name: row[of] for name, of in {**told, "raw": "_raw"}.items()} for row in first],
    }


@app.command()
def replay(
    source: SourceName, pipeline: File = DEFAULT, lake: LakeFolder = None, as_json: AsJson = False
) -> None:
    """Judges the rows again, by the pipeline file as it is now; those that pass go to silver.

    The others stay, with the reason they have now. A second time changes nothing.

    Example: `headrace quarantine replay weather examples/flight_delays/pipeline.yaml`
    """
    from flows.execution import Execution, Request
    from headrace.intervals import features_due
    from headrace.lake import Lake, application_id
    from headrace.lake.claims import Disk, claimed
    from headrace.spec import load

    settings, declared = settings_of(lake), load(pipeline)
    declared.source(source)
    place = Lake(settings.lake)
    run = runs.new_name()
    unit = application_id(source, "replay", "all")
    with (
        progress(ERR if as_json else OUT),
        claimed(Disk(place.claims), [unit], owner=run) as other,
        Execution(Request(declared, settings, run)) as execution,
    ):
        if other is None:
            result = execution.replay(source)
    if other is not None:
        told = {"source": source, "outcome": "already_running", "message": str(other)}
        if as_json:
            emit(told)
        else:
            OUT.print(str(other))
            next_step(f"`headrace quarantine replay {source} {pipeline}` when it has ended")
        return
    back, stay = (result.rows.get(name, 0) for name in ("silver", "quarantine"))
    stale = [interval.day for interval in features_due(declared, place).stale]
    if as_json:
        counts = {"silver": back, "quarantine": stay, "stale": stale}
        emit({"source": source, "outcome": str(result.outcome), **counts})
        return
    OUT.print(f"{back:,} row{'' if back == 1 else 's'} came back, {stay:,} left in quarantine")
    if stale:
        OUT.print(f"{len(stale)} intervals are stale")
        next_step(f"`headrace backfill {pipeline} --stale`")
    else:
        next_step(f"`headrace run {pipeline}` builds what is missing")

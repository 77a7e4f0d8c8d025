"""`headrace quarantine`: rows that were set aside, shown and judged again."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid

from flows.completion import sources
from flows.options import DEFAULT, OUT, File, LakeFolder, settings_of
from flows.progress import progress
from headrace import runs
from headrace.errors import UsageError

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
    lake: LakeFolder = None,
    rule: Annotated[str | None, typer.Option(help="Only rows that break this rule.")] = None,
    file: Annotated[str | None, typer.Option(help="Only rows of this landing file.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many rows to show in full.")] = 10,
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
        found = sorted(path.name for path in (place.root / "silver").glob("[!.]*"))
        if source not in found:
            message = f"no source {source!r} in this lake"
            hint = f"there are {', '.join(found)}" if found else "`headrace run FILE` makes them"
            raise UsageError(message, lake=place.root, hint=hint)
        OUT.print(f"nothing of {source} is in quarantine")
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
    OUT.print(f"{len(rows):,} rows of {source} in quarantine")
    for title, names in (
        ("rule", [name for row in rows for name in row["_failed_rules"]]),
        ("file", [row["_file"] for row in rows]),
    ):
        grid = Grid(title, "rows")
        for name, count in Counter(names).most_common():
            grid.add_row(escape(name), f"{count:,}")
        OUT.print(grid)
    mask = recorded(place, source)
    known = headers(place, source) if mask.columns else {}
    for row in (masked(row, mask=mask, headers=known) for row in rows[:limit]):
        OUT.print(
            f"{escape(repr(row['_file'])[1:-1])} line {row['_row']}: {escape(row['_reason'])}\n"
            f"    {escape(repr(row['_raw'])[1:-1])}",
            soft_wrap=True,
            highlight=False,
        )
    if rows:
        OUT.print(
            f"next: mend the rule or the schema, then `headrace quarantine replay {source} FILE`"
        )


@app.command()
def replay(source: SourceName, pipeline: File = DEFAULT, lake: LakeFolder = None) -> None:
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
        progress(OUT),
        claimed(Disk(place.claims), [unit], owner=run) as other,
        Execution(Request(declared, settings, run)) as execution,
    ):
        if other is not None:
            OUT.print(str(other))
            return
        result = execution.replay(source)
    OUT.print(
        f"{result.rows.get('silver', 0):,} rows came back, "
        f"{result.rows.get('quarantine', 0):,} stay in quarantine"
    )
    stale = features_due(declared, place).stale
    if stale:
        OUT.print(f"{len(stale)} intervals are stale; next: `headrace backfill {pipeline} --stale`")

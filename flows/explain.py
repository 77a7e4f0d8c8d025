"""`headrace explain`: from one score to model, features, lines of landing files and checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table as Grid

from flows.keys import Interval, Words, asked
from flows.options import OUT, AsJson, LakeFolder, ShowPii, emit, next_step, settings_of
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.tracing import Explanation
    from headrace.tracing.explanation import HeldScore

app = typer.Typer()


@app.command()
def explain(
    words: Words = None,
    *,
    interval: Interval = None,
    lines: Annotated[
        int, typer.Option(min=0, max=10_000, help="How many lines of each form to show.")
    ] = 3,
    lake: LakeFolder = None,
    as_json: AsJson = False,
    show_pii: ShowPii = False,
) -> None:
    """Tells where a score comes from: model, features and what each adds, raw lines, checks.

    As much of the key as tells one score from the others is enough. Starts no engine.
    Values of columns that the pipeline marks `pii` are hidden.

    Example: `headrace explain pipeline.yaml carrier=UA flight=1712 --interval 2013-12-24`
    """
    from headrace.lake import Lake
    from headrace.spec import load
    from headrace.tracing import explain as explained
    from headrace.tracing import find
    from headrace.tracing.found import told

    wanted = asked(words, interval)
    pipeline, place = load(wanted.file), Lake(settings_of(lake).lake)
    if not wanted.key:
        key = pipeline.sources[pipeline.features.rows].key
        message = "it takes columns of the key, with their values"
        raise UsageError(message, hint=f"the key is {', '.join(key)}: `{key[0]}=...`")
    scored = find(pipeline, place, wanted.key, interval=wanted.interval)
    found = explained(pipeline, place, scored, most=lines, show_pii=show_pii)
    if as_json:
        emit(found.to_json())
        return
    _print_score(found)
    _print_model(found)
    _print_features(found)
    _print_lines(found)
    _print_checks(found)
    again = told(found.key)
    if scored.is_held:
        next_step(
            f"if it is right, `headrace release {wanted.file} {scored.interval} --by NAME "
            "--reason TEXT` puts it among the scores"
        )
        return
    next_step(
        f"`headrace rebuild {wanted.file} {again} --interval {scored.interval}` computes it again"
    )


def _print_score(found: Explanation) -> None:
    from headrace.tracing.found import told

    scored, told_of = found.scored, found.to_json()
    OUT.print(f"[bold]{escape(told(found.key))}[/], {scored.interval}, {found.pipeline}")
    values = {k: v for k, v in told_of["score"].items() if k != "probabilities"}
    when = f", {scored.committed.at:%Y-%m-%d %H:%M:%S} UTC" if scored.committed else ""
    row = ", ".join(f"{name} {value!r}" for name, value in values.items())
    OUT.print(f"  {escape(row)}", soft_wrap=True)
    for label, share in told_of["score"].get("probabilities") or ():
        OUT.print(f"    {escape(label)}: {share!r}")
    outcome = told_of["outcome"]
    known = "not known yet" if outcome is None else f"{outcome!r}"
    OUT.print(f"  {escape(found.target)} came out: {escape(known)}")
    OUT.print(f"  scored by run {scored.row['_run']}{when}", soft_wrap=True, highlight=False)
    if found.held:
        _print_held(found.held)


def _print_held(held: HeldScore) -> None:
    told = f"  [yellow]held[/]: {escape(held.reason)}"
    if held.release:
        made = held.release
        told += (
            f"; released by {escape(made.by)} on {made.released_at:%Y-%m-%d %H:%M} UTC: "
            f"{escape(made.reason)}"
        )
    if not held.published:
        told += "; it is not among the scores"
    OUT.print(told, soft_wrap=True, highlight=False)


def _print_model(found: Explanation) -> None:
    record, data = found.record, found.record["data"]
    OUT.print(f"[bold]model[/] {found.scored.model}: {record['algorithm']}", soft_wrap=True)
    OUT.print(
        f"  trained with what was known at {record['moment']}, on {data['table']} version "
        f"{data['version']}, {data['intervals']} intervals; champion since {found.since}",
        soft_wrap=True,
        highlight=False,
    )
    libraries = ", ".join(f"{name} {version}" for name, version in record["libraries"].items())
    OUT.print(f"  by {libraries}", soft_wrap=True, highlight=False)


def _print_features(found: Explanation) -> None:
    scored, added = found.scored, found.added
    grid = Grid(
        title=f"features of gold/{found.pipeline}, version {scored.gold_version}",
        title_justify="left",
    )
    for name in ("feature", "value", *([f"adds to the {added.scale}"] if added else [])):
        grid.add_column(name, overflow="fold", justify="left" if name == "feature" else "right")
    values = found.values
    names = list(found.features)
    if added:
        names.sort(key=lambda name: -abs(added.by_feature.get(name, 0.0)))
    for name in names:
        adds = added.by_feature.get(name) if added else None
        grid.add_row(name, escape(str(values[name])), *([] if adds is None else [f"{adds:+.6g}"]))
    if added:
        grid.add_row("(base)", "", f"{added.base:+.6g}")
    OUT.print(grid)
    if added and added.of:
        OUT.print(f"  of the class {escape(added.of)}")
    if not added:
        OUT.print("  this algorithm does not tell what each feature adds")
    same = "silver gives the same features today"
    changed = "silver has changed since, so lines below may have come later than the features"
    OUT.print(f"  {same if found.unchanged else changed}")


def _print_lines(found: Explanation) -> None:
    OUT.print("[bold]lines of landing files[/]")
    for each in found.behind:
        names = ", ".join(each.features)
        OUT.print(
            f"  {each.place} ({names}): {each.rows:,} of {each.source}",
            soft_wrap=True,
            highlight=False,
        )
        for line in each.lines:
            known = f", known {line.known:%Y-%m-%d %H:%M} UTC" if line.known else ""
            raw = "" if line.raw is None else f": {line.raw!r}"
            OUT.print(
                f"    {escape(line.file)} line {line.row}{known}{escape(raw)}",
                soft_wrap=True,
                highlight=False,
            )
        if each.rows > len(each.lines) > 0:
            OUT.print(f"    and {each.rows - len(each.lines):,} more; `--lines` shows them")


def _print_checks(found: Explanation) -> None:
    OUT.print("[bold]checks[/]")
    if not found.checks:
        OUT.print("  none is declared for these sources; every line was parsed by its schema")
    for each in found.checks:
        surely = each.success or each.action == "quarantine"  # of a warning rows are counted alone
        state = "[green]kept[/]  " if surely else "[yellow]warned[/]"
        others = ""
        if each.broken:  # None for a rule of the whole table
            rows = f"{each.broken:,} {'other ' if surely else ''}row"
            others = f"; {rows}{'' if each.broken == 1 else 's'} of the batch broke it"
            others += "" if surely else ", and which ones is not kept"
        OUT.print(
            f"  {state} {escape(each.source)}: {escape(each.rule)} ({each.action}){others}",
            soft_wrap=True,
            highlight=False,
        )

"""`headrace algorithms` and `headrace choose`: what can be learned with, and what to try first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table as Grid

from flows import completion
from flows.options import OUT, AsJson, LakeFolder, emit, next_step, settings_of
from headrace.errors import UsageError

if TYPE_CHECKING:
    from headrace.models.algorithms.algorithm import Task
    from headrace.models.choose import Choice

app = typer.Typer()


class Written(StrEnum):
    """Forms that `headrace export` writes and not every algorithm has."""

    ONNX = "onnx"
    PMML = "pmml"
    SQL = "sql"


@app.command()
def algorithms(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One of them, or what it is also called.", autocompletion=completion.algorithms
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Lists the algorithms, or tells one: parameters with ranges, budget, when not to use it.

    Example: `headrace algorithms lightgbm`
    """
    from headrace.models.algorithms import CATALOGUE, asked, spelled, why_not_offered
    from headrace.models.pages import told

    if name and (why := why_not_offered(name)):
        if as_json:
            emit({"name": spelled(name), "offered": False, "why": why})
            return
        OUT.print(f"{spelled(name)} is not offered: {why}", soft_wrap=True)
        next_step("`headrace algorithms` lists those that are")
        return
    found = [told(entry) for entry in ((asked(name),) if name else CATALOGUE)]
    if as_json:
        emit(found[0] if name else found)
    elif name:
        _print_one(found[0])
        next_step(
            f"list `{found[0]['name']}` under `training.algorithms`, and what you know of its "
            "parameters under `training.parameters`"
        )
    else:
        grid = Grid(title="algorithms")
        for column in ("name", "tasks", "when not", "extra"):
            grid.add_column(column, overflow="fold")
        for each in found:
            tasks = ", ".join(each["tasks"])
            grid.add_row(each["name"], tasks, escape(each["when_not"]), each["extra"])
        OUT.print(grid)
        next_step("`headrace algorithms NAME` tells one")


def _print_one(entry: dict[str, Any]) -> None:
    OUT.print(f"[bold]{entry['name']}[/]: {escape(entry['title'])}")
    budget = ", ".join(f"{most:,} {name}" for name, most in entry["budget"].items())
    facts = {
        "tasks": ", ".join(entry["tasks"]),
        "when not": entry["when_not"],
        "budget": f"{budget}; more is refused"
        + (f", take {', '.join(entry['over_budget'])}" if entry["over_budget"] else ""),
        "bigger than one node": ", ".join(f"by {engine}" for engine in entry["engines"]),
        "weights": "heeded" if entry["weights"] else "refused, unless all are equal or 0",
        "saved as": entry["saved_as"],
        "exports": ", ".join(entry["exports"]) or "none but its own format",
        "extra": entry["extra"] and f"pip install 'headrace[{entry['extra']}]'",
        "licence": entry["licence"],
        "also asked for as": ", ".join(entry["aliases"]),
        "source": entry["source"],
    }
    for name, fact in facts.items():
        if fact:
            OUT.print(f"  {name}: {escape(fact)}", soft_wrap=True)
    for caveat in entry["caveats"]:
        OUT.print(f"  mind: {escape(caveat)}", soft_wrap=True)
    if entry["parameters"]:
        grid = Grid("parameter", "default", "searched")
        for parameter, each in entry["parameters"].items():
            grid.add_row(parameter, str(each["default"]), each["searched"])
        OUT.print(grid)


@app.command()
def choose(
    file: Annotated[Path | None, typer.Argument(help="A pipeline file to take sizes from.")] = None,
    *,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass or regression.", show_default=False)
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="With a known target.")] = None,
    columns: Annotated[int | None, typer.Option(min=1, help="Features.")] = None,
    classes: Annotated[
        int | None, typer.Option(min=2, help="Of a multiclass target; 2 where nothing is known.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="People must read it.")] = False,
    export: Annotated[
        Written | None, typer.Option(help="A form that it must be written in.", show_default=False)
    ] = None,
    extrapolate: Annotated[
        bool, typer.Option("--extrapolate", help="Beyond the targets seen.")
    ] = False,
    unequal_costs: Annotated[
        bool, typer.Option("--unequal-costs", help="One error costs more than the other.")
    ] = False,
    lake: LakeFolder = None,
    as_json: AsJson = False,
) -> None:
    """Proposes algorithms for a problem, with reasons, baselines first. Fits nothing.

    Example: `headrace choose --task regression --rows 5000 --columns 12 --extrapolate`
    """
    from headrace.models.choose import Problem
    from headrace.models.choose import choose as chosen

    if file is not None:
        stated = _stated(file, lake)
        task, rows = task or stated.task, rows or stated.rows
        columns, classes = columns or stated.columns, classes or stated.classes
        unequal_costs = unequal_costs or stated.unequal_costs
    if rows is None or columns is None:
        message = "it takes the number of rows and of columns to choose"
        raise UsageError(message, hint="give --rows and --columns, or a pipeline file that has run")
    found = chosen(
        Problem(
            _task(task or "binary"),
            rows,
            columns,
            classes=classes or 2,
            explain=explain,
            export=export or "",
            extrapolate=extrapolate,
            unequal_costs=unequal_costs,
        )
    )
    if as_json:
        emit(_chosen(found, rows=rows, columns=columns))
    else:
        _print(found, title=f"{rows:,} rows, {columns:,} columns", with_left_out=not export)


def _print(found: Choice, *, title: str, with_left_out: bool) -> None:
    grid = Grid("", "try", "why", "when not", title=title)
    for number, each in enumerate(found.proposals, start=1):
        entry = each.algorithm
        name = entry.name + (f" (extra {entry.extra})" if entry.extra else "")
        grid.add_row(str(number), name, escape(each.why), escape(entry.when_not))
    OUT.print(grid)
    if with_left_out:
        for left, why in found.left_out.items():
            OUT.print(f"not {left}: {escape(why)}", soft_wrap=True)
    for note in found.notes:
        OUT.print(f"note: {escape(note)}", soft_wrap=True)
    if found.proposals:
        next_step("list them under `training.algorithms`; `headrace algorithms NAME` tells one")
    else:
        next_step("ask for less: fewer rows, or another form")


def _chosen(found: Choice, *, rows: int, columns: int) -> dict[str, Any]:
    return {
        "rows": rows,
        "columns": columns,
        "proposals": [
            {
                "algorithm": each.algorithm.name,
                "why": each.why,
                "when_not": each.algorithm.when_not,
                "extra": each.algorithm.extra,
            }
            for each in found.proposals
        ],
        "left_out": dict(found.left_out),
        "notes": list(found.notes),
    }


def _task(name: str) -> Task:
    from headrace.models.algorithms.algorithm import Task

    if name not in set(Task):
        message = f"no task {name!r}"
        raise UsageError(message, hint=f"there are {', '.join(Task)}")
    return Task(name)


@dataclass(frozen=True)
class _Stated:
    """What a pipeline file says of its problem, and its features where they stand; None: nothing.

    Attributes:
        task: The kind of target.
        rows: Of gold.
        columns: Features.
        classes: Different targets of gold, of a multiclass target.
        unequal_costs: Whether errors have costs.
    """

    task: str
    rows: int | None
    columns: int
    classes: int | None
    unequal_costs: bool


def _stated(file: Path, lake: Path | None) -> _Stated:
    from headrace.lake import Lake, Table
    from headrace.spec import load

    pipeline = load(file)
    target = pipeline.target
    gold = Table.if_exists(Lake(settings_of(lake).lake).gold(pipeline.name))
    rows = classes = None
    if gold is not None:
        rows = sum(each.rows or 0 for each in gold.files)
        if target.task == "multiclass":
            found = gold.arrow([target.name])[target.name]
            classes = max(len(found.drop_null().unique()), 2)
    columns = len(pipeline.features.names)
    return _Stated(str(target.task), rows, columns, classes, target.costs is not None)

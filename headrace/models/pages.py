"""The catalogue as pages of Markdown, one per family: `python -m headrace.models.pages FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from headrace.models.algorithms import CATALOGUE, NOT_OFFERED
from headrace.models.algorithms.algorithm import Algorithm, Family
from headrace.models.algorithms.space import Dimension, Range


def told(entry: Algorithm) -> dict[str, Any]:
    """An entry as JSON values."""
    return {
        "name": entry.name,
        "title": entry.title,
        "family": str(entry.family),
        "tasks": sorted(entry.tasks),
        "baseline": entry.baseline,
        "when_not": entry.when_not,
        "caveats": list(entry.caveats),
        "parameters": {
            name: {"default": value, "searched": _range(entry.space.get(name))}
            for name, value in entry.parameters.items()
        },
        "budget": vars(entry.budget),
        "over_budget": list(entry.choices),
        "engines": list(entry.engines),
        "weights": entry.weights,
        "categories": entry.needs.categories,
        "saved_as": entry.save_as,
        "exports": list(entry.exports),
        "extra": entry.extra,
        "licence": entry.licence,
        "aliases": list(entry.aliases),
        "source": entry.source,
    }


def _range(dimension: Dimension | None) -> str:
    """A dimension in words; empty where it is not searched."""
    if dimension is None:
        return ""
    beside = f"; if declared, {', '.join(map(str, dimension.beside))}" if dimension.beside else ""
    if isinstance(dimension, Range):
        kind = "" if dimension.kind == "real" else ", whole"
        log = ", log" if dimension.log else ""
        return f"{dimension.low:g} to {dimension.high:g}{kind}{log}{beside}"
    return ", ".join(str(value) for value in dimension.values) + beside


def page(family: Family) -> str:
    """The page of a family."""
    entries = [entry for entry in CATALOGUE if entry.family is family]
    return "\n".join(
        [
            f"# Algorithms: {family}",
            "",
            "Written from the entries of the catalogue by `python -m headrace.models.pages "
            "docs/algorithms`; edit those.",
            *(line for entry in entries for line in _section(entry)),
            "",
        ]
    )


def _section(entry: Algorithm) -> list[str]:
    budget = entry.budget
    facts = {
        "Tasks": ", ".join(sorted(entry.tasks)),
        "When not": entry.when_not,
        "Budget of a fit": f"{budget.rows:,} rows, {budget.columns:,} columns, "
        f"{budget.cells:,} cells",
        "Over budget": ", ".join(f"`{name}`" for name in entry.choices),
        "Bigger than one node": ", ".join(f"by `{engine}`" for engine in entry.engines),
        "Weights of rows": "heeded" if entry.weights else "refused, unless all are equal or 0",
        "Saved as": entry.save_as,
        "Exports": ", ".join(entry.exports),
        "Needs": f"`pip install 'headrace[{entry.extra}]'`" if entry.extra else "",
        "Licence": entry.licence,
        "Also asked for as": ", ".join(entry.aliases),
        "Source": entry.source,
    }
    lines = ["", f"## {entry.name}", "", f"{entry.title}.", ""]
    lines += [f"- {name}: {fact}" for name, fact in facts.items() if fact]
    lines += [f"- Mind: {caveat}" for caveat in entry.caveats]
    if entry.parameters:
        lines += ["", "| parameter | default | searched |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {value} | {_range(entry.space.get(name))} |"
            for name, value in entry.parameters.items()
        ]
    return lines


def index() -> str:
    """The page of the whole catalogue."""
    lines = [
        "# Algorithms",
        "",
        "`headrace algorithms` lists them, `headrace algorithms NAME` tells one, and "
        "`headrace choose` proposes some.",
        "",
        "Every fit refuses rows or columns over its budget, weights below 0, and infinite targets "
        "and cells, with the names of",
        "their columns. A null or NaN cell is missing, and so is a category that training had not.",
        "",
        "| algorithm | family | tasks | when not |",
        "|---|---|---|---|",
        *(
            f"| [{entry.name}]({entry.family}.md#{entry.name}) | {entry.family} "
            f"| {', '.join(sorted(entry.tasks))} | {entry.when_not} |"
            for entry in CATALOGUE
        ),
        "",
        "Not offered:",
        "",
        *(f"- {name}: {why}." for name, why in NOT_OFFERED.items()),
        "",
    ]
    return "\n".join(lines)


def pages() -> dict[str, str]:
    """File name to content."""
    families = dict.fromkeys(entry.family for entry in CATALOGUE)
    return {"README.md": index(), **{f"{family}.md": page(family) for family in families}}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pages().items():
        (folder / name).write_text(content)

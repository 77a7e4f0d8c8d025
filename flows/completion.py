"""What a shell completes: pipeline files, sources, runs and algorithms, as they are there now.

A completion never fails and prints nothing: where it cannot look, it offers nothing.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from headrace.settings import Settings

_SUFFIXES = {".yaml", ".yml"}


def files(incomplete: str) -> list[str]:
    """Pipeline files, and folders on the way to one."""
    folder = Path(incomplete) if incomplete.endswith("/") else Path(incomplete).parent
    with suppress(OSError):
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        texts = [f"{path}/" if path.is_dir() else str(path) for path in found]
        return [
            text
            for text in texts
            if text.startswith(incomplete)
            if text.endswith("/") or Path(text).suffix in _SUFFIXES
        ]
    return []


def sources(context: typer.Context, incomplete: str) -> list[str]:
    """The sources of the pipeline file that the command names, or of the one here."""
    given = context.params.get("file") or context.params.get("pipeline") or "pipeline.yaml"
    declared = _read(Path(given)).get("sources")
    names = list(declared) if isinstance(declared, dict) else []
    return [name for name in map(str, names) if name.startswith(incomplete)]


def subjects(context: typer.Context, incomplete: str) -> list[str]:
    """The sources, and `gold`."""
    return [*sources(context, incomplete), *(["gold"] if "gold".startswith(incomplete) else [])]


def runs(context: typer.Context, incomplete: str) -> list[str]:
    """The runs of the lake, newest first, and the words for the newest two."""
    from headrace import runs as known

    with suppress(Exception):  # such as a lake that is no folder
        lake = context.params.get("lake")
        names = known.names((Settings(lake=lake) if lake else Settings()).lake)
        every = ["last", "previous", *reversed(names)]
        return [name for name in every if name.startswith(incomplete)]
    return []


def held_units(context: typer.Context, incomplete: str) -> list[str]:
    """The intervals and models of the pipeline file that are held and not released."""
    from headrace import held
    from headrace.lake import Lake

    with suppress(Exception):  # such as a lake that is no folder
        name = str(_read(Path(context.params.get("file") or "pipeline.yaml")).get("name"))
        lake = context.params.get("lake")
        place = Lake((Settings(lake=lake) if lake else Settings()).lake)
        known = [each.unit for each in held.everything(place, name) if not each.published]
        return [unit for unit in known if unit.startswith(incomplete)]
    return []


def algorithms(incomplete: str) -> list[str]:
    """The names of the catalogue."""
    from headrace.models.algorithms import CATALOGUE

    return [entry.name for entry in CATALOGUE if entry.name.startswith(incomplete)]


def _read(file: Path) -> dict[str, Any]:
    import yaml

    with suppress(OSError, ValueError, yaml.YAMLError):
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}

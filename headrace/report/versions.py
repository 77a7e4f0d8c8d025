"""What it takes to repeat a run: versions of tables, of the model and of packages."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from headrace.lake import Lake
from headrace.report.records import Records

_PACKAGES = (
    "headrace",
    "pyspark",
    "delta-spark",
    "deltalake",
    "pyarrow",
    "great-expectations",
    "ray",
    "optuna",
    "scikit-learn",
    "lightgbm",
    "prefect",
)
_NESTED = ("data", "code", "libraries", "parameters", "rows")


@dataclass(frozen=True)
class ModelRecord:
    """A model's own record, as it stands beside its files."""

    digest: str
    facts: dict[str, Any]  # JSON values as recorded


@dataclass(frozen=True)
class Versions:
    """Versions by name; packages are those installed where the page was written."""

    tables: list[tuple[str, int, str]]  # table, version, run that left it
    models: list[ModelRecord]
    packages: list[tuple[str, str]]
    python: str


def versions(lake: Lake, records: Records, *, pipeline: str, models: tuple[str, ...]) -> Versions:
    """Reads the versions that the stages recorded, and the records of the models that scored."""
    tables: dict[str, tuple[int, str]] = {}
    for (_, subject), record in records.of.items():
        for layer, number in record.result.tables.items():
            whole = "/" in layer or not (lake.root / layer / subject).is_dir()
            table = layer if whole else f"{layer}/{subject}"
            tables[table] = max(tables.get(table, (-1, "")), (number, record.run))
    return Versions(
        tables=sorted((table, number, run) for table, (number, run) in tables.items()),
        models=[_model(lake, pipeline, digest) for digest in models],
        packages=[(name, found) for name in _PACKAGES if (found := _installed(name))],
        python=platform.python_version(),
    )


def _model(lake: Lake, pipeline: str, digest: str) -> ModelRecord:
    path = lake.models(pipeline) / digest / "record.json"
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ModelRecord(digest, {})
    return ModelRecord(digest, {name: value for name, value in _flat(told) if _is_short(value)})


def _flat(told: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in told.items():
        if name in _NESTED and isinstance(value, dict):
            yield from ((f"{name}: {inner}", found) for inner, found in value.items())
        else:
            yield name, value


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""

"""Models that another engine has fitted for a training, until the training has judged them.

They stand in `<lake>/candidates` as the models of the registry stand in the lake: files by digest,
then a record. No alias names one; the winner is stored as a model like any other. Of one that could
not be fitted the reason stands there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from headrace.lake import Lake, digest
from headrace.models import registry
from headrace.models.model import Model, Recipe


@dataclass(frozen=True)
class Failure:
    """Why a candidate could not be fitted.

    Attributes:
        recipe: What it would have been made of.
        reason: What the engine said of it.
        seconds: What it had taken until then.
    """

    recipe: Recipe
    reason: str
    seconds: float


def keep(lake: Lake, model: Model, *, record: Mapping[str, Any]) -> str:
    """Writes a candidate's files, then its record; its digest."""
    return registry.store(_place(lake), model, record)


def keep_failure(lake: Lake, failure: Failure) -> None:
    """Writes why a candidate could not be fitted; one that is fitted later stands before it."""
    path = _failures(lake, failure.recipe.pipeline) / f"{digest(vars(failure.recipe))}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    registry.write_whole(path, json.dumps(asdict(failure)).encode())


def find(
    lake: Lake, pipeline: str, *, algorithm: str, moment: str, data: str, spec: str
) -> Model | None:
    """The candidate of a training, or None: of the same data and the same pipeline file.

    Args:
        lake: The lake.
        pipeline: Name of the pipeline.
        algorithm: A name of the catalogue.
        moment: As a recipe has it.
        data: Digest of what it learned from.
        spec: Digest of the pipeline file's content.

    Raises:
        CorruptArtifact: A file is not what its digest says.
    """
    wanted = {"algorithm": algorithm, "moment": moment, "data": data, "spec": spec}
    for name in _names(lake, pipeline):
        told = registry.record(_place(lake), pipeline, name)["recipe"]
        if wanted.items() <= told.items():
            return registry.load(_place(lake), pipeline, name)
    return None


def failure(
    lake: Lake, pipeline: str, *, algorithm: str, moment: str, data: str, spec: str
) -> Failure | None:
    """Why the candidate of a training could not be fitted, or None; arguments as of `find`."""
    wanted = {"algorithm": algorithm, "moment": moment, "data": data, "spec": spec}
    for _, failed in _told(lake, pipeline):
        if wanted.items() <= vars(failed.recipe).items():
            return failed
    return None


def drop(lake: Lake, pipeline: str, *, moment: str) -> None:
    """Removes the candidates of a training that is done, and the reasons of those that failed."""
    for path, failed in _told(lake, pipeline):
        if failed.recipe.moment == moment:
            path.unlink()
    for name in _names(lake, pipeline):
        told = Recipe(**registry.record(_place(lake), pipeline, name)["recipe"])
        if told.moment == moment:
            folder = _place(lake).models(pipeline) / name
            (folder / "record.json").unlink()  # first: what a kill leaves is then no candidate
            shutil.rmtree(folder)


def _names(lake: Lake, pipeline: str) -> list[str]:
    """Those that are whole: a kill leaves files without a record, which the next fit completes."""
    folder = _place(lake).models(pipeline)
    return sorted(path.parent.name for path in folder.glob("*/record.json"))


def _told(lake: Lake, pipeline: str) -> Iterator[tuple[Path, Failure]]:
    for path in sorted(_failures(lake, pipeline).glob("*.json")):
        told = json.loads(path.read_text())
        yield path, Failure(**{**told, "recipe": Recipe(**told["recipe"])})


def _failures(lake: Lake, pipeline: str) -> Path:
    return _place(lake).root / "failed" / pipeline


def _place(lake: Lake) -> Lake:
    return Lake(lake.root / "candidates")

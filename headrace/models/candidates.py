"""Models that another engine has fitted for a training, until the training has judged them.

They stand in `<lake>/candidates` as the models of the registry stand in the lake: files by digest,
then a record. No alias names one; the winner is stored as a model like any other.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from headrace.lake import Lake
from headrace.models import registry
from headrace.models.model import Model, Recipe


def keep(lake: Lake, model: Model, *, record: Mapping[str, Any]) -> str:
    """Writes a candidate's files, then its record; its digest."""
    return registry.store(_place(lake), model, record)


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


def drop(lake: Lake, pipeline: str, *, moment: str) -> None:
    """Removes the candidates of a training that is done."""
    for name in _names(lake, pipeline):
        told = Recipe(**registry.record(_place(lake), pipeline, name)["recipe"])
        if told.moment == moment:
            shutil.rmtree(_place(lake).models(pipeline) / name)


def _names(lake: Lake, pipeline: str) -> list[str]:
    """Those that are whole: a kill leaves files without a record, which the next fit completes."""
    folder = _place(lake).models(pipeline)
    return sorted(path.parent.name for path in folder.glob("*/record.json"))


def _place(lake: Lake) -> Lake:
    return Lake(lake.root / "candidates")

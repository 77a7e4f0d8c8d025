"""An entry of the catalogue as a pipeline has it."""

from __future__ import annotations

from dataclasses import replace

from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Algorithm, Parameters
from headrace.spec.training import Training


def declared(name: str, training: Training) -> Algorithm:
    """The entry, with what the pipeline says among its defaults.

    Args:
        name: Of the catalogue.
        training: As the pipeline declares it.

    Raises:
        UsageError: There is no such algorithm.
    """
    entry, given = named(name), _given(name, training)
    return replace(entry, defaults={**entry.defaults, **given}) if given else entry


def _given(name: str, training: Training) -> Parameters:
    if name == "preset" and training.preset is not None:
        return {"preset": training.preset, "time_limit": training.time_limit.total_seconds()}
    if name == "glm":
        terms = {"offset": training.offset, "exposure": training.exposure}
        return {role: feature for role, feature in terms.items() if feature is not None}
    return {}

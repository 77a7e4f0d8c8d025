"""What one training works on, and what its models say that they were made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from headrace.evaluation.metrics import Metric
from headrace.models.algorithms.algorithm import Parameters, Samples
from headrace.models.encoding import Encoding, Form
from headrace.models.model import Recipe
from headrace.models.registry import Aliases
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline
from ray_tasks.examples import Examples


@dataclass(frozen=True)
class Training:
    """What one training works on.

    Attributes:
        pipeline: The pipeline.
        moment: The day at whose `features.at` the model is trained.
        examples: Rows as known then.
        encodings: Fitted on the training rows.
        train: The matrices of the training rows.
        aliases: The champions when it began; the decision must still find them.
    """

    pipeline: Pipeline
    moment: date
    examples: Examples
    encodings: Mapping[Form, Encoding]
    train: Mapping[Form, Samples]
    aliases: Aliases

    @property
    def metric(self) -> Metric:
        """What candidates are judged by."""
        return self.pipeline.training.metric

    @property
    def at(self) -> datetime:
        """The training moment, UTC."""
        return self.pipeline.at(self.moment).astimezone(UTC)


def recipe(
    pipeline: Pipeline,
    examples: Examples,
    *,
    moment: date,
    algorithm: str,
    parameters: Parameters,
) -> Recipe:
    """What a model of this training is made of."""
    return Recipe(
        pipeline=pipeline.name,
        target=pipeline.target.name,
        algorithm=algorithm,
        parameters=dict(parameters),
        seed=pipeline.training.seed,
        moment=pipeline.at(moment).astimezone(UTC).isoformat(),
        data=examples.data,
        spec=digest_of(pipeline),
    )

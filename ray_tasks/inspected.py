"""The inspection of what a training shipped: puts together what `headrace` then looks at."""

from __future__ import annotations

from typing import Any

from headrace.evaluation.inspection import Again, Rows, Subject, inspect
from headrace.evaluation.splits import Part
from headrace.masking import hidden_of
from headrace.models.declared import declared
from ray_tasks.contest import Contest
from ray_tasks.training import Training

_SHARE = 0.15  # of the seconds that training took, for fits on parts and from other seeds
_LEAST = 20.0  # seconds that they may take in any case


def inspected(training: Training, met: Contest, *, seconds: float) -> dict[str, Any]:
    """What the shipped model is like, as JSON values; see `headrace.evaluation.inspection`.

    Args:
        training: What was trained.
        met: What came of it.
        seconds: How long it took so far.
    """
    examples, pipeline, name = training.examples, training.pipeline, met.decision.shipped
    model = met.shipped
    baselines = [each for each, role in met.roles.items() if role == "baseline"]
    baseline = met.models[baselines[0]] if baselines and baselines[0] != name else None
    subject = Subject(
        model=model,
        name=name,
        baseline=baseline,
        features=examples.features,
        key=pipeline.sources[pipeline.features.rows].key,
        metric=training.metric,
        seed=pipeline.training.seed,
        labels=examples.labels,
        hidden=hidden_of(pipeline, f"gold/{pipeline.name}"),
        **{part.name: _rows(training, part) for part in examples.parts},
    )
    train = training.train.get(model.encoding.form)
    again = None
    # A champion of before has an encoding of its own: today's matrices have other columns.
    if train is not None and model.encoding == training.encodings[model.encoding.form]:
        days = examples.days(examples.parts.train)
        entry = declared(model.recipe.algorithm, pipeline.training)
        again = Again(entry, train, days, max(_LEAST, _SHARE * seconds))
    return inspect(subject, again, by=pipeline.training.slices)


def _rows(training: Training, part: Part) -> Rows:
    examples = training.examples
    return Rows(examples.of(part), examples.y[part.rows], examples.blocks(part).code)

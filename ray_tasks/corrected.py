"""What validation corrects of a finalist: its probabilities, and the rule that decides by costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headrace.errors import TrainingError
from headrace.evaluation.calibration import Calibrated, calibrated
from headrace.evaluation.costs import Costs, rule_of
from headrace.evaluation.metrics import Floats
from headrace.models.algorithms.threads import one_thread
from headrace.models.model import Model
from headrace.spec.model import Pipeline
from ray_tasks.examples import Examples


def costs_of(pipeline: Pipeline, examples: Examples) -> Costs | None:
    """The costs that a pipeline declares, for the classes of its rows.

    Raises:
        TrainingError: They name a class that no row has.
    """
    declared = pipeline.target.costs
    return Costs.of(declared, examples.classes, examples.labels) if declared is not None else None


def corrected(pipeline: Pipeline, examples: Examples, model: Model) -> Model:
    """The model with its calibration and its rule, as the pipeline asks.

    A baseline is never calibrated: it is what others are held against.

    Args:
        pipeline: What is asked for.
        examples: Whose validation part is used, which the model has not learned from.
        model: As fitted.
    """
    costs = costs_of(pipeline, examples)
    if not model.algorithm.baseline and (found := calibrated_by(pipeline, examples, model)):
        model = replace(model, calibration=found.calibration)
    if costs is None:
        return model
    part = examples.parts.validation
    y, blocks = examples.y[part.rows], examples.blocks(part).code
    predicted = _said(examples, model)
    return replace(model, rule=rule_of(costs, y, predicted, blocks=blocks))


def calibrated_by(pipeline: Pipeline, examples: Examples, model: Model) -> Calibrated | None:
    """What comes of the wish to calibrate a model; None where there is none."""
    asked, part = pipeline.training.calibration, examples.parts.validation
    if asked == "none":
        return None
    predicted = _said(examples, replace(model, calibration=None))
    with one_thread():  # equal rows give equal bytes
        return calibrated(
            asked, examples.y[part.rows], predicted, blocks=examples.blocks(part).code
        )


def _said(examples: Examples, model: Model) -> Floats:
    """What a model predicts of validation, in terms of its own classes.

    Raises:
        TrainingError: It is not finite.
    """
    predicted = model.predict(examples.of(examples.parts.validation))
    if not np.isfinite(predicted).all():
        message = f"{model.recipe.algorithm} predicts NaN or infinity on validation"
        raise TrainingError(message, hint="leave the algorithm out, or mend its features")
    return predicted

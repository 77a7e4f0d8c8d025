"""What validation corrects of a finalist: its probabilities, and the rule that decides by costs."""

from __future__ import annotations

from dataclasses import replace

from threadpoolctl import threadpool_limits

from headrace.evaluation.calibration import Calibrated, calibrated
from headrace.evaluation.costs import Costs, rule_of
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


def corrected(
    pipeline: Pipeline, examples: Examples, model: Model, *, calibrate: bool
) -> tuple[Model, Calibrated | None]:
    """The model with its calibration and its rule, as the pipeline asks.

    Args:
        pipeline: What is asked for.
        examples: Whose validation part is used, which the model has not learned from.
        model: As fitted.
        calibrate: Whether its probabilities may be corrected; those of a baseline are not.
    """
    asked, costs = pipeline.training.calibration, costs_of(pipeline, examples)
    if (asked == "none" or not calibrate) and costs is None:
        return model, None
    part = examples.parts.validation
    y, blocks = examples.y[part.rows], examples.days(part)
    predicted = model.predict(examples.of(part))
    found = None
    if asked != "none" and calibrate:
        with threadpool_limits(1):  # equal rows give equal bytes
            found = calibrated(asked, y, predicted, blocks=blocks)
        if found.calibration is not None:
            predicted = found.calibration(predicted)
            model = replace(model, calibration=found.calibration)
    if costs is not None:
        model = replace(model, rule=rule_of(costs, y, predicted, blocks=blocks))
    return model, found

"""A closer look at the finalists on the test part: calibration, costs, curves; JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.evaluation import costs as cost
from headrace.evaluation.costs import Costs, Decisions
from headrace.evaluation.curves import curves
from headrace.evaluation.metrics import Floats
from headrace.evaluation.reliability import outcomes, reliability
from headrace.evaluation.spread import percentiles
from headrace.models.algorithms.algorithm import Task
from headrace.models.decision import ClassRule, Rule, ValueRule
from headrace.models.model import Model
from ray_tasks.corrected import calibrated_by, costs_of
from ray_tasks.examples import Examples

if TYPE_CHECKING:
    from ray_tasks.contest import Contest
    from ray_tasks.training import Training


def closer(training: Training, met: Contest) -> dict[str, Any]:
    """What a training tells beyond metrics; only what fits its target, and what it asks for.

    Returns:
        `calibration` of the winner, where there are classes; `costs` of all, where costs are
        declared; `curves` of winner and baseline, where the target is true or false; `scored`, how
        what is shipped scores the test part.
    """
    examples, found = training.examples, {"scored": _scored(training, met)}
    task = examples.classes.task
    if task is not Task.REGRESSION:
        found["calibration"] = _calibration(training, met)
    if (costs := costs_of(training.pipeline, examples)) is not None:
        found["costs"] = _costs(training, met, costs)
    if task is Task.BINARY:
        y, blocks, seed = _test(training)
        found["curves"] = {
            name: curves(y, met.scores[name], blocks=blocks, seed=seed)
            for name, role in met.roles.items()
            if role in {"winner", "baseline"}
        }
    return found


def _scored(training: Training, met: Contest) -> dict[str, Any]:
    """What the table of scores would hold of the test part: how many, and their percentiles."""
    examples, model = training.examples, met.shipped
    score = met.scores[met.decision.shipped]
    if examples.classes.task is Task.MULTICLASS:
        score = score[np.arange(len(score)), _decision(examples, model, score)]
    elif examples.classes.task is Task.REGRESSION:
        score = _decision(examples, model, score)
    return {"rows": len(score), "percentiles": percentiles(score)}


def _calibration(training: Training, met: Contest) -> dict[str, Any]:
    """Of the winner: what was done, and whether its probabilities are true on the test part."""
    y, blocks, seed = _test(training)
    name = _winner(met)
    model, examples = met.models[name], training.examples
    test = {"as shipped": met.scores[name]}
    if model.calibration is not None:
        part = examples.parts.test
        test["before"] = examples.predicted(replace(model, calibration=None), part)
    done = calibrated_by(training.pipeline, examples, model)
    return {
        "candidate": name,
        **(done.to_json() if done else {"asked": "none", "method": "none"}),
        "sentence": done.sentence if done else "",
        "test": {
            when: reliability(*outcomes(y, score), blocks=blocks, seed=seed)
            for when, score in test.items()
        },
    }


def _costs(training: Training, met: Contest, costs: Costs) -> dict[str, Any]:
    y, blocks, seed = _test(training)
    examples, name = training.examples, _winner(met)
    decisions: dict[str, Decisions] = {
        each: Decisions(role, _decision(examples, met.models[each], met.scores[each]))
        for each, role in met.roles.items()
    }
    validation = examples.y[examples.parts.validation.rows]
    decisions |= cost.constants(costs, validation, classes=examples.classes.count, rows=len(y))
    return {
        "per_rows": cost.ROWS,
        "declared": training.pipeline.target.costs,
        "candidates": cost.told(costs, y, decisions, winner=name, blocks=blocks, seed=seed),
        "rules": {each: _rule(model.rule) for each, model in met.models.items()},
        "confusion": {
            each: found
            for each in met.models
            if (found := cost.confusion(costs, y, decisions[each].decision)) is not None
        },
    }


def _decision(examples: Examples, model: Model, score: Floats) -> Any:  # noqa: ANN401  # as `decided`
    """What a model decides, as codes of `examples.labels` where there are classes.

    A class of the champion's own has a code beyond them.
    """
    if model.classes.task is not Task.MULTICLASS:
        return model.decide(score)
    own = set(examples.labels)
    every = [*examples.labels, *(label for label in model.classes.labels if label not in own)]
    places = np.array([every.index(label) for label in model.classes.labels])
    return places[model.decide(score[:, places])]


def _rule(rule: Rule | None) -> Mapping[str, Any]:
    match rule:
        case ClassRule(threshold=float() as threshold):
            return {"threshold": threshold}
        case ValueRule(offset=offset):
            return {"offset": offset}
        case ClassRule():
            return {"decides": "least expected cost"}
        case _:
            return {}


def _winner(met: Contest) -> str:
    return next(name for name, role in met.roles.items() if role == "winner")


def _test(training: Training) -> tuple[Floats, Any, int]:
    part = training.examples.parts.test
    days = training.examples.blocks(part).code
    return training.examples.y[part.rows], days, training.pipeline.training.seed

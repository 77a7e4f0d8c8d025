"""What a training tells of naive forecasts: the column as it stands, and the season."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.evaluation.intervals import Judged
from headrace.evaluation.metrics import Floats
from headrace.evaluation.season import Season, seasonal
from headrace.models.algorithms.algorithm import Task
from headrace.models.algorithms.baseline import BEST_COLUMN

if TYPE_CHECKING:
    from ray_tasks.search import Searched
    from ray_tasks.training import Training


def as_it_is(training: Training, baseline: Searched) -> tuple[str, ...]:
    """The columns that the best baseline takes as they are, by name, if it is of that kind."""
    if baseline.algorithm.name != BEST_COLUMN.name:
        return ()
    given: Mapping[str, Any] = baseline.parameters
    features = training.encodings[BEST_COLUMN.needs.categories].names
    names = [features[place] for place in given["columns"]]
    then = f", where that is missing {', then '.join(names[1:])}" if names[1:] else ""
    return (f"the best baseline, best_column, is {names[0]} as it is{then}",) if names else ()


def season_of(training: Training) -> Season | None:
    """Of a regression by time: what the series themselves tell, whatever the features hold."""
    examples, pipeline = training.examples, training.pipeline
    if examples.classes.task is not Task.REGRESSION or pipeline.split.kind != "time":
        return None
    return seasonal(
        examples.rows,
        examples.y,
        key=pipeline.sources[pipeline.features.rows].key,
        at=pipeline.at,
        parts=examples.parts,
        metric=training.metric,
    )


def told(
    season: Season,
    training: Training,
    found: Judged,
    predicted: Mapping[str, Floats],
    *,
    candidate: str,
) -> str:
    """The season and a candidate on the test part, as a note."""
    part, metric = training.examples.parts.test, training.metric
    own, other = (f"{found.metrics[n][metric].value:.4g}" for n in (season.called, candidate))
    return season.note(
        part,
        training.examples.y[part.rows],
        predicted,
        candidate=candidate,
        value=f"{metric} {own} on the test part, {candidate} {other}",
    )

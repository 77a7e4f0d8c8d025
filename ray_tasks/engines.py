"""The candidates of a training that engines fit on all of its rows, beside those of the search."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date

from headrace.errors import TrainingError
from headrace.lake import Lake
from headrace.models import candidates
from headrace.models.algorithms import named
from headrace.models.shards import content, training_shard
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline
from ray_tasks import parallel
from ray_tasks.examples import Examples
from ray_tasks.folded import on_validation
from ray_tasks.search import Searched


def fitted_by_engines(
    pipeline: Pipeline, lake: Lake, examples: Examples, *, moment: date, run: str
) -> list[Searched]:
    """Those that workers of Ray Train fit now, then those that Spark has left.

    Raises:
        TrainingError: A fit failed, or Spark has left none of this data and this pipeline file.
        EngineLost: Ray went away.
    """
    return [
        *_wide(pipeline, lake, examples, moment=moment, run=run),
        *_left_by_spark(pipeline, lake, examples, moment=moment),
    ]


def _wide(
    pipeline: Pipeline, lake: Lake, examples: Examples, *, moment: date, run: str
) -> list[Searched]:
    """The candidates that several workers fit together, in order."""
    engines = pipeline.training.engines
    chosen = [name for name in pipeline.training.algorithms if engines.get(name) == "ray_train"]
    if not chosen:
        return []
    wide = parallel.shared_out(lake, pipeline, examples)
    return [
        parallel.fit(
            wide,
            named(name),
            pipeline,
            examples,
            moment=moment,
            storage=lake.runs(run) / f"fit-{name}-{moment}",
        )
        for name in chosen
    ]


def _left_by_spark(
    pipeline: Pipeline, lake: Lake, examples: Examples, *, moment: date
) -> list[Searched]:
    """The candidates that the stage `fit` has left in the lake, in order.

    Raises:
        TrainingError: One is not there, or is of other data or another pipeline file.
    """
    engines, found = pipeline.training.engines, []
    for name in (name for name in pipeline.training.algorithms if engines.get(name) == "spark"):
        model = candidates.find(
            lake,
            pipeline.name,
            algorithm=name,
            moment=pipeline.at(moment).astimezone(UTC).isoformat(),
            data=content(training_shard(lake, pipeline, moment=moment).files),
            spec=digest_of(pipeline),
        )
        if model is None:
            message = f"Spark has left no {name} for {moment} of the data as it is now"
            hint = "`headrace run` fits it first; alone it is `python -P -m spark_jobs.fit`"
            raise TrainingError(message, pipeline=pipeline.name, hint=hint)
        values, by_block = on_validation(examples, model, metric=pipeline.training.metric)
        found.append(
            Searched(
                algorithm=model.algorithm,
                parameters=model.recipe.parameters,
                values=values,
                trials=1,
                failed=0,
                seconds=float(model.record["seconds"]),
                by_block=(by_block,),
                model=replace(model, record={}),
            )
        )
    return found

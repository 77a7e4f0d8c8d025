"""The candidates of a training that engines fit on all of its rows, beside those of the search."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date

from headrace.errors import TrainingError
from headrace.lake import Lake
from headrace.models import candidates
from headrace.models.algorithms import named
from headrace.models.declared import declared
from headrace.models.model import Model
from headrace.models.shards import content, training_shard
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline
from ray_tasks import parallel
from ray_tasks.examples import Examples
from ray_tasks.folded import on_validation
from ray_tasks.search import Searched
from ray_tasks.search_record import without


def with_engines(
    searched: Sequence[Searched],
    pipeline: Pipeline,
    lake: Lake,
    examples: Examples,
    *,
    moment: date,
    run: str,
) -> list[Searched]:
    """The candidates of the search, those that workers of Ray Train fit now, those Spark has left.

    One that could not be fitted is a candidate that failed, with its reason, as a trial is.

    Raises:
        TrainingError: Only baselines could be fitted; or Spark has left nothing of this data and
            this pipeline file; or there are fewer cores than workers.
        EngineLost: Ray went away.
    """
    found = [
        *searched,
        *_wide(pipeline, lake, examples, moment=moment, run=run),
        *_left_by_spark(pipeline, lake, examples, moment=moment),
    ]
    tried = [each for each in found if not each.algorithm.baseline]
    if tried and not any(each.values for each in tried):
        message = f"nothing could be fitted but baselines; {'; '.join(without(tried))}"
        hint = "mend what it names in `features` or `training`, or leave the algorithm out"
        raise TrainingError(message, pipeline=pipeline.name, hint=hint)
    return found


def _wide(
    pipeline: Pipeline, lake: Lake, examples: Examples, *, moment: date, run: str
) -> list[Searched]:
    """The candidates that several workers fit together, in order."""
    chosen, found = _fitted_by("ray_train", pipeline), []
    if not chosen:
        return []
    wide = parallel.shared_out(lake, pipeline, examples)
    for name in chosen:
        started, storage = time.perf_counter(), lake.runs(run) / f"fit-{name}-{moment}"
        try:
            entry = declared(name, pipeline.training)
            model = parallel.fit(wide, entry, pipeline, examples, moment=moment, storage=storage)
            judged = _judged(model, pipeline, examples, seconds=time.perf_counter() - started)
        except TrainingError as error:
            judged = _failed(name, error, seconds=time.perf_counter() - started)
        found.append(judged)
    return found


def _left_by_spark(
    pipeline: Pipeline, lake: Lake, examples: Examples, *, moment: date
) -> list[Searched]:
    """The candidates that the stage `fit` has left in the lake, or why it has not, in order.

    Raises:
        TrainingError: Of one there is neither, or it is of other data or another pipeline file.
    """
    chosen, found = _fitted_by("spark", pipeline), []
    if not chosen:
        return []
    made_of = {
        "moment": pipeline.at(moment).astimezone(UTC).isoformat(),
        "data": content(training_shard(lake, pipeline, moment=moment).files),
        "spec": digest_of(pipeline),
    }
    for name in chosen:
        model = candidates.find(lake, pipeline.name, algorithm=name, **made_of)
        if model is not None:
            seconds, model = float(model.record["seconds"]), replace(model, record={})
            try:
                judged = _judged(model, pipeline, examples, seconds=seconds)
            except TrainingError as error:
                judged = _failed(name, error, seconds=seconds)
        elif failure := candidates.failure(lake, pipeline.name, algorithm=name, **made_of):
            told = TrainingError(failure.reason, hint=parallel.ON_ONE_NODE)
            judged = _failed(name, told, seconds=failure.seconds)
        else:
            message = f"Spark has left no {name} for {moment} of the data as it is now"
            hint = "`headrace run` fits it first; alone it is `python -P -m spark_jobs.fit`"
            raise TrainingError(message, pipeline=pipeline.name, hint=hint)
        found.append(judged)
    return found


def _fitted_by(engine: str, pipeline: Pipeline) -> list[str]:
    engines = pipeline.training.engines
    return [name for name in pipeline.training.algorithms if engines.get(name) == engine]


def _judged(model: Model, pipeline: Pipeline, examples: Examples, *, seconds: float) -> Searched:
    values, by_block = on_validation(examples, model, metric=pipeline.training.metric)
    return Searched(
        algorithm=model.algorithm,
        parameters=model.recipe.parameters,
        values=values,
        trials=1,
        failed=0,
        seconds=seconds,
        by_block=(by_block,),
        model=model,
    )


def _failed(name: str, error: TrainingError, *, seconds: float) -> Searched:
    return Searched(
        algorithm=named(name),
        parameters={},
        values={},
        trials=1,
        failed=1,
        seconds=seconds,
        errors=(f"{error.message}; {error.hint}",),
    )

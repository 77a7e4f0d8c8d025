"""One fit by several workers at once, on more rows than one of them could hold, through Ray Train.

Here are its order and its limits; what a worker does stands in `ray_tasks/boosters.py`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import add
from pathlib import Path

import ray

from headrace.errors import EngineLost, TrainingError
from headrace.evaluation.splits import Part
from headrace.lake import DataFile, Lake, Table
from headrace.models.algorithms.algorithm import Algorithm, Parameters
from headrace.models.formats import FORMATS
from headrace.models.model import Model
from headrace.models.shards import Shard, days_of, dealt
from headrace.models.summary import Summary
from headrace.spec.model import Pipeline
from ray_tasks.boosters import MODEL, Work, loop
from ray_tasks.examples import Examples
from ray_tasks.folded import on_validation
from ray_tasks.search import Searched
from ray_tasks.training import recipe

_LOST_WORKERS = 2  # the fit begins again when a node goes away


@dataclass(frozen=True)
class Wide:
    """What every fit by workers has in common.

    Attributes:
        train: One share of the training rows for each worker.
        validation: The validation rows.
        summary: What all training rows are like.
    """

    train: tuple[Shard, ...]
    validation: Shard
    summary: Summary


def shared_out(lake: Lake, pipeline: Pipeline, examples: Examples) -> Wide:
    """Deals the files of gold to the workers, and has them look at their rows once.

    The files are those that gold's log names; which worker has which depends on it alone.

    Raises:
        TrainingError: There are fewer cores than workers, or no row to learn from.
    """
    workers = pipeline.training.workers
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray types it not
    if resources.get("CPU", 0) < workers:
        message = f"{workers} workers need a core each, and Ray has {resources.get('CPU', 0):.0f}"
        hint = "lower `training.workers`, raise HEADRACE_CORES, or join a larger cluster"
        raise TrainingError(message, pipeline=pipeline.name, hint=hint)
    gold = Table(lake.gold(pipeline.name), examples.version)

    def shard(files: Sequence[DataFile], part: Part) -> Shard:
        return Shard(
            gold.path,
            gold.version,
            tuple(files),
            examples.features,
            pipeline.target.name,
            pipeline.target.task,
            part.known_before,
        )

    train, validation = examples.parts.train, examples.parts.validation
    files = days_of(gold.files, train.first, train.end)
    shards = [shard(hand, train) for hand in dealt(files, min(workers, max(len(files), 1)))]
    looked = ray.get([_looked_at.remote(each) for each in shards])
    found = [(each, seen) for each, seen in zip(shards, looked, strict=True) if seen is not None]
    if not found:
        message = "the training part has no row whose target was known in time"
        raise TrainingError(message, pipeline=pipeline.name, hint="train at a later moment")
    return Wide(
        tuple(each for each, _ in found),
        shard(days_of(gold.files, validation.first, validation.end), validation),
        reduce(add, (seen for _, seen in found)),
    )


def fit(
    wide: Wide,
    algorithm: Algorithm,
    pipeline: Pipeline,
    examples: Examples,
    *,
    moment: date,
    storage: Path,
) -> Searched:
    """Fits an algorithm with its defaults on all training rows, stopped early on validation.

    The model is the library's own, as a fit on one node leaves it, and is not fitted again.
    While it runs, each worker listens on all addresses of its machine; neither library can be kept
    from that.

    Args:
        wide: From `shared_out`.
        algorithm: A booster of the catalogue.
        pipeline: What is declared.
        examples: Its validation part judges the model.
        moment: The training day.
        storage: Folder for Ray Train's own files, seen by all nodes; removed afterwards.

    Raises:
        TrainingError: A worker failed; the message holds its error.
        EngineLost: Ray went away.
    """
    started = time.perf_counter()
    encoding = wide.summary.encoding(algorithm.needs.categories)
    classes = wide.summary.classes(pipeline.target.task)
    work = Work(
        train=wide.train,
        validation=wide.validation,
        encoding=encoding,
        classes=classes,
        parameters=algorithm.defaults,
        one_value=len(wide.summary.targets) == 1,
        seed=pipeline.training.seed,
        metric=pipeline.training.metric,
    )
    try:
        content, rounds = _run(algorithm, work, storage=storage)
    finally:
        shutil.rmtree(storage, ignore_errors=True)
    parameters: Parameters = {**algorithm.defaults, "n_estimators": rounds}
    made = recipe(
        pipeline, examples, moment=moment, algorithm=algorithm.name, parameters=parameters
    )
    model = Model(made, encoding, FORMATS[algorithm.save_as].load(content), classes)
    values, by_block = on_validation(examples, model, metric=pipeline.training.metric)
    return Searched(
        algorithm=algorithm,
        parameters=parameters,
        values=values,
        trials=1,
        failed=0,
        seconds=time.perf_counter() - started,
        by_block=(by_block,),
        model=model,
    )


@ray.remote(num_cpus=1)
def _looked_at(shard: Shard) -> Summary | None:
    return shard.summary()


def _run(algorithm: Algorithm, work: Work, *, storage: Path) -> tuple[bytes, int]:
    """The model's file and its rounds, from Ray Train."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.lightgbm import LightGBMTrainer
    from ray.train.v2.api.exceptions import TrainingFailedError
    from ray.train.xgboost import XGBoostTrainer

    trainer = XGBoostTrainer if algorithm.name == "xgboost" else LightGBMTrainer
    try:
        result = trainer(
            loop,
            train_loop_config={"work": work, "library": algorithm.name},
            scaling_config=ScalingConfig(num_workers=len(work.train)),
            run_config=RunConfig(
                name="fit",
                storage_path=str(storage),
                failure_config=FailureConfig(max_failures=_LOST_WORKERS),
            ),
        ).fit()
    except TrainingFailedError as error:
        message = f"{algorithm.name} could not be fitted by {len(work.train)} workers: {error}"
        raise TrainingError(message, hint="see the features and the parameters") from error
    except ray.exceptions.RayError as error:
        message = f"the fit ended early: {error}"
        raise EngineLost(message, hint="run again") from error
    if result.checkpoint is None or result.metrics is None:
        message = f"{algorithm.name} was fitted, and no worker left the model"
        raise EngineLost(message, hint="run again")
    with result.checkpoint.as_directory() as folder:
        return (Path(folder) / MODEL).read_bytes(), int(result.metrics["rounds"])

"""One fit by several workers at once, on more rows than one of them could hold, through Ray Train.

Here are its order and its limits; what a worker does stands in `ray_tasks/boosters.py`.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

import ray

from headrace.errors import EngineLost, HeadraceError, TrainingError
from headrace.evaluation.splits import Part
from headrace.lake import DataFile, Lake, Table
from headrace.models.algorithms.algorithm import Algorithm, Parameters
from headrace.models.formats import FORMATS
from headrace.models.model import Model
from headrace.models.shards import Shard, days_of, dealt
from headrace.models.summary import Summary
from headrace.spec.model import Pipeline
from ray_tasks import cluster
from ray_tasks.boosters import MODEL, Work, loop
from ray_tasks.examples import Examples
from ray_tasks.training import recipe

if TYPE_CHECKING:
    from ray.train.v2.api.exceptions import TrainingFailedError

ON_ONE_NODE = (
    "mend what it names in `features`, or leave it out of `training.engines`: then one node fits it"
)
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
        CorruptArtifact: A data file of gold is not the one that was committed.
        EngineLost: Ray went away.
    """
    workers = pipeline.training.workers
    resources = cluster.resources()
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
    looked = _looked_at_each(shards)
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
) -> Model:
    """Fits an algorithm on all training rows, stopped early on validation.

    The model is the library's own, as a fit on one node leaves it, and is not fitted again.
    While it runs, each worker listens on all addresses of its machine; neither library can be kept
    from that.

    Args:
        wide: From `shared_out`.
        algorithm: A booster of the catalogue.
        pipeline: What is declared.
        examples: The rows as one node reads them: what the recipe tells of the data.
        moment: The training day.
        storage: Folder for Ray Train's own files, seen by all nodes; removed afterwards.

    Raises:
        TrainingError: A worker failed; the message holds its error.
        EngineLost: Ray, or the workers, went away.
    """
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
    return Model(made, encoding, FORMATS[algorithm.save_as].load(content), classes)


def _looked_at_each(shards: Sequence[Shard]) -> list[Summary | None]:
    try:
        return ray.get([_looked_at.remote(each) for each in shards])
    except ray.exceptions.RayTaskError as error:
        cause: Exception = error.as_instanceof_cause()  # type: ignore[no-untyped-call]  # Ray types it not
        raise cause from error
    except ray.exceptions.RayError as error:
        message = f"a worker went away: {error}"
        raise EngineLost(message, hint="run again") from error


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
        raise error_of(algorithm, error) from error
    except ray.exceptions.RayError as error:
        message = f"the fit ended early: {error}"
        raise EngineLost(message, hint="run again") from error
    if result.checkpoint is None or result.metrics is None:
        message = f"{algorithm.name} was fitted, and no worker left the model"
        raise EngineLost(message, hint="run again")
    with result.checkpoint.as_directory() as folder:
        return (Path(folder) / MODEL).read_bytes(), int(result.metrics["rounds"])


def error_of(algorithm: Algorithm, error: TrainingFailedError) -> HeadraceError:
    """What a worker raised itself, as a fit that failed; else that the workers went away.

    Where one goes away, the libraries of the others may raise: that is told as a failed fit, too,
    after as many tries as there are.
    """
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    raised = [each for each in failures.values() if not _is_of_ray(each)]
    if not raised:
        message = f"the workers that fit {algorithm.name} went away: {error}"
        hint = "run again; if it stays, they lack memory: fewer of `training.workers` have more"
        return EngineLost(message, hint=hint)
    if isinstance(raised[0], HeadraceError):
        return raised[0]
    lines = str(raised[0]).splitlines() or [""]
    message = f"workers of Ray Train could not fit it: {type(raised[0]).__name__}: {lines[0]}"
    return TrainingError(message, hint=ON_ONE_NODE)


def _is_of_ray(error: Exception) -> bool:
    """Whether it tells of a worker that went away; what the worker raised is told as it was."""
    return type(error).__module__.partition(".")[0] == "ray"

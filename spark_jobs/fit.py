"""The stage `fit`: what Spark fits for a training is left in the lake, where `train` judges it.

Spark and Ray never meet: a candidate is files by digest, with coefficients as the catalogue keeps
them, so that neither the contest nor scoring needs Spark. Of one that could not be fitted the
reason is left, and the training goes on with the others.
"""

from __future__ import annotations

import argparse
import errno
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date
from functools import reduce
from operator import add

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from headrace import command
from headrace.errors import TrainingError, UsageError
from headrace.lake import Lake
from headrace.models import candidates
from headrace.models.algorithms import named
from headrace.models.declared import declared
from headrace.models.model import Model, Recipe
from headrace.models.shards import Shard, content, dealt, training_shard
from headrace.models.summary import Summary
from headrace.settings import Settings
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, StageResult
from spark_jobs import delta
from spark_jobs.matrix import usable
from spark_jobs.session import open_session
from spark_jobs.twins import TWINS, Rows

# What Spark, or a twin, raises of rows that it cannot learn from; an engine that went away is none.
_OF_A_FIT = (
    *(TrainingError, UsageError),
    *(PySparkException, Py4JJavaError, ValueError, ArithmeticError),
)
_LONGEST_REASON = 300


def fit(spark: SparkSession, lake: Lake, *, pipeline: Pipeline, moment: date) -> StageResult:
    """Fits the algorithms whose engine is Spark, once, on all training rows.

    A candidate that stands there already, of the same data and the same file, is left as it is; one
    that failed is tried again.

    Args:
        spark: The session.
        lake: Where gold stands, and the candidates will.
        pipeline: What is declared.
        moment: The day at whose `features.at` the model is trained.

    Raises:
        TrainingError: There is nothing to learn from.
        CorruptArtifact: A data file of gold is not the one that was committed.
    """
    started = time.monotonic()
    shard = training_shard(lake, pipeline, moment=moment)
    recipes = [
        Recipe(
            pipeline=pipeline.name,
            target=pipeline.target.name,
            algorithm=name,
            parameters=dict(declared(name, pipeline.training).defaults),
            seed=pipeline.training.seed,
            moment=pipeline.at(moment).astimezone(UTC).isoformat(),
            data=content(shard.files),
            spec=digest_of(pipeline),
        )
        for name, engine in pipeline.training.engines.items()
        if engine == "spark"
    ]
    missing = [each for each in recipes if not _stands(lake, each)]
    summary = _summary(spark, shard) if missing else None
    notes = [
        _tried(spark, lake, shard=shard, recipe=each, summary=summary)
        for each in missing
        if summary is not None
    ]
    return StageResult(
        name="fit",
        subject=pipeline.name,
        units=(moment.isoformat(),),
        outcome=Outcome.DONE if missing else Outcome.ALREADY_DONE,
        rows={"learned_from": summary.rows} if summary else {},
        seconds=round(time.monotonic() - started, 3),
        notes=tuple(notes),
    )


def main() -> None:
    """Runs the stage from the command line."""
    parser = command.arguments("spark_jobs.fit", "Fits the candidates whose engine is Spark.")
    parser.add_argument("--moment", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")

    def stage(
        pipeline: Pipeline, lake: Lake, settings: Settings, given: argparse.Namespace
    ) -> StageResult:
        with open_session(settings) as spark:
            return fit(spark, lake, pipeline=pipeline, moment=given.moment)

    command.run(parser, stage)


def _stands(lake: Lake, recipe: Recipe) -> bool:
    found = candidates.find(
        lake,
        recipe.pipeline,
        algorithm=recipe.algorithm,
        moment=recipe.moment,
        data=recipe.data,
        spec=recipe.spec,
    )
    return found is not None


def _tried(
    spark: SparkSession, lake: Lake, *, shard: Shard, recipe: Recipe, summary: Summary
) -> str:
    """Fits a candidate, or leaves why it could not be fitted; which of the two, in a sentence."""
    started = time.monotonic()
    try:
        return _fit(spark, lake, shard=shard, recipe=recipe, summary=summary)
    except _OF_A_FIT as error:
        if os.strerror(errno.ENOSPC) in str(error):
            raise
        reason = _reason(error)
    seconds = round(time.monotonic() - started, 3)
    candidates.keep_failure(lake, candidates.Failure(recipe, reason, seconds))
    return f"{recipe.algorithm} could not be fitted: {reason}"


def _reason(error: Exception) -> str:
    """The first line that says something: py4j begins with the name of a method."""
    lines = [line.strip(" :\t") for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith("An error occurred while")]
    return f"{type(error).__name__}: {(told or [''])[0]}"[:_LONGEST_REASON]


def _fit(spark: SparkSession, lake: Lake, *, shard: Shard, recipe: Recipe, summary: Summary) -> str:
    started = time.monotonic()
    entry = named(recipe.algorithm)
    encoding = summary.encoding(entry.needs.categories)
    classes = summary.classes(shard.task)
    days = [file.partition["_interval"] for file in shard.files]
    bounds = {"_interval": (min(days), max(days))}
    rows = delta.read(spark, shard.table, version=shard.version, bounds=bounds)
    train = Rows(usable(rows, shard), summary.rows, shard.target, classes, encoding, recipe.seed)
    estimator = TWINS[recipe.algorithm](train, recipe.parameters)
    seconds = round(time.monotonic() - started, 3)
    model = Model(recipe, encoding, estimator, classes)
    name = candidates.keep(
        lake, model, record={"role": "candidate", "engine": "spark", "seconds": seconds}
    )
    return f"{recipe.algorithm} {name[:8]} learned from {summary.rows:,} rows in {seconds:.1f} s"


def _summary(spark: SparkSession, shard: Shard) -> Summary:
    """What the rows are like, each task looking at some of the files batch by batch."""
    tasks = min(spark.sparkContext.defaultParallelism, len(shard.files))
    shares = [replace(shard, files=files) for files in dealt(shard.files, tasks)]
    looked = spark.sparkContext.parallelize(shares, tasks).mapPartitions(_looked_at).collect()
    if not looked:
        message = "the training part has no row whose target was known in time"
        raise TrainingError(message, table=shard.table, hint="train at a later moment")
    return reduce(add, looked)


def _looked_at(shares: Iterable[Shard]) -> Iterator[Summary]:
    for share in shares:
        found = share.summary()
        if found is not None:
            yield found


if __name__ == "__main__":
    main()

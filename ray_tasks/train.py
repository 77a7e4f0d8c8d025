"""The stage `train`: tunes candidates on Ray, judges the winner, and promotes it or not.

What a kill leaves: before the alias, files of a model that nothing names; between alias and
evaluation, a champion whose training is not told. The next run trains to the same model again,
finds what stands there, and goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from headrace import command, faults
from headrace.errors import TrainingError
from headrace.evaluation import history
from headrace.evaluation.audit.gold import audit_gold
from headrace.evaluation.audit.judgement import Judgement
from headrace.lake import Lake
from headrace.models import candidates, provenance, registry
from headrace.models.algorithms import baselines, named
from headrace.models.algorithms.algorithm import Algorithm, Parameters
from headrace.models.registry import Alias
from headrace.models.shards import content, training_shard
from headrace.settings import Settings
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, StageResult
from ray_tasks.cluster import connected
from ray_tasks.examples import Examples, read

if TYPE_CHECKING:
    from ray_tasks.contest import Contest, Training
    from ray_tasks.search import Searched

_CLOSER = ("calibration", "costs", "curves")  # as `closer` tells


def train(
    pipeline: Pipeline, lake: Lake, settings: Settings, *, moment: date, run: str
) -> StageResult:
    """Trains with what was known at a moment; for one that has its evaluation, does nothing.

    Files first, then the record, the alias, and last the evaluation, which says that it is done.

    Args:
        pipeline: What to train.
        lake: Its tables.
        settings: Where Ray is.
        moment: The day at whose `features.at` the model is trained.
        run: Name of the run.

    Raises:
        LeakFound: The audit found a leak that `training.allow` does not list; nothing was fitted.
        TrainingError: No model could be fitted or judged.
        CommitConflict: Another run promoted meanwhile; run again.
        EngineLost: Ray went away.
    """
    started = time.monotonic()
    done = history.recall(lake, pipeline.name, moment.isoformat())
    if done is not None:
        return replace(done, outcome=Outcome.ALREADY_DONE, seconds=time.monotonic() - started)
    faults.point("train", "before_read")
    examples = read(lake, pipeline, moment=moment)
    faults.point("train", "after_read")
    audited = _audit(pipeline, lake, examples, moment=moment, run=run)
    aliases = registry.aliases(lake, pipeline.name)
    with connected(settings):
        # Here, since Ray must not be imported before `connected` has set its environment.
        from ray_tasks.contest import Training, contest
        from ray_tasks.search import search, shared
        from ray_tasks.trial import Problem

        algorithms = _algorithms(pipeline)
        encodings = examples.encodings(
            sorted({entry.needs.categories for entry in algorithms.values()})
        )
        reference, problem = shared(
            Problem(
                algorithms,
                train=examples.samples(encodings, examples.parts.train),
                validation=examples.samples(encodings, examples.parts.validation),
                metric=pipeline.training.metric,
                seed=pipeline.training.seed,
            )
        )
        searched = search(
            problem,
            reference=reference,
            trials=pipeline.training.trials,
            storage=lake.runs(run) / f"tune-{moment}",
        )
        searched += _wide(pipeline, lake, examples, moment=moment, run=run)
        searched += _left_by_spark(pipeline, lake, examples, moment=moment)
        training = Training(pipeline, moment, examples, encodings, problem.train, aliases)
        met = contest(training, lake, searched)
    result = _result(training, searched, met, audited)
    tables = _publish(training, lake, met, result=result, run=run)
    seconds = round(time.monotonic() - started, 3)
    result = replace(result, seconds=seconds, tables=tables)
    now = datetime.now(UTC)
    kept = history.keep(lake, result, moment=training.at, run=run, evaluated_at=now)
    candidates.drop(lake, pipeline.name, moment=training.at.isoformat())
    if not kept.made:  # another run trained for the moment meanwhile: what it told stands
        told = history.recall(lake, pipeline.name, moment.isoformat()) or result
        return replace(told, outcome=Outcome.ALREADY_DONE, seconds=seconds)
    return replace(result, tables={**tables, "evaluations": kept.version})


def main() -> None:
    """Runs the stage from the command line."""
    parser = command.arguments("ray_tasks.train", "Trains, judges and promotes a model.")
    parser.add_argument("--moment", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")

    def stage(
        pipeline: Pipeline, lake: Lake, settings: Settings, given: argparse.Namespace
    ) -> StageResult:
        return train(pipeline, lake, settings, moment=given.moment, run=given.run)

    command.run(parser, stage)


def _audit(
    pipeline: Pipeline, lake: Lake, examples: Examples, *, moment: date, run: str
) -> Judgement:
    """Looks for leaks, writes down what it found, and goes on only if each is allowed."""
    judgement = audit_gold(examples.rows, pipeline, parts=examples.parts, lake=lake)
    history.keep_audit(
        lake,
        pipeline.name,
        judgement.to_json()["findings"],
        moment=pipeline.at(moment).astimezone(UTC),
        run=run,
        evaluated_at=datetime.now(UTC),
    )
    judgement.demand(pipeline.name)
    return judgement


def _algorithms(pipeline: Pipeline) -> dict[str, Any]:
    """Baselines first, then the declared algorithms in order."""
    entries = [
        *baselines(pipeline.target.task),
        *(
            named(name)
            for name in pipeline.training.algorithms
            if name not in pipeline.training.engines
        ),
        *_preset(pipeline),
    ]
    return {entry.name: entry for entry in entries}


def _wide(
    pipeline: Pipeline, lake: Lake, examples: Examples, *, moment: date, run: str
) -> list[Searched]:
    """The candidates that several workers fit together, in order."""
    from ray_tasks import parallel

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
    from headrace.evaluation.metrics import measured
    from ray_tasks.search import Searched

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
        part = examples.parts.validation
        score = examples.predicted(model, part)
        found.append(
            Searched(
                algorithm=model.algorithm,
                parameters=model.recipe.parameters,
                values=measured(examples.y[part.rows], score, model.classes.task),
                trials=1,
                failed=0,
                seconds=float(model.record["seconds"]),
                model=replace(model, record={}),
            )
        )
    return found


def _preset(pipeline: Pipeline) -> list[Algorithm]:
    """The preset as one more candidate, with what the pipeline says of it."""
    training = pipeline.training
    if training.preset is None:
        return []
    seconds = training.time_limit.total_seconds()
    given: Parameters = {"preset": str(training.preset), "time_limit": seconds}
    return [replace(named("preset"), defaults=given)]


def _result(
    training: Training, searched: Sequence[Searched], met: Contest, audited: Judgement
) -> StageResult:
    from ray_tasks.closer import closer
    from ray_tasks.contest import leaderboard

    looked = closer(training, met)
    corrected = tuple(filter(None, [looked.get("calibration", {}).get("sentence")]))
    return StageResult(
        name="train",
        subject=training.pipeline.name,
        units=(training.moment.isoformat(),),
        outcome=Outcome.DONE,
        rows=_rows(training.examples),
        notes=(*audited.notes, *met.notes, *corrected, *_left_out(training.examples)),
        detail={
            "moment": training.moment.isoformat(),
            "metric": str(training.metric),
            "audit": audited.to_json(),
            "leaderboard": leaderboard(training, searched, met),
            "test": met.tested(),
            "gain": met.gain(training.metric),
            **looked,
            "decision": {
                "promoted": met.decision.promoted,
                "shipped": met.decision.shipped,
                "sentence": met.decision.sentence,
            },
            "model": met.shipped.digest,
        },
    )


def _rows(examples: Examples) -> dict[str, int]:
    parts = list(examples.parts)
    return {
        **{part.name: len(part.rows) for part in parts},
        "without_known_target": sum(part.without_target for part in parts),
        "target_known_too_late": sum(part.known_too_late for part in parts),
        "infinite_feature": examples.infinite,
        **({"infinite_target": examples.infinite_target} if examples.infinite_target else {}),
        **({"not_sampled": examples.unread} if examples.unread else {}),
    }


def _left_out(examples: Examples) -> tuple[str, ...]:
    told = []
    if count := examples.infinite_target:
        told.append(f"{count:,} rows were left out: their target is infinite or NaN")
    if count := examples.unread:
        read = len(examples.parts.train.rows)
        told.append(
            f"one node read {read:,} training rows, by a hash of their key; `training.sample` left "
            f"{count:,} of the part out, which `training.engines` alone read"
        )
    return tuple(told)


def _publish(
    training: Training, lake: Lake, met: Contest, *, result: StageResult, run: str
) -> dict[str, int]:
    """Stores the shipped model and makes it champion, unless it is already."""
    model = met.shipped
    if model.digest == met.champion:
        return {}
    held = training.aliases.champion(at=training.at)
    registry.store(lake, model, _record(training, met, result))
    if held is not None and (held.model, held.moment) == (model.digest, training.at):
        return {}  # an earlier run was ended between alias and evaluation
    alias = Alias(
        pipeline=training.pipeline.name,
        alias=registry.CHAMPION,
        model=model.digest,
        moment=training.at,
        previous=met.champion,
        decision=met.decision.sentence,
        run=run,
        decided_at=datetime.now(UTC),
    )
    return {"aliases": registry.promote(lake, alias, seen=training.aliases)}


def _record(training: Training, met: Contest, result: StageResult) -> dict[str, Any]:
    recipe, examples = met.shipped.recipe, training.examples
    return {
        "pipeline": recipe.pipeline,
        "algorithm": recipe.algorithm,
        "parameters": dict(recipe.parameters),
        "seed": recipe.seed,
        "moment": recipe.moment,
        "role": met.roles[met.decision.shipped],
        "features": met.shipped.signature,
        "task": str(met.shipped.classes.task),
        "data": {
            "table": f"gold/{recipe.pipeline}",
            "version": examples.version,
            "intervals": examples.intervals,
            "fingerprint": examples.data,
        },
        "spec": recipe.spec,
        "rows": dict(result.rows),
        "test": result.detail["test"],
        "gain": result.detail["gain"],
        **{name: result.detail[name] for name in _CLOSER if name in result.detail},
        "decision": result.detail["decision"],
        "code": provenance.code(),
        "libraries": provenance.libraries(),
    }


if __name__ == "__main__":
    main()

"""The stage `train`: tunes candidates on Ray, judges the winner, and promotes it or not.

What a kill leaves: results of finished trials, which the next run goes on from; before the
alias, files of a model that nothing names; between alias and evaluation, a champion whose
training is not told. The next run trains to the same model again, finds what stands there, goes on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace import command, faults
from headrace.errors import SetupError
from headrace.evaluation import history
from headrace.evaluation.audit.gold import audit_gold
from headrace.evaluation.audit.judgement import Judgement
from headrace.evaluation.inspection.ranges import ranges
from headrace.evaluation.inspection.stability import Verdict, of_targets
from headrace.evaluation.nested import estimate
from headrace.lake import Lake
from headrace.models import candidates, provenance, registry
from headrace.models.algorithms import baselines
from headrace.models.algorithms.algorithm import Algorithm, Task
from headrace.models.declared import declared
from headrace.models.model import Model
from headrace.models.registry import Alias
from headrace.settings import Settings
from headrace.spec.model import Pipeline
from headrace.stage import Outcome, StageResult
from ray_tasks import search_record
from ray_tasks.cluster import connected
from ray_tasks.examples import Examples, read

if TYPE_CHECKING:
    from ray_tasks.contest import Contest
    from ray_tasks.search import Searched
    from ray_tasks.training import Training

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
        SetupError: Workers would listen beyond loopback, and `open_ports` does not allow it.
        TrainingError: No model could be fitted or judged.
        CommitConflict: Another run promoted meanwhile; run again.
        EngineLost: Ray went away.
    """
    started = time.monotonic()
    done = history.recall(lake, pipeline.name, moment.isoformat())
    if done is not None:
        return replace(done, outcome=Outcome.ALREADY_DONE, seconds=time.monotonic() - started)
    _check_ports(pipeline, settings)
    faults.point("train", "before_read")
    with connected(settings), ExitStack() as searching:
        # Here, since Ray must not be imported before `connected` has set its environment.
        from ray_tasks.contest import chosen, contest, outer_fold
        from ray_tasks.engines import with_engines
        from ray_tasks.inspected import inspected
        from ray_tasks.tuner import Tuner
        from ray_tasks.workers import Workers

        algorithms = _algorithms(pipeline)
        # They start while the rows are read and audited.
        workers = searching.enter_context(Workers(len(algorithms) * pipeline.training.trials))
        examples = read(lake, pipeline, moment=moment)
        faults.point("train", "after_read")
        audited = _audit(pipeline, lake, examples, moment=moment, run=run)
        aliases = registry.aliases(lake, pipeline.name)
        journal = search_record.journal(lake, pipeline, examples, moment=moment)
        tuner = Tuner(pipeline, moment, run, lake, algorithms, aliases, workers)
        began = time.monotonic()
        training, searched = tuner.tuned(examples, journal=journal)
        lasted = time.monotonic() - began
        outer = [
            outer_fold(*tuner.tuned(rows, called=f"-outer-{number}"))
            for number, rows in enumerate(examples.outer, start=1)
        ]
        searching.close()  # its cores are wanted
        searched = with_engines(searched, pipeline, lake, examples, moment=moment, run=run)
        met = contest(training, lake, searched)
        selected = chosen(training, searched, asked=history.asked(lake, pipeline.name) + 1)
        seconds = time.monotonic() - started
        found = inspected(training, met, seconds=seconds) if pipeline.training.inspect else {}
    result = _result(training, searched, met, audited, seconds=lasted)
    if met.steady is not None:
        found["stability"] = met.steady.to_json()
    more = {
        **({"held": met.unsteady} if met.unsteady else {}),
        "selection": selected.to_json(),
        **({"nested": estimate(outer, metric=pipeline.training.metric)} if outer else {}),
        **({"inspection": found} if found else {}),
    }
    result = replace(result, detail={**result.detail, **more})
    tables = _publish(training, lake, met, result=result, run=run)
    seconds = round(time.monotonic() - started, 3)
    result = replace(result, seconds=seconds, tables=tables)
    kept = history.keep(lake, result, moment=training.at, run=run, evaluated_at=datetime.now(UTC))
    _forget(lake, pipeline, moment=moment, searches=journal.parent)
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


def _forget(lake: Lake, pipeline: Pipeline, *, moment: date, searches: Path) -> None:
    """The moment is trained: no run will ask again for Spark's candidates, or after its trials."""
    at = pipeline.at(moment).astimezone(UTC)
    candidates.drop(lake, pipeline.name, moment=at.isoformat())
    for each in searches.glob(f"{moment}-*.jsonl"):
        each.unlink(missing_ok=True)


def _check_ports(pipeline: Pipeline, settings: Settings) -> None:
    """Refuses what would listen beyond loopback, unless that is allowed."""
    wide = [name for name, engine in pipeline.training.engines.items() if engine == "ray_train"]
    if wide and not settings.open_ports:
        message = (
            f"workers that fit {', '.join(wide)} by `ray_train` would listen on all addresses of "
            "their machines, without authentication"
        )
        raise SetupError(
            message,
            pipeline=pipeline.name,
            hint="set HEADRACE_OPEN_PORTS=true where a firewall closes them, or leave "
            "`training.engines` out",
        )


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


def _algorithms(pipeline: Pipeline) -> dict[str, Algorithm]:
    """Baselines first, then the declared algorithms in order, then the preset."""
    training = pipeline.training
    names = [*training.algorithms, *(["preset"] if training.preset else [])]
    entries = [
        *baselines(pipeline.target.task),
        *(declared(name, training) for name in names if name not in training.engines),
    ]
    return {entry.name: entry for entry in entries}


def _result(
    training: Training,
    searched: Sequence[Searched],
    met: Contest,
    audited: Judgement,
    *,
    seconds: float,
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
        notes=(
            *audited.notes,
            *met.notes,
            *met.power_notes,
            *corrected,
            *_left_out(training.examples),
            *search_record.cut(training.pipeline, searched),
            *search_record.without(searched),
        ),
        detail={
            "moment": training.moment.isoformat(),
            "metric": str(training.metric),
            "audit": audited.to_json(),
            "leaderboard": leaderboard(training, searched, met),
            "search": search_record.told(training.pipeline, searched, seconds=seconds),
            "test": met.tested(),
            "gain": met.gain(training.metric),
            **looked,
            "power": met.decision.power.to_json(),
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
    """Stores the shipped model and makes it champion, unless it is already; and one that is held.

    The latter waits for a person, who releases it (`headrace.held`).
    """
    model = met.shipped
    if met.unsteady.get("verdict") == Verdict.HELD:
        registry.store(lake, met.models[met.kept_back], _record(training, met, result, held=True))
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


def _ranges(training: Training, model: Model) -> dict[str, list[float]]:
    """The ranges that a model has seen, for scoring to hold its rows against."""
    rows = training.examples.of(training.examples.parts.train)
    return ranges(rows, model.encoding.names)


def _target(training: Training) -> dict[str, dict[str, float]]:
    """Level and range of recent targets of a regression, to hold predictions against."""
    examples = training.examples
    if examples.classes.task is not Task.REGRESSION:
        return {}
    level, reach = of_targets(examples.y[examples.parts.validation.rows])
    return {"target": {"level": level, "reach": reach}}


def _record(
    training: Training, met: Contest, result: StageResult, *, held: bool = False
) -> dict[str, Any]:
    """What is told of the model that is shipped, or of the one that is held."""
    name = met.kept_back if held else met.decision.shipped
    model = met.models[name]
    recipe, examples = model.recipe, training.examples
    return {
        "pipeline": recipe.pipeline,
        "algorithm": recipe.algorithm,
        "parameters": dict(recipe.parameters),
        "seed": recipe.seed,
        "moment": recipe.moment,
        "role": met.roles[name],
        "features": model.signature,
        "task": str(model.classes.task),
        "data": {
            "table": f"gold/{recipe.pipeline}",
            "version": examples.version,
            "intervals": examples.intervals,
            "fingerprint": examples.data,
        },
        "spec": recipe.spec,
        "rows": dict(result.rows),
        "ranges": _ranges(training, model),
        **_target(training),
        "test": result.detail["test"],
        "gain": result.detail["gain"],
        **{name: result.detail[name] for name in _CLOSER if name in result.detail},
        "decision": result.detail["decision"],
        "code": provenance.code(),
        "libraries": provenance.libraries(),
    }


if __name__ == "__main__":
    main()

"""The one use of the test part: the winner against the best baseline and the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.errors import UsageError
from headrace.evaluation.blocks import Blocks
from headrace.evaluation.gate import Decision, decide
from headrace.evaluation.inspection.simplest import READ_BY_PEOPLE, first_rule
from headrace.evaluation.inspection.stability import Stability, kept_back, stability
from headrace.evaluation.intervals import LEVEL, Judged, judged
from headrace.evaluation.metrics import Floats, Metric, measured
from headrace.evaluation.nested import OuterFold
from headrace.evaluation.season import out_of_season
from headrace.evaluation.selection import Selection, selection
from headrace.lake import Lake
from headrace.masking import hidden_of
from headrace.models import registry
from headrace.models.algorithms.algorithm import Task
from headrace.models.model import Model
from ray_tasks.corrected import corrected
from ray_tasks.naive import as_it_is, season_of, told
from ray_tasks.search import Searched
from ray_tasks.training import Training, recipe


@dataclass(frozen=True)
class Contest:
    """The finalists and what became of them.

    Attributes:
        models: Candidate to model: winner, baseline and, where there is one, champion.
        roles: Candidate to `winner`, `baseline`, `simple` or `champion`.
        judged: All of them on the test part.
        decision: Of the gate.
        champion: Digest of the champion that was met, or None.
        notes: For people.
        scores: Candidate to what it predicts of the test part, as `judged` met it.
        steady: Of the winner of a regression: how far its predictions go.
        kept_back: The candidate that the gate would have promoted, were it steady; else empty.
    """

    models: Mapping[str, Model]
    roles: Mapping[str, str]
    judged: Judged
    decision: Decision
    champion: str | None
    notes: tuple[str, ...]
    scores: Mapping[str, Floats]
    steady: Stability | None = None
    kept_back: str = ""

    @property
    def shipped(self) -> Model:
        """The model that predicts from now on."""
        return self.models[self.decision.shipped]

    @property
    def unsteady(self) -> dict[str, str]:
        """The candidate that was kept back as not steady, as JSON values; nothing if none was."""
        if not self.kept_back or self.steady is None:
            return {}
        model = self.models[self.kept_back].digest
        verdict = str(self.steady.verdict)
        return {"candidate": self.kept_back, "model": model, "verdict": verdict}

    @property
    def power_notes(self) -> tuple[str, ...]:
        """How long the test part should be, where it showed no gain."""
        return () if self.decision.promoted else (self.decision.power.sentence,)

    def tested(self) -> list[dict[str, Any]]:
        """The test metrics of each finalist, as JSON values."""
        return [
            {
                "candidate": name,
                "role": role,
                "metrics": {
                    str(metric): vars(interval)
                    for metric, interval in self.judged.metrics[name].items()
                },
            }
            for name, role in self.roles.items()
        ]

    def gain(self, metric: Metric) -> dict[str, Any]:
        """The deciding gain, as JSON values."""
        return {
            "metric": str(metric),
            "over": self.decision.over,
            **vars(self.decision.gain),
            "level": LEVEL,
            "resamples": self.judged.resamples,
            "blocks": self.judged.blocks,
        }


def contest(training: Training, lake: Lake, searched: Sequence[Searched]) -> Contest:
    """Fits the winner and the best baseline again, meets the champion, and lets the gate decide.

    Winner and baseline are those that were best on validation; equals in the order given.
    """
    examples = training.examples
    finalists = _finalists(searched, training.metric)
    winner, baseline, *simple = finalists
    models = {each.algorithm.name: _final(training, each) for each in finalists}
    roles = {each.algorithm.name: "simple" for each in simple}
    roles = {winner.algorithm.name: "winner", baseline.algorithm.name: "baseline", **roles}
    champion, notes = _champion(training, lake)
    name = None
    if champion is not None:
        name = f"{champion.recipe.algorithm} {champion.digest[:8]}"
        models[name], roles[name] = champion, "champion"
    part = examples.parts.test
    blocks = examples.blocks(part)
    scores = {candidate: examples.predicted(model, part) for candidate, model in models.items()}
    season = season_of(training)
    naive = season.predicted(part, otherwise=scores[baseline.algorithm.name]) if season else {}
    found = judged(
        examples.y[part.rows],
        {**scores, **naive},
        blocks=blocks.code,
        seed=training.pipeline.training.seed,
        task=examples.classes.task,
    )
    decision = _decided(training, found, finalists, champion=name, blocks=blocks)
    best = decision.shipped if decision.promoted else winner.algorithm.name
    steady = _steady(training, models[best])
    instead = name or baseline.algorithm.name
    if season is not None:
        notes = (*notes, told(season, training, found, {**scores, **naive}, candidate=best))
        gain = found.gain(best, over=season.called, metric=training.metric)
        decision = out_of_season(decision, gain, season, instead=instead, champion=name is not None)
    kept = kept_back(decision, steady, instead=instead, champion=name is not None)
    without = decision.shipped if kept is not decision else ""
    digest = champion.digest if champion else None
    notes = (*notes, *as_it_is(training, baseline))
    return Contest(models, roles, found, kept, digest, notes, scores, steady, without)


def outer_fold(training: Training, searched: Sequence[Searched]) -> OuterFold:
    """The winner and the best baseline of a search, on the outer fold that plays the test part."""
    examples, metric = training.examples, training.metric
    part = examples.parts.test
    winner = _first([each for each in searched if not each.algorithm.baseline], metric)
    baseline = _first([each for each in searched if each.algorithm.baseline], metric)

    def value(each: Searched) -> float:
        score = examples.predicted(_final(training, each), part)
        return measured(examples.y[part.rows], score, examples.classes.task)[metric]

    return OuterFold(
        winner.algorithm.name,
        value(winner),
        value(baseline),
        rows=len(part.rows),
        learned=len(examples.parts.train.rows),
    )


def chosen(training: Training, searched: Sequence[Searched], *, asked: int) -> Selection:
    """How the winner was chosen, and what is left of its value for that.

    Args:
        training: What it works on.
        searched: Every trial counts that is not a baseline's.
        asked: How often the pipeline's gate was asked, this time included.
    """
    tried = [each for each in searched if not each.algorithm.baseline]
    return selection(
        [values for each in tried for values in each.by_block],
        value=_first(tried, training.metric).values[training.metric],
        metric=training.metric,
        asked=asked,
        seed=training.pipeline.training.seed,
    )


def leaderboard(
    training: Training, searched: Sequence[Searched], met: Contest
) -> list[dict[str, Any]]:
    """Every candidate on validation, as JSON values; the champion as it is."""
    board = [
        {
            "candidate": each.algorithm.name,
            "kind": "baseline" if each.algorithm.baseline else "algorithm",
            "params": dict(each.parameters),
            "trials": each.trials,
            "failed": each.failed,
            "seconds": round(each.seconds, 3),
            "validation": {str(metric): value for metric, value in each.values.items()},
        }
        for each in searched
    ]
    examples = training.examples
    part = examples.parts.validation
    for name in (name for name, role in met.roles.items() if role == "champion"):
        model = met.models[name]
        score = examples.predicted(model, part)
        values = measured(examples.y[part.rows], score, examples.classes.task)
        board.append(
            {
                "candidate": name,
                "kind": "champion",
                "params": dict(model.recipe.parameters),
                "trials": 0,
                "failed": 0,
                "seconds": 0.0,
                "validation": {str(metric): value for metric, value in values.items()},
            }
        )
    return board


def _finalists(searched: Sequence[Searched], metric: Metric) -> list[Searched]:
    """The winner, the best baseline, and the others that people can read."""
    winner = _first([each for each in searched if not each.algorithm.baseline], metric)
    baseline = _first([each for each in searched if each.algorithm.baseline], metric)
    simple = [
        each
        for each in searched
        if each.algorithm.name in READ_BY_PEOPLE and each.values and each is not winner
    ]
    return [winner, baseline, *simple]


def _decided(
    training: Training,
    found: Judged,
    finalists: Sequence[Searched],
    *,
    champion: str | None,
    blocks: Blocks,
) -> Decision:
    """The gate on the winner, or on one that people can read and that is as good."""
    winner, baseline, *simple = (each.algorithm.name for each in finalists)
    metric = training.metric

    def decided(challenger: str) -> Decision:
        return decide(
            found,
            challenger=challenger,
            baseline=baseline,
            champion=champion,
            metric=metric,
            worth=training.pipeline.split.worth,
            unit=blocks.unit,
            units=blocks.units,
        )

    decision = decided(winner)
    for each in simple:
        gain = found.gain(winner, over=each, metric=metric)
        decision = first_rule(decision, decided(each), gain=gain, metric=metric)
    return decision


def _first(searched: Sequence[Searched], metric: Metric) -> Searched:
    return max(
        (each for each in searched if each.values),
        key=lambda each: metric.gain(each.values[metric], 0.0),
    )


def _final(training: Training, searched: Searched) -> Model:
    """The best trial's parameters, fitted on all training rows with what validation found."""
    algorithm, pipeline = searched.algorithm, training.pipeline
    if searched.model is not None:
        return corrected(pipeline, training.examples, searched.model)
    form = algorithm.needs.categories
    fitted = algorithm.fit(
        training.train[form],
        searched.parameters,
        seed=pipeline.training.seed,
        validation=None,
        metric=training.metric,
    )
    made = recipe(
        pipeline,
        training.examples,
        moment=training.moment,
        algorithm=algorithm.name,
        parameters=searched.parameters,
    )
    examples = training.examples
    model = Model(made, training.encodings[form], fitted.estimator, examples.classes)
    return corrected(pipeline, examples, model)


def _steady(training: Training, model: Model) -> Stability | None:
    """Of a regression; a probability cannot go far."""
    examples = training.examples
    if examples.classes.task is not Task.REGRESSION:
        return None
    recent = examples.parts.validation
    return stability(
        model,
        train=examples.of(examples.parts.train),
        recent=examples.of(recent),
        y=examples.y[recent.rows],
        hidden=hidden_of(training.pipeline, f"gold/{training.pipeline.name}"),
    )


def _champion(training: Training, lake: Lake) -> tuple[Model | None, tuple[str, ...]]:
    """The champion of the time before, if it can still predict from these features."""
    alias = training.aliases.champion(before=training.at)
    if alias is None:
        return None, ()
    model = registry.load(lake, training.pipeline.name, alias.model)
    try:
        model.check(training.examples.rows.schema)
        model.classes.check(training.examples.classes.task, model=alias.model)
    except UsageError as error:
        return None, (f"the champion {alias.model[:8]} was not met: {error.message}",)
    return model, ()

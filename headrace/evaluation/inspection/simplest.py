"""The first rule: what can be done without a model, or by rules that people read, is done so."""

from __future__ import annotations

from dataclasses import replace

from headrace.evaluation.gate import Decision
from headrace.evaluation.inspection.figures import told
from headrace.evaluation.intervals import Interval
from headrace.evaluation.metric import Metric

# Algorithms whose model is a short list that people read, and that one SQL expression applies.
READ_BY_PEOPLE = ("decision_list",)


def first_rule(
    decision: Decision, simpler: Decision, *, gain: Interval, metric: Metric
) -> Decision:
    """The decision, unless a simpler candidate ties what it promotes and would be promoted itself.

    A look-up that ties needs no such rule: the gate ships the baseline unless it is beaten.

    Args:
        decision: Of the gate, on the winner.
        simpler: Of the gate, on the simpler candidate.
        gain: Of the winner over the simpler candidate.
        metric: What the pipeline is judged by.
    """
    if not (decision.promoted and simpler.promoted) or gain.above_zero:
        return decision
    sentence = (
        f"{simpler.shipped} ties {decision.shipped}, which gains no more over it than noise "
        f"({told(gain, metric)} in {metric}), and people can read it, so it goes first. "
        f"{simpler.sentence}"
    )
    return replace(simpler, sentence=sentence)

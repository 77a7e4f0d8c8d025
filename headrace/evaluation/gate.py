"""The gate: a model is promoted only if its gain cannot be noise; the decision is a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.evaluation.intervals import LEVEL, Interval, Judged
from headrace.evaluation.metrics import Metric
from headrace.evaluation.power import FEWEST_BLOCKS, Power, power_of


@dataclass(frozen=True)
class Decision:
    """What the gate decided.

    Attributes:
        promoted: Whether the challenger becomes champion.
        shipped: The candidate that predicts from now on: challenger, baseline or champion.
        over: The candidate it was held against, for the deciding gain.
        gain: That gain; positive is better.
        power: What gain over that candidate the test part can show, and how long it should be.
        sentence: All of this for people.
    """

    promoted: bool
    shipped: str
    over: str
    gain: Interval
    power: Power
    sentence: str


def decide(
    judged: Judged,
    *,
    challenger: str,
    baseline: str,
    champion: str | None,
    metric: Metric,
    worth: float | None = None,
    unit: str = "day",
    units: int | None = None,
) -> Decision:
    """Promotes the challenger if it beats the baseline and, where there is one, the champion.

    To beat is to have an interval of the gain wholly above zero. Refused with a champion: the
    champion stays. Refused without one: the baseline is shipped.

    Args:
        judged: All three on the test part.
        challenger: The algorithm that was best on validation.
        baseline: The baseline that was best on validation.
        champion: The candidate that predicts at present, or None.
        metric: What the pipeline is judged by.
        worth: The gain that a test part should show; None: as `Metric.worth`.
        unit: What a block of the test part holds: a `day`, or so many a `group` or `row`.
        units: How many of those there are; None: as many as blocks.
    """
    rivals = [baseline] if champion is None else [baseline, champion]
    gains = {rival: judged.gain(challenger, over=rival, metric=metric) for rival in rivals}
    enough = judged.blocks >= FEWEST_BLOCKS
    unbeaten = [rival for rival in rivals if not gains[rival].above_zero]
    over = unbeaten[-1] if unbeaten else rivals[-1]
    promoted = enough and not unbeaten
    shipped = challenger if promoted else champion or baseline
    reason = _reason(metric, challenger, over, gains[over])
    if not enough:
        where = f"rows on {judged.blocks} days" if unit == "day" else f"{judged.blocks} {unit}s"
        reason = (
            f"The test part has {where}, and at least {FEWEST_BLOCKS} are "
            f"needed to tell a gain from noise"
        )
    power = power_of(
        judged.spread(challenger, over=over, metric=metric),
        metric.worth(judged.metrics[over][metric].value) if worth is None else worth,
        effective=judged.effective,
        have=judged.blocks if units is None else units,
        unit=unit,
        metric=metric,
    )
    sentence = f"{reason}: {_outcome(promoted, shipped, champion)}."
    return Decision(promoted, shipped, over, gains[over], power, sentence)


def _reason(metric: Metric, challenger: str, over: str, gain: Interval) -> str:
    verb = "beats" if gain.above_zero else "does not beat"
    form = "+.4g" if metric.has_unit else "+.4f"
    value, low, high = (f"{each:{form}}" for each in (gain.value, gain.low, gain.high))
    return (
        f"{challenger} {verb} {over} by more than noise in {metric} "
        f"({value}, {LEVEL:.0%} interval {low} to {high})"
    )


def _outcome(promoted: bool, shipped: str, champion: str | None) -> str:
    if promoted:
        return f"{shipped} is the new champion"
    instead = withdrawn(shipped, champion=champion is not None)
    return instead if champion is not None else f"{instead} until a model beats it"


def withdrawn(instead: str, *, champion: bool) -> str:
    """What happens where a challenger is not promoted: `instead` predicts, champion or baseline."""
    return "the champion stays" if champion else f"the baseline {instead} is shipped"

"""Whether predictions stay in reach of the target where one feature moves by itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headrace.evaluation.gate import Decision, withdrawn
from headrace.evaluation.inspection.figures import plain
from headrace.evaluation.metrics import Floats
from headrace.models.model import Model

HELD, REFUSED = 10.0, 100.0  # times the range of recent targets
_MOST_ROWS = 200
_ENDS = 0.01, 0.99  # of what training has seen


class Verdict(StrEnum):
    """What follows from it."""

    STEADY = "steady"
    HELD = "held"
    REFUSED = "refused"


@dataclass(frozen=True)
class Stability:
    """How far predictions go.

    Attributes:
        times: The distance of the farthest prediction from the median of recent targets, in ranges
            of recent targets.
        feature: Which feature had been moved, alone; empty where the rows were as they are.
        value: To where, a value that training has seen; None where it is hidden, or nothing moved.
        prediction: What was predicted there.
        level: The median of recent targets.
        reach: Their range.
        rows: How many rows were looked at.
    """

    times: float
    feature: str
    value: float | None
    prediction: float
    level: float
    reach: float
    rows: int

    @property
    def verdict(self) -> Verdict:
        """Steady up to 10 times, refused beyond 100; a number that is not finite is refused."""
        if self.times <= HELD:
            return Verdict.STEADY
        return Verdict.HELD if self.times <= REFUSED else Verdict.REFUSED

    @property
    def sentence(self) -> str:
        """All of this for people."""
        at = "" if self.value is None else f"{self.value:.4g}, "
        moved = (
            f"with {self.feature} at {at}a value that training has seen, and all else as it is"
            if self.feature
            else "on recent rows as they are"
        )
        return (
            f"{moved}, a prediction is {self.prediction:.4g}: {self.times:,.2g} times the range of "
            f"recent targets ({self.reach:.4g}) away from their median ({self.level:.4g})"
        )

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        told = {
            name: plain(value) if isinstance(value, float) else value
            for name, value in vars(self).items()
        }
        text = self.sentence
        return {**told, "verdict": str(self.verdict), "sentence": f"{text[0].upper()}{text[1:]}."}


def stability(
    model: Model, *, train: pa.Table, recent: pa.Table, y: Floats, hidden: Collection[str] = ()
) -> Stability:
    """Moves each number by itself to both ends of what training has seen of it.

    Least squares on features that are nearly sums of one another finds large coefficients of
    opposite signs. They cancel as long as the features move together, and not where one moves
    alone.

    Args:
        model: A model of a regression.
        train: The features of training rows.
        recent: Those of rows it was not fitted on; the last are looked at.
        y: The targets of these rows.
        hidden: Features whose values are not told.
    """
    names = list(model.encoding.names)
    table = recent.select(names).slice(max(0, recent.num_rows - _MOST_ROWS))
    level, reach = of_targets(y)

    def farthest(score: Floats, feature: str = "", value: float | None = None) -> Stability:
        away = np.abs(score - level)
        place = int(np.argmax(np.where(np.isnan(away), np.inf, away)))
        times = float(away[place]) / reach
        return Stability(
            times if np.isfinite(times) else float("inf"),
            feature,
            value,
            float(score[place]),
            level,
            reach,
            table.num_rows,
        )

    worst = farthest(model.predict(table))
    for name in names:
        for value in _ends(train.column(name)):
            at = table.column_names.index(name)
            cells = pa.repeat(value, table.num_rows)
            moved = table.set_column(at, name, pa.chunked_array([cells]))
            where = None if name in hidden else float(value.as_py())
            found = farthest(model.predict(moved), name, where)
            worst = max(worst, found, key=lambda each: each.times)
    return worst


def of_targets(y: Floats) -> tuple[float, float]:
    """The median of targets, and their range; of a constant its size, and of zero one."""
    level = float(np.median(y))
    return level, float(np.ptp(y)) or abs(level) or 1.0


def too_far(predicted: Floats, *, level: float, reach: float) -> tuple[pa.Array, pa.Array]:
    """Holds predictions of a regression against the targets that were recent at its training.

    Args:
        predicted: The predictions.
        level: The median of those targets.
        reach: Their range.

    Returns:
        Why each prediction is refused, or null for one that is not; and why it is held, since it
        is beyond `HELD` times the range and not refused, or null.
    """
    times = np.abs(predicted - level) / reach
    refused = ~(times <= REFUSED)  # one that is not a number, too
    held = (times > HELD) & ~refused
    return _reasons(predicted, times, refused), _reasons(predicted, times, held)


def kept_back(
    decision: Decision, found: Stability | None, *, instead: str, champion: bool
) -> Decision:
    """The gate's decision, unless what it would promote is not steady.

    Args:
        decision: Of the gate.
        found: Of the candidate that it promotes; None where a prediction cannot go far.
        instead: The candidate that predicts if this one does not.
        champion: Whether that is the champion.
    """
    if found is None or not decision.promoted or found.verdict is Verdict.STEADY:
        return decision
    outcome = withdrawn(instead, champion=champion)
    person = ", or have a named person look and release it" * (found.verdict is Verdict.HELD)
    sentence = (
        f"{decision.shipped} is {found.verdict}, as it is not steady: {found.sentence}. Take an "
        f"algorithm with a penalty, such as elastic_net, or leave out features that go "
        f"together{person}: {outcome}."
    )
    return replace(decision, promoted=False, shipped=instead, sentence=sentence)


def _reasons(predicted: Floats, times: Floats, where: npt.NDArray[np.bool_]) -> pa.Array:
    told = np.full(len(times), None, dtype=object)
    told[where] = [
        f"prediction {value:.4g} is {far:,.0f} times the range of recent targets from their median"
        for value, far in zip(predicted[where], times[where], strict=True)
    ]
    return pa.array(told, pa.string())


def _ends(column: pa.ChunkedArray) -> list[pa.Scalar]:
    """Two values of a number, near both ends; none of a category."""
    types = pa.types
    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        return []
    known = column.drop_null()
    if types.is_floating(known.type):
        known = known.filter(pc.is_finite(known))
    if not len(known):
        return []
    kinds = pc.quantile(known, q=list(_ENDS), interpolation="nearest")
    return [pa.scalar(each, column.type) for each in kinds.to_pylist()]

"""Fits what corrects a model's probabilities, on validation alone; chooses how by cross-fitting.

The model has not learned from validation, so what it says there is what it will say of new rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headrace.evaluation.metrics import Booleans, Floats, Integers
from headrace.evaluation.resamples import beyond_noise, folds
from headrace.models.calibration import TINY, Calibration, Curve, Line, Method, Steps, log_odds

Asked = Literal["none", "auto", "isotonic", "platt", "temperature"]

_FEWEST = 5  # rows of a class, and of the others, that a curve of its own takes
_ONE_SCORE = 1e-9  # log odds nearer than this have no slope: all get the share of true
_STEEPEST = 3.0  # natural logarithm: temperatures from 1/20 to 20


@dataclass(frozen=True)
class Calibrated:
    """What came of the wish to calibrate.

    Attributes:
        asked: What the pipeline asks for.
        calibration: What corrects the probabilities, or None.
        losses: Method, or `none`, to its log loss on rows of validation that it was not fitted on;
            empty where nothing was to be chosen.
        sentence: All of this for people.
    """

    asked: Asked
    calibration: Calibration | None
    losses: Mapping[str, float]
    sentence: str

    @property
    def method(self) -> str:
        """The method that came of it, or `none`."""
        return str(self.calibration.method) if self.calibration else "none"

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        losses = dict(self.losses)
        return {"asked": self.asked, "method": self.method, "validation_log_loss": losses}


def calibrated(asked: Asked, y: Floats, predicted: Floats, *, blocks: Integers) -> Calibrated:
    """Fits the calibration that is asked for, or the best of all and none.

    `auto` fits each method on four fifths of the blocks and judges it on the rest, in turn. The one
    of least log loss is taken, if it is better than none by more than one standard error of blocks.

    Args:
        asked: What the pipeline asks for; not `none`.
        y: Of validation: 1.0 where true, or codes of classes; one beyond the columns of
            `predicted`, which training did not have, is left out.
        predicted: Probability of true (rows,), or of each class (rows, classes).
        blocks: Block of each row, rising in time where there is time.
    """
    known = np.isfinite(y) & (y < (2 if predicted.ndim == 1 else predicted.shape[1]))
    y, predicted, blocks = y[known], predicted[known], blocks[known]
    losses: dict[str, float] = {}
    if asked == "auto":
        method, losses, reason = _chosen(y, predicted, blocks=blocks)
    else:
        method, reason = Method(asked), "as the pipeline asks"
    if method is None:
        return Calibrated(asked, None, losses, f"Probabilities are not calibrated: {reason}.")
    calibration = fit(method, y, predicted)
    if calibration is None:
        reason = "validation has rows of one class alone, or ranks them the wrong way"
        return Calibrated(asked, None, losses, f"Probabilities are not calibrated: {reason}.")
    rows = f"on {len(y):,} rows of validation, {reason}"
    return Calibrated(asked, calibration, losses, f"Calibrated by {method} {rows}.")


def fit(method: Method, y: Floats, predicted: Floats) -> Calibration | None:
    """Fits one method; None where rows hold but one class, or scores fall where they should rise.

    Several classes are each corrected against the rest, and brought to a sum of one, but for a
    temperature, which is one for all.

    Args:
        method: How.
        y: 1.0 where true, or codes of classes.
        predicted: Probability of true (rows,), or of each class (rows, classes); finite.
    """
    if len(np.unique(y)) < 2:  # noqa: PLR2004  # classes
        return None
    if method is Method.TEMPERATURE:
        return Calibration(method, (Line(_sharpness(y, predicted)),))
    curve_of = {Method.PLATT: _line, Method.ISOTONIC: _steps}[method]
    if predicted.ndim == 1:
        curve = curve_of(y, predicted)
        return None if curve is None else Calibration(method, (curve,))
    curves = tuple(
        curve_of(came.astype(np.float64), predicted[:, code])
        if min(came.sum(), (~came).sum()) >= _FEWEST
        else None
        for code in range(predicted.shape[1])
        for came in [y == code]
    )
    return Calibration(method, curves) if any(curve is not None for curve in curves) else None


def _chosen(
    y: Floats, predicted: Floats, *, blocks: Integers
) -> tuple[Method | None, dict[str, float], str]:
    """The method, the losses, and why; without the rows to judge by, none."""
    parts = folds(blocks)
    if parts is None or len(np.unique(y)) < 2:  # noqa: PLR2004  # classes
        return None, {}, "validation has too few days, or one class alone, to choose how"
    found = {
        method: loss
        for method in Method
        if (loss := _out_of_fold(method, y, predicted, parts)) is not None
    }
    plain = _loss(y, predicted)
    losses = {"none": float(plain.mean())} | {str(m): float(v.mean()) for m, v in found.items()}
    if not found:
        return None, losses, "no method could be fitted on parts of validation"
    best = min(found, key=lambda method: losses[method])
    if not beyond_noise(plain, found[best], blocks=blocks):
        return None, losses, "no method lowers the log loss by more than noise"
    return best, losses, "which has the least log loss on rows it was not fitted on"


def _out_of_fold(
    method: Method, y: Floats, predicted: Floats, parts: list[Booleans]
) -> Floats | None:
    """Log loss of each row by a fit on the other parts; None where a fit is not possible."""
    found = np.empty(len(y))
    for part in parts:
        calibration = fit(method, y[~part], predicted[~part])
        if calibration is None:
            return None
        found[part] = _loss(y[part], calibration(predicted[part]))
    return found


def _loss(y: Floats, predicted: Floats) -> Floats:
    """Log loss of each row, as the metric has it."""
    if predicted.ndim == 1:
        chance = np.where(y > 0, predicted, 1 - predicted)
    else:
        chance = predicted[np.arange(len(y)), y.astype(np.int64)]
    loss: Floats = -np.log(np.clip(chance, TINY, 1 - TINY))
    return loss


def _sharpness(y: Floats, predicted: Floats) -> float:
    """1 by the temperature of least log loss, which is convex in it."""
    from scipy.optimize import minimize_scalar  # type: ignore[import-untyped]  # it ships no types

    def loss(log_slope: float) -> float:
        cooled = Calibration(Method.TEMPERATURE, (Line(float(np.exp(log_slope))),))
        return float(_loss(y, cooled(predicted)).mean())

    found = minimize_scalar(loss, bounds=(-_STEEPEST, _STEEPEST), method="bounded")
    return float(np.exp(found.x))


def _line(y: Floats, chance: Floats) -> Curve | None:
    """Platt's line on log odds, with his targets, which keep it finite where classes part."""
    from sklearn.linear_model import LogisticRegression

    x, positives = log_odds(chance), y.sum()
    high, low = (positives + 1) / (positives + 2), 1 / (len(y) - positives + 2)
    towards, spread = np.where(y > 0, high, low), float(x.std())
    if np.ptp(x) < _ONE_SCORE:
        return Line(1.0, float(log_odds(towards.mean()) - x.mean()))
    rows = np.concatenate([x, x]).reshape(-1, 1)
    classes = np.repeat([1.0, 0.0], len(y))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    centre = float(x.mean())
    model.fit((rows - centre) / spread, classes, np.concatenate([towards, 1 - towards]))
    slope = float(model.coef_[0, 0]) / spread
    if not slope > 0:
        return None
    return Line(slope, float(model.intercept_[0]) - slope * centre)


def _steps(y: Floats, chance: Floats) -> Curve | None:
    """Isotonic regression, short of 0 and 1: no number of rows makes anything certain."""
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(y) + 2)  # the rule of succession
    model = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    model.fit(chance, y)
    scores, shares = model.X_thresholds_, model.y_thresholds_
    return Steps(tuple(map(float, scores)), tuple(map(float, shares)))

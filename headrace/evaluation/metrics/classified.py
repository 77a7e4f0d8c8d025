"""Metrics of predicted classes under many weightings of the rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.evaluation.metric import Metric
from headrace.evaluation.metrics.ranked import Ranked
from headrace.evaluation.metrics.weighed import Floats, Integers


@dataclass(frozen=True)
class Classified:
    """Rows with a probability for each class, summed per block.

    Attributes:
        rows: Rows per block.
        loss: Log loss summed per block.
        error: Squared errors of all classes summed per block.
        came: Rows per block and class that came.
        told: Rows per block and class that was predicted: the likeliest, of equals the first.
        right: Rows per block and class where both are the same.
        code: The class that came, of each row.
        score: Rows by classes.
        block: The block of each row.
    """

    rows: Floats
    loss: Floats
    error: Floats
    came: Floats
    told: Floats
    right: Floats
    code: Integers
    score: Floats
    block: Integers

    @classmethod
    def of(cls, y: Floats, score: Floats, *, blocks: Integers) -> Classified:
        """Sums and ranks the rows.

        Args:
            y: Codes of classes. One beyond the columns of `score` is a class that the model has
                never seen, and gave a probability of zero.
            score: Rows by classes, finite.
            blocks: Number of each row's block, from 0.
        """
        code = y.astype(np.int64)
        classes = max(score.shape[1], int(code.max(initial=-1)) + 1)
        known = np.zeros((len(y), classes))
        known[:, : score.shape[1]] = score
        count = int(blocks.max(initial=-1)) + 1
        each = np.arange(len(y))
        # As scikit-learn does: a probability of exactly 0 or 1 costs a finite amount.
        tiny = np.finfo(np.float64).eps
        of_its_class = known[each, code]
        off = known.copy()
        off[each, code] -= 1
        told = known.argmax(axis=1)

        def total(values: Floats) -> Floats:
            return np.bincount(blocks, values, count).astype(np.float64)

        def by_class(of: Integers, rows: Integers) -> Floats:
            cells = np.bincount(blocks[rows] * classes + of[rows], minlength=count * classes)
            return cells.reshape(count, classes).astype(np.float64)

        return cls(
            rows=total(np.ones(len(y))),
            loss=total(-np.log(np.clip(of_its_class, tiny, 1 - tiny))),
            error=total((off**2).sum(axis=1)),
            came=by_class(code, each),
            told=by_class(told, each),
            right=by_class(code, np.flatnonzero(told == code)),
            code=code,
            score=known,
            block=blocks,
        )

    def reweighted(self, weights: Floats) -> dict[Metric, Floats]:
        """All metrics under each weighting of the blocks; see `Weighed`.

        `roc_auc` is the mean over the classes that came, each against the rest (Provost and
        Domingos 2000, unweighted); NaN where only one came. `f1_macro` is the mean over those that
        came or were predicted.
        """
        rows = weights @ self.rows
        came, told, right = (weights @ each for each in (self.came, self.told, self.right))
        seen = came + told
        f1 = np.divide(2 * right, seen, out=np.zeros_like(seen), where=seen > 0)
        aucs = np.array([self._auc(one, weights) for one in np.unique(self.code).tolist()])
        defined = np.isfinite(aucs)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                Metric.LOG_LOSS: weights @ self.loss / rows,
                Metric.ROC_AUC: np.where(defined, aucs, 0.0).sum(axis=0) / defined.sum(axis=0),
                Metric.ACCURACY: right.sum(axis=1) / rows,
                Metric.F1_MACRO: f1.sum(axis=1) / (seen > 0).sum(axis=1),
                Metric.BRIER: weights @ self.error / rows,
            }

    def _auc(self, one: int, weights: Floats) -> Floats:
        """Of one class against the rest; ranked here, since all at once would take much memory."""
        came = (self.code == one).astype(np.float64)
        ranked = Ranked.of(came, self.score[:, one], blocks=self.block)
        return ranked.reweighted(weights)[Metric.ROC_AUC]

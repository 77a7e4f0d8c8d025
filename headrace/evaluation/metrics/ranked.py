"""Metrics of a binary prediction under many weightings of the rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.evaluation.metric import Metric
from headrace.evaluation.metrics.weighed import CELLS, Booleans, Floats, Integers


@dataclass(frozen=True)
class Ranked:
    """Rows sorted by falling score, so that every weighting of the blocks costs a product, no sort.

    Both ranking metrics are sums over the steps of the ranking: the groups of tied scores that hold
    a true row. What a weighting needs of a step are counts by block, which a product adds up.

    Attributes:
        step: Of each row that is not behind the last step: the step it is in, or comes before.
        block: The block of each of those rows.
        true: Whether its target is true.
        tied: Whether it is in its step, and false.
        steps: How many there are.
        rows: Rows per block, all of them counted.
        positives: True rows per block.
        loss: Log loss summed per block.
        error: Squared error summed per block.
    """

    step: Integers
    block: Integers
    true: Booleans
    tied: Booleans
    steps: int
    rows: Floats
    positives: Floats
    loss: Floats
    error: Floats

    @classmethod
    def of(cls, y: Floats, score: Floats, *, blocks: Integers) -> Ranked:
        """Sorts the rows.

        Args:
            y: 1.0 where the target is true, else 0.0.
            score: Probability of true, finite.
            blocks: Number of each row's block, from 0.
        """
        order = np.argsort(-score, kind="stable")
        falling, truth, block = score[order], y[order], blocks[order]
        count = int(blocks.max(initial=-1)) + 1
        group = np.concatenate([[0], np.cumsum(np.diff(falling) != 0)])
        holds_true = np.bincount(group, truth) > 0
        before: Integers = np.cumsum(holds_true) - holds_true
        step = before[group]  # of the next group that holds a true row
        steps = int(holds_true.sum())
        ahead = step < steps
        # As scikit-learn does: a probability of exactly 0 or 1 costs a finite amount.
        tiny = np.finfo(np.float64).eps
        certain = np.clip(falling, tiny, 1 - tiny)
        loss = -np.where(truth > 0, np.log(certain), np.log1p(-certain))
        error = (truth - falling) ** 2
        return cls(
            step=step[ahead],
            block=block[ahead],
            true=truth[ahead] > 0,
            tied=(holds_true[group] & (truth == 0))[ahead],
            steps=steps,
            rows=np.bincount(block, minlength=count).astype(np.float64),
            positives=np.bincount(block, truth, count).astype(np.float64),
            loss=np.bincount(block, loss, count).astype(np.float64),
            error=np.bincount(block, error, count).astype(np.float64),
        )

    def reweighted(self, weights: Floats) -> dict[Metric, Floats]:
        """All metrics under each weighting of the blocks.

        Args:
            weights: Weightings by blocks: how often each block counts.

        Returns:
            Metric to one value per weighting; NaN for the ranking metrics where a class is missing.
        """
        total, positives = weights @ self.rows, weights @ self.positives
        negatives = total - positives
        pairs, precision = self._summed(weights, negatives)
        both = (positives > 0) & (negatives > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                Metric.ROC_AUC: np.where(both, pairs / (positives * negatives), np.nan),
                Metric.PR_AUC: np.where(both, precision / positives, np.nan),
                Metric.LOG_LOSS: weights @ self.loss / total,
                Metric.BRIER: weights @ self.error / total,
            }

    def _summed(self, weights: Floats, negatives: Floats) -> tuple[Floats, Floats]:
        """Per weighting: pairs in order, ties as half; precision summed over true rows."""
        pairs, precision = np.zeros(len(weights)), np.zeros(len(weights))
        hits, seen = np.zeros((len(weights), 1)), np.zeros((len(weights), 1))
        size = max(1, CELLS // weights.size)
        for start in range(0, self.steps, size):
            new_hits, new_seen, tied = (
                weights @ each for each in self._counts(start, min(start + size, self.steps))
            )
            hits, seen = (
                hits[:, -1:] + new_hits.cumsum(axis=1),
                seen[:, -1:] + new_seen.cumsum(axis=1),
            )
            below = negatives[:, None] - (seen - hits) + tied / 2
            pairs += (new_hits * below).sum(axis=1)
            share = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
            precision += (new_hits * share).sum(axis=1)
        return pairs, precision

    def _counts(self, start: int, end: int) -> tuple[Floats, Floats, Floats]:
        """True rows, all rows, and tied false rows: blocks by the steps from `start` to `end`."""
        low, high = np.searchsorted(self.step, [start, end])
        cell = self.block[low:high] * (end - start) + self.step[low:high] - start
        shape = (len(self.rows), end - start)
        true, tied = self.true[low:high], self.tied[low:high]
        cells = (cell[true], cell, cell[tied])
        found = (np.bincount(each, minlength=shape[0] * shape[1]) for each in cells)
        new_hits, new_seen, ties = (each.reshape(shape).astype(np.float64) for each in found)
        return new_hits, new_seen, ties

"""Rules as values: conditions on cells, which rows meet them, and what is predicted of those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.models.algorithms.algorithm import Matrix, Needs
from headrace.models.algorithms.estimators import completed

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Booleans, Floats

CODES = Needs(categories="codes")
_SMOOTHING = 5.0  # rows of the overall shares added to each rule

# A condition is [column, test, value]: `=` and `in` hold codes of categories, `<=` and `>` numbers.
Condition = list[Any]


@dataclass(frozen=True)
class Rows:
    """Rows to find rules in.

    Attributes:
        X: The matrix of codes.
        categorical: Its columns of categories.
        mass: Rows by outputs: weights by class, or weighted targets.
        weight: Of each row.
    """

    X: Floats
    categorical: tuple[int, ...]
    mass: Floats
    weight: Floats

    def of(self, rows: Booleans) -> Rows:
        """Some of the rows."""
        return Rows(self.X[rows], self.categorical, self.mass[rows], self.weight[rows])


def holds(when: Sequence[Condition], X: Floats) -> Booleans:
    """Which rows meet all conditions; a missing cell meets `missing` alone."""
    import numpy as np

    met = np.ones(X.shape[0], dtype=bool)
    for column, test, value in when:
        cells = X[:, column]
        with np.errstate(invalid="ignore"):
            if test == "missing":
                met &= np.isnan(cells)
            elif test == "in":
                codes = [code for code in value if code is not None]
                met &= np.isin(cells, codes) | (np.isnan(cells) & (None in value))
            elif test == "within":
                low, high, or_missing, only_missing = value
                inside = np.full(len(cells), not only_missing) & ~np.isnan(cells)
                inside &= True if low is None else cells > low
                inside &= True if high is None else cells <= high
                met &= inside | (np.isnan(cells) & or_missing)
            else:
                met &= (cells <= value) if test == "<=" else (cells > value)
    return met


def rule_of(when: list[Condition], rows: Rows, overall: Floats) -> dict[str, Any]:
    """The conditions, what they predict, how many rows held them, and the lift."""
    import numpy as np

    held = float(rows.weight.sum())
    value = (rows.mass.sum(axis=0) + _SMOOTHING * overall) / (held + _SMOOTHING)
    apart = np.round(np.abs(value - overall), 12)
    main = len(apart) - 1 - int(np.argmax(apart[::-1]))  # of two classes, true
    plain = float(rows.mass[:, main].sum() / held) if held else float(overall[main])
    lift = plain / float(overall[main]) if overall[main] else 1.0
    return {
        "when": when,
        "value": value.tolist(),
        "rows": len(rows.weight),
        "output": main,
        "rate": plain,
        "lift": lift,
    }


def predict_rules(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """The value of the first rule that a row meets."""
    import numpy as np

    rules = estimator["rules"]
    which = np.full(X.shape[0], len(rules))
    for place in reversed(range(len(rules))):
        which[holds(rules[place]["when"], X)] = place
    return values(estimator)[which]


def values(estimator: Mapping[str, Any]) -> Floats:
    """The prediction of each rule, and of the rows that meet none."""
    import numpy as np

    rules = [*estimator["rules"], estimator["otherwise"]]
    return completed(estimator, np.array([each["value"] for each in rules]))

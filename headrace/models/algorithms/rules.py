"""Rules that people read: a decision list of our own, and CHAID; both become one SQL expression."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from headrace.errors import SetupError, UsageError
from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Matrix,
    Needs,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import completed, described
from headrace.models.algorithms.space import integer, log_int, log_uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Booleans, Floats, Metric
    from headrace.models.encoding import Encoding

_SMOOTHING = 5.0  # rows of the overall shares added to each rule
_CHANCE = 3.0  # standard errors that a segment must differ by, since many are tried
_MISSING = "<missing>"  # CHAID's word
_BEAM = 12  # conditions that are tried in pairs

# A condition is [column, test, value]: `=` and `in` hold codes of categories, `<=` and `>` numbers.
Condition = list[Any]


@dataclass(frozen=True)
class _Rows:
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

    def of(self, rows: Booleans) -> _Rows:
        """Some of the rows."""
        return _Rows(self.X[rows], self.categorical, self.mass[rows], self.weight[rows])


def _fit_list(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """Rule by rule the segment that differs most from the rest; its rows are then set aside."""
    import numpy as np

    given: dict[str, Any] = {**parameters}
    estimator = described(train)
    weight = np.ones(len(train.y)) if train.weight is None else train.weight
    mass = (weight * train.y)[:, None]
    if train.task is not Task.REGRESSION:
        mass = np.column_stack([weight * (train.y == code) for code in estimator["present"]])
    left = _Rows(np.asarray(train.X), train.categorical, mass, weight)
    overall = mass.sum(axis=0) / weight.sum()
    rules: list[dict[str, Any]] = []
    while len(rules) < given["max_rules"]:
        when = _best(left, least=given["min_samples"], bins=given["bins"], most=given["max_terms"])
        if when is None:
            break
        inside = holds(when, left.X)
        rules.append(_rule(when, left.of(inside), overall))
        left = left.of(~inside)
    otherwise = _rule([], left, overall)
    told = {"categorical": list(train.categorical), "columns": train.X.shape[1]}
    return Fitted({**estimator, **told, "rules": rules, "otherwise": otherwise})


def _rule(when: list[Condition], rows: _Rows, overall: Floats) -> dict[str, Any]:
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


def _best(rows: _Rows, *, least: int, bins: int, most: int) -> list[Condition] | None:
    """The conditions, one or more together, whose rows differ most from the others."""
    size = len(rows.weight)
    if size < 2 * least:
        return None
    ranked = []
    for condition in _conditions(rows, bins):
        inside = holds([condition], rows.X)
        if least <= inside.sum() <= size - least:
            ranked.append((_gain(rows, inside), [condition], inside))
    ranked.sort(key=lambda each: -each[0])
    single = beam = ranked[:_BEAM]
    for _ in range(most - 1):
        wider = []
        for _, when, inside in beam:
            for _, (condition,), other in single:
                both = inside & other
                if condition not in when and least <= both.sum() < inside.sum():
                    wider.append((_gain(rows, both), [*when, condition], both))
        beam = sorted(wider, key=lambda each: -each[0])[:_BEAM]
        ranked = sorted([*ranked, *beam], key=lambda each: -each[0])
    return ranked[0][1] if ranked and ranked[0][0] > 0 else None


def _gain(rows: _Rows, inside: Booleans) -> float:
    """How far the means of the two sides are apart, in units of what chance gives; 0 within it."""
    import numpy as np

    a, b = rows.weight[inside].sum(), rows.weight[~inside].sum()
    one, other = rows.mass[inside].sum(axis=0) / a, rows.mass[~inside].sum(axis=0) / b
    share = rows.weight[:, None]
    mean = rows.mass.sum(axis=0) / (a + b)
    spread = ((rows.mass / share - mean) ** 2 * share).sum(axis=0) / (a + b)
    error = np.sqrt(np.maximum(spread, 1e-300) * (1 / a + 1 / b))
    apart = float(np.max(np.abs(one - other) / error)) if spread.max() > 0 else 0.0
    return apart if apart > _CHANCE else 0.0


def _conditions(rows: _Rows, bins: int) -> Iterator[Condition]:
    import numpy as np

    for column in range(rows.X.shape[1]):
        cells = rows.X[:, column]
        known = ~np.isnan(cells)
        if not known.all():
            if column not in rows.categorical:
                yield [column, "missing", None]
            if not known.any():
                continue
        if column in rows.categorical:
            yield from _sets(column, cells[known].astype(np.int64), rows.of(known), bins)
        else:
            cuts = np.unique(np.quantile(cells[known], np.arange(1, bins) / bins, method="lower"))
            for cut in cuts.tolist():
                yield [column, "<=", cut]
                yield [column, ">", cut]


def _sets(column: int, codes: Any, rows: _Rows, bins: int) -> Iterator[Condition]:  # noqa: ANN401  # integers
    """The categories with the highest, and with the lowest, mean of each output."""
    import numpy as np

    mass = np.bincount(codes, rows.weight)
    seen = np.flatnonzero(mass)
    for output in range(rows.mass.shape[1]):
        mean = np.bincount(codes, rows.mass[:, output])[seen] / mass[seen]
        order = seen[np.argsort(mean, kind="stable")]
        reached = np.cumsum(mass[order]) / mass.sum()
        ends = np.unique(np.searchsorted(reached, np.arange(1, bins) / bins) + 1)
        for end in ends[ends < len(order)].tolist():
            yield [column, "in", sorted(order[:end].tolist())]
            yield [column, "in", sorted(order[end:].tolist())]


def predict_rules(estimator: Mapping[str, Any], X: Matrix) -> Floats:
    """The value of the first rule that a row meets."""
    import numpy as np

    rules = estimator["rules"]
    which = np.full(X.shape[0], len(rules))
    for place in reversed(range(len(rules))):
        which[holds(rules[place]["when"], X)] = place
    return _values(estimator)[which]


def _fit_chaid(
    train: Samples,
    parameters: Parameters,
    *,
    seed: int,  # noqa: ARG001  # nothing is drawn
    validation: Samples | None,  # noqa: ARG001  # nothing is chosen
    metric: Metric,  # noqa: ARG001
) -> Fitted:
    """CHAID on categories, and on numbers cut into bins; each leaf as a rule."""
    import numpy as np

    Tree = _chaid()  # noqa: N806  # a class
    given: dict[str, Any] = {**parameters}
    bins = given.pop("bins")
    X, columns = np.array(train.X), range(train.X.shape[1])
    cuts = {i: _cuts(X[:, i], bins) for i in columns if i not in train.categorical}
    for column, of_column in cuts.items():
        place = np.searchsorted(of_column, X[:, column], side="left").astype(np.float64)
        X[:, column] = np.where(np.isnan(X[:, column]), np.nan, place)
    tree = Tree.from_numpy(
        X,
        train.y.astype(np.int64),
        variable_types=["ordinal" if i in cuts else "nominal" for i in columns],
        **given,
    )
    estimator = described(train)
    mass = np.column_stack([train.y == code for code in estimator["present"]]).astype(float)
    rows = _Rows(np.asarray(train.X), train.categorical, mass, np.ones(len(train.y)))
    overall = mass.mean(axis=0)
    nodes = {node.node_id: node for node in tree}
    leaves = [_path(node, nodes, cuts) for node in nodes.values() if node.is_terminal]
    rules = [_rule(when, rows.of(holds(when, rows.X)), overall) for when in leaves if when]
    otherwise = _rule([], rows, overall)
    told = {"categorical": list(train.categorical), "columns": len(columns)}
    return Fitted({**estimator, **told, "rules": rules, "otherwise": otherwise})


def _chaid() -> Any:  # noqa: ANN401  # CHAID.Tree, which ships no types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that its drawings need more packages
            from CHAID import Tree
    except ModuleNotFoundError as error:
        message = "chaid is not installed"
        raise SetupError(message, hint="pip install 'headrace[chaid]'") from error
    return Tree


def _cuts(cells: Floats, bins: int) -> Floats:
    import numpy as np

    known = cells[~np.isnan(cells)]
    if not len(known):
        return known
    return np.unique(np.quantile(known, np.arange(1, bins) / bins, method="lower"))


def _path(node: Any, nodes: Mapping[int, Any], cuts: Mapping[int, Floats]) -> list[Condition]:  # noqa: ANN401  # CHAID's
    """The conditions from the root to a node."""
    when: list[Condition] = []
    while node.parent is not None:
        parent = nodes[node.parent]
        column = int(parent.split.column_id)
        codes = sorted(int(each) for each in node.choices if each != _MISSING)
        some: list[int | None] = [*codes, *([None] if _MISSING in node.choices else [])]
        if column not in cuts:
            when.append([column, "in", some])
        else:
            low, high = (codes[0], codes[-1]) if codes else (0, -1)
            edges = [None, *cuts[column].tolist(), None]
            when.append([column, "within", [edges[low], edges[high + 1], None in some, not codes]])
        node = parent
    return when[::-1]


def as_sql(
    estimator: Mapping[str, Any],
    encoding: Encoding,
    *,
    dialect: Literal["spark", "duckdb"] = "spark",
) -> str:
    """The rules as one SQL CASE: the probability of true, or the value, of a row.

    It reads the features under their own names. A text that training had not is as a missing one.

    Args:
        estimator: Of `decision_list` or `chaid`, of a binary target or a regression.
        encoding: The encoding it was fitted with.
        dialect: They differ in how names are enclosed, and in what a backslash means.

    Raises:
        UsageError: The target has more than two classes: a CASE has one value.
    """
    if estimator["task"] == Task.MULTICLASS:
        message = "one CASE has one value, and this target has a probability per class"
        raise UsageError(message, hint="take a target that is true or false, or a number")
    values = _values(estimator).tolist()
    lines = [
        f"WHEN {' AND '.join(_sql(each, encoding, dialect) for each in rule['when'])} "
        f"THEN {_number(value)}"
        for rule, value in zip(estimator["rules"], values, strict=False)
    ]
    if not lines:
        return _number(values[-1])
    return "\n".join(["CASE", *lines, f"ELSE {_number(values[-1])}", "END"])


def _values(estimator: Mapping[str, Any]) -> Floats:
    """The prediction of each rule, and of the rows that meet none."""
    import numpy as np

    rules = [*estimator["rules"], estimator["otherwise"]]
    return completed(estimator, np.array([each["value"] for each in rules]))


def _number(value: float) -> str:
    return f"CAST('{value!r}' AS DOUBLE)"  # a text is read to the nearest double, to the bit


def _sql(condition: Condition, encoding: Encoding, dialect: str) -> str:
    place, test, value = condition
    column = encoding.columns[place]
    quote = "`" if dialect == "spark" else '"'
    name = f"{quote}{column.name.replace(quote, quote * 2)}{quote}"
    if test == "in":
        texts = [column.categories[code] for code in value if code is not None]
        return _one_of(name, texts, column.categories, missing=None in value, dialect=dialect)
    cell = f"CAST({name} AS DOUBLE)"
    missing = f"({name} IS NULL OR isnan({cell}))"
    if test == "missing":
        return missing
    low, high, or_missing, only_missing = {
        "<=": (None, value, False, False),
        ">": (value, None, False, False),
    }.get(test) or value
    if only_missing:
        return missing
    parts = [f"{cell} > {_number(low)}"] if low is not None else []
    parts += [f"{cell} <= {_number(high)}"] if high is not None else []
    known = " AND ".join([f"{name} IS NOT NULL", f"NOT isnan({cell})", *parts])
    return f"({missing} OR ({known}))" if or_missing else f"({known})"


def _one_of(
    name: str, texts: Sequence[str], known: Sequence[str], *, missing: bool, dialect: str
) -> str:
    def listed(some: Sequence[str]) -> str:
        plain = (each.replace("'", "''") for each in some)
        if dialect == "spark":
            plain = (each.replace("\\", "\\\\").replace("''", "\\'") for each in plain)
        return ", ".join(f"'{each}'" for each in plain)

    if not missing:
        return f"{name} IN ({listed(texts)})"
    others = [each for each in known if each not in set(texts)]
    return f"({name} IS NULL OR {name} NOT IN ({listed(others)}))" if others else "TRUE"


def described_rules(estimator: Mapping[str, Any], encoding: Encoding) -> list[str]:
    """The rules in words, each with its prediction, support and lift."""
    import numpy as np

    lines = []
    rules = [*estimator["rules"], estimator["otherwise"]]
    for rule, value in zip(rules, _values(estimator), strict=True):
        when = " and ".join(_words(each, encoding) for each in rule["when"]) or "otherwise"
        lines.append(
            f"{when}: {np.round(value, 4)}; {rule['rows']:,} rows, lift {rule['lift']:.2f}"
        )
    return lines


def _words(condition: Condition, encoding: Encoding) -> str:
    place, test, value = condition
    column = encoding.columns[place]
    if test == "missing":
        return f"{column.name} is missing"
    if test == "in":
        texts = ["missing" if code is None else column.categories[code] for code in value]
        return f"{column.name} in ({', '.join(texts)})"
    if test == "within":
        low, high, or_missing, _ = value
        text = f"{'' if low is None else f'{low:g} < '}{column.name}"
        text += "" if high is None else f" <= {high:g}"
        return f"({text} or missing)" if or_missing else text
    return f"{column.name} {test} {value:g}"


_ALL = frozenset(Task)
_CODES = Needs(categories="codes")

DECISION_LIST = Algorithm(
    name="decision_list",
    title="Decision list",
    tasks=_ALL,
    needs=_CODES,
    fit=_fit_list,
    predict=predict_rules,
    save_as="json",
    defaults={"max_rules": 8, "min_samples": 30, "bins": 10, "max_terms": 2},
    space={
        "max_rules": integer(3, 12),
        "min_samples": log_int(10, 500),
        "bins": integer(4, 20),
        "max_terms": integer(1, 3),
    },
    family=Family.RULES,
    when_not="accuracy counts more than reading the rules",
    caveats=(
        "rules are tried in order, and the first that a row meets decides",
        "found greedily: another list may be better",
    ),
    budget=Budget(rows=2_000_000, columns=500, cells=100_000_000),
    instead=("decision_tree",),
    exports=("onnx", "sql"),
    licence="Apache-2.0",
    source="Rivest 1987, Learning Decision Lists",
)

CHAID = Algorithm(
    name="chaid",
    title="CHAID",
    tasks=frozenset({Task.BINARY, Task.MULTICLASS}),
    needs=_CODES,
    fit=_fit_chaid,
    predict=predict_rules,
    save_as="json",
    defaults={"alpha_merge": 0.05, "max_depth": 3, "min_child_node_size": 30, "bins": 10},
    space={
        "alpha_merge": log_uniform(0.001, 0.2),
        "max_depth": integer(2, 6),
        "min_child_node_size": log_int(10, 500),
        "bins": integer(4, 20),
    },
    family=Family.RULES,
    when_not="accuracy counts more than reading the tree: take a forest or boosting",
    caveats=(
        "numbers are cut into `bins` of equal counts",
        "heeds no weights of rows",
        "no regression: the package splits numbers by their variance, not by their mean",
    ),
    budget=Budget(rows=1_000_000, columns=200, cells=50_000_000),
    instead=("decision_tree",),
    weights=False,
    exports=("onnx", "sql"),
    extra="chaid",
    licence="Apache-2.0",
    source="Kass 1980, An Exploratory Technique for Investigating Large Quantities of Data",
)

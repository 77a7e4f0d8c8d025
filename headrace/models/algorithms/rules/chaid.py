"""CHAID, an extra: a tree of tests on categories and binned numbers, each leaf kept as a rule."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors import SetupError, UsageError
from headrace.models.algorithms.algorithm import (
    Algorithm,
    Budget,
    Family,
    Fitted,
    Parameters,
    Samples,
    Task,
)
from headrace.models.algorithms.estimators import described
from headrace.models.algorithms.rules.conditions import (
    CODES,
    Condition,
    Rows,
    holds,
    predict_rules,
    rule_of,
)
from headrace.models.algorithms.space import integer, log_int, log_uniform

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Metric

_MISSING = "<missing>"  # CHAID's word
_MOST_CATEGORIES = 200  # of a column: pairs are merged one by one, so time grows with their cube


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
    _check_categories(train)
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
    rows = Rows(np.asarray(train.X), train.categorical, mass, np.ones(len(train.y)))
    overall = mass.mean(axis=0)
    nodes = {node.node_id: node for node in tree}
    leaves = [_path(node, nodes, cuts) for node in nodes.values() if node.is_terminal]
    rules = [rule_of(when, rows.of(holds(when, rows.X)), overall) for when in leaves if when]
    otherwise = rule_of([], rows, overall)
    told = {"categorical": list(train.categorical), "columns": len(columns)}
    return Fitted({**estimator, **told, "rules": rules, "otherwise": otherwise})


def _check_categories(train: Samples) -> None:
    """Refuses columns whose categories would take hours to merge."""
    import numpy as np

    for place in train.categorical:
        cells = np.asarray(train.X[:, place])
        count = len(np.unique(cells[~np.isnan(cells)]))
        if count > _MOST_CATEGORIES:
            name = train.columns[place].name if train.columns else str(place)
            message = f"chaid merges at most {_MOST_CATEGORIES} categories, and there are {count:,}"
            hint = "put rare ones together in `features`, or take `decision_list` or `lightgbm`"
            raise UsageError(message, column=name, hint=hint)


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


CHAID = Algorithm(
    name="chaid",
    title="CHAID",
    tasks=frozenset({Task.BINARY, Task.MULTICLASS}),
    needs=CODES,
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
        f"more than {_MOST_CATEGORIES} categories of a column are refused: merging takes hours",
        "heeds no weights of rows",
        "no regression: the package splits numbers by their variance, not by their mean",
    ),
    budget=Budget(rows=1_000_000, columns=200, cells=50_000_000),
    instead=("decision_tree",),
    weights=False,
    exports=("onnx", "pmml", "sql"),
    extra="chaid",
    licence="Apache-2.0",
    source="Kass 1980, An Exploratory Technique for Investigating Large Quantities of Data",
)

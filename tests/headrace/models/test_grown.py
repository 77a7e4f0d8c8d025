"""A tree that another library has grown, as an estimator of `decision_tree`."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples, Task
from headrace.models.algorithms.forests import Node, grown
from headrace.models.formats import FORMATS

TREE = named("decision_tree")
CLASSES = {"task": "binary", "classes": 2, "present": [0, 1]}


def predicted(estimator, *cells):
    form = FORMATS[TREE.save_as]
    kept = form.load(form.dump(estimator))
    return TREE.predict(kept, np.array(cells, dtype=np.float64)[:, None]).tolist()


def stump(threshold, *, missing_left=False):
    """Low on the left, high on the right, of so many rows that leaves are hardly drawn."""
    root = Node(2**40, (0.5, 0.5), 0.5, 2, 0, threshold, missing_left)
    left, right = Node(2**39, (0.75, 0.25), 0.375), Node(2**39, (0.25, 0.75), 0.375)
    return grown(CLASSES, [root, left, right], TREE.defaults, columns=1)


def test_a_cell_at_the_threshold_goes_left():
    told = predicted(stump(2.0), 1.0, 2.0, 2.0 + 1e-6, 3.0)
    assert told == pytest.approx([0.25, 0.25, 0.75, 0.75])


def test_cells_are_compared_in_single_precision_with_a_double():
    above = float(np.float32(0.1))  # a little above 0.1 in double precision
    assert predicted(stump(0.1), 0.1) == pytest.approx([0.75])
    assert predicted(stump(above), 0.1) == pytest.approx([0.25])


def test_a_missing_cell_goes_where_the_node_says_and_an_infinite_threshold_parts_it():
    assert predicted(stump(2.0), np.nan) == pytest.approx([0.75])
    assert predicted(stump(2.0, missing_left=True), np.nan) == pytest.approx([0.25])
    assert predicted(stump(np.inf), 3e38, np.nan) == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTICLASS, Task.REGRESSION])
def test_the_nodes_of_a_tree_of_one_node_make_the_same_tree_again(task):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 3))
    X[rng.random(X.shape) < 0.1] = np.nan
    noisy = np.nan_to_num(X[:, 0]) + rng.normal(size=500)
    classes = {Task.BINARY: 2, Task.MULTICLASS: 3}.get(task, 0)
    y = np.digitize(noisy, [0.0, 1.0][: classes - 1]).astype(float) if classes else noisy
    train = Samples(X, y, task=task, classes=classes)
    alone = TREE.fit(train, TREE.defaults, seed=7, validation=None, metric="log_loss").estimator
    tree = alone["model"].tree_
    value = tree.value[:, 0, :]
    if classes:  # before leaves were drawn to the root's shares
        rows = tree.weighted_n_node_samples[:, None]
        value = (value * (rows + 2) - value[0] * 2) / rows
    nodes = [
        Node(
            int(tree.n_node_samples[i]),
            tuple(value[i].tolist()),
            float(tree.impurity[i]),
            *(
                (
                    int(tree.children_right[i]) - i,
                    int(tree.feature[i]),
                    float(tree.threshold[i]),
                    bool(tree.missing_go_to_left[i]),
                )
                if tree.children_left[i] > 0
                else ()
            ),
        )
        for i in range(tree.node_count)
    ]
    told = {name: alone[name] for name in ("task", "classes", "present")}
    again = grown(told, nodes, TREE.defaults, columns=3)
    np.testing.assert_allclose(TREE.predict(again, X), TREE.predict(alone, X), atol=1e-12)
    assert again["model"].get_depth() == alone["model"].get_depth()
    np.testing.assert_allclose(
        again["model"].feature_importances_, alone["model"].feature_importances_
    )

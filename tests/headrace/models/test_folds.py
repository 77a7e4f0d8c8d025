import numpy as np

from headrace.models.algorithms.algorithm import Task
from headrace.models.folds import dealt

DAYS = np.repeat(np.arange(20), 5)


def test_a_class_of_few_rows_is_dealt_as_evenly_as_it_can_be():
    y = np.array([0.0] * 50 + [1.0] * 4)
    (fold,) = dealt(y, Task.BINARY, 4, rounds=1, seed=1)
    assert np.bincount(fold[y == 1], minlength=4).tolist() == [1, 1, 1, 1]


def test_a_group_is_never_on_both_sides():
    groups = np.arange(100) // 7
    for fold in dealt(np.zeros(100), Task.REGRESSION, 5, rounds=2, seed=1, groups=groups):
        assert all(len(set(fold[groups == group])) == 1 for group in set(groups))


def test_blocks_of_time_are_dealt_in_runs_that_move_from_round_to_round():
    first, second = dealt(np.zeros(100), Task.REGRESSION, 4, rounds=2, seed=1, blocks=DAYS)
    assert first[::5].tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    assert second[::5].tolist() == [0] * 2 + [1] * 5 + [2] * 5 + [3] * 5 + [0] * 3
    assert (first.reshape(20, 5) == first[::5, None]).all()


def test_a_block_of_most_rows_leaves_no_fold_empty():
    days = np.sort(np.r_[np.full(90, 3), np.arange(10)])
    (fold,) = dealt(np.zeros(100), Task.REGRESSION, 5, rounds=1, seed=1, blocks=days)
    assert np.bincount(fold).min() > 0


def test_one_block_alone_is_dealt_at_random():
    (fold,) = dealt(np.zeros(10), Task.REGRESSION, 5, rounds=1, seed=1, blocks=np.zeros(10))
    assert np.bincount(fold).tolist() == [2] * 5

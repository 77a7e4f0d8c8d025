import pytest

from headrace.models.algorithms.algorithm import Task
from headrace.models.presets.members import Profile, folds, members


def of_best(task=Task.BINARY, *, rows=2_000, width=20, classes=2, skew=0.0):
    profile = Profile(task, rows, width, width, classes, skew)
    return {member.name: member for member in members("best", profile)}


@pytest.mark.parametrize(
    ("preset", "rows", "seconds", "count"),
    [
        ("best", 20_000, 1200, 8),
        ("best", 20_001, 1200, 5),
        ("best", 500, 120, 8),
        ("best", 6_000, 120, 5),
        ("best", 500, 10, 3),
        ("good", 500, 1200, 5),
    ],
)
def test_less_time_or_more_rows_are_fewer_folds(preset, rows, seconds, count):
    assert folds(preset, rows, seconds=seconds) == count


@pytest.mark.parametrize("task", list(Task))
@pytest.mark.parametrize("rows", [300, 60_000])
def test_boosting_comes_first(task, rows):
    classes = 0 if task is Task.REGRESSION else 3
    first = next(iter(of_best(task, rows=rows, classes=classes).values()))
    assert first.algorithm in {"lightgbm", "xgboost"}


def test_many_classes_are_boosted_in_larger_steps():
    few = of_best(Task.MULTICLASS, rows=1_800, classes=10)["lgb"].parameters
    many = of_best(Task.MULTICLASS, rows=20_000, classes=26)["lgb"].parameters
    told = ("learning_rate", "early_stopping_rounds", "n_estimators")
    assert [few[name] for name in told] == [0.05, 100, 5000]
    assert [many[name] for name in told] == [0.2, 25, 312]
    of_few = of_best(Task.MULTICLASS, rows=1_000, classes=32)["lgb"].parameters
    assert [of_few[name] for name in told] == [0.16, 31, 488]
    values = of_best(Task.REGRESSION, rows=60_000, classes=0)["xgb"].parameters
    assert values["learning_rate"] == 0.08


def test_only_a_skewed_positive_target_is_learned_as_its_logarithm():
    assert not any(m.log for m in of_best(Task.REGRESSION, classes=0).values())
    assert any(m.log for m in of_best(Task.REGRESSION, classes=0, skew=3.0).values())


def test_what_grows_with_the_rows_squared_is_left_out_of_large_tables():
    assert {"gp", "svr"} <= set(of_best(Task.REGRESSION, classes=0))
    assert not {"gp", "svr"} & set(of_best(Task.REGRESSION, rows=15_000, classes=0))
    assert not {"svm1", "knn5"} & set(of_best(width=2_000))


def test_boosting_sees_a_share_of_many_columns():
    wide, usual = of_best(width=2_000), of_best(width=300)
    assert wide["lgb_large"].parameters["feature_fraction"] == 0.18
    assert wide["xgb"].parameters["colsample_bytree"] == 0.2
    assert usual["lgb_large"].parameters["feature_fraction"] == 0.9
    assert "svm1" in of_best(rows=500, width=2_000)

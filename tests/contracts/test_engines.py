"""Every engine that an entry of the catalogue names has something that fits it, and no other."""

from __future__ import annotations

from headrace.models.algorithms import CATALOGUE
from ray_tasks.boosters import LIBRARIES
from spark_jobs.twins import TWINS


def fitted_by(engine):
    return {entry.name for entry in CATALOGUE if engine in entry.engines}


def test_spark_has_a_twin_of_each_entry_that_names_it():
    assert fitted_by("spark") == {*TWINS}


def test_ray_train_has_a_loop_for_each_entry_that_names_it():
    assert fitted_by("ray_train") == {*LIBRARIES}


def test_no_entry_names_another_engine():
    assert {engine for entry in CATALOGUE for engine in entry.engines} == {"spark", "ray_train"}

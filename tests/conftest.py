"""Fixtures that every test may ask for. An engine starts when the first test asks for it, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from headrace.lake import Lake
from headrace.settings import Settings, engine_environment

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ENGINES = {"spark": "spark", "ray_local": "ray"}
_LONGEST = ("e2e", "spark", "ray")


def pytest_configure() -> None:
    """Sets what engines read at import, before any test module imports one."""
    engine_environment()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Marks each test with the engines it asks for, so that `-m "not spark"` keeps its word.

    What takes longest goes first, so that the processes that share the files end together.
    """
    for item in items:
        for fixture, mark in _ENGINES.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)
    yield  # here the order is made random
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    return next((n for n, mark in enumerate(_LONGEST) if item.get_closest_marker(mark)), 9)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake of its own."""
    return Lake(tmp_path / "lake")


@pytest.fixture
def settings(lake: Lake) -> Settings:
    """Settings whose lake is `lake`."""
    return Settings(lake=lake.root, short_runs=True)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The one Spark session of all tests."""
    from spark_jobs.session import session, stop

    lake = tmp_path_factory.mktemp("spark") / "lake"
    yield session(Settings(lake=lake, spark_memory_gib=1, short_runs=True), app="headrace tests")
    stop()


@pytest.fixture(scope="session")
def ray_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The one local Ray of all tests."""
    from ray_tasks.cluster import connected

    lake = tmp_path_factory.mktemp("ray") / "lake"
    with connected(Settings(lake=lake, ray_object_store_gib=0.2)):
        yield

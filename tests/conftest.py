"""Fixtures that every test may ask for. An engine starts when the first test asks for it, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

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
def s3_server() -> Iterator[str]:
    """The endpoint of the one S3 server of all tests, on loopback."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class Bucket:
    """The bucket `feeds` of the S3 server.

    Attributes:
        variables: The environment that leads to it.
    """

    def __init__(self, endpoint: str) -> None:
        from pyarrow.fs import S3FileSystem

        self.endpoint = endpoint
        self.variables = {
            "AWS_ACCESS_KEY_ID": "AKIAHEADRACETESTS",
            "AWS_SECRET_ACCESS_KEY": "a-secret-of-the-tests",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.secret = self.variables["AWS_SECRET_ACCESS_KEY"]
        self._files = S3FileSystem(
            access_key="k", secret_key=self.secret, endpoint_override=endpoint
        )

    def put(self, key: str, content: bytes) -> str:
        """Delivers an object; its URL."""
        with self._files.open_output_stream(f"feeds/{key}", compression=None) as file:
            file.write(content)
        return f"s3://feeds/{key}"

    def ask(self, what: str, content: str = "") -> None:
        """Tells the server itself something."""
        requests.post(f"{self.endpoint}/moto-api/{what}", content, timeout=10).raise_for_status()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket, in an environment that leads to it."""
    bucket = Bucket(s3_server)
    for name, value in bucket.variables.items():
        monkeypatch.setenv(name, value)
    requests.put(f"{s3_server}/feeds", timeout=10).raise_for_status()
    yield bucket
    bucket.ask("reset")


@pytest.fixture(scope="session")
def ray_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The one local Ray of all tests."""
    from ray_tasks.cluster import connected

    lake = tmp_path_factory.mktemp("ray") / "lake"
    with connected(Settings(lake=lake, ray_object_store_gib=0.2)):
        yield

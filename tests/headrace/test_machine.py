from __future__ import annotations

import pytest

from headrace.machine import examine
from headrace.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(lake=tmp_path / "lake", cache=tmp_path / "cache")


def finding(settings, name):
    return next(finding for finding in examine(settings) if finding.name == name)


def installed_as(monkeypatch, **versions):
    """Has the doctor find these versions; installing them would break the tests."""
    from headrace import machine

    true = machine.installed
    monkeypatch.setattr(machine, "installed", lambda name: versions.get(name, true(name)))


def test_the_locked_packages_are_within_their_pins(settings):
    assert finding(settings, "versions").state == "ok"


@pytest.mark.parametrize(
    ("package", "version", "why"),
    [
        ("fastapi", "0.155.0", "Prefect's server does not start"),
        ("pandas", "3.0.1", "pyspark does not support 3 fully"),
        ("pyspark", "4.2.0", "the Delta jars are built for this one"),
    ],
)
def test_versions_that_do_not_go_together_fail_with_the_reason(
    settings, monkeypatch, package, version, why
):
    installed_as(monkeypatch, **{package: version})

    unfit = finding(settings, f"version of {package}")

    assert unfit.state == "fail"
    assert unfit.found.startswith(f"{version}, wanted ")
    assert why in unfit.found
    assert f"install '{package}" in unfit.advice


def test_a_missing_package_fails(settings, monkeypatch):
    installed_as(monkeypatch, sqlglot=None)

    missing = finding(settings, "version of sqlglot")

    assert missing.state == "fail"
    assert missing.found.startswith("not installed")


def test_a_python_that_stores_no_bytecode_is_told(settings, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    assert finding(settings, "bytecode").advice == "unset PYTHONDONTWRITEBYTECODE"


@pytest.mark.parametrize(
    ("name", "value", "tool"),
    [("PREFECT_SERVER_API_HOST", "0.0.0.0", "Prefect"), ("RAY_AUTH_MODE", "disabled", "Ray")],  # noqa: S104
)
def test_what_would_listen_without_authentication_fails(settings, monkeypatch, name, value, tool):
    monkeypatch.setenv(name, value)

    listening = finding(settings, tool)

    assert listening.state == "fail"
    assert f"{name} is {value}" in listening.found


def test_a_prefect_server_with_a_password_may_listen(settings, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_API_HOST", "0.0.0.0")  # noqa: S104 - as a cluster has it
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "admin:secret")

    assert finding(settings, "network").state == "ok"


def test_telemetry_that_is_switched_on_is_told(settings, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")

    assert finding(settings, "telemetry").found == "switched on by RAY_USAGE_STATS_ENABLED"


def test_more_memory_than_there_is_is_told(settings):
    greedy = settings.model_copy(update={"spark_memory_gib": 1e6})

    assert finding(greedy, "memory").state == "warn"


def test_a_lake_that_does_not_exist_yet_is_looked_at_where_it_will_be(settings, tmp_path):
    assert finding(settings, "disk of the lake").found.endswith(f"free at {tmp_path}")

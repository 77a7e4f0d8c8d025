from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
import ray

from ray_tasks.cluster import connected

pytestmark = pytest.mark.usefixtures("ray_local")


def test_a_ray_that_stands_is_used_and_left_standing(settings):
    before = ray.get_runtime_context().get_job_id()
    with connected(settings):
        assert ray.get_runtime_context().get_job_id() == before
    assert ray.is_initialized()


def test_a_local_ray_listens_on_loopback_only():
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    listening = {
        one.laddr.ip
        for process in family
        if process.is_running()
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    }
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_a_local_ray_asks_for_a_token_that_only_we_can_read():
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert Path(os.environ["RAY_AUTH_TOKEN_PATH"]).stat().st_mode & 0o077 == 0


def test_a_local_ray_has_the_cores_of_the_settings_and_no_dashboard(settings):
    assert ray.cluster_resources()["CPU"] == settings.cores
    assert not ray.nodes()[0].get("DashboardUrl")

"""What a deployment should be, and what is told where there is no server."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Failed

from flows import deployment as deployments
from flows import notify
from flows.pipeline import pipeline as flow
from headrace.spec import load

NOWHERE = "http://127.0.0.1:1/api"


@pytest.fixture
def wanted(folder):
    def make(**options):
        file = Path("pipeline.yaml")
        given = {"name": None, "pool": "headrace", "collision": "ENQUEUE", **options}
        return deployments.wanted(load(file), file, lake=folder / "lake", **given)

    return make


def test_a_run_finds_its_file_and_its_lake_from_any_folder(folder, wanted):
    assert wanted().parameters == {
        "file": f"{folder}/pipeline.yaml",
        "lake": f"{folder}/lake",
    }


def test_the_version_is_the_content_of_the_declaration_not_its_text(folder, wanted):
    before = wanted().version
    file = folder / "pipeline.yaml"
    file.write_text("# a comment\n" + file.read_text())
    assert wanted().version == before
    file.write_text(file.read_text().replace("delay > 15", "delay > 20"))
    assert wanted().version != before


def test_the_schedule_is_on_the_clock_of_the_pipeline(folder, wanted):
    assert wanted().schedule == "none"
    with (folder / "pipeline.yaml").open("a") as file:
        file.write('schedule: {cron: "0 5 * * *"}\n')
    assert wanted().schedule == "0 5 * * * UTC"


def test_every_parameter_of_a_run_is_described_in_its_form():
    schema = deployments.schema_of(flow)
    assert schema["required"] == ["file"]
    lacking = [name for name, told in schema["properties"].items() if not told.get("description")]
    assert not lacking


def test_without_a_server_the_command_says_how_to_name_one(headrace):
    with temporary_settings(restore_defaults=[PREFECT_API_URL]):
        code, _, err = headrace("deploy")
    assert code == 2
    assert "no Prefect server is named" in err
    assert "export PREFECT_API_URL=" in err


def test_a_server_that_does_not_answer_is_named(headrace):
    with temporary_settings({PREFECT_API_URL: NOWHERE}):
        code, _, err = headrace("deploy")
    assert code == 1
    assert "the Prefect server does not answer" in err
    assert NOWHERE in err


class Box(BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    got: ClassVar[list[dict]] = []

    def do_POST(self):
        self.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def box(monkeypatch):
    Box.got = []
    server = HTTPServer(("127.0.0.1", 0), Box)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HEADRACE_NOTIFY_URL", f"json://127.0.0.1:{server.server_port}/hook")
    yield Box
    server.shutdown()
    server.server_close()
    thread.join()


def failed_run():
    run = FlowRun(
        id=uuid4(), flow_id=uuid4(), name="2014-01-05", parameters={"file": "/p/pipeline.yaml"}
    )
    return run, Failed(message="Flow run encountered an exception: ChecksFailed: rule km is broken")


def test_a_failed_run_is_told_where_the_settings_say(box):
    notify.failed(flow, *failed_run())
    [got] = box.got
    assert got["title"] == "headrace: failed: /p/pipeline.yaml"
    assert "run 2014-01-05" in got["message"]
    assert "rule km is broken" in got["message"]


def test_an_address_that_takes_nothing_is_an_error_that_does_not_show_it(monkeypatch):
    monkeypatch.setenv("HEADRACE_NOTIFY_URL", "json://user:secret@127.0.0.1:1/hook")
    with pytest.raises(ConnectionError) as error:
        notify.failed(flow, *failed_run())
    assert "HEADRACE_NOTIFY_URL" in str(error.value)
    assert "secret" not in str(error.value)


def test_without_an_address_nobody_is_told(monkeypatch):
    monkeypatch.delenv("HEADRACE_NOTIFY_URL", raising=False)
    notify.failed(flow, *failed_run())


def test_the_flow_tells_of_runs_that_fail_or_crash():
    assert flow.on_failure_hooks == [notify.failed]
    assert flow.on_crashed_hooks == [notify.failed]

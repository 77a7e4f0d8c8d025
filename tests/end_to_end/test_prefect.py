"""A pipeline on a real Prefect server with a real worker: deployed, triggered twice, looked at."""

# ruff: noqa: ARG001 - a step that asks for the step before it need not look at it

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, LogFilter
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import artifacts, deployment, events, lost_runs
from headrace.errors import ChecksFailed, SpecError, UsageError
from headrace.lake import Table
from headrace.settings import Settings
from headrace.spec import load
from headrace.stage import Outcome, StageResult

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

PREFECT = [str(Path(sys.executable).with_name("prefect"))]
INFRA = Path(__file__).parents[2] / "infra"
SCHEDULE = "schedule: {cron: '0 5 * * *'}"


def started(arguments, *, home, **variables):
    """A process of Prefect's with a home of its own, in a group of its own."""
    kept = {
        name: v for name, v in os.environ.items() if not name.startswith(("PREFECT_", "PYTHON"))
    }
    home.mkdir(exist_ok=True)
    with (home / f"{arguments[0]}.log").open("w") as log:
        return subprocess.Popen(
            [*PREFECT, *arguments],
            env={**kept, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1", **variables},
            cwd=home,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(what, *, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.5)
    message = f"not within {seconds} s"
    raise TimeoutError(message)


def answers(url):
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:  # noqa: S310 - our own
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("prefect") / "home"


@pytest.fixture(scope="module")
def server(home):
    """The API's address of a server on a free port of loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = started(
        ["server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"],
        home=home,
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS="2",
    )
    url = f"http://127.0.0.1:{port}/api"
    wait_until(lambda: answers(url), seconds=180)
    yield url
    end(process)


@pytest.fixture(scope="module")
def rides(project):
    made = project("scheduled", timezone=f"UTC\n{SCHEDULE}")
    made.deliver_first_days()
    return made


@pytest.fixture(scope="module")
def deployed(rides, server):
    """What `headrace deploy` told."""
    ran = rides.headrace("deploy", "--create-pool", "--json", PREFECT_API_URL=server)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.fixture
def client(server):
    with temporary_settings({PREFECT_API_URL: server}), get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def wanted(rides):
    def make(pipeline=None, **options):
        given = {"name": None, "pool": "headrace", "collision": "ENQUEUE", **options}
        file = rides.folder / "pipeline.yaml"
        return deployment.wanted(pipeline or load(file), file, lake=rides.lake.root, **given)

    return make


def test_a_deployment_starts_one_run_at_a_time_by_the_schedule_of_the_file(deployed, client, rides):
    made = client.read_deployment_by_name("headrace/rides")
    assert deployed["outcome"] == "created"
    assert str(made.id) == deployed["id"]
    [schedule] = made.schedules
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 5 * * *", "UTC")
    assert made.global_concurrency_limit.limit == 1
    assert made.parameters["file"] == str(rides.folder / "pipeline.yaml")
    assert made.entrypoint == "flows.pipeline.pipeline"
    assert made.pull_steps == []


def test_deploying_again_changes_nothing_and_says_so(deployed, client, wanted):
    before = client.read_deployment_by_name("headrace/rides")
    applied = deployment.apply(client, wanted(), paused=None, create_pool=False)
    assert (applied.outcome, applied.changes) == ("unchanged", ())
    assert not lost_runs.watch(client, "rides", applied.id)
    assert client.read_deployment_by_name("headrace/rides").updated == before.updated


def test_a_change_names_what_changed_and_keeps_it_paused(deployed, client, wanted, rides):
    once = load(rides.folder / "pipeline.yaml")
    later = once.model_copy(
        update={"schedule": once.schedule.model_copy(update={"cron": "0 6 * * *"})}
    )
    deployment.apply(client, wanted(name="other"), paused=True, create_pool=False)
    applied = deployment.apply(client, wanted(later, name="other"), paused=None, create_pool=False)
    assert applied.outcome == "updated"
    assert "schedule: 0 5 * * * UTC -> 0 6 * * * UTC" in applied.changes
    assert client.read_deployment_by_name("headrace/other").paused
    resumed = deployment.apply(client, wanted(later, name="other"), paused=False, create_pool=False)
    assert resumed.changes == ("resumed",)


def test_a_pool_that_is_not_there_is_made_only_where_asked_for(deployed, client, wanted):
    with pytest.raises(UsageError, match="did you mean 'headrace'"):
        deployment.apply(client, wanted(pool="headrac"), paused=None, create_pool=False)


def test_a_schedule_that_is_none_is_an_error_of_the_file(deployed, client, wanted, rides):
    once = load(rides.folder / "pipeline.yaml")
    wrong = once.model_copy(
        update={"schedule": once.schedule.model_copy(update={"cron": "at five"})}
    )
    with pytest.raises(SpecError, match="'at five' is not a cron expression"):
        deployment.apply(client, wanted(wrong, name="never"), paused=None, create_pool=False)


def test_lost_runs_of_this_deployment_alone_are_ended_by_an_automation(deployed, client):
    [automation] = client.read_automations_by_name("headrace: lost runs of rides")
    trigger = automation.trigger
    assert trigger.match_related["prefect.resource.id"] == [f"prefect.deployment.{deployed['id']}"]
    assert trigger.within.total_seconds() == lost_runs.SILENCE_S
    assert automation.actions[0].state == "CRASHED"


def test_the_files_of_infra_say_the_same_to_prefects_own_command(
    deployed, client, home, server, wanted
):
    def prefect(*arguments):
        done = started([*arguments], home=home, PREFECT_API_URL=server)
        assert done.wait(120) == 0, (home / f"{arguments[0]}.log").read_text()

    prefect("--no-prompt", "deploy", "--prefect-file", str(INFRA / "prefect.yaml"), "--all")
    made = client.read_deployment_by_name("headrace/flight_delays")
    assert not [
        change
        for change in deployment.changes(made, wanted())
        if change.partition(":")[0] in {"at once", "collision", "environment", "entrypoint"}
    ]
    assert made.pull_steps == []
    prefect("automation", "create", "--from-file", str(INFRA / "lost_runs.yaml"))
    [ours] = client.read_automations_by_name("headrace: lost runs of rides")
    [theirs] = client.read_automations_by_name("lost runs")
    assert theirs.trigger.expect == ours.trigger.expect
    assert theirs.actions == ours.actions


def test_the_server_plans_runs_by_the_schedule(deployed, client):
    """It plans none, and says so in its own log alone, where one of its libraries is too new."""

    def planned():
        runs = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(deployment_id={"any_": [deployed["id"]]})
        )
        return [run for run in runs if run.auto_scheduled]

    runs = wait_until(planned, seconds=90)
    assert {run.expected_start_time.hour for run in runs} == {5}


def test_two_triggers_at_once_do_the_work_once_and_both_end_well(
    deployed, client, rides, home, server
):
    worker = started(
        ["worker", "start", "--pool", "headrace", "--name", "ours"],
        home=home,
        PREFECT_API_URL=server,
        PREFECT_WORKER_QUERY_SECONDS="2",
        HEADRACE_SHORT_RUNS="true",
        HEADRACE_SPARK_MEMORY_GIB="1",
    )
    try:
        runs = [
            client.create_flow_run_from_deployment(deployed["id"], parameters={"only": "ingest"})
            for _ in range(2)
        ]

        def ended():
            found = [client.read_flow_run(run.id) for run in runs]
            return found if all(run.state.is_final() for run in found) else None

        ended = wait_until(ended, seconds=400)
    finally:
        end(worker)
    assert {run.state_name for run in ended} == {"Completed", "AlreadyDone"}
    done = next(run for run in ended if run.state_name == "Completed")
    assert done.state.message.startswith("8,321 rows of 3 sources read")
    assert done.name.endswith(str(done.id)[-8:])
    assert set(done.tags) == {"headrace", "rides"}
    logs = client.read_logs(LogFilter(flow_run_id={"any_": [done.id]}))
    assert any(re.match(r"ingest +rides +done in .* 4,202 read", log.message) for log in logs)
    assert rides.lake.runs(done.name).is_dir()
    assert Table(rides.lake.bronze("rides")).version == 0


def trained(*, promoted):
    interval = {"value": 0.71, "low": 0.7, "high": 0.72}
    detail = {
        "moment": "2014-01-10T05:00:00+00:00",
        "metric": "roc_auc",
        "leaderboard": [
            {"candidate": "class_prior", "kind": "baseline", "validation": {"roc_auc": 0.5}},
            {"candidate": "lightgbm", "kind": "algorithm", "validation": {"roc_auc": 0.7}},
        ],
        "test": [{"candidate": "lightgbm", "role": "winner", "metrics": {"roc_auc": interval}}],
        "decision": {"promoted": promoted, "shipped": "lightgbm", "sentence": "lightgbm wins."},
        "model": "d" * 32,
    }
    return StageResult(
        name="train", subject="rides", units=("2014-01-10",), outcome=Outcome.DONE, detail=detail
    )


def in_a_run(work):
    """Prefect makes artifacts of runs only."""
    flow(work, name="work")()


def test_the_leaderboard_has_the_best_first_and_test_metrics_with_intervals(client):
    in_a_run(lambda: artifacts.leaderboard(trained(promoted=True)))
    [made] = [each for each in client.read_artifacts() if each.key == "rides-leaderboard"]
    rows = json.loads(made.data)
    assert [row["candidate"] for row in rows] == ["lightgbm", "class_prior"]
    assert [row["ROC AUC, test"] for row in rows] == ["0.7100 (0.7000 to 0.7200)", "—"]
    assert "lightgbm wins." in made.description


def test_the_summary_links_to_the_page_where_pages_are_served(client, rides):
    pipeline = load(rides.folder / "pipeline.yaml")
    result = trained(promoted=True)
    folder = rides.lake.runs("r1")
    folder.mkdir(parents=True)
    (folder / "train-rides-2014-01-10.json").write_text(json.dumps(result.to_json()))
    settings = Settings(lake=rides.lake.root, reports_url="https://reports.example/")
    page = rides.lake.report("r1")
    in_a_run(lambda: artifacts.of_run(pipeline, rides.lake, run="r1", page=page, settings=settings))
    made = {each.key: each for each in client.read_artifacts()}
    assert "https://reports.example/r1.html" in made["rides-report"].data
    assert made["rides-run"].data.startswith("Models trained, lightgbm promoted.")
    assert "**Gate**: lightgbm wins." in made["rides-run"].data


def emitted(client, event):
    def seen():
        query = {"filter": {"event": {"name": [event]}}}
        return client.request("POST", "/events/filter", json=query).json()["events"]

    [found] = wait_until(seen, seconds=30)
    return found["resource"]["prefect.resource.id"], found["payload"]["sentence"]


@pytest.mark.parametrize(
    ("promoted", "event", "resource"),
    [
        (True, "headrace.model.promoted", f"headrace.model.rides.{'d' * 32}"),
        (False, "headrace.gate.refused", "headrace.pipeline.rides"),
    ],
)
def test_what_the_gate_decided_is_an_event_that_automations_can_await(
    client, promoted, event, resource
):
    events.decided(trained(promoted=promoted), run="r1")
    assert emitted(client, event) == (resource, "lightgbm wins.")


def test_a_batch_that_stays_unpublished_is_an_event(client):
    error = ChecksFailed("a rule was broken", source="ends", hint="mend it")
    events.unpublished("rides", "ends", error, run="r1")
    told = emitted(client, "headrace.batch.unpublished")
    assert told == ("headrace.source.rides.ends", "a rule was broken")

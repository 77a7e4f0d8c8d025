"""Trainings on a real MLflow server, and what happens where there is none."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flows import mirror
from headrace.evaluation import history
from headrace.lake import Lake
from headrace.models import registry
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Samples
from headrace.models.encoding import Encoding
from headrace.models.model import Model, Recipe
from headrace.models.registry import Alias
from headrace.stage import Outcome, StageResult

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of MLflow's own imports
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

ROWS = pa.table({"line": ["red", "blue"] * 20})


def stored(lake, moment, pipeline):
    entry = named("class_prior")
    encoding = Encoding.fit(ROWS, ["line"], form=entry.needs.categories)
    samples = Samples(encoding.matrix(ROWS), np.array([0.0, 1.0] * 20), encoding.categorical)
    fitted = entry.fit(samples, entry.defaults, seed=7, validation=None, metric="roc_auc")
    recipe = Recipe(pipeline, "late", "class_prior", entry.defaults, 7, moment, "data", "spec")
    told = {"libraries": {"numpy": "2.4"}, "code": {"version": "0.1.0"}, "moment": moment}
    return registry.store(lake, Model(recipe, encoding, fitted.estimator), told)


def at(day):
    return datetime.fromisoformat(f"{day}T05:00:00").replace(tzinfo=UTC)


def train(lake, day, *, promoted, pipeline="rides", held=None):
    """What a training leaves in the lake; one that is refused ships the champion that stands.

    `held` is the digest of a model that it would have promoted, were it steady.
    """
    champion = registry.champion(lake, pipeline)
    model = (
        stored(lake, at(day).isoformat(), pipeline) if promoted or not champion else champion.model
    )
    interval = {"value": 0.71, "low": 0.7, "high": float("nan")}
    detail = {
        "moment": at(day).isoformat(),
        "metric": "roc_auc",
        "leaderboard": [
            {
                "candidate": "class_prior",
                "kind": "baseline",
                "params": {"smoothing": 1},
                "validation": {"roc_auc": 0.5, "brier": None},
            }
        ],
        "test": [{"candidate": "class_prior", "role": "winner", "metrics": {"roc_auc": interval}}],
        "gain": {"metric": "roc_auc", "over": "x", "value": 0.2, "low": 0.1, "high": 0.3},
        "decision": {"promoted": promoted, "shipped": "class_prior", "sentence": "It is so."},
        "model": model,
    }
    if held is not None:
        detail["held"] = {"candidate": "far", "model": held, "verdict": "held"}
        detail["inspection"] = {"stability": {"sentence": "It goes far."}}
        metrics = {"validation": {"roc_auc": 0.6, "brier": None}}
        detail["leaderboard"] += [{"candidate": "far", "kind": "algorithm", **metrics}]
        tested = {"roc_auc": {"value": 0.9, "low": 0.8, "high": 0.95}}
        detail["test"] += [{"candidate": "far", "role": "winner", "metrics": tested}]
    result = StageResult(
        name="train", subject=pipeline, units=(day,), outcome=Outcome.DONE, detail=detail
    )
    if promoted:
        row = Alias(
            pipeline=pipeline,
            alias="champion",
            model=model,
            moment=at(day),
            previous=None,
            decision="It is so.",
            run="r1",
            decided_at=at(day),
        )
        registry.promote(lake, row, seen=registry.aliases(lake, pipeline))
    history.keep(lake, result, moment=at(day), run=f"run-{day}", evaluated_at=at(day))
    page = lake.report(f"run-{day}")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<h1>the page</h1>")
    return model


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("mlflow")), "server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/runs.db"]
    command += ["--artifacts-destination", f"{folder}/artifacts"]
    kept = {name: v for name, v in os.environ.items() if not name.startswith(("MLFLOW", "PYTHON"))}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **kept,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 180
    while time.monotonic() < until and not answers(url):
        time.sleep(0.5)
    yield url
    os.killpg(process.pid, signal.SIGKILL)  # and what it started
    process.wait()


def answers(url):
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as reply:  # noqa: S310 - our own
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def client(server, monkeypatch):
    monkeypatch.setenv(mirror.SERVER, server)
    from mlflow import MlflowClient

    return MlflowClient(server)


@pytest.fixture
def runs(client):
    def found(parent=None):
        experiment = client.get_experiment_by_name("headrace/rides").experiment_id
        every = client.search_runs([experiment], order_by=["attributes.start_time"])
        return [run for run in every if run.data.tags.get("mlflow.parentRunId") == parent]

    return found


def test_each_training_becomes_a_run_with_its_figures_its_page_and_its_model(lake, client, runs):
    model = train(lake, "2014-01-10", promoted=True)
    assert mirror.copy(lake, "rides").trainings == ("2014-01-10",)
    [run] = runs()
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {
        "validation/roc_auc": 0.5,
        "test/roc_auc": 0.71,
        "test/roc_auc_low": 0.7,
        "gain/roc_auc": 0.2,
        "gain/roc_auc_low": 0.1,
        "gain/roc_auc_high": 0.3,
    }
    assert run.data.params["algorithm"] == "class_prior"
    assert run.data.tags["headrace.model"] == model
    assert run.data.tags["library.numpy"] == "2.4"
    kept = {each.path for each in client.list_artifacts(run.info.run_id, "model")}
    assert kept == {f"model/{path.name}" for path in (lake.models("rides") / model).iterdir()}
    [page] = client.list_artifacts(run.info.run_id, "report")
    assert page.path == "report/run-2014-01-10.html"
    [candidate] = runs(parent=run.info.run_id)
    assert candidate.data.params == {"smoothing": "1"}

    version = client.get_model_version_by_alias("rides", "champion")
    assert version.tags["headrace.model"] == model
    assert version.run_id == run.info.run_id

    # Again: nothing is sent. After a later training without promotion: a run, and no new version.
    assert not mirror.copy(lake, "rides")
    train(lake, "2014-02-10", promoted=False)
    assert mirror.copy(lake, "rides").trainings == ("2014-02-10",)
    assert [run.info.run_name[:10] for run in runs()] == ["2014-01-10", "2014-02-10"]
    assert len(client.search_model_versions("name = 'rides'")) == 1

    # After one with promotion: the alias moves.
    newest = train(lake, "2014-03-10", promoted=True)
    mirror.copy(lake, "rides")
    moved = client.get_model_version_by_alias("rides", "champion")
    assert (moved.tags["headrace.model"], moved.version) == (newest, "2")


def test_a_held_model_is_mirrored_once_a_person_releases_it_and_the_alias_moves(
    headrace, folder, client
):
    text = (folder / "pipeline.yaml").read_text().replace("name: rides", "name: later")
    (folder / "pipeline.yaml").write_text(text)
    lake = Lake(folder / "lake")
    before = train(lake, "2014-01-10", promoted=True, pipeline="later")
    far = stored(lake, at("2014-02-10").isoformat(), "later")
    train(lake, "2014-02-10", promoted=False, pipeline="later", held=far)
    assert mirror.copy(lake, "later").releases == ()
    champion = client.get_model_version_by_alias("later", "champion")
    assert champion.tags["headrace.model"] == before

    who = ("--by", "Ada Byron", "--reason", "a fair in town")
    code, _, err = headrace("release", "pipeline.yaml", far[:8], *who)
    assert (code, "not mirrored" in err) == (0, False)
    champion = client.get_model_version_by_alias("later", "champion")
    assert (champion.tags["headrace.model"], champion.version) == (far, "2")
    run = client.get_run(champion.run_id)
    assert (run.info.run_name, run.info.status) == ("2014-02-10 far", "FINISHED")
    assert run.data.tags["headrace.released_by"] == "Ada Byron"
    assert run.data.tags["headrace.reason"] == "a fair in town"
    assert run.data.metrics["validation/roc_auc"] == 0.6
    assert run.data.metrics["test/roc_auc"] == 0.9
    kept = {each.path for each in client.list_artifacts(run.info.run_id, "model")}
    assert kept == {f"model/{path.name}" for path in (lake.models("later") / far).iterdir()}
    assert not mirror.copy(lake, "later")  # again: nothing is sent


def test_a_release_is_done_though_the_server_is_down(headrace, folder, monkeypatch, caplog):
    lake = Lake(folder / "lake")
    train(lake, "2014-01-10", promoted=True)
    far = stored(lake, at("2014-02-10").isoformat(), "rides")
    train(lake, "2014-02-10", promoted=False, held=far)
    monkeypatch.setenv(mirror.SERVER, "http://127.0.0.1:1")
    who = ("--by", "Ada Byron", "--reason", "a fair in town")
    assert headrace("release", "pipeline.yaml", far[:8], *who)[0] == 0
    assert registry.champion(lake, "rides").model == far
    assert "not mirrored: the MLflow server did not take it" in caplog.text


def test_half_a_run_is_sent_again_as_a_whole(lake, client):
    """A process that is killed leaves a run that never ended, with some candidates below it."""
    train(lake, "2014-05-10", promoted=True, pipeline="halves")
    experiment = client.create_experiment("headrace/halves")
    half = client.create_run(experiment, tags={mirror.UNIT: "halves/train/2014-05-10"})
    client.create_run(experiment, tags={"mlflow.parentRunId": half.info.run_id})
    assert mirror.copy(lake, "halves").trainings == ("2014-05-10",)
    left = client.search_runs([experiment])
    assert len(left) == 2
    assert {run.info.status for run in left} == {"FINISHED"}
    assert half.info.run_id not in {run.info.run_id for run in left}


def test_the_command_tells_what_it_sent_and_where(headrace, folder, client):
    text = (folder / "pipeline.yaml").read_text().replace("name: rides", "name: told")
    (folder / "pipeline.yaml").write_text(text)
    train(Lake(folder / "lake"), "2014-01-10", promoted=True, pipeline="told")
    code, out, _ = headrace("mirror")
    assert (code, "mirrored: 2014-01-10" in out) == (0, True)
    url = client.tracking_uri
    assert out.splitlines()[-1] == f"next: look at the experiment headrace/told of {url}"
    told = json.loads(headrace("mirror", "--json")[1])
    assert told == {"pipeline": "told", "outcome": "already_done", "trainings": [], "releases": []}


@pytest.mark.parametrize(
    ("server", "shown"),
    [
        ("https://ada:secret@tracking.example/ml", "https://tracking.example/ml"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("databricks", "databricks"),
    ],
)
def test_an_address_is_told_without_the_password_in_it(server, shown):
    assert mirror.without_secret(server) == shown


def test_a_server_that_is_down_is_a_note_and_nothing_else(lake, monkeypatch, caplog):
    monkeypatch.setenv(mirror.SERVER, "http://127.0.0.1:1")
    train(lake, "2014-01-10", promoted=True)
    mirror.offer(lake, "rides")
    assert "not mirrored: the MLflow server did not take it" in caplog.text


def test_without_a_server_nothing_is_said(lake, monkeypatch, caplog):
    monkeypatch.delenv(mirror.SERVER, raising=False)
    mirror.offer(lake, "rides")
    assert not caplog.text


def test_the_command_says_how_to_name_a_server(headrace, monkeypatch):
    monkeypatch.delenv(mirror.SERVER, raising=False)
    code, _, err = headrace("mirror")
    assert code == 2
    assert "export MLFLOW_TRACKING_URI=" in err

"""Trainings and releases mirrored to an MLflow server: written there for people, never read back.

The lake decides. A server that is down or slow changes nothing here; tags say what it has, so that
a training it missed is mirrored the next time.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from flows.options import DEFAULT, OUT, AsJson, File, LakeFolder, emit, next_step, settings_of
from headrace.errors import SetupError, UsageError
from headrace.ongoing import LOG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    from headrace.evaluation.history import Trained
    from headrace.held import Held
    from headrace.lake import Lake

app = typer.Typer()

SERVER = "MLFLOW_TRACKING_URI"
UNIT, MODEL = "headrace.training", "headrace.model"  # tags of a run and of a model version
_PARENT, _NOTE = "mlflow.parentRunId", "mlflow.note.content"
_HABITS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
_LONGEST_VALUE = 6_000  # of a parameter; MLflow refuses more


@app.command()
def mirror(file: File = DEFAULT, lake: LakeFolder = None, as_json: AsJson = False) -> None:
    """Copies to the MLflow server of `MLFLOW_TRACKING_URI` what it lacks of a pipeline's trainings.

    A run does the same by itself after its last stage, and a release of a model. Each training
    becomes a run with its parameters, metrics, report and model files, its candidates the runs
    below it, and the model a version in the registry, with the alias `champion` where the lake has
    it. So does a model that was held and that a person has released, with who and why.

    Example: `headrace mirror pipeline.yaml`
    """
    from headrace.lake import Lake
    from headrace.spec import load

    if not os.environ.get(SERVER):
        message = f"{SERVER} is not set"
        raise UsageError(message, hint=f"`export {SERVER}=http://127.0.0.1:5000`")
    name, place = load(file).name, Lake(settings_of(lake).lake)
    sent, server = copy(place, name), os.environ[SERVER]
    if as_json:
        emit({"pipeline": name, "outcome": "done" if sent else "already_done", **vars(sent)})
        return
    OUT.print(f"mirrored: {sent}" if sent else "already mirrored: nothing was sent")
    next_step(f"look at the experiment headrace/{name} of {without_secret(server)}")


def without_secret(server: str) -> str:
    """An address without the user and the password that it may hold."""
    scheme, _, rest = server.rpartition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if scheme else server


def offer(lake: Lake, pipeline: str) -> None:
    """Copies what the server lacks, if one is set; a failure is a note, whatever it is."""
    if not os.environ.get(SERVER):
        return
    where = {"stage": "mirror", "subject": pipeline}
    try:
        sent = copy(lake, pipeline)
    except Exception as error:  # the run is done: nothing of MLflow's may make it fail
        LOG.warning("%-8s %-14s not mirrored: %s", "mirror", pipeline, error, extra=where)
    else:
        told = f"sent {sent}" if sent else "nothing to send"
        LOG.info("%-8s %-14s %s", "mirror", pipeline, told, extra=where)


@dataclass(frozen=True)
class Sent:
    """What a server lacked and was sent.

    Attributes:
        trainings: The days of trainings.
        releases: The models that were released.
    """

    trainings: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.trainings or self.releases)

    def __str__(self) -> str:
        released = (f"the release of {model[:12]}" for model in self.releases)
        return ", ".join([*self.trainings, *released])


def copy(lake: Lake, pipeline: str) -> Sent:
    """Sends what the server lacks, oldest trainings first, then points to the champion.

    Raises:
        SetupError: The extra is missing, or the server did not take them.
    """
    client = _client()
    from mlflow.exceptions import MlflowException

    from headrace import held
    from headrace.evaluation.history import trainings

    try:
        target = _Target.of(client, lake, pipeline)
        trained = trainings(lake, pipeline)
        sent = [one for one in trained if target.lacks(target.unit(one))]
        for one in sent:
            target.send(one)
        released = [each for each in held.models(lake, pipeline) if each.release and each.published]
        lacking = [each for each in released if target.lacks(target.unit_of_release(each))]
        for each in lacking:
            target.send_release(each, _training_of(each, trained))
        target.point_to_champion()
    except (MlflowException, OSError) as error:
        message = f"the MLflow server did not take it: {str(error)[:160]}"
        raise SetupError(
            message,
            hint="nothing else depends on it; `headrace mirror` sends what it lacks",
        ) from error
    days = tuple(one.result.units[0] for one in sent)
    return Sent(days, tuple(each.unit for each in lacking))


def _training_of(what: Held, trained: Sequence[Trained]) -> Trained:
    """The training that held a model."""
    return next(
        one for one in trained if one.result.detail.get("held", {}).get("model") == what.unit
    )


@dataclass(frozen=True)
class _Target:
    """What the server has of a pipeline: an experiment, and a registered model of its name."""

    client: MlflowClient
    lake: Lake
    pipeline: str
    experiment: str
    mirrored: frozenset[str]

    @classmethod
    def of(cls, client: MlflowClient, lake: Lake, pipeline: str) -> _Target:
        name = f"headrace/{pipeline}"
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        done = client.search_runs(
            [experiment], f"tags.`{UNIT}` != '' and attributes.status = 'FINISHED'"
        )
        units = frozenset(run.data.tags[UNIT] for run in done)
        return cls(client, lake, pipeline, experiment, units)

    def lacks(self, unit: str) -> bool:
        return unit not in self.mirrored

    def unit(self, training: Trained) -> str:
        from headrace.evaluation.history import unit_of

        return unit_of(self.pipeline, training.result.units[0])

    def unit_of_release(self, what: Held) -> str:
        from headrace.lake import application_id

        return application_id(self.pipeline, "release", what.unit)

    def send(self, training: Trained) -> None:
        """A run, the runs of its candidates below, and last its end: half a run is sent again."""
        detail, decision = training.result.detail, training.result.detail["decision"]
        more = {
            _NOTE: decision["sentence"],
            "headrace.promoted": str(decision["promoted"]).lower(),
        }
        run = self._send_model(
            training, detail["model"], unit=self.unit(training), of=decision["shipped"], more=more
        )
        for entry in detail["leaderboard"]:
            self._send_candidate(entry, parent=run)
        self.client.set_terminated(run)

    def send_release(self, what: Held, training: Trained) -> None:
        """A run of the model that its training held, with who released it and why."""
        made, candidate = what.release, training.result.detail["held"]["candidate"]
        if made is None:
            return
        more = {
            _NOTE: f"It was held, and released by {made.by}: {made.reason}",
            "headrace.released_by": made.by,
            "headrace.released_at": made.released_at.isoformat(),
            "headrace.reason": made.reason,
        }
        run = self._send_model(
            training, what.unit, unit=self.unit_of_release(what), of=candidate, more=more
        )
        self.client.set_terminated(run)

    def _send_model(
        self, training: Trained, digest: str, *, unit: str, of: str, more: Mapping[str, str]
    ) -> str:
        """A run of a model of a training, which is a version of the registered model, too."""
        from headrace.models import registry

        self._forget(unit)
        model = registry.record(self.lake, self.pipeline, digest)
        tags = {UNIT: unit, **self._tags(training, model), **more}
        run = self._begin(f"{training.result.units[0]} {of}", tags)
        recipe = {name: told for name, told in model["recipe"].items() if name != "parameters"}
        figures = _figures(training.result.detail, candidate=of)
        self._log(run, {**recipe, **model["recipe"]["parameters"]}, figures)
        self.client.log_artifacts(run, str(self.lake.models(self.pipeline) / digest), "model")
        page = self.lake.report(training.run)
        if page.exists():
            self.client.log_artifact(run, str(page), "report")
        self._register(digest, run)
        return run

    def point_to_champion(self) -> None:
        from headrace.models import registry

        champion = registry.champion(self.lake, self.pipeline)
        version = self._version(champion.model) if champion else None
        if version is None:
            return
        aliases = self.client.get_registered_model(self.pipeline).aliases
        if str(aliases.get(registry.CHAMPION)) != str(version):
            self.client.set_registered_model_alias(self.pipeline, registry.CHAMPION, version)

    def _forget(self, unit: str) -> None:
        """Deletes what an earlier try left unfinished."""
        for run in self.client.search_runs([self.experiment], f"tags.`{UNIT}` = '{unit}'"):
            children = f"tags.`{_PARENT}` = '{run.info.run_id}'"
            for each in (*self.client.search_runs([self.experiment], children), run):
                self.client.delete_run(each.info.run_id)

    def _tags(self, training: Trained, model: Mapping[str, Any]) -> dict[str, str]:
        libraries = {f"library.{name}": told for name, told in model.get("libraries", {}).items()}
        code = {f"code.{name}": str(told) for name, told in model.get("code", {}).items()}
        return {
            MODEL: model["model"],
            "headrace.pipeline": self.pipeline,
            "headrace.run": training.run,
            **libraries,
            **code,
        }

    def _begin(self, name: str, tags: Mapping[str, str]) -> str:
        run = self.client.create_run(self.experiment, run_name=name, tags=dict(tags))
        identity: str = run.info.run_id
        return identity

    def _send_candidate(self, entry: Mapping[str, Any], *, parent: str) -> None:
        tags = {_PARENT: parent, "headrace.kind": entry["kind"]}
        run = self._begin(entry["candidate"], tags)
        values = {f"validation/{name}": value for name, value in entry["validation"].items()}
        self._log(run, entry.get("params", {}), values)
        self.client.set_terminated(run)

    def _log(self, run: str, parameters: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        told = [Param(name, _text(value)[:_LONGEST_VALUE]) for name, value in parameters.items()]
        self.client.log_batch(run, metrics=list(_metrics(values)), params=told)

    def _register(self, model: str, run: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.get_registered_model(self.pipeline)
        except MlflowException:
            self.client.create_registered_model(
                self.pipeline, description="Mirrored from a Headrace lake, which alone decides."
            )
        if self._version(model) is None:
            self.client.create_model_version(
                self.pipeline, f"runs:/{run}/model", run, tags={MODEL: model}
            )

    def _version(self, model: str) -> str | None:
        found = self.client.search_model_versions(f"name = '{self.pipeline}'")
        return next((str(each.version) for each in found if each.tags.get(MODEL) == model), None)


def _client() -> MlflowClient:
    if importlib.util.find_spec("mlflow") is None:
        message = f"{SERVER} is set, and the extra `mlflow` is not installed"
        raise SetupError(message, hint="`pip install 'headrace[mlflow]'`, or unset the variable")
    for name, value in _HABITS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    return MlflowClient()


def _figures(detail: Mapping[str, Any], *, candidate: str) -> dict[str, Any]:
    """Validation and test of a candidate, each test metric with its interval, and the gain."""
    values: dict[str, Any] = {}
    for entry in detail["leaderboard"]:
        if entry["candidate"] == candidate:
            values |= {f"validation/{name}": value for name, value in entry["validation"].items()}
    for entry in detail["test"]:
        if entry["candidate"] == candidate:
            for name, interval in entry["metrics"].items():
                values |= _with_ends(f"test/{name}", interval)
    gain = detail.get("gain")
    return values | (_with_ends(f"gain/{gain['metric']}", gain) if gain else {})


def _with_ends(name: str, interval: Mapping[str, Any]) -> dict[str, Any]:
    ends = {f"{name}_{end}": interval.get(end) for end in ("low", "high")}
    return {name: interval.get("value"), **ends}


def _metrics(values: Mapping[str, Any]) -> Iterator[Metric]:
    from mlflow.entities import Metric

    for name, value in values.items():
        if value is not None and math.isfinite(value):
            yield Metric(name, float(value), 0, 0)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)

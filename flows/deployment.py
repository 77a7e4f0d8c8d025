"""A pipeline as a deployment of a Prefect server: what it should be, and the way there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.errors import SetupError, SpecError, UsageError
from headrace.ongoing import LOG
from headrace.spec.digest import digest_of
from headrace.spec.model import Pipeline

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.flows import Flow

ENTRYPOINT = "flows.pipeline.pipeline"  # by module: the worker's folder is a temporary one
HEARTBEAT_S = 30  # the shortest that Prefect allows
_REFUSED = 400
_VERSION_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What a deployment should be, in the words of Prefect.

    Attributes:
        name: Beside the flow's name, `headrace/<name>`.
        version: Digest of the pipeline's declaration.
        description: For people.
        tags: Of the deployment and of its runs.
        parameters: Of each run: absolute paths, since a run starts in a temporary folder.
        cron: When runs start, or None.
        timezone: The zone of `cron`.
        pool: The work pool whose workers take its runs.
        collision: What a second run does while one is at work: `ENQUEUE` or `CANCEL_NEW`.
        environment: Variables of the process of a run.
    """

    name: str
    version: str
    description: str
    tags: tuple[str, ...]
    parameters: dict[str, str]
    cron: str | None
    timezone: str
    pool: str
    collision: str
    environment: dict[str, str]

    @property
    def schedule(self) -> str:
        """The schedule in words."""
        return _schedule(self.cron, self.timezone)


@dataclass(frozen=True)
class Applied:
    """What came of it.

    Attributes:
        outcome: `created`, `updated` or `unchanged`.
        id: Of the deployment.
        changes: What is another than before, in words.
        paused: Whether the server starts runs of it by itself.
    """

    outcome: str
    id: str
    changes: tuple[str, ...]
    paused: bool


def wanted(
    pipeline: Pipeline, file: Path, *, lake: Path, name: str | None, pool: str, collision: str
) -> Deployment:
    """The deployment that a pipeline file declares."""
    where = f"`{file.absolute()}` into the lake `{lake}`."
    return Deployment(
        name=name or pipeline.name,
        version=digest_of(pipeline)[:_VERSION_DIGITS],
        description=f"{pipeline.description.strip()}\n\n{where}".strip(),
        tags=("headrace", pipeline.name),
        parameters={"file": file.absolute().as_posix(), "lake": lake.as_posix()},
        cron=pipeline.schedule.cron if pipeline.schedule else None,
        timezone=pipeline.timezone,
        pool=pool,
        collision=collision,
        environment={
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
            "PREFECT_LOGGING_EXTRA_LOGGERS": LOG.name,  # a line for each stage that ends
            # How far a stage is comes from a thread of its own: in the worker's log alone.
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        },
    )


@contextmanager
def server() -> Iterator[SyncPrefectClient]:
    """The Prefect server of the environment, or of the Prefect profile.

    Raises:
        UsageError: None is named.
        SetupError: It does not answer, or refuses.
    """
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import get_current_settings

    url = get_current_settings().api.url
    if not url:
        message = "no Prefect server is named"
        raise UsageError(
            message,
            hint="`prefect server start`, then `export PREFECT_API_URL=http://127.0.0.1:4200/api`",
        )
    try:
        with get_client(sync_client=True) as client:
            if (error := client.api_healthcheck()) is not None:
                raise error
            yield client
    except PrefectHTTPStatusError as error:
        raise _refused(error.response, url) from error
    except (httpx.HTTPError, OSError, RuntimeError) as error:
        message = f"the Prefect server does not answer: {str(error) or type(error).__name__}"
        raise SetupError(
            message, url=url, hint="start it, or name another by PREFECT_API_URL"
        ) from error


def apply(
    client: SyncPrefectClient, deployment: Deployment, *, paused: bool | None, create_pool: bool
) -> Applied:
    """Makes the deployment, or changes what differs; what is as it should be is left alone.

    A change takes away the runs that the old schedule had planned.

    Args:
        client: From `server`.
        deployment: What it should be.
        paused: Whether the server starts no runs of it by itself; None leaves that as it is.
        create_pool: Make the work pool, of the kind that starts processes, if there is none.

    Raises:
        UsageError: There is no such work pool.
        SpecError: The schedule is none.
    """
    from prefect.exceptions import ObjectNotFound

    _have_pool(client, deployment.pool, create=create_pool)
    from flows.pipeline import pipeline as flow

    try:
        standing = client.read_deployment_by_name(f"{flow.name}/{deployment.name}")
    except ObjectNotFound:
        standing = None
    changed = tuple(changes(standing, deployment)) if standing else ()
    schema = schema_of(flow)
    if standing and standing.parameter_openapi_schema != schema:
        changed = (*changed, "parameters of the flow")
    if standing and paused is not None and paused != standing.paused:
        changed = (*changed, "paused" if paused else "resumed")
    if standing and not changed:
        return Applied("unchanged", str(standing.id), (), standing.paused)
    made = client.create_deployment(
        flow_id=client.create_flow_from_name(flow.name),
        **_payload(deployment),
        paused=paused,
        parameter_openapi_schema=schema,
    )
    paused = bool(paused if paused is not None else standing and standing.paused)
    return Applied("updated" if standing else "created", str(made), changed, paused)


def changes(standing: DeploymentResponse, deployment: Deployment) -> Iterator[str]:
    """What of a standing deployment is not as it should be, in words."""
    limit = standing.global_concurrency_limit
    options = standing.concurrency_options
    crons = [each.schedule for each in standing.schedules]
    found = {
        "version": standing.version,
        "description": standing.description,
        "tags": ", ".join(standing.tags),
        "parameters": standing.parameters,
        "schedule": ", ".join(
            _schedule(getattr(each, "cron", None), getattr(each, "timezone", None) or "UTC")
            for each in crons
        )
        or _schedule(None, ""),
        "at once": limit.limit if limit else None,
        "collision": options.collision_strategy.value if options else None,
        "work pool": standing.work_pool_name,
        "environment": standing.job_variables.get("env"),
        "entrypoint": standing.entrypoint,
        "pull steps": standing.pull_steps,
    }
    should = {
        "version": deployment.version,
        "description": deployment.description,
        "tags": ", ".join(deployment.tags),
        "parameters": deployment.parameters,
        "schedule": deployment.schedule,
        "at once": 1,
        "collision": deployment.collision,
        "work pool": deployment.pool,
        "environment": deployment.environment,
        "entrypoint": ENTRYPOINT,
        "pull steps": [],
    }
    for what, value in should.items():
        if found[what] != value:
            short = what in {"description", "parameters", "environment"}
            yield what if short else f"{what}: {found[what]} -> {value}"


def schema_of(flow: Flow[..., Any]) -> dict[str, Any]:  # JSON schema
    """The parameters of a flow, with their descriptions, as the server makes a form of them."""
    from prefect.utilities.callables import parameter_schema

    return parameter_schema(flow.fn).model_dump(mode="json", exclude_unset=True)


def _payload(deployment: Deployment) -> dict[str, Any]:  # arguments of Prefect's own call
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
    from prefect.client.schemas.schedules import CronSchedule

    schedules = []
    if deployment.cron is not None:
        try:
            schedule = CronSchedule(cron=deployment.cron, timezone=deployment.timezone)
        except ValueError as error:
            message = f"schedule.cron: {deployment.cron!r} is not a cron expression"
            raise SpecError(message, hint='five fields, such as `cron: "0 5 * * *"`') from error
        schedules = [DeploymentScheduleCreate(schedule=schedule)]
    return {
        "name": deployment.name,
        "version": deployment.version,
        "description": deployment.description,
        "tags": list(deployment.tags),
        "parameters": deployment.parameters,
        "schedules": schedules,
        "concurrency_limit": 1,
        "concurrency_options": ConcurrencyOptions(
            collision_strategy=ConcurrencyLimitStrategy(deployment.collision)
        ),
        "work_pool_name": deployment.pool,
        "job_variables": {"env": deployment.environment},
        "entrypoint": ENTRYPOINT,
        "pull_steps": [],
        "enforce_parameter_schema": True,
    }


def _schedule(cron: str | None, timezone: str) -> str:
    return f"{cron} {timezone}" if cron else "none"


def _have_pool(client: SyncPrefectClient, name: str, *, create: bool) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.process import ProcessWorker

    try:
        client.read_work_pool(name)
    except ObjectNotFound as error:
        if not create:
            near = difflib.get_close_matches(name, [pool.name for pool in client.read_work_pools()])
            message = f"no work pool {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            raise UsageError(message, hint="`--create-pool` makes it") from error
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(
            WorkPoolCreate(name=name, type="process", base_job_template=template)
        )


def _refused(response: Any, url: str) -> SetupError:  # noqa: ANN401 - httpx is imported where used
    if response.status_code in {401, 403}:
        message = "the Prefect server refuses this user"
        return SetupError(message, url=url, hint="set PREFECT_API_AUTH_STRING as it is set there")
    message = f"the Prefect server refused: {response.status_code} {response.text[:300]}"
    return SetupError(message, url=url, hint="is it of this version? `prefect version` tells ours")

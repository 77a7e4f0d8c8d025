"""Where things are and how much they may use, from `HEADRACE_*` variables."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _folder(path: Path) -> Path:
    if re.match(r"[a-z][a-z0-9+.-]*:/", path.as_posix()):
        message = f"{path.as_posix()} is not a folder of this machine, and no other can be a lake"
        raise ValueError(message)
    absolute = _absolute(path)
    if absolute.exists() and not absolute.is_dir():
        message = f"{absolute} is a file: name a folder"
        raise ValueError(message)
    return absolute


_OF_RAY = ("train", "score")  # the other stages are Spark's

AbsolutePath = Annotated[Path, AfterValidator(_absolute)]

# Set before an engine is imported: Ray reads its mode at import, the others theirs soon after.
ENGINE_ENVIRONMENT = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a call after the end of Ray would start another
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "GX_ANALYTICS_ENABLED": "false",
    "PYSPARK_PYTHON": sys.executable,
    "PYSPARK_DRIVER_PYTHON": sys.executable,
}


class Settings(BaseSettings):
    """Places and limits of this machine or cluster; every field is read from `HEADRACE_<FIELD>`.

    Example:
        >>> Settings(lake="/tmp/lake").lake.name
        'lake'
    """

    model_config = SettingsConfigDict(env_prefix="HEADRACE_", frozen=True, extra="ignore")

    lake: Annotated[Path, AfterValidator(_folder)] = Field(
        Path("lake"), description="folder of the lake", validate_default=True
    )
    cache: AbsolutePath = Field(
        Path("~/.cache/headrace"), description="jars and class archives", validate_default=True
    )
    cores: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, description="local cores to use"
    )
    spark_master: str = Field(
        "local", description="Spark master URL; `local` uses `cores` threads here"
    )
    spark_memory_gib: float = Field(
        default_factory=lambda: max(1.5, round(_memory_gib() / 16, 1)),
        gt=0,
        description="heap of the Spark driver, in GiB; a sixteenth of the memory, or 1.5",
    )
    ray_address: str = Field("local", description="Ray cluster to join; `local` starts one here")
    ray_object_store_gib: float = Field(
        default_factory=lambda: max(0.5, round(_memory_gib() / 10, 1)),
        gt=0,
        description="most shared memory that a local Ray may take, in GiB; a tenth of the memory",
    )
    open_ports: bool = Field(
        False,
        description="let workers of a `ray_train` fit listen on all addresses of their machines "
        "while it runs: the networks of XGBoost and LightGBM know no other way",
    )
    compiled_lightgbm: bool = Field(
        False,
        description="score LightGBM's trees as machine code: equal to 1e-9, not to the bit; "
        "needs the extra `lleaves` on each worker",
    )
    notify_url: SecretStr | None = Field(
        None,
        description="whom a run of the flow that fails is told to: a URL of Apprise, such as "
        "`slack://...` or `mailto://...`; several with a space between",
    )
    reports_url: str | None = Field(
        None, description="where the folder `reports` of the lake is served, for links to pages"
    )
    core_hour_price: str | None = Field(
        None,
        pattern=r"^\d+(\.\d+)? \S{1,12}$",
        description="price of an hour of one core, with its currency, such as `0.05 EUR`; the page "
        "of a run then tells what scores cost",
    )
    short_runs: bool = Field(
        False, description="tune the JVM for runs of under a minute (tests and samples)"
    )

    def works_here(self, stage: str) -> bool:
        """Whether a stage does all its work on this machine, and none of it on a cluster."""
        engine = self.ray_address if stage in _OF_RAY else self.spark_master
        return engine.startswith("local")


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def engine_environment() -> None:
    """Sets the variables that engines read at import; what the user has set already is kept."""
    for name, value in ENGINE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)

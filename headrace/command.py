"""The command line of a single stage, `python -P -m spark_jobs.check` and the like."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from headrace import runs
from headrace.errors import HeadraceError, UsageError
from headrace.lake import Lake
from headrace.processor import Meter
from headrace.settings import Settings
from headrace.spec import load
from headrace.spec.model import Pipeline
from headrace.stage import StageResult

Stage = Callable[[Pipeline, Lake, Settings, argparse.Namespace], StageResult]


def arguments(
    module: str, description: str, *, of_a_source: bool = False
) -> argparse.ArgumentParser:
    """A parser for `python -P -m <module>` with what every stage takes."""
    parser = argparse.ArgumentParser(prog=f"python -P -m {module}", description=description)
    parser.add_argument(
        "--pipeline", type=Path, required=True, metavar="FILE", help="pipeline.yaml"
    )
    parser.add_argument("--lake", type=Path, help="folder of the lake; default: HEADRACE_LAKE")
    parser.add_argument("--run", required=True, help="name of the run")
    if of_a_source:
        parser.add_argument("--source", required=True, help="one source of the pipeline")
    return parser


def run(parser: argparse.ArgumentParser, stage: Stage) -> None:
    """Runs a stage, writes its result to the run's folder, and exits with 0 or an error's code."""
    # Workers start in the user's folder, which may have a `flows/` of its own.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    given = parser.parse_args()
    try:
        settings = Settings(lake=given.lake) if given.lake else Settings()
        lake = Lake(settings.lake)
        pipeline = load(given.pipeline)
        subject = pipeline.name
        if "source" in given:
            pipeline.source(subject := given.source)
        name = parser.prog.rpartition(".")[2]
        runs.perform(
            name,
            subject,
            lambda: stage(pipeline, lake, settings, given),
            folder=lake.runs(given.run),
            meter=Meter() if settings.works_here(name) else None,
        )
    except ValidationError as error:  # of the settings
        sys.stderr.write(f"{error}\n{UsageError.pointer()}\n")
        sys.exit(UsageError.exit_code)
    except HeadraceError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n{error.pointer()}\n")
        sys.exit(error.exit_code)

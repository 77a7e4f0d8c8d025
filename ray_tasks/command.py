"""What the command lines of the Ray stages share: arguments, result file and exit code."""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.lake import Lake
from headrace.settings import Settings
from headrace.spec import load
from headrace.spec.model import Pipeline
from headrace.stage import StageResult

Stage = Callable[[Pipeline, Lake, Settings, argparse.Namespace], StageResult]


def arguments(stage: str, description: str) -> argparse.ArgumentParser:
    """A parser for `python -P -m ray_tasks.<stage>` with what every stage takes."""
    parser = argparse.ArgumentParser(
        prog=f"python -P -m ray_tasks.{stage}", description=description
    )
    parser.add_argument(
        "--pipeline", type=Path, required=True, metavar="FILE", help="pipeline.yaml"
    )
    parser.add_argument("--lake", type=Path, help="folder of the lake; default: HEADRACE_LAKE")
    parser.add_argument("--run", required=True, help="name of the run")
    return parser


def run(parser: argparse.ArgumentParser, stage: Stage) -> None:
    """Runs a stage, writes its result to the run's folder, and exits with 0 or an error's code."""
    given = parser.parse_args()
    settings = Settings(lake=given.lake) if given.lake else Settings()
    lake = Lake(settings.lake)
    try:
        result = stage(load(given.pipeline), lake, settings, given)
    except HeadraceError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(error.exit_code)
    write(result, lake.runs(given.run))


def write(result: StageResult, folder: Path) -> Path:
    """Writes a result as `<name>-<subject>.json`, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{result.name}-{result.subject}.json"
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    part.write_text(json.dumps(result.to_json(), indent=1))
    return part.replace(target)

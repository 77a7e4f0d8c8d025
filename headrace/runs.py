"""What a run leaves in its folder: a record per stage call, or why the call failed."""

from __future__ import annotations

import errno
import json
import platform
import secrets
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace import faults
from headrace.errors import EngineLost, HeadraceError, StageFailed
from headrace.stage import StageResult

if TYPE_CHECKING:
    from headrace.processor import Meter
    from headrace.spec.model import Pipeline

LIBRARIES = (
    *("headrace", "pyspark", "delta-spark", "deltalake", "pyarrow", "great-expectations", "ray"),
    *("optuna", "numpy", "scikit-learn", "lightgbm", "xgboost-cpu", "prefect"),
)
_FAILED = "failed-"
_ABOUT = Path("about") / "run.json"  # in a folder of its own: those beside it are of stages
_ENGINES = {"pyspark", "py4j"}
_FULL_BYTES = 1 << 20  # a disk with less is full, whatever an engine made of it
_LINES_TOLD = 8  # of an engine's message; the rest is its stack


@dataclass(frozen=True)
class Failure:
    """Why a call of a stage failed: its name, its source or pipeline, the error in words."""

    stage: str
    subject: str
    error: str
    message: str


def new_name() -> str:
    """A name for a run: when it began, in UTC, and four random digits; sorts by time."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{secrets.token_hex(2)}"


def perform(
    stage: str,
    subject: str,
    work: Callable[[], StageResult],
    *,
    folder: Path,
    meter: Meter | None = None,
) -> StageResult:
    """Calls a stage and keeps its result in the run's folder, or why it failed.

    Args:
        stage: Its name.
        subject: The source or pipeline.
        work: The call.
        folder: Of the run.
        meter: Of processor time; none where the work is done on other machines.

    Raises:
        StageFailed: An engine refused the work, in the words of that engine.
        Exception: What the stage itself raises.
    """
    try:
        result = _measured(work, meter)
        faults.point(stage, "after_return")
    except Exception as error:
        told = _told(error, stage, subject, is_full=_is_full(folder))
        if isinstance(told, HeadraceError) and not told.where:
            told.where = {"stage": stage, "of": subject}
        failure = Failure(stage, subject, type(told).__name__, str(told))
        with suppress(OSError):  # on a full disk, which is what is to be told
            _write(asdict(failure), folder / f"{_FAILED}{stage}-{subject}.json")
        if told is error:
            raise
        raise told from None
    keep(result, folder)
    return result


def keep(result: StageResult, folder: Path) -> Path:
    """Writes a result as `<stage>-<subject>.json`, whole or not at all; a training with its day."""
    unit = f"-{result.units[0]}" if result.name in {"fit", "train"} and result.units else ""
    (folder / f"{_FAILED}{result.name}-{result.subject}.json").unlink(missing_ok=True)
    return _write(result.to_json(), folder / f"{result.name}-{result.subject}{unit}.json")


def results(folder: Path) -> list[Path]:
    """The records of results in a run's folder, in order of name."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith(_FAILED))


def describe(pipeline: Pipeline, folder: Path) -> None:
    """Writes down what a run is made of, once: the leaves of its spec, and the libraries.

    What may come from the environment is told by its digest alone.
    """
    from headrace.lake import digest  # here: pyarrow comes with it

    target = folder / _ABOUT
    if target.exists():
        return
    leaves = dict(_leaves("", pipeline.model_dump(mode="json", by_alias=True)))
    if pipeline.env:
        for path, value in leaves.items():
            if path.partition(".")[0] == "roots" or path.endswith(".path"):
                leaves[path] = f"digest {digest(value)}"
    with suppress(OSError):  # on a full disk, which the stage is about to tell
        _write({"pipeline": pipeline.name, "spec": leaves, "libraries": _libraries()}, target)


def about(folder: Path) -> dict[str, Any] | None:
    """What `describe` wrote: pipeline, spec, libraries; None of a run of an older version."""
    try:
        told: dict[str, Any] = json.loads((folder / _ABOUT).read_text())
    except FileNotFoundError:
        return None
    return told


def names(root: Path) -> list[str]:
    """The runs of a lake, oldest first."""
    folder = root / "runs"
    return (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    )


def failures(folder: Path) -> list[Failure]:
    """The calls of a run that failed and were not made good by a later try."""
    return [Failure(**json.loads(path.read_text())) for path in sorted(folder.glob(f"{_FAILED}*"))]


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), each)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for index, each in enumerate(value):
            yield from _leaves(f"{path}[{index}]", each)
    elif value is not None:
        yield path, value


def _libraries() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _measured(work: Callable[[], StageResult], meter: Meter | None) -> StageResult:
    if meter is None:
        return work()
    with meter.stage() as spent:
        result = work()
    return replace(result, processor_seconds=round(spent.seconds, 3))


def _told(error: Exception, stage: str, subject: str, *, is_full: bool) -> Exception:
    """The error itself, or what an engine's own exception, or a full disk, comes to.

    Spark's exceptions ask the JVM for their text: told now, while there is one.
    """
    no_space = isinstance(error, OSError) and error.errno == errno.ENOSPC
    # What an engine says of a full disk may be anything, such as that a file of its own ends early.
    if no_space or (is_full and not isinstance(error, HeadraceError)):
        message = "the disk is full"
        return StageFailed(
            message,
            stage=stage,
            of=subject,
            file=getattr(error, "filename", None),
            hint="free space, then run again: what was committed stands",
        )
    if isinstance(error, ConnectionError) or type(error).__name__ == "Py4JNetworkError":
        message = f"the engine went away: {error}"
        return EngineLost(
            message, stage=stage, of=subject, hint="run again: what was committed stands"
        )
    if type(error).__module__.partition(".")[0] not in _ENGINES:
        return error
    text = "\n".join(str(error).splitlines()[:_LINES_TOLD])
    failed: HeadraceError = StageFailed(
        text,
        stage=stage,
        of=subject,
        hint="mend what it names, then run again; `headrace doctor` looks at Java, disk and memory",
    )
    return failed


def _is_full(folder: Path) -> bool:
    standing = next(each for each in (folder, *folder.parents) if each.exists())
    return shutil.disk_usage(standing).free < _FULL_BYTES


def _write(value: dict[str, Any], target: Path) -> Path:  # JSON values
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    part.write_text(json.dumps(value, indent=1, default=str))
    return part.replace(target)

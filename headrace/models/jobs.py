"""One fit of a member on a fold, here or in a process beside; the unit of work of a preset.

Run as a module it is such a process: JSON lines in, JSON lines out, arrays in files, no pickle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from headrace.evaluation.metrics import Metric
from headrace.models.algorithms import named
from headrace.models.algorithms.algorithm import Matrix, Samples, Task
from headrace.models.bag import Member, columns_of, estimated, limits
from headrace.models.formats import FORMATS

if TYPE_CHECKING:
    from headrace.evaluation.metrics import Floats, Integers
    from headrace.models.encoding import Form

ALL_ROWS = -1  # in place of a fold
_OF_FITTING = 0.7  # of the time of a job; the rest is for writing, reading and predicting
_LATE = "it took too long"


@dataclass(frozen=True)
class Problem:
    """What every job works on.

    Attributes:
        matrices: Form to rows by columns.
        y: As in `Samples`.
        categorical: Columns of `codes` that hold categories.
        task: The kind of target.
        classes: How many; 0 in a regression.
        folds: The fold of each row, for each round: rounds by rows; -1: always learned from.
        weight: Of each row.
        seed: Of every fit.
    """

    matrices: Mapping[Form, Matrix]
    y: Floats
    categorical: tuple[int, ...]
    task: Task
    classes: int
    folds: Integers
    weight: Floats | None
    seed: int

    @cached_property
    def limits(self) -> Floats:
        """Of numbers, for members that clip."""
        return limits(self.matrices["codes"], self.categorical)

    @cached_property
    def range(self) -> tuple[float, float]:
        """Least and greatest target."""
        return float(self.y.min()), float(self.y.max())

    def samples(self, form: Form, rows: Any) -> Samples:  # noqa: ANN401  # places or a mask
        """Some of the rows."""
        return Samples(
            self.matrices[form][rows],
            self.y[rows],
            self.categorical if form == "codes" else (),
            self.task,
            self.classes,
            None if self.weight is None else self.weight[rows],
        )

    def save(self, folder: Path) -> None:
        """Writes it for the processes beside."""
        from scipy import sparse  # type: ignore[import-untyped]  # it ships no types

        for form, X in self.matrices.items():
            if isinstance(X, np.ndarray):
                np.save(folder / f"{form}.npy", X)
            else:
                sparse.save_npz(folder / f"{form}.npz", X, compressed=False)
        for name in ("y", "folds", "weight"):
            if getattr(self, name) is not None:
                np.save(folder / f"{name}.npy", getattr(self, name))
        told = {
            "categorical": list(self.categorical),
            "task": str(self.task),
            "classes": self.classes,
            "seed": self.seed,
            "forms": list(self.matrices),
        }
        (folder / "problem.json").write_text(json.dumps(told), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> Problem:
        """What `save` wrote; dense arrays stay in their files until they are read."""
        from scipy import sparse

        told = json.loads((folder / "problem.json").read_text(encoding="utf-8"))

        def array(name: str) -> Any:  # noqa: ANN401  # an array
            return np.load(folder / f"{name}.npy", mmap_mode="r")

        return cls(
            matrices={
                form: array(form)
                if (folder / f"{form}.npy").exists()
                else sparse.load_npz(folder / f"{form}.npz")
                for form in told["forms"]
            },
            y=np.array(array("y")),
            categorical=tuple(told["categorical"]),
            task=Task(told["task"]),
            classes=told["classes"],
            folds=np.array(array("folds")),
            weight=np.array(array("weight")) if (folder / "weight.npy").exists() else None,
            seed=told["seed"],
        )


@dataclass(frozen=True)
class Job:
    """One fit.

    Attributes:
        member: What is fitted.
        round: Which partition of the rows into folds.
        fold: The fold that is held out, or `ALL_ROWS`.
        seconds: What it may take.
    """

    member: Member
    round: int
    fold: int
    seconds: float

    @property
    def name(self) -> str:
        """Of its own within a fit of a preset."""
        fold = "all" if self.fold == ALL_ROWS else str(self.fold)
        return f"{self.member.name}-{self.round}-{fold}"


@dataclass(frozen=True)
class Done:
    """What became of a job.

    Attributes:
        seconds: That it took.
        held: Predictions of the rows held out: values, or probabilities (rows, classes).
        file: The estimator in its native format; empty where it is not needed.
        factor: See `Part`.
        error: Why there is nothing, or empty.
    """

    seconds: float
    held: Floats | None = None
    file: bytes = b""
    factor: float = 1.0
    error: str = ""


def done(problem: Problem, job: Job) -> Done:
    """Does a job; whatever goes wrong is told, not raised."""
    began = time.monotonic()
    try:
        found = _fitted(problem, job)
    except Exception as error:  # whatever a library raises: one member less
        return Done(time.monotonic() - began, error=f"{type(error).__name__}: {error}"[:500])
    return replace(found, seconds=time.monotonic() - began)


def _fitted(problem: Problem, job: Job) -> Done:
    from threadpoolctl import threadpool_limits

    member, entry = job.member, named(job.member.algorithm)
    form = entry.needs.categories
    fold = problem.folds[job.round]
    whole = job.fold == ALL_ROWS
    train = problem.samples(form, np.flatnonzero(whole | (fold != job.fold)))
    held = None if whole else problem.samples(form, np.flatnonzero(fold == job.fold))
    bounds = problem.limits if member.clip else None
    train = _as_learned(member, train, bounds)
    validation = None if held is None else _as_learned(member, held, bounds)
    given = {**entry.defaults, **member.parameters}
    if "time_limit" in given:
        given["time_limit"] = job.seconds * _OF_FITTING
    with threadpool_limits(1):
        fit = entry.fit(
            train,
            given,
            seed=problem.seed + 1000 * job.round + job.fold + 1,
            validation=validation,
            metric=Metric.RMSE if problem.task is Task.REGRESSION else Metric.LOG_LOSS,
        )
        needed = not member.refit or job.fold == ALL_ROWS
        form_of = FORMATS[entry.save_as]
        file = form_of.dump(fit.estimator) if needed else b""
        # One of each member is read back: what cannot be read must not be shipped.
        estimator = form_of.load(file) if file and job.fold <= 0 else fit.estimator
        factor, found = 1.0, None
        if held is not None:
            found = estimated(member, estimator, held.X, limits=bounds)
            if not np.isfinite(found).all():
                message = "its predictions are not finite"
                raise ValueError(message)
            if member.log:
                mean = float(np.average(found, weights=held.weight))
                factor = float(np.average(held.y, weights=held.weight) / max(mean, 1e-300))
                found = found * factor
            if problem.task is Task.REGRESSION:
                found = np.clip(found, *problem.range)
            else:
                found = columns_of(found)
    return Done(0.0, found, file, factor)


def _as_learned(member: Member, samples: Samples, limits: Floats | None) -> Samples:
    """Rows as a member learns from them: clipped, or with the logarithm of the target."""
    if limits is not None:
        samples = replace(samples, X=np.clip(samples.X, *limits))
    return replace(samples, y=np.log(samples.y)) if member.log else samples


class Worker(Protocol):
    """Does one job at a time; each is served by a thread of its own."""

    def ready(self, *, until: float) -> bool:
        """Waits until it can take a job; False where that is not so by `until`."""

    def run(self, job: Job, *, until: float) -> Done:
        """Does the job; `until` (of `time.monotonic`) is when it is given up."""

    def close(self) -> None:
        """Ends it."""


class Here:
    """Does jobs in a thread of this process, for limits too short to start another.

    A job that is given up runs on in the background until it ends by itself.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem

    def ready(self, *, until: float) -> bool:
        """It always is."""
        return time.monotonic() < until

    def run(self, job: Job, *, until: float) -> Done:
        """Does the job, or leaves it at `until`."""
        began = time.monotonic()
        found: list[Done] = []
        thread = threading.Thread(
            target=lambda: found.append(done(self._problem, job)), daemon=True
        )
        thread.start()
        thread.join(max(until - began, 0.0))
        return found[0] if found else Done(time.monotonic() - began, error=_LATE)

    def close(self) -> None:
        """Nothing to end."""


class Beside:
    """Does jobs in a process of its own, which is ended when a job takes too long."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = self._started()
        self._is_ready = False

    def _started(self) -> subprocess.Popen[str]:
        paths = [str(Path(__file__).parents[2]), *(path for path in sys.path if path)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            # Memory is given back to the process, not to the system: three times the speed of
            # the neural network, whose arrays come and go with each batch.
            "MALLOC_MMAP_THRESHOLD_": str(2**28),
            "MALLOC_TRIM_THRESHOLD_": str(2**30),
        }
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "headrace.models.jobs", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment,
        )

    def ready(self, *, until: float) -> bool:
        """Waits for the process; one that was ended is started again."""
        if self._process.poll() is not None:
            self.close()
            self._process, self._is_ready = self._started(), False
        if not self._is_ready:
            self._is_ready = bool(self._asked("", until=until))
        return self._is_ready

    def run(self, job: Job, *, until: float) -> Done:
        """Does the job, or ends the process at `until`."""
        began = time.monotonic()
        line = self._asked(json.dumps(asdict(job)), until=until)
        seconds = time.monotonic() - began
        if not line:
            return Done(seconds, error=_LATE if time.monotonic() >= until else "its process ended")
        told = json.loads(line)
        held, file = self._folder / f"{job.name}.npy", self._folder / f"{job.name}.bin"
        return Done(
            seconds,
            np.load(held) if told["held"] else None,
            file.read_bytes() if told["file"] else b"",
            told["factor"],
            told["error"],
        )

    def _asked(self, line: str, *, until: float) -> str:
        """The answer to a line; none where the process ended, as it does at `until`."""
        process = self._process
        if process.stdin is None or process.stdout is None:  # they are pipes
            raise AssertionError
        watch = threading.Timer(max(until - time.monotonic(), 0.0), process.kill)
        watch.daemon = True
        watch.start()
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            answer = ""
        finally:
            watch.cancel()
        if not answer:  # it is gone, or going: the next job must not find it
            process.kill()
            process.wait()
        return answer

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent is not needed
                    pipe.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Does the jobs that come in, one after another, until there are no more."""
    (given,) = sys.argv[1:] if arguments is None else arguments
    folder = Path(given)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    problem = Problem.open(folder)
    for line in sys.stdin:
        if not line.strip():
            answers.write("ready\n")
            answers.flush()
            continue
        told = json.loads(line)
        job = Job(**{**told, "member": Member(**told["member"])})
        found = done(problem, job)
        if found.held is not None:
            np.save(folder / f"{job.name}.npy", found.held)
        if found.file:
            (folder / f"{job.name}.bin").write_bytes(found.file)
        answer = {
            "held": found.held is not None,
            "file": bool(found.file),
            "factor": found.factor,
            "error": found.error,
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

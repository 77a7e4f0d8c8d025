"""Who does the jobs of a preset: a thread of this process, or processes beside it.

Run as a module it is such a process: JSON lines in, JSON lines out, arrays in files, no pickle.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np

from headrace.models.presets.bag import Member
from headrace.models.presets.job import Done, Job, done
from headrace.models.presets.problem import Problem

_LATE = "it took too long"


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
        paths = [str(Path(__file__).parents[3]), *(path for path in sys.path if path)]
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
            [sys.executable, "-P", "-m", "headrace.models.presets.workers", str(self._folder)],
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

"""Named points in the stages at which a test makes a run fail; free while HEADRACE_FAULT is unset.

    HEADRACE_FAULT=check.before_commit:kill:2

kills the process the second time that the stage `check` comes to the point `before_commit`.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from headrace.errors import EngineLost, UsageError

VARIABLE, GATE = "HEADRACE_FAULT", "HEADRACE_FAULT_GATE"
MOMENTS = (
    "before_read",  # nothing has been read
    "after_read",  # the inputs are known, nothing is written
    "after_staged_write",  # data files stand, the table's lock is not held
    "before_commit",  # the lock is held, the decision is made
    "after_commit",  # the commit stands, the stage has not heard so
    "after_return",  # the stage is done, the run has not noted so
)
ACTIONS = ("kill", "raise", "delay", "no_space", "torn", "wait")
_DELAY_S = 2.0
_WAIT_LIMIT_S = 300.0

_passed: Counter[str] = Counter()  # of this process: how often each point was come to


def point(stage: str, moment: str, files: Sequence[Path] = ()) -> None:
    """A place where a run may be made to fail.

    Args:
        stage: One of `headrace.stage.STAGES`, or what else commits: `alias`, `search`.
        moment: One of `MOMENTS`.
        files: Data files just written, of which `torn` cuts the last in half before it kills.
    """
    told = os.environ.get(VARIABLE)
    if told:
        _strike(told, f"{stage}.{moment}", files)


def _strike(told: str, here: str, files: Sequence[Path]) -> None:
    name, action, nth = _read(told)
    if name != here:
        return
    _passed[here] += 1
    if _passed[here] != nth:
        return
    if action == "raise":
        message = f"made to fail at {here}"
        raise EngineLost(message, hint="run again")
    if action == "no_space":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if action == "delay":
        time.sleep(_DELAY_S)
    elif action == "wait":
        _wait(Path(os.environ[GATE]))
    else:
        if action == "torn" and files:
            os.truncate(files[-1], files[-1].stat().st_size // 2)
        _kill()


def _read(told: str) -> tuple[str, str, int]:
    name, _, rest = told.partition(":")
    action, _, nth = rest.partition(":")
    stage, _, moment = name.partition(".")
    if not stage or moment not in MOMENTS or action not in ACTIONS or not (nth or "1").isdecimal():
        message = f"{VARIABLE}={told} is not `stage.moment:action:nth`"
        raise UsageError(
            message, hint=f"moments: {', '.join(MOMENTS)}; actions: {', '.join(ACTIONS)}"
        )
    return name, action, int(nth or 1)


def _wait(gate: Path) -> None:
    """Says that it is here, and goes on when the gate is opened: both are files."""
    gate.with_name(f"{gate.name}.{os.getpid()}.here").touch()
    until = time.monotonic() + _WAIT_LIMIT_S
    while not gate.exists() and time.monotonic() < until:
        time.sleep(0.01)


def _kill() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    while True:
        time.sleep(1)

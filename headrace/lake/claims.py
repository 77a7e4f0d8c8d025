"""Claims: which run works on which unit, so that two runs do not do the same work.

A claim saves work; it is not what keeps a commit single. That is the unit's application transaction
id: a run that was paused, lost its claim and wakes up finds the unit committed, or its commit
refused (`headrace.lake.commit`).
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

import psutil
from filelock import FileLock

from headrace.lake.fingerprint import digest

TTL_S = 60.0  # a claim that is not renewed for so long may be taken over
_RENEWALS_PER_TTL = 4
_LOCK_LIMIT_S = 60.0


@dataclass(frozen=True)
class Claim:
    """A run's hold on a unit.

    Attributes:
        unit: From `headrace.lake.application_id`.
        owner: Name of the run.
        number: Grows by one each time that the unit is claimed anew.
        expires_at: Seconds since 1970; 0 once it is given back.
        host: Where the owner runs.
        pid: Its process there.
        started: When that process began, seconds since 1970: a number is used again.
    """

    unit: str
    owner: str
    number: int
    expires_at: float
    host: str
    pid: int
    started: float

    def is_held(self, *, now: float) -> bool:
        """Whether the owner may still be at work: not expired, and not known to be dead."""
        return now < self.expires_at and not self._is_dead()

    def __str__(self) -> str:
        return f"already running: run {self.owner} is at {self.unit}"

    def _is_dead(self) -> bool:
        if self.host != socket.gethostname():
            return False
        try:
            started: float = psutil.Process(self.pid).create_time()
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False
        return abs(started - self.started) > 1  # the number belongs to another by now


class Store(Protocol):
    """Where claims are kept: on a disk here; an object store does it by its conditional put."""

    def read(self, unit: str) -> Claim | None:
        """The last claim on a unit, also one that expired or was given back."""

    def put(self, claim: Claim, *, seen: Claim | None) -> bool:
        """Stores a claim if `seen` is still what stands there; says whether it did."""


class Disk:
    """Claims as files of a folder, for the processes of one machine or one shared disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, unit: str) -> Claim | None:
        """See `Store`; a file that cannot be read counts as none: it was cut short."""
        return self._load(self._file(unit))

    def held(self) -> list[Claim]:
        """The claims that runs hold now, on whatever unit."""
        found = [self._load(path) for path in sorted(self.folder.glob("*.json"))]
        return [claim for claim in found if claim is not None and claim.is_held(now=time.time())]

    def put(self, claim: Claim, *, seen: Claim | None) -> bool:
        """See `Store`."""
        target = self._file(claim.unit)
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock", timeout=_LOCK_LIMIT_S):
            if self.read(claim.unit) != seen:
                return False
            part = target.with_suffix(".part")
            part.write_text(json.dumps(asdict(claim)))
            part.replace(target)
        return True

    @staticmethod
    def _load(path: Path) -> Claim | None:
        with suppress(OSError, ValueError, TypeError):
            return Claim(**json.loads(path.read_text()))
        return None

    def _file(self, unit: str) -> Path:
        return self.folder / f"{digest(unit)}.json"


@contextmanager
def claimed(
    store: Store, units: Iterable[str], *, owner: str, ttl_s: float = TTL_S
) -> Iterator[Claim | None]:
    """Claims all of the units, or none, for as long as the context lasts; renews them meanwhile.

    They are claimed in order of name, so that of two runs that want the same units one gets all.

    Args:
        store: Where claims are kept.
        units: What is to be worked on.
        owner: Name of the run; what it has claimed already, in another process, it may work on.
        ttl_s: How long a claim outlives its last renewal, in seconds.

    Yields:
        None where the units are ours; else the claim of another run that stands in the way.
    """
    ours: dict[str, Claim] = {}
    other: Claim | None = None
    for unit in sorted(set(units)):
        claim, is_new = _claim(store, unit, owner=owner, ttl_s=ttl_s)
        if claim.owner != owner:
            other = claim
            _give_back(store, ours)
            break
        if is_new:
            ours[unit] = claim
    ended = threading.Event()
    renewer = threading.Thread(
        target=_renew, args=(store, ours, ended, ttl_s), name="renew-claims", daemon=True
    )
    renewer.start()
    try:
        yield other
    finally:
        ended.set()
        renewer.join()
        _give_back(store, ours)


def _claim(store: Store, unit: str, *, owner: str, ttl_s: float) -> tuple[Claim, bool]:
    """The claim that holds a unit now, and whether it was made by this call."""
    me = psutil.Process()
    while True:
        seen, now = store.read(unit), time.time()
        if seen is not None and seen.is_held(now=now):
            return seen, False
        mine = Claim(
            unit=unit,
            owner=owner,
            number=seen.number + 1 if seen else 1,
            expires_at=now + ttl_s,
            host=socket.gethostname(),
            pid=me.pid,
            started=me.create_time(),
        )
        if store.put(mine, seen=seen):
            return mine, True


def _renew(store: Store, ours: dict[str, Claim], ended: threading.Event, ttl_s: float) -> None:
    """Puts the expiry off, time and again; a claim that was taken over is let go."""
    while not ended.wait(ttl_s / _RENEWALS_PER_TTL):
        for unit, claim in list(ours.items()):
            later = replace(claim, expires_at=time.time() + ttl_s)
            with suppress(OSError):  # of a full disk: it is tried again, until the claim expires
                if store.put(later, seen=claim):
                    ours[unit] = later
                else:
                    del ours[unit]


def _give_back(store: Store, ours: dict[str, Claim]) -> None:
    for unit, claim in list(ours.items()):
        with suppress(OSError):  # of a full disk: the claim ends with this process, or expires
            store.put(replace(claim, expires_at=0.0), seen=claim)
        del ours[unit]

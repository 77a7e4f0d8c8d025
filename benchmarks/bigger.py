"""A table of twice the memory that all workers together may take, by XGBoost and LightGBM.

    python -P -m benchmarks.bigger

The table is counted as the doubles that gold holds, training rows alone. The system holds the
limit: each worker of Ray may have so much private memory (RLIMIT_DATA, set while it is still idle)
and fails beyond it. Stacks of threads and what Python and its libraries take count as well; files
that are mapped to be read do not, since the system drops them where memory is short. The peaks are
of /proc, looked at ten times a second.
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from headrace.lake import Lake, Table, commit, stage_file
from headrace.models.algorithms import named
from headrace.settings import Settings, engine_environment
from headrace.spec.model import Pipeline

FIRST, DAYS, HELD_OUT = date(2013, 1, 1), 40, 4  # of the days, those to validate and test on
MIB = 2**20
_DOUBLE = 8  # bytes


def pipeline(columns: int, workers: int) -> Pipeline:
    """Numbers x0, x1, ... and whether a ride is late."""
    source = {"path": "landing/*.csv", "event_time": "at", "key": ["id"]}
    return Pipeline.model_validate(
        {
            "name": "rides",
            "timezone": "UTC",
            "sources": {
                "rides": {**source, "schema": {"id": "bigint", "at": "timestamp"}},
                "ends": {
                    **source,
                    "schema": {"id": "bigint", "at": "timestamp", "late": "boolean"},
                    "known_at": "at",
                },
            },
            "features": {
                "rows": "rides",
                "at": "05:00",
                "columns": {f"x{i}": "id" for i in range(columns)},
            },
            "target": {"name": "late", "of": "ends", "value": "late"},
            "split": {"validation": "2 days", "test": "2 days"},
            "training": {
                "algorithms": ["xgboost", "lightgbm"],
                "engines": {"xgboost": "ray_train", "lightgbm": "ray_train"},
                "workers": workers,
                "sample": 20_000,
                "first": (FIRST + timedelta(days=DAYS)).isoformat(),
                "every": "30 days",
            },
        }
    )


def write(root: Path, rows: int, columns: int) -> None:
    """Writes gold, a file for each day."""
    path, files, each = Lake(root).gold("rides"), [], rows // DAYS
    for number in range(DAYS):
        rng = np.random.default_rng(number)
        X = rng.standard_normal(size=(columns, each))
        known_at = pa.array([datetime(2013, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
        signal = X[0] * X[1] + np.sin(3 * X[2]) + X[3]
        table = pa.table(
            {
                "id": np.arange(each) + number * each,
                "_target_known_at": known_at.take(pa.array(np.zeros(each, dtype=np.int64))),
                "_fingerprint": pa.array(["f"]).take(pa.array(np.zeros(each, dtype=np.int64))),
                "_labels": pa.array(["l"]).take(pa.array(np.zeros(each, dtype=np.int64))),
                "late": signal + rng.logistic(size=each) > 0,
                **{f"x{i}": column for i, column in enumerate(X)},
            }
        )
        files.append(stage_file(path, table, partition={"_interval": FIRST + timedelta(number)}))
    schema = table.schema.append(pa.field("_interval", pa.date32()))
    commit(path, files, schema=schema, unit="rides", partition_by=("_interval",))


@contextmanager
def small_stacks() -> Iterator[None]:
    """Threads of processes that are started within reserve a MiB each, not eight."""
    kept = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (MIB, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, kept)


class Watch(threading.Thread):
    """Limits each worker of Ray once it is there, and remembers the most that it had.

    Attributes:
        private: `ray::` workers by what they did, to the most private memory.
        resident: The same, to the most that was in memory and of no file.
        files: The most that stood in files of bins.
    """

    def __init__(self, folder: Path, *, most: int) -> None:
        super().__init__(daemon=True)
        self._folder, self._most = folder, most
        self._limited: set[int] = set()
        self.clear()

    def clear(self) -> None:
        """Forgets what was seen."""
        self.private: dict[str, int] = {}
        self.resident: dict[str, int] = {}
        self.files = 0

    def run(self) -> None:
        """Looks until the process ends."""
        while True:
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.Error, OSError, IndexError):
                    name = (process.cmdline() or [""])[0][:40]
                    if name.startswith("ray::"):
                        self._look(process.pid, name)
            with suppress(OSError):
                bins = self._folder.glob("headrace-bins-*/*")
                self.files = max(self.files, sum(file.stat().st_size for file in bins))
            time.sleep(0.1)

    def _look(self, pid: int, name: str) -> None:
        if pid not in self._limited:
            resource.prlimit(pid, resource.RLIMIT_DATA, (self._most, self._most))
            self._limited.add(pid)
        status = Path(f"/proc/{pid}/status").read_text()
        for kept, line in ((self.private, "VmData:"), (self.resident, "RssAnon:")):
            found = int(status.partition(line)[2].split()[0]) * 1024
            kept[name] = max(kept.get(name, 0), found)


def main() -> None:
    """Writes the table, limits Ray, fits each library, and prints what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--limit-mib", type=int, default=1000, help="of each worker")
    parser.add_argument("--times", type=float, default=2.0, help="the limits of all workers")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--algorithms", nargs="+", default=["xgboost", "lightgbm"])
    given = parser.parse_args()
    training = given.times * given.workers * given.limit_mib * MIB / given.columns / _DOUBLE
    rows = math.ceil(training / (DAYS - HELD_OUT)) * DAYS
    # What a pool of memory keeps in reserve counts, too; threads beyond the one are of no use.
    os.environ |= {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2"}
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    engine_environment()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = folder  # where workers keep their bins
        lake = Lake(Path(folder) / "lake")
        writer = get_context("spawn").Process(target=write, args=(lake.root, rows, given.columns))
        writer.start()
        writer.join()
        table = Table(lake.gold("rides"))
        size = rows * (DAYS - HELD_OUT) / DAYS * given.columns * _DOUBLE / MIB
        print(
            f"{rows:,} rows x {given.columns}; to learn from {size:,.0f} MiB of doubles, "
            f"{sum(file.size for file in table.files) / MIB:,.0f} MiB of all on disk; "
            f"{given.workers} workers of {given.limit_mib} MiB: "
            f"{size / given.workers / given.limit_mib:.2f} times"
        )
        fit_all(lake, given)


def fit_all(lake: Lake, given: argparse.Namespace) -> None:
    """Fits each library under the limit."""
    from dataclasses import replace

    import ray

    from ray_tasks.cluster import connected
    from ray_tasks.examples import read

    declared = pipeline(given.columns, given.workers)
    moment = FIRST + timedelta(days=DAYS)
    settings = Settings(lake=lake.root, ray_object_store_gib=0.1)
    watch = Watch(lake.root.parent, most=given.limit_mib * MIB)
    watch.start()
    with small_stacks():
        held = connected(settings)
        held.__enter__()
    try:
        from ray_tasks import parallel

        examples = read(lake, declared, moment=moment)
        wide = parallel.shared_out(lake, declared, examples)
        print(f"learns from {wide.summary.rows:,} rows; one node read {examples.rows.num_rows:,}")
        for name in given.algorithms:
            entry = named(name)
            entry = replace(entry, defaults={**entry.defaults, "n_estimators": given.rounds})
            storage = lake.runs("r") / name
            found = parallel.fit(wide, entry, declared, examples, moment=moment, storage=storage)
            told = ", ".join(f"{metric} {value:.4f}" for metric, value in found.values.items())
            print(f"{name}: {found.seconds:.0f} s; {told}")
            for kind, most in sorted(watch.private.items()):
                resident = watch.resident[kind] / MIB
                print(f"  {kind}: {most / MIB:.0f} MiB private, {resident:.0f} of it resident")
            print(f"  files of bins: {watch.files / MIB:,.0f} MiB")
            watch.clear()
    finally:
        held.__exit__(None, None, None)
        ray.shutdown()


if __name__ == "__main__":
    main()

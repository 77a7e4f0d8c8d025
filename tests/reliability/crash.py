"""The long programme: kill -9 at random times, two runs racing, and what stands afterwards.

    python -P tests/reliability/crash.py [--seeds 10] [--kills 5]

For each seed a fresh project of a user's: pairs of `headrace run` are started side by side, and
both are killed at a random time, again and again; then one run is left to end. Its tables must hold
what a run holds that was never hurt, `headrace verify` must find nothing, and no claim may be held.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from headrace.lake import Table
from headrace.lake.claims import Disk
from headrace.verify import verify

TABLES = (
    *("bronze/rides", "bronze/ends", "silver/rides", "silver/ends", "quarantine/rides"),
    *("gold/rides", "scores/rides"),
)
CLOCKS = ("_run", "_ingested_at", "_model")  # a model is named by its recipe, not compared here
LATEST_S = 60


def main() -> None:
    """Runs the programme; exits with 1 at the first lake that differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--kills", type=int, default=5, help="kills per seed; each is of two runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-crash-") as folder:
        make = projects(Path(folder))
        unhurt = make("unhurt")
        ran = unhurt.headrace("run", "pipeline.yaml")
        if ran.code:
            sys.exit(f"the run that nothing happens to failed:\n{ran.out}{ran.err}")
        expected = content(unhurt)
        for seed in range(options.seeds):
            started = time.monotonic()
            user = make(f"seed{seed}")
            dice = random.Random(seed)  # noqa: S311 - moments of a test, no secret
            hurt(user, dice, kills=options.kills)
            problems = judged(user, expected)
            told = "; ".join(problems) or "as if never killed"
            seconds = time.monotonic() - started
            sys.stdout.write(f"seed {seed}: {options.kills} kills, {seconds:.0f} s: {told}\n")
            if problems:
                sys.exit(1)


def projects(folder: Path) -> Callable[[str], Any]:
    """Makes the small project of the end-to-end tests, its files delivered."""
    path = Path(__file__).parents[1] / "end_to_end" / "conftest.py"
    spec = importlib.util.spec_from_file_location("end_to_end_project", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)

    def make(name: str) -> Any:
        made = module.Project(folder / name, folder / f"{name}-prefect")
        made.deliver_first_days()
        return made

    return make


def hurt(user: Any, dice: random.Random, *, kills: int) -> None:
    """Starts two runs at once and kills both at a random time; so many times."""
    for _ in range(kills):
        pair = [user.start("run", "pipeline.yaml") for _ in range(2)]
        time.sleep(dice.uniform(1, LATEST_S))
        for process in pair:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for process in psutil.process_iter():  # what a kill leaves of engines and of Prefect
            with suppress(psutil.Error):
                if process.environ().get("PREFECT_HOME") == user.prefect_home.as_posix():
                    process.kill()


def judged(user: Any, expected: dict[str, list[str]]) -> list[str]:
    """What is wrong after one more run, that is left to end."""
    ran = user.headrace("run", "pipeline.yaml")
    if ran.code:
        return [f"the run after the kills failed: {ran.err}"]
    found = content(user)
    problems = [f"{name} differs" for name in TABLES if found[name] != expected[name]]
    problems += [f"{f.name}: {f.found}" for f in verify(user.lake.root) if f.state == "fail"]
    problems += [f"a claim on {c.unit} is held" for c in Disk(user.lake.claims).held()]
    return problems


def content(user: Any) -> dict[str, list[str]]:
    """Table -> its rows as readers see them, without clocks, sorted."""
    return {name: _rows(user.lake.root / name) for name in TABLES}


def _rows(path: Path) -> list[str]:
    table = Table(path).arrow()
    kept = table.select(sorted(name for name in table.column_names if name not in CLOCKS))
    return sorted(str(row) for row in kept.to_pylist())


if __name__ == "__main__":
    main()

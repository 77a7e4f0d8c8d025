"""What each stage of the flight delays example costs: wall, CPU, peak memory, fixed and per row.

    python benchmarks/stages.py [--times 10 | --quick]

Runs `headrace run` as a user does, into a fresh lake, and samples its whole process tree. Then the
same command again, `plan` and `validate`; then the year replicated under shifted flight numbers.
Prints tables, and appends one line of JSON to benchmarks/results/stages.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from headrace.stage import STAGES, StageResult

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "flight_delays"
RESULTS = Path(__file__).parent / "results" / "stages.jsonl"
HEADRACE = Path(sys.executable).parent / "headrace"
PACKAGES = (
    *("headrace", "pyspark", "delta-spark", "deltalake", "great-expectations"),
    *("ray", "prefect", "lightgbm", "pyarrow", "pandas"),
)
SAMPLE_S = 0.5
GIB = 2**30
OUTSIDE = "start, report, stop"  # what no stage record covers
WORST = "cost per row of the worst stage, times"
SHIFT = 10_000  # above every flight number of 2013, so that each copy has keys of its own
SHIFTED = ("schedule", "arrivals")
COUNTED = {  # which count of its record is a stage's number of rows
    "ingest": ("read",),
    "check": ("read",),
    "features": ("built", "labelled"),
    "train": ("train", "validation", "test"),
    "score": ("read",),
}
TARGETS = {  # seconds, GiB and ratios; on 2 cores with warm caches
    "first run, s": 240.0,
    "features, s": 20.0,
    "score, s": 15.0,
    "second run, s": 15.0,
    "plan, s": 3.0,
    "validate, s": 1.0,
    "peak memory, GiB": 6.0,
    WORST: 1.2,
    "peak memory, times": 1.5,
}
OUT = Console()


@dataclass(frozen=True)
class Sample:
    """The process tree at one moment: CPU seconds so far, proportional memory now."""

    at: float
    cpu_s: float
    pss: int


@dataclass(frozen=True)
class Watched:
    """A command that ended well, and the samples of its process tree."""

    wall_s: float
    samples: Sequence[Sample]
    output: str

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all its processes, those that ended included."""
        return self.samples[-1].cpu_s

    @property
    def peak_gib(self) -> float:
        """The most memory all its processes held together."""
        return max(sample.pss for sample in self.samples) / GIB


@dataclass
class Cost:
    """What a stage took; stages that overlap share the CPU of that time evenly."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_gib: float = 0.0
    rows: int = 0


@dataclass(frozen=True)
class Span:
    """When one stage record's work began and ended."""

    stage: str
    start: float
    end: float
    rows: int


class Tree:
    """A process and its descendants, those included whose parent has gone."""

    def __init__(self, pid: int) -> None:
        self.root = psutil.Process(pid)
        self._seen: dict[psutil.Process, float] = {self.root: 0.0}

    def sample(self) -> Sample:
        """Looks at every process once; one that has ended keeps the CPU time it had."""
        pss = 0
        for process in self._alive():
            try:
                times = process.cpu_times()
                self._seen[process] = times.user + times.system
                pss += _memory(process)
            except psutil.Error:
                continue  # it ended between two looks
        return Sample(time.time(), sum(self._seen.values()), pss)

    def _alive(self) -> set[psutil.Process]:
        found: set[psutil.Process] = set()
        for process in self._seen:
            if process not in found and process.is_running():
                found.add(process)
                try:
                    found.update(process.children(recursive=True))
                except psutil.Error:
                    continue
        return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, prints and stores; see the head of this file."""
    parser = argparse.ArgumentParser(description="Measure each stage of the example.")
    parser.add_argument("--times", type=int, default=10, help="copies of the year (default 10)")
    parser.add_argument("--quick", action="store_true", help="the plain year only")
    options = parser.parse_args(arguments)
    before = os.getloadavg()[0]
    subprocess.run([sys.executable, "-P", EXAMPLE / "make_landing.py"], check=True)
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder:
        work = Path(folder)
        plain, commands = measure_plain(work)
        figures: dict[str, object] = {"1": _told(plain), "commands": commands}
        reached = _reached(plain, commands)
        _show(plain, title="the year as it is")
        if not options.quick and options.times > 1:
            many = measure_many(work, times=options.times)
            _show(many, title=f"the year {options.times} times")
            growth = compare(plain, many)
            _show_growth(growth, times=options.times)
            figures |= {str(options.times): _told(many), "growth": growth}
            reached |= {
                WORST: max(stage["cost_per_row_times"] for stage in growth.values()),
                "peak memory, times": growth["all"]["peak_memory_times"],
            }
    _show_targets(reached)
    _store({**_machine(load_before=before), "figures": figures})


def measure_plain(work: Path) -> tuple[dict[str, Cost], dict[str, dict[str, float]]]:
    """The first run, and the commands that find everything done: stage costs, command figures."""
    file, lake = EXAMPLE / "pipeline.yaml", work / "lake"
    first = watch(["run", file], lake=lake, work=work)
    again = watch(["run", file], lake=lake, work=work)
    if "already done" not in again.output:
        sys.exit("the second run did something: it must find everything already done")
    others = {name: watch([name, file], lake=lake, work=work) for name in ("plan", "validate")}
    commands = {
        name: {
            "wall_s": round(it.wall_s, 2),
            "cpu_s": round(it.cpu_s, 2),
            "peak_gib": round(it.peak_gib, 2),
        }
        for name, it in {"first run": first, "second run": again, **others}.items()
    }
    return costs(first, spans(lake)), commands


def measure_many(work: Path, *, times: int) -> dict[str, Cost]:
    """The first run over the replicated year."""
    OUT.print(f"replicating the year {times} times")
    file = replicate(EXAMPLE, work / "many", times=times)
    lake = work / "lake-of-many"
    return costs(watch(["run", file], lake=lake, work=work), spans(lake))


def watch(arguments: Sequence[str | Path], *, lake: Path, work: Path) -> Watched:
    """Runs `headrace` and samples it until it ends; its lines are passed on as they come."""
    log, started, cpu_before = work / "output", time.monotonic(), _cpu_of_children()
    OUT.print(f"headrace {' '.join(map(str, arguments))}", soft_wrap=True, style="bold")
    with log.open("w") as output, log.open() as lines, OUT.status("starting") as status:
        process = psutil.Popen(
            [HEADRACE, *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HEADRACE_LAKE": str(lake)},
        )
        tree, samples, ended = Tree(process.pid), [Sample(time.time(), 0.0, 0)], False
        while not ended:
            samples.append(tree.sample())
            _pass_on(lines)
            seconds, held = time.monotonic() - started, samples[-1].pss / GIB
            status.update(f"{seconds:.0f} s, {samples[-1].cpu_s:.0f} s of CPU, {held:.1f} GiB")
            try:
                process.wait(SAMPLE_S)
                ended = True
            except psutil.TimeoutExpired:
                continue
        wall = time.monotonic() - started
        _pass_on(lines)
        # The system also counts processes that lived between two samples, if they were waited for.
        whole = max(samples[-1].cpu_s, _cpu_of_children() - cpu_before)
        samples.append(Sample(time.time(), whole, 0))
    if process.returncode:
        sys.exit(f"headrace ended with {process.returncode}:\n{log.read_text()}")
    return Watched(wall, samples, log.read_text())


def spans(lake: Path) -> list[Span]:
    """When each stage of a lake's only run worked, from its records and their file times."""
    return [
        Span(result.name, end - result.seconds, end, rows)
        for path in lake.glob("runs/*/*.json")
        for result, end in [(StageResult.from_json(json.loads(path.read_text())), _written(path))]
        for rows in [sum(result.rows.get(name, 0) for name in COUNTED[result.name])]
    ]


def costs(run: Watched, work: Sequence[Span]) -> dict[str, Cost]:
    """Stage -> what it took; `OUTSIDE` is the time of no stage, `all` is the whole run.

    The CPU time between two samples belongs to the stages at work halfway between them.
    """
    names = sorted({span.stage for span in work}, key=STAGES.index)
    found = {name: Cost(rows=sum(s.rows for s in work if s.stage == name)) for name in names}
    found[OUTSIDE] = Cost()
    for earlier, later in zip(run.samples, run.samples[1:], strict=False):
        middle = (earlier.at + later.at) / 2
        active = {s.stage for s in work if s.start <= middle <= s.end} or {OUTSIDE}
        for name in active:
            cost = found[name]
            cost.cpu_s += max(0.0, later.cpu_s - earlier.cpu_s) / len(active)
            cost.peak_gib = max(cost.peak_gib, later.pss / GIB)
    for name in names:
        found[name].wall_s = _covered((s.start, s.end) for s in work if s.stage == name)
    found[OUTSIDE].wall_s = max(0.0, run.wall_s - _covered((s.start, s.end) for s in work))
    rows = found["ingest"].rows
    return {**found, "all": Cost(run.wall_s, run.cpu_s, run.peak_gib, rows)}


def compare(plain: Mapping[str, Cost], many: Mapping[str, Cost]) -> dict[str, dict[str, float]]:
    """Stage -> growth from few rows to many.

    Two points give a line: fixed seconds and microseconds per row. A negative fixed cost says that
    the stage grew faster than its rows. `cost_per_row_times` compares whole seconds per row.
    """
    grown = {}
    for name, few in plain.items():
        if not (few.rows and few.cpu_s) or many[name].rows <= few.rows:
            continue  # the stage passed unseen between two samples, or there is no growth to tell
        lot = many[name]
        slope = (lot.wall_s - few.wall_s) / (lot.rows - few.rows)
        grown[name] = {
            "cost_per_row_times": round((lot.wall_s / lot.rows) / (few.wall_s / few.rows), 3),
            "cpu_per_row_times": round((lot.cpu_s / lot.rows) / (few.cpu_s / few.rows), 3),
            "peak_memory_times": round(lot.peak_gib / few.peak_gib, 3),
            "fixed_s": round(few.wall_s - slope * few.rows, 2),
            "per_row_us": round(slope * 1e6, 2),
        }
    return grown


def replicate(example: Path, to: Path, *, times: int) -> Path:
    """Copies the example with `times` the flights, on the same days; returns its pipeline file."""
    shutil.copytree(example / "landing", to / "landing")
    for path in (path for feed in SHIFTED for path in (to / "landing" / feed).glob("*.csv")):
        stat = path.stat()
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        with path.open("w", encoding="utf-8") as file:
            file.write(f"{header}\n")
            file.writelines(_shifted(header, rows, times=times))
        os.utime(path, (stat.st_atime, stat.st_mtime))  # so that it looks settled
    return Path(shutil.copy(example / "pipeline.yaml", to))


def _shifted(header: str, rows: Sequence[str], *, times: int) -> Iterator[str]:
    place = header.split(",").index("flight")
    for copy in range(times):
        for row in rows:
            cells = row.split(",")
            cells[place] = str(int(cells[place]) + SHIFT * copy)
            yield f"{','.join(cells)}\n"


def _pass_on(lines: Iterable[str]) -> None:
    for line in lines:
        OUT.print(f"  {line.rstrip()}", markup=False, highlight=False, soft_wrap=True)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _covered(parts: Iterable[tuple[float, float]]) -> float:
    """Length of the union of intervals."""
    total, until = 0.0, 0.0
    for start, end in sorted(parts):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def _reached(
    plain: Mapping[str, Cost], commands: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    stages = {f"{name}, s": plain[name].wall_s for name in ("features", "score")}
    walls = {f"{name}, s": command["wall_s"] for name, command in commands.items()}
    return {**walls, **stages, "peak memory, GiB": plain["all"].peak_gib}


def _told(found: Mapping[str, Cost]) -> dict[str, dict[str, float]]:
    return {
        name: {key: round(value, 3) for key, value in asdict(cost).items()}
        for name, cost in found.items()
    }


def _machine(*, load_before: float) -> dict[str, object]:
    git = shutil.which("git")
    head = [git, "-C", str(ROOT), "rev-parse", "--short", "HEAD"] if git else ["true"]
    commit = subprocess.run(head, capture_output=True, text=True, check=False)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "machine": {
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / GIB, 1),
            "load_before": round(load_before, 2),
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }


def _show(found: Mapping[str, Cost], *, title: str) -> None:
    _grid(
        title,
        ("", "rows", "wall, s", "CPU, s", "peak, GiB"),
        (
            (
                name,
                f"{it.rows:,}" if it.rows else "",
                f"{it.wall_s:.1f}",
                f"{it.cpu_s:.1f}",
                f"{it.peak_gib:.2f}",
            )
            for name, it in found.items()
        ),
    )


def _show_growth(growth: Mapping[str, Mapping[str, float]], *, times: int) -> None:
    titles = ("wall per row", "CPU per row", "peak memory", "fixed, s", "per row, µs")
    _grid(
        f"{times} times the flights: ratios, and the line through both points",
        ("", *titles),
        ((name, *map(str, figures.values())) for name, figures in growth.items()),
    )


def _show_targets(reached: Mapping[str, float]) -> None:
    _grid(
        "against the targets",
        ("", "reached", "target", ""),
        (
            (name, f"{reached[name]:.2f}", f"{most:g}", "met" if reached[name] <= most else "OVER")
            for name, most in TARGETS.items()
            if name in reached
        ),
    )


def _grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    grid = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        grid.add_column(column, justify="right" if number else "left")
    for row in rows:
        grid.add_row(*row)
    OUT.print(grid)


def _store(line: Mapping[str, object]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(line)}\n")
    OUT.print(f"stored in {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

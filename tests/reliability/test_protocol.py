"""The commit protocol under kills, races and sleepers: real processes, no engine."""

from __future__ import annotations

import multiprocessing
import runpy
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from headrace import faults
from headrace.lake import Lake, Table
from headrace.models import registry

WORKER = Path(__file__).with_name("worker.py")
AT_A_COMMIT = ("after_staged_write", "before_commit", "after_commit")
STAGES = {"append": "ingest", "replace": "score", "promote": "alias", "compact": "maintain"}
worker = runpy.run_path(str(WORKER))


@pytest.fixture(scope="module")
def processes():
    """Starts processes by a fork of one that has imported all they need."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["headrace.lake", "headrace.models.registry"])
    return context


@pytest.fixture
def work(lake: Lake, processes):
    """Starts a worker on the lake: a kind of commit, units from first to last, with a fault."""

    def start(kind, first, last, owner="a", *, fault="", gate="", root=lake.root):
        for number in range(first, last) if kind == "compact" else ():
            worker["make_small_files"](Lake(root), number)
        variables = {faults.VARIABLE: fault, faults.GATE: str(gate)} if fault else {}
        heard, told = processes.Pipe(duplex=False)
        given = (root, kind, range(first, last), owner, variables, told)
        process = processes.Process(
            target=runpy.run_path, args=(str(WORKER), {"GIVEN": given}, "__main__")
        )
        process.start()
        told.close()
        return process, heard

    return start


def words(worker):
    process, heard = worker
    said = []
    with suppress(EOFError):
        while True:
            said.append(heard.recv())
    process.join(timeout=120)
    return said


def content(lake, kind):
    """What readers see of the kind's tables: rows by value."""
    paths = {
        "append": [lake.bronze("weather")],
        "replace": [lake.scores("flights")],
        "promote": [lake.aliases],
        "compact": sorted((lake.root / "silver").glob("weather*")),
    }[kind]
    rows = [row for path in paths for row in Table(path).arrow().to_pylist()]
    return sorted(str(sorted(row.items(), key=str)) for row in rows)


@pytest.mark.parametrize("kind", STAGES)
@pytest.mark.parametrize("moment", AT_A_COMMIT)
@pytest.mark.parametrize("action", ["kill", "torn"])
def test_a_kill_at_any_moment_of_a_commit_leaves_what_an_unhurt_run_leaves(
    lake, tmp_path, work, kind, moment, action
):
    unhurt = Lake(tmp_path / "unhurt")
    assert words(work(kind, 0, 2, root=unhurt.root)) == ["made"] * 2
    hurt = work(kind, 0, 2, fault=f"{STAGES[kind]}.{moment}:{action}:2")
    words(hurt)
    assert hurt[0].exitcode == -signal.SIGKILL
    again = words(work(kind, 0, 2))
    assert "refused" not in again
    if kind != "promote":  # a promotion is a decision, and each call makes one
        assert content(lake, kind) == content(unhurt, kind)
    else:
        assert [registry.champion(lake, f"flights{n}").model for n in (0, 1)] == ["a", "a"]


def test_a_run_that_died_before_it_heard_of_its_commit_adds_nothing_when_tried_again(lake, work):
    for number in range(50):
        dead = work("append", number, number + 1, fault="ingest.after_commit:kill:1")
        assert words(dead) == []
        assert dead[0].exitcode == -signal.SIGKILL
    assert words(work("append", 0, 50)) == ["stood"] * 50
    assert Table(lake.bronze("weather")).arrow().num_rows == 150


def test_a_run_that_slept_through_its_successors_commit_changes_nothing(lake, work, tmp_path):
    made = Counter()
    for kind, word in (("append", "stood"), ("replace", "refused")):
        for number in range(10):
            gate = tmp_path / f"{kind}{number}"
            point = f"{STAGES[kind]}.after_staged_write:wait:1"
            sleeper = work(kind, number, number + 1, "zombie", fault=point, gate=gate)
            until_here(gate, [sleeper])
            assert words(work(kind, number, number + 1, "successor")) == ["made"]
            before = content(lake, kind)
            gate.touch()
            assert words(sleeper) == [word]
            assert content(lake, kind) == before
            made[kind] += 1
    assert made == {"append": 10, "replace": 10}


@pytest.mark.parametrize("kind", STAGES)
def test_of_two_at_once_exactly_one_commits_and_the_other_says_so(lake, work, tmp_path, kind):
    """Of each kind 34 pairs, each let go at the same moment, just before they ask for the lock."""
    for number in range(34):
        gate = tmp_path / f"gate{number}"
        point = f"{STAGES[kind]}.after_staged_write:wait:1"
        pair = [
            work(kind, number, number + 1, owner, fault=point, gate=gate) for owner in ("a", "b")
        ]
        until_here(gate, pair)
        gate.touch()
        told = sorted(word for worker in pair for word in words(worker))
        assert told in (["made", "refused"], ["made", "stood"]), number
    rows = content(lake, kind)
    assert len(rows) == 34 * {"append": 3, "replace": 2, "promote": 1, "compact": 24}[kind]


def until_here(gate, workers):
    """Waits until each of the workers stands before the gate."""
    until = time.monotonic() + 60
    marks = [gate.with_name(f"{gate.name}.{process.pid}.here") for process, _ in workers]
    while not all(mark.exists() for mark in marks):
        assert time.monotonic() < until
        assert all(process.is_alive() for process, _ in workers)
        time.sleep(0.01)

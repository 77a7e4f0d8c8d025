"""Every stage has every fault point, and each does what its name says."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

from headrace import faults
from headrace.errors import EngineLost, UsageError
from headrace.stage import STAGES

ROOT = Path(__file__).parents[2]
OF_A_COMMIT = {"after_staged_write", "before_commit", "after_commit"}  # headrace/lake/commit.py
OF_A_CALL = {"after_return"}  # headrace/runs.py
MODULES = {
    "ingest": "spark_jobs/ingest.py",
    "check": "spark_jobs/check.py",
    "features": "spark_jobs/features.py",
    "train": "ray_tasks/train.py",
    "score": "ray_tasks/score.py",
}


def points_in(module):
    """The calls `faults.point(stage, moment)` of a module; names that are no text are `*`."""
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / module).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "faults.point"
    ]
    return {
        tuple(arg.value if isinstance(arg, ast.Constant) else "*" for arg in call.args[:2])
        for call in calls
    }


def test_every_stage_that_writes_has_every_point():
    assert set(MODULES) == set(STAGES) - {"report"}
    generic = {moment for _, moment in points_in("headrace/lake/commit.py")}
    generic |= {moment for _, moment in points_in("headrace/runs.py")}
    assert generic == OF_A_COMMIT | OF_A_CALL
    for stage, module in MODULES.items():
        own = {moment for named, moment in points_in(module) if named == stage}
        assert own | generic == set(faults.MOMENTS), stage


def test_maintenance_has_every_point():
    found = points_in("headrace/maintain.py") | points_in("headrace/lake/compact.py")
    assert {moment for named, moment in found if named == "maintain"} == set(faults.MOMENTS)


def test_a_point_strikes_at_its_turn_and_at_no_other(monkeypatch):
    monkeypatch.setenv("HEADRACE_FAULT", "turns.before_read:raise:2")
    faults.point("turns", "before_read")
    faults.point("turns", "after_read")
    with pytest.raises(EngineLost, match=r"made to fail at turns\.before_read"):
        faults.point("turns", "before_read")
    faults.point("turns", "before_read")


def test_a_full_disk_is_the_error_that_a_system_gives(monkeypatch):
    monkeypatch.setenv("HEADRACE_FAULT", "space.before_commit:no_space:1")
    with pytest.raises(OSError, match="No space left") as told:
        faults.point("space", "before_commit")
    assert told.value.errno == errno.ENOSPC


def test_without_the_variable_nothing_happens(monkeypatch):
    monkeypatch.delenv("HEADRACE_FAULT", raising=False)
    for moment in faults.MOMENTS:
        faults.point("check", moment)


@pytest.mark.parametrize(
    "told", ["check", "check.before", "check.before_commit:explode", "check.before_commit:kill:x"]
)
def test_a_fault_that_is_not_understood_is_refused(monkeypatch, told):
    monkeypatch.setenv("HEADRACE_FAULT", told)
    with pytest.raises(UsageError, match=r"stage\.moment:action:nth"):
        faults.point("check", "before_commit")

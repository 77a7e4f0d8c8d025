"""A lake on a disk that may not be written, then is too small, then is large enough.

Fixtures are the steps, in order: each one asks for the step before it.
"""

# ruff: noqa: ARG001 - a step that asks for the step before it need not look at it

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from headrace.verify import verify

pytestmark = [pytest.mark.e2e, pytest.mark.spark, pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def user(project) -> Iterator[object]:
    """A user whose lake is a file system in memory of its own."""
    made = project("carl")
    made.deliver_first_days()
    made.lake.root.mkdir()
    if not shutil.which("mount", path="/usr/bin"):
        pytest.skip("needs mount")
    mounted = subprocess.run(
        ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=600k,ro", "tmpfs", made.lake.root],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("only root can mount a small file system")
    yield made
    subprocess.run(["/usr/bin/umount", made.lake.root], check=True)


def mount_again(user, options):
    subprocess.run(["/usr/bin/mount", "-o", f"remount,{options}", user.lake.root], check=True)


@pytest.fixture(scope="module")
def read_only(user):
    return user.headrace("run", "pipeline.yaml")


@pytest.fixture(scope="module")
def too_small(user, read_only):
    """There is room for all of Spark's tables, and the disk fills while Ray is at work."""
    mount_again(user, "rw,size=600k")
    ran = user.headrace("run", "pipeline.yaml")
    assert [finding for finding in verify(user.lake.root) if finding.state == "fail"] == []
    return ran


@pytest.fixture(scope="module")
def large_enough(user, too_small):
    mount_again(user, "size=64m")
    return user.headrace("run", "pipeline.yaml")


def test_a_lake_that_may_not_be_written_is_one_error(read_only):
    assert (read_only.code, read_only.after) == (1, {})
    assert "Read-only file system" in read_only.err
    assert "-> give this user the right" in read_only.err
    assert "Traceback" not in read_only.err


def test_a_full_disk_is_named_and_nothing_is_half_committed(too_small):
    assert too_small.code == 1
    last = too_small.err[-400:]
    assert "the disk is full" in last
    assert "-> free space, then run again: what was committed stands" in last
    assert "gold/rides" in too_small.after


def test_with_room_the_next_run_completes_it(user, large_enough):
    assert large_enough.code == 0, large_enough.err
    findings = list(verify(user.lake.root))
    assert [finding for finding in findings if finding.state == "fail"] == []
    balance = next(f for f in findings if f.name == "balance of rides")
    assert "4,202 lines read, 4,202 in silver or quarantine, 0 duplicates" in balance.found
    assert user.read("scores/rides", large_enough).num_rows > 0

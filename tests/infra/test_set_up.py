from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bare(tmp_path):
    """A PATH with what a shell script calls, and nothing to install with."""
    for name in ("sh", "dirname", "awk"):
        (tmp_path / name).symlink_to(shutil.which(name))
    return tmp_path


def set_up(path):
    return subprocess.run(
        [ROOT / "infra" / "set_up.sh"],
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)

    listed = subprocess.run(
        ["make", "-C", ROOT, "-s", "--no-print-directory", "help"],  # noqa: S607 - make is a user's
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert re.findall(r"^make (\w+)", listed, re.MULTILINE) == targets.split()


def test_a_machine_without_python_is_told_which_are_wanted(bare):
    done = set_up(bare)

    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 on PATH" in done.stderr


def test_a_python_that_is_too_old_is_no_python(bare):
    old = bare / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)

    assert "no Python 3.11, 3.12 or 3.13 on PATH" in set_up(bare).stderr

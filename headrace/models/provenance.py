"""Which code and which libraries a model came from."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("lightgbm", "numpy", "optuna", "pyarrow", "ray", "scikit-learn", "skops")


def code() -> dict[str, str | None]:
    """Version of the package, and the commit where it runs from a working copy."""
    return {"version": version("headrace"), "commit": _commit(Path(__file__).parents[2])}


def libraries() -> dict[str, str]:
    """Library to version."""
    return {name: version(name) for name in LIBRARIES}


def _commit(folder: Path) -> str | None:
    git = shutil.which("git")
    if git is None or not (folder / ".git").exists():
        return None
    told = subprocess.run(
        [git, "-C", str(folder), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return told.stdout.strip() or None

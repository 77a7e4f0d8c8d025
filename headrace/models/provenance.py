"""Which code and which libraries a model came from."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

LIBRARIES = (
    "lightgbm",
    "numpy",
    "optuna",
    "pyarrow",
    "ray",
    "scikit-learn",
    "scipy",
    "skops",
    "xgboost-cpu",
)
_PACKAGES = ("headrace", "ray_tasks")  # what a trial's result depends on


def code() -> dict[str, str | None]:
    """Version of the package, and the commit where it runs from a working copy."""
    return {"version": version("headrace"), "commit": _commit(Path(__file__).parents[2])}


def sources() -> str:
    """Digest of this package's own files, so that an edited one is told from what it was."""
    found = hashlib.sha256()
    root = Path(__file__).parents[2]
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            content = path.read_bytes()
            found.update(f"{path.relative_to(root)} {len(content)}\n".encode())
            found.update(content)
    return found.hexdigest()


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

"""Where landing files may lie: paths under declared roots. Names only: no folder is looked into."""

from __future__ import annotations

import glob
import posixpath
import re
from pathlib import Path

from headrace.spec.model import Pipeline
from headrace.spec.problems import near, shown

STORES = ("s3", "s3a")  # two names of one kind; see `headrace.lake.stores`

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(/.*)?", re.DOTALL)
# Hadoop reads `{a,../b}` as alternatives and `\` as an escape: both can step out of a root unseen.
_FORBIDDEN = re.compile(r"[\\{}\x00-\x1f\x7f]")


def landing_glob(pipeline: Pipeline, source: str) -> str:
    """The absolute glob of a source's landing files, or its URL in an object store.

    Args:
        pipeline: As `load` returned it.
        source: Name of a source.

    Raises:
        UsageError: There is no such source.
    """
    return absolute(pipeline.source(source).path, folder=pipeline.folder)


def absolute(path: str, *, folder: Path) -> str:
    """A path as it stands when relative ones start from `folder`, without `.` and `..`.

    Example:
        >>> absolute("landing/./weather/*.csv", folder=Path("/pipelines"))
        '/pipelines/landing/weather/*.csv'
    """
    if url := _URL.fullmatch(path):
        return f"{url[1].lower()}://{url[2]}{posixpath.normpath(url[3] or '/')}".rstrip("/")
    start = glob.escape(str(folder.absolute()))  # only the path itself may hold wildcards
    # posixpath keeps two leading slashes, which no local file system needs
    return "/" + posixpath.normpath(posixpath.join(start, path)).lstrip("/")


def root_problem(root: str) -> str | None:
    """Why a root is refused, if it is."""
    if not root.strip():
        return "must not be empty"
    if _FORBIDDEN.search(root) or re.search(r"[*?\[\]]", root):
        return f"{shown(root)} must name one folder, without wildcards, `\\` and braces"
    return _store_problem(root)


def path_problem(path: str, *, roots: tuple[str, ...], folder: Path) -> str | None:
    """Why the path of a source is refused, if it is."""
    if not path.strip():
        return "must not be empty"
    if "${" in path or not roots:
        return None  # a variable without a value, or no roots: told there
    if _FORBIDDEN.search(path):
        return f"{shown(path)} must have no wildcards but *, ? and [...]"
    place = absolute(path, folder=folder)
    tops = [absolute(root, folder=folder).rstrip("/") for root in roots if not root_problem(root)]
    if any(place.startswith(f"{top}/") for top in tops):
        return _store_problem(path)
    return _store_problem(path) or f"{shown(path)} lies under none of `roots`: {', '.join(roots)}"


def _store_problem(path: str) -> str | None:
    url = _URL.fullmatch(path)
    if url is None:
        return None
    if url[1].lower() not in STORES:
        return f"no object store {shown(url[1])}{near(url[1], STORES)}"
    if not url[2] or "@" in url[2]:
        return f"{shown(path)} must name a bucket, without a user or password"
    return None

"""What lies in a landing folder, and which of it makes the next batches."""

from __future__ import annotations

import glob
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import NoReturn, TypeVar

import pyarrow as pa

from headrace.errors import UnreadableInput
from headrace.lake import remembered, stores
from headrace.lake.commit import append, application_id
from headrace.lake.data_files import DataFile
from headrace.lake.fingerprint import DIGEST_LENGTH, digest
from headrace.lake.lines import Inspected
from headrace.lake.paths import Lake
from headrace.lake.stores import Place
from headrace.lake.table import Table

STABLE_S = 2.0  # a file is taken when size and time stayed the same for so long

_FILES = pa.schema(
    [
        ("source", pa.string()),
        ("batch", pa.string()),
        ("file", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("sha256", pa.string()),
        ("columns", pa.list_(pa.string())),
        ("problem", pa.string()),
        ("seen_at", pa.timestamp("us", "UTC")),
    ]
)
_REMEMBERED = ("file", "size", "mtime_ns", "sha256", "columns", "problem", "batch")


@dataclass(frozen=True)
class LandingFile:
    """A file in the landing folder.

    Attributes:
        path: Where it is.
        name: Its path below the parent of its source's folder, such as `weather/2013-01.csv`; the
            `_file` of rows.
        size: In bytes.
        mtime_ns: Modification time, in nanoseconds since 1970; of an object, in whole seconds.
        sha256: Of its bytes.
        columns: Of its header.
        problem: Why it cannot be read at all, or None.
    """

    path: Place
    name: str
    size: int
    mtime_ns: int
    sha256: str
    columns: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True)
class Batch:
    """Files of a source that are ingested and published together.

    Attributes:
        id: First 32 hex digits of SHA-256 over the sorted digests of its files.
        files: In order of name.
        registered: It stands in the lake's table of files already.
    """

    id: str
    files: tuple[LandingFile, ...]
    registered: bool


@dataclass(frozen=True)
class Landing:
    """What a source's folder holds, against what the lake knows.

    Attributes:
        pending: Batches that silver does not hold yet, oldest first.
        published: Number of files whose batch silver holds.
        set_aside: Files that cannot be read at all, known ones included.
        new_problems: Those of `set_aside` that the lake does not know yet.
        growing: Names of files that changed between two looks; a later run takes them.
    """

    pending: tuple[Batch, ...]
    published: int
    set_aside: tuple[LandingFile, ...]
    new_problems: tuple[LandingFile, ...]
    growing: tuple[str, ...]


def batch_id(files: Sequence[LandingFile]) -> str:
    """The id of a batch: the same content has the same id, whatever its files are called."""
    digests = ",".join(sorted({file.sha256 for file in files}))
    return hashlib.sha256(digests.encode()).hexdigest()[:DIGEST_LENGTH]


def look(
    lake: Lake, source: str, pattern: str, *, inspect: Callable[[Place], Inspected]
) -> Landing:
    """Finds the files of a source and sorts them into published, pending and unreadable.

    A file that the lake knows by name, size and modification time is not opened again. A young file
    is looked at twice, as it may still grow; an object in a store is complete when it appears.

    Args:
        lake: The lake.
        source: Name of the source.
        pattern: Absolute glob of its files, or a URL in an object store.
        inspect: Reads a file once; see `headrace.lake.lines.inspect`.

    Raises:
        UnreadableInput: The folder or bucket does not exist, or no file matches.
        Transient: The object store cannot be reached.
    """
    known = _known(lake, source)
    stable, growing = (
        (_stored(source, pattern), [])
        if stores.is_url(pattern)
        else _stable(_found(source, pattern), known)
    )
    with ThreadPoolExecutor() as pool:
        files = list(pool.map(lambda found: _file(found, known, inspect), stable))
    silver = Table.if_exists(lake.silver(source))
    done = silver.transactions if silver else {}
    batches = {
        batch: application_id(source, "check", batch) in done
        for entry in known.values()
        for batch in entry.batches
    }
    published = {
        sha for sha, owners in _owners(known).items() if any(batches[owner] for owner in owners)
    }
    readable = [file for file in files if file.problem is None]
    open_files = [file for file in readable if file.sha256 not in published]
    set_aside = tuple(file for file in files if file.problem is not None)
    return Landing(
        pending=_pending(open_files, known, {batch for batch, done in batches.items() if not done}),
        published=len(readable) - len(open_files),
        set_aside=set_aside,
        new_problems=tuple(
            file for file in set_aside if (file.name, file.size, file.mtime_ns) not in known
        ),
        growing=tuple(growing),
    )


def register(lake: Lake, source: str, landing: Landing, *, seen_at: datetime) -> None:
    """Writes new batches and unreadable files into the table of files, before anything else."""
    rows = [
        {
            "source": source,
            "batch": batch,
            "file": file.name,
            "size": file.size,
            "mtime_ns": file.mtime_ns,
            "sha256": file.sha256,
            "columns": list(file.columns),
            "problem": file.problem,
            "seen_at": seen_at,
        }
        for batch, file in [
            *(
                (batch.id, file)
                for batch in landing.pending
                if not batch.registered
                for file in batch.files
            ),
            *((None, file) for file in landing.new_problems),
        ]
    ]
    if rows:
        content = [{**row, "seen_at": None} for row in rows]
        append(
            lake.files,
            pa.Table.from_pylist(rows, _FILES),
            unit=application_id(source, "files", digest(content)),
        )


@dataclass(frozen=True)
class _Known:
    sha256: str
    columns: tuple[str, ...]
    problem: str | None
    batches: tuple[str, ...]


_AnyPath = TypeVar("_AnyPath", Path, PurePosixPath)
_Key = tuple[str, int, int]  # name, size, mtime_ns
_Found = tuple[Place, str, int, int]  # path, name, size, mtime_ns


def _known(lake: Lake, source: str) -> dict[_Key, _Known]:
    table = Table.if_exists(lake.files)
    if table is None:
        return {}
    files = [file for file in table.files if _may_hold(file, source)]

    def told(new: Sequence[DataFile]) -> Mapping[str, remembered.Rows]:
        return {file.path: _rows_of(table.arrow(files=[file]), source) for file in new}

    place = lake.cache / "files" / f"{source}.json"
    held = remembered.of_each(files, place, fields=1 + len(_REMEMBERED), work=told)
    known: dict[_Key, _Known] = {}
    rows = (row for file in files for row in held[file.path])
    for _, name, size, mtime_ns, sha256, columns, problem, batch in sorted(
        rows, key=lambda row: row[:2]
    ):
        key = (name, size, mtime_ns)
        before = known[key].batches if key in known else ()
        batches = (*before, batch) if batch else before
        known[key] = _Known(sha256, tuple(columns), problem, batches)
    return known


def _may_hold(file: DataFile, source: str) -> bool:
    least, greatest = file.least.get("source", source), file.greatest.get("source", source)
    return bool(least <= source <= greatest)


def _rows_of(rows: pa.Table, source: str) -> remembered.Rows:
    """The files of a source that could be opened; others may be readable now, though unchanged."""
    return [
        [row["seen_at"].isoformat(timespec="microseconds"), *(row[name] for name in _REMEMBERED)]
        for row in rows.to_pylist()
        if row["source"] == source and row["sha256"]
    ]


def _owners(known: Mapping[_Key, _Known]) -> dict[str, set[str]]:
    owners: dict[str, set[str]] = {}
    for entry in known.values():
        owners.setdefault(entry.sha256, set()).update(entry.batches)
    return owners


def _found(source: str, pattern: str) -> list[tuple[Path, str]]:
    folder = _folder(Path(pattern))
    if not folder.is_dir():
        message = "there is no landing folder"
        raise UnreadableInput(
            message,
            source=source,
            folder=folder,
            hint="make it, or mend `path` of the source",
        )
    paths = sorted(Path(found) for found in glob.glob(pattern, recursive=True))  # noqa: PTH207 - the pattern is absolute
    named = [
        (path, _readable((Path(folder.name) / path.relative_to(folder)).as_posix()))
        for path in paths
        if path.is_file() and _is_delivered(path.name)
    ]
    return named or _none(source, pattern)


def _stored(source: str, pattern: str) -> list[_Found]:
    folder = _folder(stores.key(pattern))
    found: list[_Found] = [
        (file, (folder.name / file.key.relative_to(folder)).as_posix(), *stat)
        for file, stat in stores.find(pattern, folder)
        if _is_delivered(file.name)
    ]
    return found or _none(source, pattern)


def _folder(pattern: _AnyPath) -> _AnyPath:
    """The folder before the first wildcard; `[*]` and the like are a character, and none."""
    texts = [re.sub(r"\[([*?[])\]", r"\1", part) for part in pattern.parts[:-1]]
    parts = zip(texts, pattern.parts, strict=False)
    fixed = takewhile(lambda pair: glob.escape(pair[0]) == pair[1], parts)
    return type(pattern)(*(text for text, _ in fixed))


def _is_delivered(name: str) -> bool:
    return not name.endswith(".done") and not name.startswith((".", "_"))


def _none(source: str, pattern: str) -> NoReturn:
    message = "no landing file matches"
    hint = "deliver a file, or mend `path` of the source"
    raise UnreadableInput(message, source=source, path=pattern, hint=hint)


def _readable(path: str) -> str:
    """The path with the bytes that are not UTF-8 written out."""
    return path.encode("utf-8", "backslashreplace").decode()


def _stable(
    found: Sequence[tuple[Path, str]], known: Mapping[_Key, _Known]
) -> tuple[list[_Found], list[str]]:
    """Files that can be taken, and names of growing ones; waits only for files this young."""
    first = [
        (path, name, *state)
        for path, name in found
        if (state := _size_and_time(path))  # one that was taken away since is no longer there
    ]
    young = {
        name
        for path, name, size, mtime_ns in first
        if (name, size, mtime_ns) not in known
        and time.time_ns() - mtime_ns < STABLE_S * 1e9
        and not path.with_name(path.name + ".done").exists()
    }
    if young:
        time.sleep(STABLE_S)
    growing = [
        name
        for path, name, *state in first
        if name in young and _size_and_time(path) != tuple(state)
    ]
    return [item for item in first if item[1] not in growing], growing


def _size_and_time(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _file(
    found: _Found, known: Mapping[_Key, _Known], inspect: Callable[[Place], Inspected]
) -> LandingFile:
    path, name, size, mtime_ns = found
    folders = len(PurePosixPath(name).parts) - 2  # between the source's own and the file
    if isinstance(path, Path) and any(
        each.is_symlink() for each in (path, *path.parents[:folders])
    ):
        problem = "it is, or lies behind, a symbolic link, which may lead anywhere: deliver a file"
        return LandingFile(path, name, size, mtime_ns, "", (), problem)
    if _readable(path.as_posix()) != path.as_posix():
        problem = "its path is not UTF-8: give it another name"
        return LandingFile(path, name, size, mtime_ns, "", (), problem)
    seen = known.get((name, size, mtime_ns)) or inspect(path)
    return LandingFile(path, name, size, mtime_ns, seen.sha256, seen.columns, seen.problem)


def _pending(
    files: Sequence[LandingFile], known: Mapping[_Key, _Known], unpublished: set[str]
) -> tuple[Batch, ...]:
    """Unpublished batches whose files are all there stay; the rest is one new batch."""
    by_digest = {file.sha256: file for file in reversed(files)}  # the same bytes twice count once
    members: dict[str, set[str]] = {}
    for entry in known.values():
        for batch in entry.batches:
            if batch in unpublished:
                members.setdefault(batch, set()).add(entry.sha256)
    pending: list[Batch] = []
    left = dict(by_digest)
    for batch, digests in members.items():
        if digests <= left.keys():
            chosen = sorted((left.pop(sha) for sha in digests), key=lambda file: file.name)
            pending.append(Batch(batch, tuple(chosen), registered=True))
    if left:
        rest = sorted(left.values(), key=lambda file: file.name)
        pending.append(Batch(batch_id(rest), tuple(rest), registered=False))
    return tuple(pending)

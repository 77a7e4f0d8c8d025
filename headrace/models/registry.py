"""Where models are kept and which is champion: files, record, then alias by compare-and-set."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.errors import CorruptArtifact, HeadraceError, UsageError
from headrace.lake import Lake, Table, application_id, commit, stage_file
from headrace.models.formats import FORMATS
from headrace.models.model import Model, digest_of, file_digests
from headrace.spec.fields import NAME

CHAMPION = "champion"
_RECORD = "record.json"
_FILES = {
    *("encoding.json", "recipe.json", "classes.json", "calibration.json", "decision.json"),
    *(f"model{form.suffix}" for form in FORMATS.values()),
}
_MOST_BYTES, _MOST_BYTES_OF_A_RECORD = 2**31, 2**24
_DIGEST = re.compile(r"[0-9a-f]{32}")
_MOMENT = pa.timestamp("us", "UTC")
_ALIASES = pa.schema(
    [
        ("pipeline", pa.string()),
        ("alias", pa.string()),
        ("model", pa.string()),
        ("moment", _MOMENT),
        ("previous", pa.string()),
        ("decision", pa.string()),
        ("run", pa.string()),
        ("decided_at", _MOMENT),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Alias:
    """One row of `aliases`: from `moment` on, `alias` means `model`.

    Attributes:
        pipeline: The pipeline.
        alias: `champion`.
        model: Digest of the model.
        moment: From which moment on it holds: the training moment of the model.
        previous: Digest of the model that held before, or None.
        decision: Why, in a sentence.
        run: The run that decided.
        decided_at: When it did.
    """

    pipeline: str
    alias: str
    model: str
    moment: datetime
    previous: str | None
    decision: str
    run: str
    decided_at: datetime


@dataclass(frozen=True)
class Aliases:
    """The champions of a pipeline, as one version of the table has them.

    Attributes:
        rows: In the order in which they hold.
        recorded: What a promotion must still find there; see `promote`.
    """

    rows: tuple[Alias, ...]
    recorded: int

    def champion(
        self, *, at: datetime | None = None, before: datetime | None = None
    ) -> Alias | None:
        """The newest champion, of a moment not after `at`, or earlier than `before`."""
        held = [
            row
            for row in self.rows
            if (at is None or row.moment <= at) and (before is None or row.moment < before)
        ]
        return held[-1] if held else None


def store(lake: Lake, model: Model, record: Mapping[str, Any]) -> str:
    """Writes a model's files, then its record; a model that is there already is left as it is.

    Args:
        lake: The lake.
        model: What `load` shall give back.
        record: JSON values to tell of it; its digest and files are added.

    Returns:
        The model's digest.
    """
    files = model.files()
    digests = file_digests(files)
    name = digest_of(digests)
    folder = lake.models(model.recipe.pipeline) / name
    if (folder / _RECORD).exists():
        return name
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**record, "model": name, "files": digests, "recipe": vars(model.recipe)}
    for file, content in files.items():
        write_whole(folder / file, content)
    write_whole(folder / _RECORD, json.dumps(whole, indent=1, sort_keys=True).encode())
    return name


def load(lake: Lake, pipeline: str, model: str) -> Model:
    """Reads a model after checking every digest.

    Raises:
        UsageError: There is no such model.
        CorruptArtifact: A file is not what its digest says.
    """
    told = record(lake, pipeline, model)
    folder = lake.models(pipeline) / model
    strangers = sorted(told["files"].keys() - _FILES)
    if strangers:
        message = f"{strangers[0][:60]!r} is of no format that a model is kept in"
        raise _corrupt(message, folder)
    files = {name: _read(folder / name) for name in told["files"]}
    found = file_digests(files)
    wrong = sorted(name for name in found if found[name] != told["files"][name])
    if wrong or digest_of(found) != model:
        message = f"{', '.join(wrong or [_RECORD])}: the content is not what its digest says"
        raise _corrupt(message, folder)
    try:
        loaded = Model.from_files(files, record=told)
    except HeadraceError:
        raise
    except Exception as error:  # whatever a library makes of content that it did not write
        message = f"these are not the files of a model: {error!r}"
        raise _corrupt(message, folder) from error
    if loaded.recipe.pipeline != pipeline or told.get("recipe") != vars(loaded.recipe):
        message = "the record and the recipe are not of this pipeline and this model"
        raise _corrupt(message, folder)
    return loaded


def record(lake: Lake, pipeline: str, model: str) -> dict[str, Any]:
    """What `record.json` tells of a model.

    Raises:
        UsageError: There is no such model.
        CorruptArtifact: The record is not one of this model.
    """
    named = NAME.fullmatch(pipeline) and _DIGEST.fullmatch(model)
    folder = lake.models(pipeline) / model
    if not named or not (folder / _RECORD).exists():
        message = f"no model {model!r}"
        raise UsageError(
            message,
            pipeline=repr(pipeline),
            hint="`headrace models` lists those that are there",
        )
    try:
        told: dict[str, Any] = json.loads(_read(folder / _RECORD))
        if told["model"] != model or not isinstance(told["files"], dict):
            message = "the record is of another model"
            raise _corrupt(message, folder)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        message = f"the record cannot be read: {error!r}"
        raise _corrupt(message, folder) from error
    return told


def aliases(lake: Lake, pipeline: str) -> Aliases:
    """The champions of a pipeline so far; none where nothing was ever promoted."""
    table = Table.if_exists(lake.aliases)
    if table is None:
        return Aliases((), 0)
    rows = [
        Alias(**row)
        for row in table.arrow([field.name for field in fields(Alias)]).to_pylist()
        if row["pipeline"] == pipeline and row["alias"] == CHAMPION
    ]
    rows.sort(key=lambda row: (row.moment, row.decided_at))
    return Aliases(tuple(rows), table.recorded(_unit(pipeline)) or 0)


def promotions(lake: Lake, pipeline: str) -> tuple[Alias, ...]:
    """Every champion of a pipeline so far, in the order in which they hold."""
    return aliases(lake, pipeline).rows


def champion(lake: Lake, pipeline: str, *, at: datetime | None = None) -> Alias | None:
    """The champion as of a moment: no interval meets a model that has seen its future."""
    return aliases(lake, pipeline).champion(at=at)


def promote(lake: Lake, alias: Alias, *, seen: Aliases) -> int:
    """Makes a model champion, unless someone else has promoted since `seen` was read.

    Returns:
        The version of the table.

    Raises:
        CommitConflict: Someone has; decide again.
    """
    row = pa.Table.from_pylist([vars(alias)], schema=_ALIASES)
    committed = commit(
        lake.aliases,
        [stage_file(lake.aliases, row)],
        schema=_ALIASES,
        unit=_unit(alias.pipeline),
        recorded=seen.recorded,
        repeatable=True,
    )
    return committed.version


def _unit(pipeline: str) -> str:
    return application_id(pipeline, "alias", CHAMPION)


def _read(path: Path) -> bytes:
    """The content of a plain file: a link, a pipe or a device would be read from elsewhere."""
    most = _MOST_BYTES_OF_A_RECORD if path.name == _RECORD else _MOST_BYTES
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                message = f"{path.name} is no plain file"
                raise _corrupt(message, path.parent)
            if found.st_size > most:
                message = f"{path.name} is larger than {most:,} bytes, which no model needs"
                raise _corrupt(message, path.parent)
            return file.read()
    except OSError as error:
        link = error.errno == errno.ELOOP
        message = f"{path.name} is a link" if link else f"a file cannot be read: {error}"
        raise _corrupt(message, path.parent) from error


def write_whole(path: Path, content: bytes) -> None:
    """Writes a whole file or none, and syncs it: a record never stands beside half a model."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _corrupt(message: str, folder: Path) -> CorruptArtifact:
    return CorruptArtifact(
        message, model=folder, hint="restore the folder from a backup, or train again"
    )

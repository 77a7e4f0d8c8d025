"""The lake: table names, reading by version as Arrow, fingerprints, the commit protocol."""

from headrace.lake.commit import (
    NO_TABLE,
    Committed,
    StagedFile,
    append,
    application_id,
    commit,
    exclusive,
    next_version,
    stage_file,
    version_of,
)
from headrace.lake.fingerprint import digest
from headrace.lake.paths import Lake
from headrace.lake.table import DataFile, Table

__all__ = [
    "NO_TABLE",
    "Committed",
    "DataFile",
    "Lake",
    "StagedFile",
    "Table",
    "append",
    "application_id",
    "commit",
    "digest",
    "exclusive",
    "next_version",
    "stage_file",
    "version_of",
]

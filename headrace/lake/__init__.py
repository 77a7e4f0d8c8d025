"""The lake: table names, reading by version as Arrow, fingerprints, the commit protocol."""

from headrace.lake.commit import (
    NO_TABLE,
    Committed,
    append,
    application_id,
    commit,
    exclusive,
    next_version,
    version_of,
)
from headrace.lake.data_files import DataFile
from headrace.lake.fingerprint import digest
from headrace.lake.paths import Lake
from headrace.lake.staged import StagedFile, stage_file
from headrace.lake.table import Table

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

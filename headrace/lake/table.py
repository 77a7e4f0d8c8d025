"""Reading a Delta table by version as Arrow, without an engine.

Page checksums are verified, and footers, sizes and row counts held against the log; no row filter
is pushed down, since delta-rs loses rows that way where a float is infinite.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import log
from headrace.lake.data_files import DataFile, data_files, footer_digest, stands_in_its_folder

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

_VERIFIED = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)
_NAMED_DIGEST = re.compile(r"-([0-9a-f]{16})\.zstd\.parquet$")
BATCH_ROWS = 65_536
_BUFFER = 2**18  # bytes read ahead of a column, where a file is read batch by batch
_READ_FEATURES = {"timestampNtz"}  # others change what a data file means: some rows are deleted


class Table:
    """A Delta table at one version; the newest if none is given. It never changes once opened.

    Args:
        path: The table's folder.
        version: The version to open.

    Raises:
        UsageError: No table, or no such version of it, stands there.
        CorruptArtifact: Its log cannot be read.
    """

    def __init__(self, path: Path, version: int | None = None) -> None:
        self.path = path
        self._refuse_an_emptied_log(version)
        try:
            with log.read(path):
                self.delta = DeltaTable(path.as_posix(), version=version)
        except TableNotFoundError as error:
            message = "no table here" if version is None else f"no version {version} of this table"
            raise UsageError(
                message,
                table=path,
                hint="`headrace run` makes the tables of a pipeline",
            ) from error
        self.version: int = self.delta.version()
        features = set(self.delta.protocol().reader_features or ()) - _READ_FEATURES
        if features:
            message = f"the table needs readers that know {', '.join(sorted(features))}"
            raise UsageError(message, table=path, hint="write it anew without these features")

    def _refuse_an_emptied_log(self, version: int | None) -> None:
        """A commit file of no bytes, as a full disk leaves it, reads as a commit of nothing."""
        commits = (file for file in log.files(self.path, version) if file.suffix == ".json")
        emptied = [file.name for file in commits if not file.stat().st_size]
        if emptied:
            message = f"its log has a commit of no bytes: {emptied[0]}"
            raise CorruptArtifact(message, table=self.path, hint=log.RESTORE)

    @staticmethod
    def exists(path: Path) -> bool:
        """Whether a Delta table stands at `path`."""
        return bool(log.files(path))

    @classmethod
    def if_exists(cls, path: Path) -> Table | None:
        """The newest version of the table at `path`, or None.

        To open one costs some 10 ms, so it is shared for as long as its log stays as it is.
        """
        state = tuple((file.name, *_marks(file)) for file in log.files(path))
        return _newest(path, state) if state else None

    @classmethod
    def at(cls, path: Path, version: int | None = None) -> Table:
        """The table at a version, shared as by `if_exists` where that is the newest.

        Raises:
            UsageError: No table, or no such version of it, stands there.
            CorruptArtifact: Its log cannot be read.
        """
        newest = cls.if_exists(path)
        return newest if newest and version in {None, newest.version} else cls(path, version)

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns and types, partition columns included."""
        with log.read(self.path):
            return pa.schema(self.delta.schema())

    @cached_property
    def partition_by(self) -> tuple[str, ...]:
        """The partition columns."""
        return tuple(self.delta.metadata().partition_columns)

    @cached_property
    def files(self) -> tuple[DataFile, ...]:
        """The data files of this version, sorted by path; read from the log alone."""
        with log.read(self.path):
            told = pa.table(self.delta.get_add_actions(flatten=True))
        return tuple(sorted(data_files(told), key=lambda file: file.path))

    @cached_property
    def transactions(self) -> Mapping[str, int]:
        """Application transaction id -> the version recorded for it.

        Read from the log at once: delta-rs tells of one id at a time, and reads it for each.
        """
        return log.transactions(self.path, self.version)

    def recorded(self, unit: str) -> int | None:
        """The version recorded for an application transaction id, or None if it never committed."""
        return self.transactions.get(unit)

    def arrow(
        self,
        columns: Sequence[str] | None = None,
        *,
        partitions: Mapping[str, Collection[Any]] | None = None,
        files: Collection[DataFile] | None = None,
    ) -> pa.Table:
        """Reads rows, files in order of path.

        Args:
            columns: The columns, in this order; all if None.
            partitions: Partition column -> values to keep.
            files: Read only these of `self.files`.

        Raises:
            UsageError: A column is not in the table.
            CorruptArtifact: A data file is missing, fails its checksums, or is not the one that the
                log tells of.
        """
        chosen = [
            file
            for file in (self.files if files is None else files)
            if _within(file, partitions or {})
        ]
        missing = [name for name in columns or () if name not in self.schema.names]
        if missing:
            message = f"no column {', '.join(missing)}"
            raise UsageError(
                message,
                table=self.path,
                hint=f"there are {', '.join(self.schema.names)}",
            )
        try:
            self.check(chosen)
            dataset = ds.FileSystemDataset.from_paths(
                [(self.path / file.path).as_posix() for file in chosen],
                schema=self.schema,
                format=_VERIFIED,
                filesystem=pafs.LocalFileSystem(),
                partitions=[_as_expression(file.partition, self.schema) for file in chosen],
            )
            rows = dataset.to_table(columns=list(columns) if columns is not None else None)
        except (OSError, pa.ArrowException) as error:
            message = f"a data file cannot be read: {error}"
            raise self._corrupt(message) from error
        told = [file.rows for file in chosen if file.rows is not None]
        if len(told) == len(chosen) and sum(told) != rows.num_rows:
            message = f"{rows.num_rows:,} rows, and the log tells of {sum(told):,}"
            raise self._corrupt(message)
        return rows

    def batches(
        self, columns: Sequence[str], *, files: Collection[DataFile], rows: int = BATCH_ROWS
    ) -> Iterator[pa.Table]:
        """Reads rows as `arrow` does, a few at a time: no file is ever held as a whole.

        Args:
            columns: The columns, in this order.
            files: Read only these of `self.files`, in this order.
            rows: The most of one batch.

        Raises:
            CorruptArtifact: A data file is missing, fails its checksums, or is not the one that the
                log tells of.
        """
        for file in files:
            self.check([file])
            read = 0
            try:
                with pq.ParquetFile(
                    self.path / file.path,
                    page_checksum_verification=True,
                    buffer_size=_BUFFER,
                    pre_buffer=False,  # else whole row groups are held
                ) as parquet:
                    held = [name for name in columns if name in parquet.schema_arrow.names]
                    for batch in parquet.iter_batches(rows, columns=held, use_threads=False):
                        read += batch.num_rows
                        yield self._whole(batch, columns, file)
            except pa.ArrowMemoryError:  # an error of Arrow's, too, and no fault of the file
                raise
            except (OSError, pa.ArrowException) as error:
                message = f"a data file cannot be read: {error}"
                raise self._corrupt(message, file=file.path) from error
            if file.rows is not None and read != file.rows:
                message = f"{read:,} rows, and the log tells of {file.rows:,}"
                raise self._corrupt(message, file=file.path)

    def _whole(self, batch: pa.RecordBatch, columns: Sequence[str], file: DataFile) -> pa.Table:
        """The rows of a file with the columns that it lacks: those of its partition, and nulls."""
        arrays = []
        for name in columns:
            kind = self.schema.field(name).type
            if name in batch.schema.names:
                arrays.append(batch.column(name).cast(kind))
            else:
                value = pa.scalar(file.partition.get(name), kind)
                arrays.append(pa.repeat(value, batch.num_rows))
        return pa.table(arrays, schema=pa.schema([self.schema.field(name) for name in columns]))

    def rows_by_batch(self, batches: Collection[str]) -> Counter[str]:
        """Rows of each of the batches; files of one batch are counted from the log alone.

        Raises:
            CorruptArtifact: A file of several batches cannot be read.
        """
        counted: Counter[str] = Counter()
        mixed = []
        for file in self.files:
            batch = file.batch
            if batch is None or file.rows is None:
                mixed.append(file)
            elif batch in batches:
                counted[batch] += file.rows
        found = pc.value_counts(self.arrow(["_batch"], files=mixed)["_batch"]) if mixed else ()
        for entry in found:
            if entry["values"].as_py() in batches:
                counted[entry["values"].as_py()] += entry["counts"].as_py()
        return counted

    def check(self, files: Collection[DataFile] | None = None) -> None:
        """Holds data files against the log, all but their pages, which are checked when read.

        An engine that reads the files by itself verifies pages at best: a flipped bit in a footer
        renames a column, and a column that a file lacks is null.

        Args:
            files: Only these of `self.files`.

        Raises:
            CorruptArtifact: A file is missing, or is not the one that was committed.
        """
        for file in self.files if files is None else files:
            try:
                wrong = self._wrong_with(file)
            except (OSError, ValueError, pa.ArrowException) as error:
                message = f"a data file cannot be read: {error}"
                raise self._corrupt(message) from error
            if wrong:
                raise self._corrupt(wrong, file=file.path)

    def _wrong_with(self, file: DataFile) -> str:
        relative, path = Path(file.path), self.path / file.path
        if relative.is_absolute() or ".." in relative.parts:
            return "the log tells of a file outside of the table"
        size = path.stat().st_size
        if size != file.size:
            return f"a data file has {size:,} bytes, and the log tells of {file.size:,}"
        digest = _NAMED_DIGEST.search(relative.name)
        if digest and digest[1] != footer_digest(path):
            return "a data file's footer is not the one that its name tells of"
        if digest and not stands_in_its_folder(file):
            return "a data file stands in the folder of another partition than its log tells of"
        unknown = set(pq.read_schema(path).names) - set(self.schema.names)
        return f"the log does not know a file's column {', '.join(unknown)}" if unknown else ""

    def _corrupt(self, message: str, *, file: str | None = None) -> CorruptArtifact:
        return CorruptArtifact(
            message,
            table=self.path,
            version=self.version,
            file=file,
            hint="restore it from a backup, or rebuild the table",
        )

    def pandas(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """`arrow` as a pandas frame."""
        frame: pd.DataFrame = self.arrow(columns).to_pandas()
        return frame

    def polars(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """`arrow` as a polars frame; needs the extra `polars`."""
        try:
            import polars as pl
        except ImportError as error:
            message = "polars is not installed"
            raise UsageError(message, hint="install headrace[polars]") from error
        return pl.DataFrame(self.arrow(columns))


@lru_cache(maxsize=64)
def _newest(path: Path, _state: tuple[object, ...]) -> Table:
    return Table(path)


def _marks(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _within(file: DataFile, partitions: Mapping[str, Collection[Any]]) -> bool:
    return all(file.partition[column] in values for column, values in partitions.items())


def _as_expression(partition: Mapping[str, Any], schema: pa.Schema) -> ds.Expression:
    expression = ds.scalar(True)
    for column, value in partition.items():
        field = ds.field(column)
        same = (
            field.is_null()
            if value is None
            else field == pa.scalar(value, schema.field(column).type)
        )
        expression = expression & same
    return expression

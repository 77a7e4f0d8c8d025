r"""Landing files as bytes: digest and header in one pass, numbered lines as Arrow batches.

A line ends at `\n` (a `\r` before it is dropped): no newlines inside a cell. Nothing is parsed
here.
"""

from __future__ import annotations

import csv
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake.stores import Place, place

_CHUNK_BYTES = 1 << 20
_SPLIT_BYTES = 64 << 20
LONGEST_LINE_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\x28\xb5\x2f\xfd": "a zstd file",
}

LINES = pa.schema([("_row", pa.int64()), ("_raw", pa.string()), ("_problem", pa.string())])


@dataclass(frozen=True)
class Inspected:
    """What one pass over a file tells.

    Attributes:
        sha256: Of the bytes as they are on disk; 64 hex digits, empty if the file cannot be opened.
        columns: The names in its first line.
        problem: Why the file cannot be read at all, or None.
    """

    sha256: str
    columns: tuple[str, ...]
    problem: str | None


@dataclass(frozen=True)
class Split:
    """A part of a file from `start` to `end`, which is None for the whole rest.

    They are bytes at a line's end; of a Parquet file, row groups.
    """

    path: str
    start: int
    end: int | None
    first_row: int


class _CutGzip(Exception):
    pass


def inspect(path: Place, *, delimiter: str = ",", quote: str = '"') -> Inspected:
    """Reads a file once: its digest, its header, and whether it can be read line by line."""
    sha256, header, problem = first_line(path)
    if problem is None and not header:
        problem = "the file is empty: it has not even a header"
    if problem is not None:
        return Inspected(sha256, (), problem)
    try:
        first = header.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        return Inspected(sha256, (), f"its first line is not UTF-8 (byte {error.start})")
    try:
        names = next(csv.reader([first], delimiter=delimiter, quotechar=quote), [])
    except csv.Error as error:
        return Inspected(sha256, (), f"its header cannot be read: {error}")
    return Inspected(sha256, tuple(name.strip() for name in names), None)


def first_line(path: Place) -> tuple[str, bytes, str | None]:
    """Reads a file once: its digest, its first line, and why it has no lines to read, or None."""
    sha = hashlib.sha256()
    try:
        with path.open("rb") as file:
            header, problem = _header(_chunks(file, packed=path.suffix == ".gz", digest=sha))
    except _CutGzip:
        return sha.hexdigest(), b"", "the gzip is cut or damaged"
    except OSError as error:
        return "", b"", error.strerror or str(error)
    return sha.hexdigest(), header, problem


def splits(path: Place) -> list[Split]:
    """Cuts a file at line ends into parts of about 64 MiB; a gzip stays whole."""
    whole = [Split(path.as_posix(), 0, None, 1)]
    if path.suffix == ".gz" or path.stat().st_size <= _SPLIT_BYTES * 3 // 2:
        return whole
    parts: list[Split] = []
    start, row, position, seen = 0, 1, 0, 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            last = chunk.rfind(b"\n")
            if last >= 0 and position + last - start >= _SPLIT_BYTES:
                seen += chunk.count(b"\n", 0, last + 1)
                parts.append(Split(path.as_posix(), start, position + last + 1, row))
                start, row = position + last + 1, row + seen
                seen = chunk.count(b"\n", last + 1)
            else:
                seen += chunk.count(b"\n")
            position += len(chunk)
    if start < position:
        parts.append(Split(path.as_posix(), start, None, row))
    return parts


def read(split: Split, *, header: bool = True) -> Iterator[pa.RecordBatch]:
    """The data lines of a split as `LINES`: number (the first is 1), text, what is wrong.

    Empty lines are no rows. A line that is not UTF-8, or holds a NUL, keeps its number and gets a
    `_problem`.
    """
    row = split.first_row
    with place(split.path).open("rb") as file:
        file.seek(split.start)
        length = None if split.end is None else split.end - split.start
        chunks = _chunks(file, packed=split.path.endswith(".gz"), length=length)
        for block in _whole_lines(chunks):
            text = block.removeprefix(_BOM) if row == 1 else block
            batch, lines = _batch(text, row, header=header)
            row += lines
            if batch.num_rows:
                yield batch


def _header(chunks: Iterator[bytes]) -> tuple[bytes, str | None]:
    header, run, problem, first = b"", 0, None, True
    for chunk in chunks:
        if first:
            problem = next(
                (f"it is {kind}" for magic, kind in _FOREIGN.items() if chunk.startswith(magic)),
                None,
            )
        if not header or b"\n" not in header:
            header += chunk[: LONGEST_LINE_BYTES if first else _CHUNK_BYTES]
        end = chunk.rfind(b"\n")
        run = run + len(chunk) if end < 0 else len(chunk) - end
        if run > LONGEST_LINE_BYTES and problem is None:
            problem = f"it has a line longer than {LONGEST_LINE_BYTES >> 20} MiB"
        if problem is not None and run > LONGEST_LINE_BYTES:
            header = b"\n"
        first = False
    return header.split(b"\n", 1)[0].rstrip(b"\r"), problem


def _chunks(
    file: BinaryIO,
    *,
    packed: bool,
    digest: hashlib._Hash | None = None,
    length: int | None = None,
) -> Iterator[bytes]:
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if packed else None
    while chunk := file.read(_CHUNK_BYTES if length is None else min(_CHUNK_BYTES, length)):
        if length is not None:
            length -= len(chunk)
        if digest is not None:
            digest.update(chunk)
        if unpack is None:
            yield chunk
            continue
        rest = chunk
        while rest:
            if unpack.eof:  # gzip members may follow one another
                unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                text = unpack.decompress(rest, _CHUNK_BYTES)
            except zlib.error as error:
                raise _CutGzip from error
            rest = unpack.unused_data if unpack.eof else unpack.unconsumed_tail
            if text:
                yield text
    if unpack is not None and not unpack.eof:
        raise _CutGzip


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    carry = b""
    for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end < 0:
            carry += chunk
            continue
        yield carry + chunk[: end + 1]
        carry = chunk[end + 1 :]
    if carry:
        yield carry


def _batch(block: bytes, first_row: int, *, header: bool) -> tuple[pa.RecordBatch, int]:
    """Lines of a block, and how many there were, empty ones and the header included."""
    try:
        block.decode()
        plain = b"\0" not in block
    except UnicodeDecodeError:
        plain = False
    raw, problem = _plain_lines(block) if plain else _odd_lines(block)
    rows = pa.array(np.arange(first_row, first_row + len(raw)), pa.int64())
    batch = pa.RecordBatch.from_arrays([rows, raw, problem], schema=LINES)
    keep = pc.not_equal(pc.binary_length(raw), 0)
    if header and first_row == 1:
        keep = pc.and_(keep, pc.not_equal(rows, 1))
    return batch.filter(keep), len(raw)


def _plain_lines(block: bytes) -> tuple[pa.Array, pa.Array]:
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(block):
        ends = np.append(ends, len(block))
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    lines = pa.Array.from_buffers(
        pa.string(), len(ends), [None, pa.py_buffer(offsets), pa.py_buffer(block)]
    )
    return pc.utf8_rtrim(lines, "\r\n"), pa.nulls(len(ends), pa.string())


def _odd_lines(block: bytes) -> tuple[pa.Array, pa.Array]:
    texts, problems = [], []
    for line in block.removesuffix(b"\n").split(b"\n"):
        text = line.rstrip(b"\r")
        try:
            decoded, problem = text.decode(), None
        except UnicodeDecodeError as error:
            decoded, problem = (
                text.decode(errors="backslashreplace"),
                f"is not UTF-8 at byte {error.start}",
            )
        if "\0" in decoded:
            decoded, problem = decoded.replace("\0", "\\x00"), problem or "holds a NUL byte"
        texts.append(decoded)
        problems.append(problem)
    return pa.array(texts, pa.string()), pa.array(problems, pa.string())

"""Which files belong together, and a sample of their rows as texts; no file is read whole."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headrace.errors import UnreadableInput, UsageError
from headrace.spec.fields import NAME

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
_HEAD_BYTES, _BLOCK_BYTES = 1 << 18, 1 << 16
_BLOCKS = 3  # of a large file, beside its head
_FILES = 5  # of a feed that are looked into
_MOST_ROWS = 4_000  # of a Parquet file
_DATED = re.compile(r"[\d\-_.]")  # a file whose name tells no more than when it came
_DELIMITERS = ",;\t|"

Cells = list[str | None]


@dataclass(frozen=True)
class Feed:
    """Files with the same columns, and a sample of their rows.

    Attributes:
        name: Of the source.
        format: `csv`, `json` or `parquet`.
        delimiter: Of a CSV file.
        folder: Where its files lie.
        pattern: Of their names.
        files: How many there are.
        columns: Column -> cells of the sample, as texts; None for a missing one.
        types: Column -> its type, where the format tells (Parquet).
        sampled: Whether some rows were not looked at.
    """

    name: str
    format: str
    delimiter: str
    folder: Path
    pattern: str
    files: int
    columns: dict[str, Cells]
    types: dict[str, str]
    sampled: bool

    @property
    def rows(self) -> int:
        """How many rows the sample has."""
        return max((len(cells) for cells in self.columns.values()), default=0)


def feeds(places: Sequence[Path]) -> list[Feed]:
    """The feeds of some files and folders, in order of name.

    Args:
        places: Files, and folders that are looked through.

    Raises:
        UnreadableInput: There is no file of a known kind.
        UsageError: A column cannot be declared.
    """
    found = sorted({path for place in places for path in _files(place)})
    if not found:
        message = "no file that ends with " + ", ".join(FORMATS)
        raise UnreadableInput(
            message,
            places=", ".join(map(str, places)),
            hint="name landing files, or the folder they lie in",
        )
    groups: dict[tuple[Path, str, str, tuple[str, ...]], list[Path]] = {}
    for path in found:
        kind = FORMATS[_suffix(path)]
        delimiter, names = _header(path, kind)
        groups.setdefault((path.parent, kind, delimiter, names), []).append(path)
    per_folder = [folder for folder, *_ in groups]
    asked = {place.absolute() for place in places}
    taken: set[str] = set()
    made = []
    for (folder, kind, delimiter, _), paths in groups.items():
        alone = per_folder.count(folder) == 1
        of_itself = len(paths) == 1 and paths[0] in asked and not _DATED.match(paths[0].name)
        name, pattern = _named(folder, paths, alone=alone and not of_itself)
        while name in taken:
            name = f"{name}_2"
        taken.add(name)
        columns, types, sampled = _sample(paths, kind, delimiter)
        _demand_names(columns, paths[0])
        made.append(
            Feed(
                name,
                kind,
                delimiter,
                folder.absolute(),
                pattern,
                len(paths),
                columns,
                types,
                sampled,
            )
        )
    return sorted(made, key=lambda feed: feed.name)


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        if _suffix(place) in FORMATS:
            yield place.absolute()
    elif place.is_dir():
        for path in place.rglob("*"):
            hidden = any(part.startswith((".", "_")) for part in path.relative_to(place).parts)
            if path.is_file() and not hidden and _suffix(path) in FORMATS:
                yield path.absolute()
    else:
        message = "there is no such file or folder"
        raise UnreadableInput(message, path=place, hint="name landing files, or their folder")


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _named(folder: Path, paths: Sequence[Path], *, alone: bool) -> tuple[str, str]:
    """The name of a source, and the pattern of its files."""
    ending = "".join(paths[0].suffixes[-2:] if paths[0].suffix == ".gz" else paths[0].suffixes[-1:])
    if alone:
        return _as_name(folder.name), f"*{ending}"
    letters = takewhile(
        lambda each: len(set(each)) == 1, zip(*(p.name for p in paths), strict=False)
    )
    stem = "".join(each[0] for each in letters)
    if len(paths) == 1:
        return _as_name(paths[0].name.partition(".")[0]), paths[0].name
    return _as_name(stem), f"{stem}*{ending}"


def _as_name(text: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "_", re.sub(r"[-_.]?\d[\d\-_.]*$", "", text.lower())).strip("_")
    name = plain if plain[:1].isalpha() else f"feed_{plain}".rstrip("_")
    return name[:63]


def _header(path: Path, kind: str) -> tuple[str, tuple[str, ...]]:
    """The delimiter, and the columns as far as the head of a file tells."""
    if kind == "parquet":
        try:
            return "", tuple(pq.read_schema(path).names)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
    lines = _lines(path, blocks=0)
    first = next(lines, "")
    if not first.strip():
        message = "the file is empty"
        raise UnreadableInput(message, file=path, hint="leave it out, or deliver it anew")
    if kind == "json":
        return "", ()  # a key that is left out is null: lines of one feed may differ
    second = next(lines, "")
    delimiter = max(
        _DELIMITERS,
        key=lambda each: (
            _width(first, each) == _width(second, each) and _width(first, each),
            first.count(each),
        ),
    )
    names = tuple(name.strip() for name in _split([first], delimiter)[0])
    twice = [name for number, name in enumerate(names) if name in names[:number]]
    if twice:
        message = f"column {twice[0]!r} stands twice in the header"
        hint = "deliver the file with each column named once"
        raise UnreadableInput(message, file=path, hint=hint)
    return delimiter, names


def _width(line: str, delimiter: str) -> int:
    return len(_split([line], delimiter)[0]) if line else 0


def _split(lines: Iterable[str], delimiter: str) -> list[list[str]]:
    return list(csv.reader(lines, delimiter=delimiter)) or [[]]


def _sample(
    paths: Sequence[Path], kind: str, delimiter: str
) -> tuple[dict[str, Cells], dict[str, str], bool]:
    chosen = _spread(paths)
    columns: dict[str, Cells] = {}
    types: dict[str, str] = {}
    sampled = len(chosen) < len(paths)
    for path in chosen:
        if kind == "parquet":
            table, whole = _parquet(path)
            sampled |= not whole
            types |= {field.name: _type_of(field.type, path, field.name) for field in table.schema}
            read = {name: _texts(table[name]) for name in table.column_names}
        else:
            sampled |= path.stat().st_size > _HEAD_BYTES or path.suffix == ".gz"
            lines = _lines(path, blocks=_BLOCKS)
            read = _of_csv(lines, delimiter) if kind == "csv" else _of_json(lines, path)
        length = max((len(cells) for cells in columns.values()), default=0)
        count = max((len(cells) for cells in read.values()), default=0)
        for name in dict.fromkeys([*columns, *read]):
            before = columns.setdefault(name, [None] * length)
            before += read.get(name, [None] * count)
    return columns, types, sampled


def _spread(paths: Sequence[Path]) -> list[Path]:
    """The first, the last, and some between."""
    if len(paths) <= _FILES:
        return list(paths)
    step = (len(paths) - 1) / (_FILES - 1)
    return [paths[round(step * n)] for n in range(_FILES)]


def _damaged(path: Path, error: Exception) -> UnreadableInput:
    message = f"the file cannot be read: {error}"
    return UnreadableInput(message, file=path, hint="leave it out, or deliver it anew")


def _lines(path: Path, *, blocks: int) -> Iterator[str]:
    """Whole lines of a file's head, and of some blocks further on."""
    try:
        yield from _lines_of(path, blocks=blocks)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, error) from error


def _lines_of(path: Path, *, blocks: int) -> Iterator[str]:
    with ExitStack() as stack:
        file: BinaryIO | gzip.GzipFile = stack.enter_context(path.open("rb"))
        if path.suffix == ".gz":
            file = stack.enter_context(gzip.open(file))
        head = file.read(_HEAD_BYTES + 1)
        large = len(head) > _HEAD_BYTES
        yield from _text(head.removeprefix(b"\xef\xbb\xbf"), path, cut=large)
        if not large or path.suffix == ".gz":
            return
        rest = path.stat().st_size - len(head)
        for n in range(1, blocks + 1):
            start = len(head) + max(rest * n // blocks - _BLOCK_BYTES, rest * (n - 1) // blocks)
            file.seek(start)  # blocks never overlap: a row that is read twice would spoil the key
            file.readline()  # it may have begun within a line
            yield from _text(
                file.read(len(head) + rest * n // blocks - file.tell()), path, cut=True
            )


def _text(content: bytes, path: Path, *, cut: bool) -> list[str]:
    whole = content[: content.rfind(b"\n") + 1] if cut else content
    try:
        return [line for line in whole.decode().splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        message = f"not UTF-8 (byte {error.start} of what was looked at)"
        raise UnreadableInput(message, file=path, hint="save it as UTF-8") from error


def _of_csv(lines: Iterator[str], delimiter: str) -> dict[str, Cells]:
    names = [name.strip() for name in _split([next(lines, "")], delimiter)[0]]
    rows = [row for row in csv.reader(lines, delimiter=delimiter) if len(row) == len(names)]
    return {name: [row[place] or None for row in rows] for place, name in enumerate(names)}


def _of_json(lines: Iterator[str], path: Path) -> dict[str, Cells]:
    rows = []
    for line in lines:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # a line that is torn goes to quarantine in a run
        if isinstance(row, dict):
            rows.append(row)
    if not rows:
        message = "no line of the file is a JSON object"
        raise UnreadableInput(message, file=path, hint="write one object per line")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [_json_text(row.get(name)) for row in rows] for name in names}


def _json_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def _parquet(path: Path) -> tuple[pa.Table, bool]:
    """Rows of the first and the last row group of a file, and whether these are all."""
    file = pq.ParquetFile(path)
    last = file.num_row_groups - 1
    parts = [next(file.iter_batches(_MOST_ROWS, row_groups=[n]), None) for n in {0, last} if n >= 0]
    batches = [part for part in parts if part is not None]
    table = pa.Table.from_batches(batches, schema=file.schema_arrow)
    return table, table.num_rows == file.metadata.num_rows


def _type_of(kind: pa.DataType, path: Path, column: str) -> str:
    types = pa.types
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "int" if kind.bit_width <= 32 and not types.is_uint32(kind) else "bigint"  # noqa: PLR2004  # bits
    if types.is_floating(kind) or types.is_decimal(kind):
        return "double"
    if types.is_date32(kind):
        return "date"
    if types.is_timestamp(kind):
        return "timestamp"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_dictionary(kind):
        return "string"
    message = f"a column of type {kind} cannot be declared"
    raise UsageError(message, file=path, column=column, hint="deliver plain columns")


def _texts(column: pa.ChunkedArray) -> Cells:
    if pa.types.is_timestamp(column.type):
        zoned = "Z" if column.type.tz else ""
        cells = column.cast(pa.timestamp("us")).to_pylist()
        return [None if cell is None else f"{cell.isoformat()}{zoned}" for cell in cells]
    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "true", "false")
    texts: Cells = column.cast(pa.string()).to_pylist()
    return texts


def _demand_names(columns: Iterable[str], path: Path) -> None:
    wrong = [name for name in columns if not NAME.fullmatch(name)]
    if wrong:
        message = f"column {wrong[0]!r} cannot be declared"
        raise UsageError(
            message,
            file=path,
            hint="a name is a lower-case letter, then letters, digits and _: rename it in the feed",
        )

"""Landing files as bytes and lines."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.lake import lines
from headrace.lake.lines import inspect, read, splits


@pytest.fixture
def file(tmp_path: Path):
    def write(content: bytes, name: str = "a.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


def rows(path: Path) -> list[tuple[int, str, str | None]]:
    found = [pa.Table.from_batches(read(split), lines.LINES) for split in splits(path)]
    return [tuple(row.values()) for row in pa.concat_tables(found).to_pylist()]


def test_digest_and_header_come_from_one_pass(file):
    content = b"\xef\xbb\xbfk,v\r\n1,2\r\n"
    found = inspect(file(content))
    assert found == lines.Inspected(hashlib.sha256(content).hexdigest(), ("k", "v"), None)


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"", "a.csv", "the file is empty"),
        (b"PAR1....", "a.csv", "it is a Parquet file"),
        ("k,v\n1,2\n".encode("utf-16"), "a.csv", "it is UTF-16 text"),
        (b"k,\xff\n1,2\n", "a.csv", "not UTF-8"),
        (gzip.compress(b"k,v\n" + b"1,2\n" * 999, mtime=0)[:-20], "a.csv.gz", "cut or damaged"),
        (b"k,v\n1,2\n", "a.csv.gz", "cut or damaged"),
        (b"k,v\n" + b"x" * (17 << 20), "a.csv", "longer than 16 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(file, content, name, problem):
    assert problem in (inspect(file(content, name)).problem or "")


def test_a_file_without_permission_or_name_says_why(tmp_path):
    assert inspect(tmp_path / "gone.csv").problem == "No such file or directory"


def test_lines_keep_their_number_and_text(file):
    assert rows(file(b"k,v\n1,2\r\n\n3,4")) == [(2, "1,2", None), (4, "3,4", None)]


def test_a_header_alone_has_no_rows(file):
    assert rows(file(b"k,v\n")) == []


def test_a_line_that_is_no_text_keeps_its_number_and_gets_a_problem(file):
    found = rows(file(b"k,v\n1,2\n\xff,3\na\0b,4\n5,6\n"))
    assert found == [
        (2, "1,2", None),
        (3, "\\xff,3", "is not UTF-8 at byte 0"),
        (4, "a\\x00b,4", "holds a NUL byte"),
        (5, "5,6", None),
    ]


def test_a_gzip_of_several_members_is_read_whole(file):
    packed = gzip.compress(b"k,v\n1,2\n") + gzip.compress(b"3,4\n")
    assert rows(file(packed, "a.csv.gz")) == [(2, "1,2", None), (3, "3,4", None)]


@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), max_size=30), max_size=60
    )
)
def test_splits_give_the_same_lines_as_the_whole(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("lines") / "a.csv"
    path.write_bytes("\n".join(["k", *texts]).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_SPLIT_BYTES", 64)
        patch.setattr(lines, "_CHUNK_BYTES", 32)
        cut, parts = rows(path), len(splits(path))
    assert cut == rows(path)
    assert cut == [(n, text, None) for n, text in enumerate(texts, 2) if text]
    assert parts >= path.stat().st_size // 400

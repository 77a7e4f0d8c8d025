"""Damaged tables: an error that says where, or the same rows; never a table silently different."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from headrace.errors import CorruptArtifact, UsageError
from headrace.lake import Table, append, commit, stage_file

DAYS = [date(2013, 12, day) for day in range(1, 6)]
ROWS = pa.table({"k": [1, 2, 3], "s": ["a", "", None]})
SCHEMA = ROWS.schema.append(pa.field("day", pa.date32()))
LAST = len(DAYS) - 1


def every_kind(first, count):
    """Rows of every kind of column that the stages write, NaN, infinity and null among them."""
    numbers = range(first, first + count)
    reals = [math.nan, math.inf, -math.inf, None, -0.0, 0.1]
    moment = datetime(2013, 12, 1, tzinfo=UTC)
    return pa.table(
        {
            "id": pa.array(numbers),
            "text": [None if n % 11 == 0 else "" if n % 7 == 0 else f"näme {n}" for n in numbers],
            "number": [None if n % 13 == 0 else (-1) ** n * n**7 for n in numbers],
            "real": [reals[n % 9] if n % 9 < len(reals) else n / 7 for n in numbers],
            "moment": pa.array(
                [None if n % 5 == 0 else moment + timedelta(microseconds=n) for n in numbers],
                pa.timestamp("us", "UTC"),
            ),
            "day": [None if n % 17 == 0 else date(2013, 1, 1) + timedelta(n) for n in numbers],
            "flag": [None if n % 3 == 0 else n % 2 == 0 for n in numbers],
            "words": pa.array(
                [None if n % 4 == 0 else [] if n % 6 == 0 else ["", None, "w"] for n in numbers],
                pa.list_(pa.string()),
            ),
        }
    )


def content(table, version=None):
    return str(Table(table, version).arrow().to_pylist())  # NaN is NaN in a text


def outcome(table, expected, version=None):
    try:
        return "same" if content(table, version) == expected else "silently different"
    except CorruptArtifact:
        return "refused"


def picked(population, count):
    return random.Random(7).sample(population, count)  # noqa: S311 - a failure must repeat


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def in_log(table, version):
    return table / "_delta_log" / f"{version:020}.json"


def edit(table, version, *, drop=(), **changes):
    """Changes fields of the add action of a commit, or drops actions."""
    path = in_log(table, version)
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        action.get("add", {}).update(changes)
    kept = [json.dumps(action) for action in actions if not action.keys() & set(drop)]
    path.write_text("\n".join(kept) + "\n")


@pytest.fixture
def table(tmp_path):
    """A table of five commits, a day each."""
    path = tmp_path / "table"
    for day in DAYS:
        file = stage_file(path, ROWS, partition={"day": day})
        commit(path, [file], schema=SCHEMA, unit=f"w/ingest/{day}", partition_by=["day"])
    return path


@pytest.fixture
def data_file(table):
    """The data file of the third commit."""
    return table / Table(table).files[2].path


def test_no_flipped_bit_of_a_data_file_passes_in_silence(tmp_path):
    table = tmp_path / "table"
    append(table, every_kind(0, 200), unit="a")
    old = content(table)
    append(table, every_kind(200, 100), unit="b")
    new = content(table)
    pinned = {file.path for file in Table(table, 0).files}
    paths = [table / file.path for file in Table(table).files]
    bits = [(path, bit) for path in paths for bit in range(path.stat().st_size * 8)]
    seen = Counter()
    for path, bit in picked(bits, 200):
        flip(path, bit)
        now, then = outcome(table, new), outcome(table, old, version=0)
        in_both = path.relative_to(table).as_posix() in pinned
        assert then == (now if in_both else "same"), (path, bit)
        seen[now] += 1
        flip(path, bit)
    assert outcome(table, new) == "same"
    assert seen["silently different"] == 0, seen
    assert seen["refused"] > 150, seen  # the rest hits what no reader uses, such as page statistics


def test_no_flipped_bit_of_a_footer_passes_in_silence(tmp_path):
    table = tmp_path / "table"
    append(table, every_kind(0, 30), unit="a")
    (file,) = Table(table).files
    path = table / file.path
    expected, data = content(table), path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for bit in picked(range(footer * 8, len(data) * 8), 300):
        flip(path, bit)
        assert outcome(table, expected) == "refused", bit
        flip(path, bit)


@pytest.mark.parametrize("part", [0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_data_file_is_refused(table, data_file, part):
    data = data_file.read_bytes()
    data_file.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(CorruptArtifact, match=r"the log tells of|cannot be read"):
        Table(table).arrow()


def test_a_missing_data_file_is_refused_and_the_others_read(table, data_file):
    data_file.unlink()
    with pytest.raises(CorruptArtifact, match="No such file"):
        Table(table).arrow()
    assert Table(table).arrow(partitions={"day": {DAYS[0]}}).num_rows == 3
    assert Table(table, 1).arrow().num_rows == 6


@pytest.mark.parametrize("where", ["before", "after", "between"])
def test_a_data_file_with_extra_bytes_is_refused(table, data_file, where):
    data = data_file.read_bytes()
    middle = len(data) // 2
    data_file.write_bytes(
        {
            "before": b"\0" + data,
            "after": data + b"\0",
            "between": data[:middle] + b"\0" + data[middle:],
        }[where]
    )
    with pytest.raises(CorruptArtifact, match="the log tells of"):
        Table(table).arrow()


def test_a_data_file_swapped_for_another_of_the_table_is_refused(table, data_file):
    other = stage_file(table, pa.table({"k": [7, 8, 9], "s": ["x", "", None]}))
    assert other.size == data_file.stat().st_size  # so that size and row count tell nothing
    shutil.copy(table / other.path, data_file)
    with pytest.raises(CorruptArtifact, match="footer is not the one"):
        Table(table).arrow()


def test_a_sound_file_of_another_table_under_a_foreign_name_is_held_against_its_size(tmp_path):
    table = tmp_path / "table"
    append(table, ROWS, unit="a")
    DeltaTable(table.as_posix()).optimize.compact()
    append(table, ROWS, unit="b")
    DeltaTable(table.as_posix()).optimize.compact()
    (file,) = Table(table).files  # of delta-rs's own, whose name carries no digest
    shutil.copy(table / Table(table, 0).files[0].path, table / file.path)
    with pytest.raises(CorruptArtifact, match="bytes, and the log tells of"):
        Table(table).arrow()


@pytest.mark.parametrize("version", [0, 2, LAST])
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:0],
        lambda data: b"\0" * len(data),
        lambda data: b"\xff\xfe{" + data,
        lambda data: b"[]\n" + data,
        lambda data: data[: len(data) // 10],
        lambda data: data[:-20],
        lambda data: data.replace(b'"path"', b"path"),
        lambda data: data.replace(b'"size":', b'"size":x'),
    ],
    ids=["emptied", "zeros", "binary", "list", "a tenth", "a bit less", "garbled", "no number"],
)
def test_a_damaged_commit_is_refused(table, version, damage):
    path = in_log(table, version)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptArtifact, match=r"log cannot be read|commit of no bytes"):
        Table(table).arrow()


@pytest.mark.parametrize("version", range(LAST))
def test_a_commit_missing_before_others_is_refused(table, version):
    in_log(table, version).unlink()
    with pytest.raises(CorruptArtifact, match="log cannot be read"):
        Table(table)


@pytest.mark.parametrize("action", ["metaData", "protocol"])
def test_a_log_without_its_first_actions_is_refused(table, action):
    edit(table, 0, drop=[action])
    with pytest.raises(CorruptArtifact, match="log cannot be read"):
        Table(table)


def test_a_commit_whose_transaction_cannot_be_read_is_refused(table):
    path = in_log(table, 2)
    path.write_text(path.read_text().replace('"appId"', '"appIe"'))
    with pytest.raises(CorruptArtifact, match="log cannot be read"):
        Table(table).recorded(f"w/ingest/{DAYS[0]}")


@pytest.mark.parametrize(
    "form", ["../other/{}", "{root}/other/{}", "day=2013-12-03/../../other/{}", "%2E%2E/other/{}"]
)
def test_a_path_out_of_the_table_is_refused(table, tmp_path, form):
    append(tmp_path / "other", ROWS, unit="a")
    (file,) = Table(tmp_path / "other").files
    edit(table, 2, path=form.format(file.path, root=tmp_path), size=file.size)
    with pytest.raises(CorruptArtifact, match="outside of the table"):
        Table(table).arrow()


@pytest.mark.parametrize("path", ["", "a\0b", "a" * 5000, "file:///etc/passwd", "s3://a/b.parquet"])
def test_a_path_to_nowhere_is_refused(table, path):
    edit(table, 2, path=path)
    with pytest.raises(CorruptArtifact):
        Table(table).arrow()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"partitionValues": {"day": "2013-12-30"}}, "another partition"),
        ({"partitionValues": {}}, "another partition"),
        ({"partitionValues": {"day": "soon"}}, "log cannot be read"),
        ({"stats": '{"numRecords": 4}'}, "15 rows, and the log tells of 16"),
        ({"size": 7}, "the log tells of 7"),
        ({"size": -7}, "the log tells of -7"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_log_that_tells_another_story_than_its_files_is_refused(table, changes, told):
    edit(table, 2, **changes)
    with pytest.raises(CorruptArtifact, match=told):
        Table(table).arrow()


@pytest.mark.parametrize("named", [r"\"name\":\"s\"", r"\"name\":\"k\""])
def test_a_column_renamed_in_the_log_is_not_read_as_null(table, named):
    path = in_log(table, 0)
    path.write_text(path.read_text().replace(named, r"\"name\":\"z\""))
    with pytest.raises(CorruptArtifact, match="does not know a file's column"):
        Table(table).arrow()


def test_a_table_whose_files_hold_deleted_rows_is_refused(table):
    path = in_log(table, 0)
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    for action in actions:
        if "protocol" in action:
            features = ["deletionVectors"]
            action["protocol"] = {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": features,
                "writerFeatures": features,
            }
    path.write_text("\n".join(map(json.dumps, actions)))
    with pytest.raises(UsageError, match="readers that know deletionVectors"):
        Table(table)


@pytest.fixture
def checkpoint(table):
    """The checkpoint of the table, which a commit after it needs: older commits are cleaned up."""
    DeltaTable(table.as_posix()).create_checkpoint()
    for version in range(LAST):
        in_log(table, version).unlink()
    return table / "_delta_log" / f"{LAST:020}.checkpoint.parquet"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:0],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-9],
        lambda data: b"\0" * len(data),
        lambda data: data[:200] + bytes(100) + data[300:],
    ],
    ids=["emptied", "half", "a bit less", "zeros", "a hole"],
)
def test_a_damaged_checkpoint_is_refused(table, checkpoint, damage):
    assert Table(table).arrow().num_rows == 15
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(CorruptArtifact):
        Table(table).arrow()


def test_a_missing_checkpoint_is_refused(table, checkpoint):
    checkpoint.unlink()
    with pytest.raises(CorruptArtifact, match="log cannot be read"):
        Table(table)


@pytest.mark.parametrize("text", ["", "{", '{"version": 99, "size": 3}', "\0"])
def test_a_garbled_pointer_to_the_checkpoint_changes_nothing(table, checkpoint, text):
    expected = content(table)
    (checkpoint.parent / "_last_checkpoint").write_text(text)
    assert outcome(table, expected) in {"same", "refused"}


def test_flipped_bits_of_log_and_checkpoint_end_in_no_other_error(table, checkpoint):
    """What rows they hide cannot be known from the table alone; `headrace verify` looks closer."""
    expected = content(table)
    for path in (in_log(table, LAST), checkpoint):
        for bit in picked(range(path.stat().st_size * 8), 100):
            flip(path, bit)
            outcome(table, expected)  # raises whatever is no `CorruptArtifact`
            flip(path, bit)

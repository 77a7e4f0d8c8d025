from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

from headrace.lake import Lake, Table, commit, stage_file
from headrace.lake.claims import Disk, claimed

COMMANDS = (
    *("validate", "plan", "run", "features", "train", "score", "backfill"),
    *("models", "report", "audit", "profile", "algorithms", "choose"),
)
ENGINES = ("pyspark", "ray", "prefect", "great_expectations")


def in_a_process(*arguments, ending="''"):
    """Runs the command in a fresh interpreter, its output no terminal."""
    code = (
        "import sys\n"
        "from flows.cli import main\n"
        f"try:\n    main({list(arguments)!r})\n"
        f"finally:\n    print({ending})"
    )
    return subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_help_names_every_command_and_every_exit_code(headrace):
    code, out, _ = headrace("--help")
    assert code == 0
    assert all(name in out for name in COMMANDS)
    assert all(part in out for part in ("0 done", "1 failed", "2 bad usage", "3 promotion refused"))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_how_it_is_typed(headrace, command):
    code, out, _ = headrace(command, "--help")
    assert code == 0
    assert f"Example: headrace {command}" in out


def test_a_right_file_is_valid(headrace):
    code, out, _ = headrace("validate", "pipeline.yaml")
    assert code == 0
    assert "valid: pipeline rides, 3 sources, 1 check, 1 feature" in " ".join(out.split())


def test_a_wrong_file_exits_2_with_line_and_nearest_name(headrace, folder):
    text = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(text.replace("rows: rides", "rows: ridse"))
    code, out, err = headrace("validate")
    line = 1 + text[: text.index("rows: rides")].count("\n")
    assert (code, out) == (2, "")
    assert f"pipeline.yaml:{line}:" in err
    assert "did you mean 'rides'?" in err


def test_every_command_that_reads_the_file_tells_of_a_missing_one(headrace):
    for command in ("validate", "plan", "run", "train", "score", "backfill", "models"):
        code, _, err = headrace(command, "nowhere.yaml")
        assert code == 2, command
        assert "nowhere.yaml" in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["run", "--onyl", "train"], "--onyl"),
        (["rnu"], "rnu"),
        (["run", "--only", "tarin"], "tarin"),
        (["backfill", "--from", "yesterday"], "yesterday"),
    ],
)
def test_bad_usage_exits_2_and_names_the_word(headrace, arguments, word):
    code, _, err = headrace(*arguments)
    assert code == 2
    assert word in err


@pytest.mark.parametrize(
    ("lake", "problem"),
    [
        ("pipeline.yaml", "pipeline.yaml is a file: name a folder"),
        ("s3://bucket/lake", "is not a folder of this machine"),
    ],
)
def test_a_lake_that_is_no_folder_exits_2(headrace, lake, problem):
    code, out, err = headrace("plan", "--lake", lake)
    assert (code, out) == (2, "")
    assert "".join(problem.split()) in "".join(err.split())  # lines end anywhere


def test_the_command_alone_shows_its_help(headrace):
    code, out, err = headrace()
    assert code == 2
    assert "Start with" in out + err


def test_a_missing_landing_folder_exits_2_and_is_named(headrace, folder):
    (folder / "landing" / "ends" / "a.csv").unlink()
    (folder / "landing" / "ends").rmdir()
    code, _, err = headrace("plan")
    assert code == 2
    assert "there is no landing folder" in err
    assert "landing/ends" in err
    assert "source ends" in err


@pytest.mark.parametrize(
    ("variable", "value", "exit_code", "told"),
    [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1", 1, "the object store cannot be reached"),
        ("AWS_ENDPOINT_URL", None, 2, "no landing file matches"),
    ],
)
def test_a_store_in_trouble_is_one_error_without_a_secret(
    variable, value, exit_code, told, headrace, folder, bucket, monkeypatch
):
    text = (folder / "pipeline.yaml").read_text()
    text = text.replace("path: landing/ends", "path: s3://feeds/ends")
    (folder / "pipeline.yaml").write_text(text + "roots: [landing, 's3://feeds']\n")
    if value:
        monkeypatch.setenv(variable, value)
    code, out, err = headrace("plan")
    assert (code, out) == (exit_code, "")
    assert told in " ".join(err.split())
    assert "Traceback" not in err
    assert bucket.secret not in err


def test_plan_on_an_empty_lake_lists_what_is_missing_and_makes_nothing(headrace, folder):
    code, out, _ = headrace("plan")
    missing = [line.strip("│ ").split()[:3:2] for line in out.splitlines() if "missing" in line]
    sources = ("rides", "ends", "lines")
    assert code == 0
    assert sorted(missing) == sorted([s, name] for s in ("ingest", "check") for name in sources)
    assert "next: `headrace run pipeline.yaml`" in out
    assert not (folder / "lake").exists()


def test_backfill_of_days_without_rows_exits_2(headrace):
    code, _, err = headrace("backfill", "--from", "2014-02-01", "--to", "2014-02-02")
    assert code == 2
    assert "no interval between these days has rows" in err


def test_backfill_of_days_in_the_wrong_order_exits_2(headrace):
    code, _, err = headrace("backfill", "--from", "2014-02-02", "--to", "2014-02-01")
    assert code == 2
    assert "--from 2014-02-02 is after --to 2014-02-01" in err


def test_report_without_a_run_exits_2_and_says_what_writes_one(headrace):
    code, _, err = headrace("report")
    assert code == 2
    assert "there is no report yet" in err
    assert "headrace run" in err


def test_models_without_a_run_says_so(headrace):
    code, out, _ = headrace("models")
    assert code == 0
    assert "no model yet" in out


@pytest.mark.usefixtures("folder")
def test_errors_are_plain_text_where_there_is_no_terminal():
    done = in_a_process("validate", "nowhere.yaml")
    assert done.returncode == 2
    assert "SpecError" in done.stderr or "UsageError" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("command", ["validate", "plan"])
def test_looking_starts_no_engine(command):
    loaded = f"'loaded', sorted(set(sys.modules) & set({ENGINES!r}))"
    done = in_a_process(command, "pipeline.yaml", ending=loaded)
    assert done.returncode == 0, done.stderr
    assert "loaded []" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.usefixtures("folder")
def test_validate_loads_neither_pyarrow_nor_pandas():
    loaded = "'loaded', sorted(set(sys.modules) & {'pyarrow', 'pandas', 'deltalake'})"
    assert "loaded []" in in_a_process("validate", "pipeline.yaml", ending=loaded).stdout


def test_maintain_lists_first_then_merges_then_finds_nothing(headrace, folder):
    table, rows = folder / "lake" / "silver" / "rides", pa.table({"a": [1, 2]})
    files = [stage_file(table, rows) for _ in range(8)]
    commit(table, files, schema=rows.schema, unit="rides/check/b1")
    code, out, _ = headrace("maintain", "--lake", "lake")
    assert code == 0
    assert "silver/rides: 8 small files become 1" in out
    assert "next: `headrace maintain --apply`" in out
    assert Table(table).version == 0
    code, out, _ = headrace("maintain", "--lake", "lake", "--apply")
    assert (code, "merged 8 files" in out) == (0, True)
    assert (Table(table).version, len(Table(table).files)) == (1, 1)
    code, out, _ = headrace("maintain", "--lake", "lake")
    assert (code, "nothing to do" in out) == (0, True)


def test_maintain_leaves_a_lake_alone_that_a_run_works_in(headrace, folder):
    table, rows = folder / "lake" / "silver" / "rides", pa.table({"a": [1]})
    commit(table, [stage_file(table, rows)], schema=rows.schema, unit="rides/check/b1")
    with claimed(Disk(Lake(folder / "lake").claims), ["rides/ingest/b2"], owner="r1"):
        code, out, _ = headrace("maintain", "--lake", "lake", "--apply")
    said = ["already running: run r1 is at work in this lake"]
    assert (code, out.splitlines()[:1]) == (0, said)

"""What every command has: `--json`, a last line that says what to do next, colours that go off."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

import pyarrow as pa
import pytest
import typer

from flows.cli import app
from headrace import runs
from headrace.lake import Table, application_id, commit, stage_file
from headrace.stage import Outcome, StageResult

# Command -> why it has no `--json`. None at present: each tells something that a script can use.
WITHOUT_JSON: dict[str, str] = {}
SOURCE = "rides"


def commands(group=None, name=""):
    """Every command that is registered: its words, and what typer made of it."""
    group = group or typer.main.get_command(app)
    for command in group.commands.values():
        whole = f"{name} {command.name}".strip()
        if hasattr(command, "commands"):
            yield from commands(command, whole)
        else:
            yield whole, command


def test_every_command_has_json():
    lacking = {
        name
        for name, command in commands()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert lacking == WITHOUT_JSON.keys()


def test_every_command_tells_what_json_is_in_the_same_words():
    helps = {
        parameter.help
        for name, command in commands()
        for parameter in command.params
        if "--json" in parameter.opts and name != "features"
    }
    assert len(helps) == 1, helps


@pytest.fixture
def looked_at(scored, folder):
    """A lake of scores in which every command that starts no engine finds something."""
    _, lake = scored()
    for line in ("weather", "lines"):
        (folder / "landing" / line).mkdir(exist_ok=True)
        (folder / "landing" / line / "a.csv").write_text("line,seen,rain\n")
    for run in ("r1", "r2"):
        told = StageResult(name="score", subject="rides", units=("d",), outcome=Outcome.DONE)
        runs.keep(told, lake.runs(run))
    (lake.root / "reports").mkdir()
    lake.report("r1").write_text("<p>")
    row = {"_file": ["rides/a.csv"], "_row": [9], "_raw": ["9,,"], "_batch": [f"{1:032x}"]}
    row |= {"_file_sha256": ["f" * 64], "_failed_rules": [["line"]], "_reason": ["no line"]}
    table, rows = lake.quarantine(SOURCE), pa.table(row)
    unit = application_id(SOURCE, "check", f"{1:032x}")
    commit(table, [stage_file(table, rows)], schema=rows.schema, unit=unit)
    return lake


LOOKING = [
    "validate",
    "plan",
    "models",
    "report",
    "quarantine show rides",
    "quarantine show lines",
    "verify",
    "history rides",
    "maintain",
    "maintain --apply",
    "algorithms",
    "algorithms lightgbm",
    "algorithms quest",
    "choose --rows 500 --columns 5",
    "export pipeline.yaml late.onnx",
    "explain id=4",
    "rebuild --all",
    "diff r1 r2",
    "release pipeline.yaml",
    "errors",
    "errors HR-101",
]
ELSEWHERE = {  # they need an engine, a server, or more files: below, or in tests of their own
    *("run", "features", "train", "score", "backfill", "new", "audit"),
    *("profile", "deploy", "mirror", "quarantine replay", "doctor"),
}


def test_every_command_is_looked_at_here_or_elsewhere():
    names = {name for name, _ in commands()}
    here = {name for name in names if any(f"{words} ".startswith(f"{name} ") for words in LOOKING)}
    assert (names - here, here & ELSEWHERE) == (ELSEWHERE, set())


@pytest.mark.usefixtures("looked_at")
@pytest.mark.parametrize("words", LOOKING)
def test_the_last_line_says_what_to_do_next(headrace, words):
    if words.startswith("export"):
        pytest.importorskip("onnx")
    _, out, err = headrace(*words.split())
    assert err == ""
    assert out.splitlines()[-1].startswith("next: "), out


@pytest.mark.usefixtures("looked_at")
@pytest.mark.parametrize("words", LOOKING)
def test_json_is_one_document_with_the_same_exit_code(headrace, words):
    if words.startswith("export"):
        pytest.importorskip("onnx")
    code, _, _ = headrace(*words.split())
    again, out, err = headrace(*words.split(), "--json")
    assert json.loads(out) is not None
    assert (len(out.splitlines()), err, again) == (1, "", code)


def test_documents_have_their_keys(headrace, looked_at):
    def told(*words):
        return json.loads(headrace(*words, "--json")[1])

    assert told("maintain").keys() == {"outcome", "tables"}
    shown = told("quarantine", "show", SOURCE)
    assert (shown["rows"], shown["by_rule"], shown["by_file"]) == (
        1,
        {"line": 1},
        {"rides/a.csv": 1},
    )
    assert shown["first"][0]["raw"] == "9,,"
    assert headrace("quarantine", "show", SOURCE)[1].startswith("1 row of rides in quarantine")
    proposed = told("choose", "--rows", "500", "--columns", "5")["proposals"]
    assert proposed[0].keys() == {"algorithm", "why", "when_not", "extra"}
    replayed = told("quarantine", "replay", "lines")
    assert (replayed["outcome"], replayed["silver"]) == ("already_done", 0)
    assert Table(looked_at.quarantine(SOURCE)).version == 0


@pytest.fixture
def all_scored(scored, folder):
    """A lake in which every interval that can be scored is."""
    scored()
    text = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(text.replace("first: 2014-01-04", "first: 2014-01-05"))


@pytest.mark.usefixtures("all_scored")
def test_a_run_without_work_is_a_document_too(headrace):
    code, out, err = headrace("score", "--json")
    told = json.loads(out)
    keys = ("pipeline", "lake", "run", "outcome", "message", "page", "stages")
    assert (code, len(out.splitlines()), told.keys()) == (0, 1, {*keys})
    assert (told["run"], told["outcome"], told["stages"]) == (None, "already_done", [])
    assert "already done: nothing was run and nothing was written" in err  # for people


@pytest.mark.usefixtures("all_scored")
def test_a_run_without_work_says_where_to_look(headrace):
    code, out, _ = headrace("score")
    last = "next: `headrace plan pipeline.yaml` tells what is left to do"
    assert (code, out.splitlines()[-1]) == (0, last)


@pytest.mark.parametrize(
    ("words", "exit_code", "name", "part"),
    [
        ("plan nowhere.yaml", 2, "SpecError", "nowhere.yaml"),
        ("backfill --from 2014-02-01", 2, "UsageError", "no interval between these days has rows"),
        ("train --onyl", 2, "UsageError", "No such option: --onyl"),
        ("mirror", 2, "UsageError", "MLFLOW_TRACKING_URI is not set"),
        ("export pipeline.yaml a.onnx", 2, "UsageError", "no model yet"),
        ("release pipeline.yaml x --by Ada --reason y", 2, "UsageError", "nothing of 'x' is held"),
        ("report", 2, "UsageError", "there is no report yet"),
    ],
)
def test_an_error_with_json_is_a_line_of_json_on_stderr(
    headrace, monkeypatch, words, exit_code, name, part
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, out, err = headrace(*words.split(), "--json")
    told = json.loads(err.splitlines()[-1])
    assert (code, out) == (exit_code, "")
    assert told.keys() == {"error", "code", "exit_code", "message", "hint", "where"}
    assert (told["error"], told["exit_code"]) == (name, exit_code)
    assert part in told["message"]
    assert told["hint"] or name == "SpecError"  # whose lines say what to do, each for itself
    assert told["code"].startswith("HR-")


COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|38;)[0-9;]*m")


def on_a_terminal(folder, *words, **variables):
    """What the command writes where stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR", "CI"}}
    done = subprocess.Popen(
        [sys.executable, "-P", "-m", "flows.cli", *words],
        cwd=folder,
        env={**kept, "TERM": "xterm-256color", "COLUMNS": "120", **variables},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    told = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        told += part
    done.wait(timeout=60)
    os.close(ours)
    return told.decode()


def test_colours_are_on_in_a_terminal_and_off_with_no_color(folder):
    lively = on_a_terminal(folder, "validate")
    assert "valid" in lively
    assert COLOUR.search(lively)
    assert not COLOUR.search(on_a_terminal(folder, "validate", NO_COLOR="1"))
    assert not COLOUR.search(on_a_terminal(folder, "validate", "nowhere.yaml", NO_COLOR="1"))


def test_nothing_of_a_terminal_is_written_where_there_is_none(folder):
    for words in (["validate"], ["validate", "nowhere.yaml"], ["--help"], ["plan", "--json"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "flows.cli", *words],
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "\x1b" not in done.stdout + done.stderr, words

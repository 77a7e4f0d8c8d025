"""Every command is on the page, shows an example, and a shell completes what it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.cli import main
from flows.command_page import page
from flows.options import EXIT_CODES
from headrace.errors import kinds

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


def test_the_page_of_commands_is_that_of_the_app():
    found = PAGE.read_text(encoding="utf-8")
    assert found == page(), "run `python -P -m flows.command_page docs/commands.md`"


def test_every_command_shows_an_example_of_itself():
    sections = page().split("\n## ")[2:]
    silent = [text.splitlines()[0] for text in sections if "Example: `headrace " not in text]
    assert len(sections) > 20
    assert silent == []


def test_every_exit_code_of_an_error_is_told():
    assert {kind.exit_code for kind in kinds()} <= EXIT_CODES.keys()


def completed(monkeypatch, capsys, words):
    """What bash is offered after these words."""
    monkeypatch.setenv("_HEADRACE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    monkeypatch.setattr("sys.argv", ["headrace"])
    with pytest.raises(SystemExit):
        main([])
    return capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("headrace expl", ["explain"]),
        ("headrace plan pi", ["pipeline.yaml"]),
        ("headrace profile r", ["rides"]),
        ("headrace profile g", ["gold"]),
        ("headrace quarantine show l", ["lines"]),
        ("headrace algorithms xg", ["xgboost"]),
        ("headrace diff 2014-01-0", ["2014-01-06T05-00-00-bbbb", "2014-01-05T05-00-00-aaaa"]),
        ("headrace errors HR-10", ["HR-101", "HR-102"]),
    ],
)
def test_a_shell_completes_what_is_there(monkeypatch, capsys, folder, words, offered):
    for run in ("2014-01-05T05-00-00-aaaa", "2014-01-06T05-00-00-bbbb"):
        (folder / "lake" / "runs" / run).mkdir(parents=True)
    assert completed(monkeypatch, capsys, words) == offered


@pytest.mark.parametrize(
    "words",
    [
        ["validate"],
        ["plan"],
        ["models"],
        ["verify"],
        ["history", "rides"],
        ["doctor"],
        ["explain", "id=4"],
        ["rebuild", "--all"],
        ["errors"],
        ["algorithms"],
    ],
)
def test_json_is_one_document_and_nothing_else(headrace, scored, folder, words):
    scored()
    (folder / "landing" / "weather").mkdir()
    (folder / "landing" / "weather" / "a.csv").write_text("line,seen,rain\n")
    _, out, err = headrace(*words, "--json")
    assert json.loads(out)
    assert len(out.splitlines()) == 1
    assert err == ""


def test_a_wrong_file_is_told_as_json_with_exit_code_2(headrace, folder):
    text = (folder / "pipeline.yaml").read_text()
    (folder / "pipeline.yaml").write_text(text.replace("rows: rides", "rows: ridse"))
    code, out, _ = headrace("validate", "--json")
    (problem,) = json.loads(out)["problems"]
    assert (code, problem["path"]) == (2, "features.rows")
    assert "did you mean 'rides'?" in problem["message"]

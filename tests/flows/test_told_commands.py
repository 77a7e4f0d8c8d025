"""Commands that the documentation and the hints of errors tell are those that there are."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from flows.cli import app

ROOT = Path(__file__).parents[2]
PACKAGES = ("headrace", "flows", "spark_jobs", "ray_tasks", "expectations")
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
BLOCKS = re.compile(r"^ *```(?:sh|bash)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`headrace (?!COMMAND )([^`\n]+)`")


COMMAND = typer.main.get_command(app)


def named(words):
    """The command that the words name, and the words after its name."""
    command = COMMAND
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def lines_of(page: Path) -> list[str]:
    """What a reader is to type, of blocks of commands."""
    lines = "".join(BLOCKS.findall(page.read_text())).splitlines()
    return [line for line in lines if line.startswith("headrace ")]


TYPED = list(dict.fromkeys(line for page in PAGES for line in lines_of(page)))
TOLD = sorted(
    {(path, words) for path in (*PAGES, *SOURCES) for words in INLINE.findall(path.read_text())}
)


@pytest.mark.parametrize("line", TYPED)
def test_a_line_that_is_to_be_typed_is_one_that_the_command_takes(line):
    command, words = named(shlex.split(line, comments=True)[1:])
    command.make_context(command.name, words)  # parses and converts; nothing is run


def test_every_command_that_is_told_by_the_way_is_there_with_its_options():
    wrong = []
    for path, text in TOLD:
        try:
            command, words = named(text.split())
        except AssertionError as error:
            wrong.append(f"{path.relative_to(ROOT)}: `headrace {text}`: {error}")
            continue
        options = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
        options |= {"--help"}
        unknown = [word for word in words if word.startswith("--") and word not in options]
        wrong += [f"{path.relative_to(ROOT)}: `headrace {text}`: no {word}" for word in unknown]
    assert len(TOLD) > 100
    assert wrong == []
